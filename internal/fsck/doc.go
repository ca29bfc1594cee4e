// Package fsck judges what others wrote, with code of its own: an installation
// (home.go) and the service's store (store.go). It shares nothing with what it judges
// but the standard library and the decompressor, so that a mistake in a writer is not
// repeated in its judge. The formats are those of docs/design.
package fsck

//go:build !linux

package install

// copyAttributes does nothing here: extended attributes are kept on Linux only.
func copyAttributes(string, string) error { return nil }

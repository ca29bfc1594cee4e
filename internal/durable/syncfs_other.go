//go:build !linux

package durable

import "errors"

// SyncFS is not to be had on this system: it returns [errors.ErrUnsupported], and the
// caller syncs file by file.
func SyncFS(string) error { return errors.ErrUnsupported }

// renameNew renames a file to a name that nothing has.
func renameNew(from, to string) error { return renameLooking(from, to) }

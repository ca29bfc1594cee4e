//go:build !windows

package durable

import (
	"errors"
	"os"
	"syscall"
)

// SyncDir makes the entries of dir durable. A file system that cannot sync folders
// answers EINVAL or ENOTSUP, which is no error: there is nothing more to be had.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

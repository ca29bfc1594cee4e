//go:build !windows

package install

import (
	"errors"
	"syscall"
)

func notEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func belowFile(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

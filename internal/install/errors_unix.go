//go:build !windows

package install

import (
	"errors"
	"syscall"
)

// nonBlock has opening a pipe not wait for its other end.
const nonBlock = syscall.O_NONBLOCK

func notEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func belowFile(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// mediaError reports whether a read failed because the disk does not give the content.
func mediaError(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EBADMSG)
}

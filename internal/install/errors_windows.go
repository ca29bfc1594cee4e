package install

import (
	"errors"

	"golang.org/x/sys/windows"
)

// nonBlock is nothing on Windows, where pipes have names of their own.
const nonBlock = 0

func notEmpty(err error) bool { return errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func belowFile(err error) bool { return errors.Is(err, windows.ERROR_PATH_NOT_FOUND) }

// mediaError reports whether a read failed because the disk does not give the content.
func mediaError(err error) bool {
	return errors.Is(err, windows.ERROR_CRC) || errors.Is(err, windows.ERROR_FILE_CORRUPT) || errors.Is(err, windows.ERROR_DISK_CORRUPT)
}

package install

import (
	"errors"

	"golang.org/x/sys/windows"
)

func notEmpty(err error) bool { return errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func belowFile(err error) bool { return errors.Is(err, windows.ERROR_PATH_NOT_FOUND) }

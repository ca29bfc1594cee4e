//go:build !windows

package copytree

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// copyAttributes gives out what in has in extended attributes, access lists among them.
// What this user may not set, or the file system does not know, is left out.
func copyAttributes(out, in *os.File) error {
	size, err := unix.Flistxattr(int(in.Fd()), nil)
	if err != nil || size == 0 {
		return tolerate(err)
	}
	names := make([]byte, size)
	if size, err = unix.Flistxattr(int(in.Fd()), names); err != nil {
		return tolerate(err)
	}
	for name := range strings.FieldsFuncSeq(string(names[:size]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(int(in.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(out.Fd()), name, value[:n], 0)
		}
		if err := tolerate(err); err != nil {
			return err
		}
	}
	return nil
}

func tolerate(err error) error {
	for _, harmless := range []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, errNoAttribute} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}

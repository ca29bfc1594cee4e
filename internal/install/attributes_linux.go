package install

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// copyAttributes gives to what from has in extended attributes, access lists among
// them. What this user may not set, or the file system does not know, is left out.
func copyAttributes(from, to string) error {
	size, err := unix.Llistxattr(from, nil)
	if err != nil || size <= 0 {
		return tolerate(err)
	}
	names := make([]byte, size)
	if size, err = unix.Llistxattr(from, names); err != nil {
		return tolerate(err)
	}
	// An overlay counts attributes of its own that it then does not name: the list may
	// be shorter than was said, or empty.
	for name := range strings.FieldsFuncSeq(string(names[:size]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(from, name, value)
		if err == nil {
			err = unix.Lsetxattr(to, name, value[:n], 0)
		}
		if err := tolerate(err); err != nil {
			return err
		}
	}
	return nil
}

func tolerate(err error) error {
	for _, harmless := range []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.ENODATA} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}

package copytree

import (
	"os"

	"golang.org/x/sys/unix"
)

// errNoAttribute is what reading an attribute that went meanwhile ends with.
const errNoAttribute = unix.ENODATA

// create makes the file p of to with the content of in. Where the file system can, both
// share it block by block until either is written; where it cannot, shared is false and
// the file is empty.
func create(to *os.Root, p string, in *os.File) (out *os.File, shared bool, err error) {
	out, err = to.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, false, err
	}
	return out, unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil, nil
}

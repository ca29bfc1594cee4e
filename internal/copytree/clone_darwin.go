package copytree

import (
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// errNoAttribute is what reading an attribute that went meanwhile ends with.
const errNoAttribute = unix.ENOATTR

// create makes the file p of to with the content of in. Where the file system can, both
// share it block by block until either is written; where it cannot, shared is false and
// the file is empty.
func create(to *os.Root, p string, in *os.File) (out *os.File, shared bool, err error) {
	if dir, err := to.Open(path.Dir(p)); err == nil {
		cloned := unix.Fclonefileat(int(in.Fd()), int(dir.Fd()), path.Base(p), unix.CLONE_NOFOLLOW|unix.CLONE_NOOWNERCOPY)
		_ = dir.Close()
		if cloned == nil {
			out, err := to.Open(p)
			return out, true, err
		}
	}
	out, err = to.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return out, false, err
}

//go:build !windows

package selfupdate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"uplevel/internal/durable"
)

// place puts the staged program in the place of the old one, by one rename.
func (p Program) place() error { return durable.Rename(p.staged(), p.file) }

// keepOwner gives f the owner of what it takes the place of, and the group where that may
// be: who owns a file may not give it to every group.
func keepOwner(f *os.File, old fs.FileInfo) (sameGroup bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, ok := info.Sys().(*syscall.Stat_t)
	was, also := old.Sys().(*syscall.Stat_t)
	if !ok || !also || now.Uid == was.Uid && now.Gid == was.Gid {
		return true, nil
	}
	err = f.Chown(int(was.Uid), int(was.Gid))
	if err != nil && now.Uid == was.Uid {
		return false, nil
	}
	return err == nil, err
}

// ownerOf returns the user who owns a file.
func ownerOf(file string) (uint32, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.New("its owner is not known")
	}
	return st.Uid, nil
}

// onlyOf refuses a folder that belongs neither to owner nor to root, or that everybody may
// write into.
func onlyOf(dir string, owner uint32) error {
	is, err := ownerOf(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case is != 0 && is != owner:
		return fmt.Errorf("%s belongs to another user than the tool", dir)
	case info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("everybody may write into %s", dir)
	}
	return nil
}

// slipped refuses a file in a folder that everybody may write into, such as /tmp, when it
// belongs neither to root, nor to who runs the program or owns it.
func (p Program) slipped(file string) error {
	folder, err := os.Stat(p.dir)
	if err != nil || folder.Mode().Perm()&0o002 == 0 {
		return err
	}
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	owner, ownerErr := ownerOf(p.file)
	if err = errors.Join(err, ownerErr); err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && (st.Uid == 0 || st.Uid == owner || int64(st.Uid) == int64(os.Geteuid())) {
		return nil
	}
	return fmt.Errorf("everybody may write into %s, and %s is another user's", p.dir, file)
}

// Continue runs the program on the same arguments in the place of this process. It
// returns only when that fails.
func (p Program) Continue(args, env []string, version string) (exit int, err error) {
	return 0, syscall.Exec(p.file, args, environment(env, version)) //nolint:gosec // the program's own file
}

//go:build !windows

package install

import (
	"io/fs"
	"syscall"
)

// identityOf reads the stat record that tells a file from any other.
func identityOf(info fs.FileInfo) identity {
	id := identity{Size: info.Size(), Modified: info.ModTime().UnixNano(), Mode: uint32(info.Mode())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.Inode, id.Changed = st.Ino, changed(st)
	}
	return id
}

func owner(info fs.FileInfo) (uid, gid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// sameDisk reports whether two folders lie on one file system.
func sameDisk(a, b string) bool {
	var one, other syscall.Stat_t
	return syscall.Stat(a, &one) == nil && syscall.Stat(b, &other) == nil && one.Dev == other.Dev
}

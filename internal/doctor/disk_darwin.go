package doctor

import "golang.org/x/sys/unix"

// LookAtDisk tells of the file system that holds dir.
func LookAtDisk(dir string) (Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Disk{}, err
	}
	return Disk{
		Free: int64(st.Bavail) * int64(st.Bsize), FreeFiles: int64(st.Ffree),
		Kind: unix.ByteSliceToString(st.Fstypename[:]), ReadOnly: st.Flags&unix.MNT_RDONLY != 0,
	}, nil
}

// CanWrite reports whether this user may change entries of dir, without trying.
func CanWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

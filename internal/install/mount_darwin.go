package install

import "golang.org/x/sys/unix"

// mountsBelow knows of none: on macOS a mount inside a product is met by the rename
// that fails, before anything is changed.
func mountsBelow(string) ([]string, error) { return nil, nil }

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

package doctor

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// LookAtDisk tells of the file system that holds dir.
func LookAtDisk(dir string) (Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Disk{}, err
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	d := Disk{FreeFiles: -1, ReadOnly: st.Flags&unix.ST_RDONLY != 0}
	d.Free = int64(min(free, math.MaxInt64/uint64(max(st.Bsize, 1)))) * st.Bsize //nolint:gosec // at least 1, at most what fits
	d.Kind = kindOf(int64(uint32(st.Type)))                                      //nolint:gosec // 32 bits, whatever their sign
	if st.Files > 0 {                                                            // some count none: btrfs, network file systems
		d.FreeFiles = int64(min(st.Ffree, math.MaxInt64))
	}
	return d, nil
}

func kindOf(magic int64) string {
	known := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs", 0xff534d42: "cifs",
		0xfe534d42: "smb", unix.V9FS_MAGIC: "9p", unix.FUSE_SUPER_MAGIC: "fuse", 0x2fc12fc1: "zfs", unix.F2FS_SUPER_MAGIC: "f2fs",
	}
	if name, ok := known[magic]; ok {
		return name
	}
	return fmt.Sprintf("number %x", magic)
}

// CanWrite reports whether this user may change entries of dir, without trying.
func CanWrite(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

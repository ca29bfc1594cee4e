//go:build unix

package hostile

import (
	"net"
	"path/filepath"
	"syscall"
)

// devices are trees that hold what is neither file, folder nor link.
func devices() []Tree {
	node := func(name string, kind uint32, device int) Tree {
		return Tree{Name: name, Make: func(dir string) error { return syscall.Mknod(filepath.Join(dir, "x"), kind|0o644, device) }}
	}
	all := []Tree{
		node("pipe", syscall.S_IFIFO, 0),
		{Name: "pipe as product.txt", Make: func(dir string) error {
			if err := text(dir, "updates/x", ""); err != nil {
				return err
			}
			return syscall.Mkfifo(filepath.Join(dir, "updates/product.txt"), 0o644)
		}},
		{Name: "socket", Make: func(dir string) error {
			l, err := net.Listen("unix", filepath.Join(dir, "x"))
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}},
	}
	if syscall.Geteuid() == 0 {
		all = append(all, node("null device", syscall.S_IFCHR, 1<<8|3), node("zero device", syscall.S_IFCHR, 1<<8|5), node("block device", syscall.S_IFBLK, 7<<8))
	}
	return all
}

//go:build !windows

package durable

import (
	"os"
	"path/filepath"
	"syscall"
)

// noFollow has opening a symbolic link fail.
const noFollow = syscall.O_NOFOLLOW

// inherit gives what root made the owner and group of the folder it lies in: who owns
// the folder goes on there without root. Where that cannot be, it stays root's.
func inherit(path string) {
	if os.Geteuid() != 0 {
		return
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return
	}
	if st, ok := folder.Sys().(*syscall.Stat_t); ok && (st.Uid != 0 || st.Gid != 0) {
		_ = os.Lchown(path, int(st.Uid), int(st.Gid))
	}
}

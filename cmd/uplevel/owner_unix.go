//go:build !windows

package main

import (
	"os"
	"syscall"
)

// takeOwner gives name owner and group of the folder like, where this user may.
func takeOwner(name, like string) {
	info, err := os.Stat(like)
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(name, int(st.Uid), int(st.Gid))
	}
}

//go:build unix

package machine

import (
	"fmt"
	"io/fs"
	"syscall"
)

// owner is user:group of a file, as numbers.
func owner(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
	}
	return "-"
}

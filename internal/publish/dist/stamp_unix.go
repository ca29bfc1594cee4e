//go:build linux || darwin

package dist

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// stampOf returns what changes when a file's content may have changed, and the later
// of the times at which it did.
func stampOf(info fs.FileInfo) (string, time.Time) {
	changed, inode := info.ModTime(), uint64(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		changed, inode = statChange(st), st.Ino
	}
	when := info.ModTime()
	if changed.After(when) {
		when = changed
	}
	return fmt.Sprintf("%d %d %d %d", info.Size(), info.ModTime().UnixNano(), changed.UnixNano(), inode), when
}

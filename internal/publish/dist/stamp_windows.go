package dist

import (
	"fmt"
	"io/fs"
	"time"
)

// stampOf returns what changes when a file's content may have changed, and when it did.
func stampOf(info fs.FileInfo) (string, time.Time) {
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano()), info.ModTime()
}

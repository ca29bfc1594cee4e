//go:build unix

package lab

import (
	"os"
	"runtime"
	"syscall"
)

// peakKB returns the most memory that a finished process held, in KiB.
func peakKB(p *os.ProcessState) int64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin": // counts bytes
		return u.Maxrss >> 10
	default:
		return u.Maxrss
	}
}

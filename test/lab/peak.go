package lab

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// often is how often a running program is asked for the memory it held at most.
const often = 5 * time.Millisecond

// watchPeak asks the system for the most memory that a process held, in KiB, until stop is
// called, which returns it: 0 where the system does not say. What it says of a process that
// ended is no use: there the memory of the one that started it counts, too.
func watchPeak(pid int) (stop func() int64) {
	end, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		for {
			if now, ok := highWater(pid); ok {
				most = max(most, now)
			}
			select {
			case <-end:
				peak <- most
				return
			case <-time.After(often):
			}
		}
	}()
	return func() int64 {
		close(end)
		return <-peak
	}
}

// highWater reads the mark from /proc.
func highWater(pid int) (kb int64, ok bool) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), "VmHWM:"); is {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kb, err == nil
		}
	}
	return 0, false
}

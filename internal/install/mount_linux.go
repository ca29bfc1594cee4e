package install

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountsBelow returns the mount points below home, relative, sorted. Bind mounts of one
// file system are told apart only by the kernel's own list.
func mountsBelow(home string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	resolved, err := filepath.EvalSymlinks(home)
	if err != nil {
		return nil, err
	}
	var below []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if rel, ok := strings.CutPrefix(unescape(fields[4]), resolved+"/"); ok {
			below = append(below, rel)
		}
	}
	slices.Sort(below)
	return slices.Compact(below), lines.Err()
}

// unescape undoes the kernel's \040 for a space and its like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// freeBytes returns the bytes that this user may still write on dir's file system.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	return int64(min(free, math.MaxInt64/uint64(max(st.Bsize, 1)))) * st.Bsize, nil //nolint:gosec // at least 1, at most what fits
}

// writable reports whether this user may change entries of dir.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

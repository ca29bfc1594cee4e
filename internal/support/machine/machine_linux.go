package machine

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine asks the kernel and the distribution.
func (l *look) machine(s *System) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		l.failed("uname", err)
	} else {
		s.Kernel = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Version[:])
	}
	s.Distribution = l.distribution()
	if info := (unix.Sysinfo_t{}); unix.Sysinfo(&info) == nil {
		s.Memory = fmt.Sprintf("%d MiB, %d MiB free", info.Totalram*uint64(info.Unit)>>20, info.Freeram*uint64(info.Unit)>>20)
	}
	s.Container = container()
	for _, r := range []struct {
		name string
		id   int
	}{{"open files", unix.RLIMIT_NOFILE}, {"file size", unix.RLIMIT_FSIZE}, {"processes", unix.RLIMIT_NPROC}, {"address space", unix.RLIMIT_AS}} {
		var have unix.Rlimit
		if err := unix.Getrlimit(r.id, &have); err != nil {
			l.failed("limit of "+r.name, err)
			continue
		}
		s.Limits = append(s.Limits, Limit{r.name, bound(have.Cur), bound(have.Max)})
	}
	if l.home == "" {
		return
	}
	resolved, err := filepath.EvalSymlinks(l.home)
	if err != nil {
		l.failed("mounts below the home", err)
		return
	}
	l.eachMount(func(m mount) {
		if strings.HasPrefix(m.at, resolved+"/") && len(s.Mounts) < maxMounts {
			s.Mounts = append(s.Mounts, m.at+" "+m.kind+" "+m.options)
		}
	})
}

const maxMounts = 500 // told

func bound(n uint64) string {
	if n == math.MaxUint64 {
		return "none"
	}
	return strconv.FormatUint(n, 10)
}

func (l *look) distribution() string {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		l.failed("/etc/os-release", err)
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 64<<10))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// container says by what a container was recognised.
func container() string {
	for _, name := range []string{"/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return os.Getenv("container")
}

type mount struct{ at, kind, options string }

// eachMount reads the kernel's list of mounts.
func (l *look) eachMount(do func(mount)) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		l.failed("list of mounts", err)
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 4<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if ok && len(fields) >= 6 && len(kind) >= 1 {
			do(mount{strings.ReplaceAll(fields[4], `\040`, " "), kind[0], fields[5]})
		}
	}
	if err := lines.Err(); err != nil {
		l.failed("list of mounts", err)
	}
}

// fileSystem tells what kind of file system a place lies on, and what is free there.
func (l *look) fileSystem(f FileSystem) FileSystem {
	f.FreeBytes, f.FreeFiles = -1, -1
	at, err := filepath.EvalSymlinks(f.Path)
	for err != nil && f.Of == "cache" && f.Path != filepath.Dir(f.Path) { // it is made when it is wanted
		f.Path = filepath.Dir(f.Path)
		at, err = filepath.EvalSymlinks(f.Path)
	}
	var st unix.Statfs_t
	if err == nil {
		err = unix.Statfs(at, &st)
	}
	if err != nil {
		l.failed("file system of "+f.Of, err)
		return f
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree
	}
	f.FreeBytes = int64(min(free, math.MaxInt64/uint64(max(st.Bsize, 1)))) * st.Bsize //nolint:gosec // at least 1, at most what fits
	f.FreeFiles = int64(min(st.Ffree, math.MaxInt64))
	l.eachMount(func(m mount) {
		if at == m.at || strings.HasPrefix(at, strings.TrimSuffix(m.at, "/")+"/") {
			if len(m.at) >= len(f.Mount) {
				f.Mount, f.Type, f.Options = m.at, m.kind, m.options
			}
		}
	})
	return f
}

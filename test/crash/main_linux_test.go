package crash

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a mount namespace of their own: whatever ends them, nothing
// stays mounted, and no other program's namespace keeps one of their disks alive after a
// cut. (It would be found dead, and not mounted anew.)
func TestMain(m *testing.M) {
	const inside = "CRASH_MOUNTS_ARE_OWN"
	unshare, err := exec.LookPath("unshare")
	if os.Getuid() != 0 || err != nil {
		m.Run()
		return
	}
	if os.Getenv(inside) == "" {
		args := append([]string{"unshare", "--mount", "--propagation", "private", "--"}, os.Args...)
		panic(syscall.Exec(unshare, args, append(os.Environ(), inside+"=1")))
	}
	forgetOthers()
	m.Run()
}

// forgetOthers unmounts, in this namespace, the disks of other tests that run: they must not
// be kept alive either.
func forgetOthers() {
	mounted, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounted)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.Contains(fields[1], "/powercut-") {
			_ = unix.Unmount(fields[1], unix.MNT_DETACH)
		}
	}
}

package update

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"uplevel/internal/durable"
	"uplevel/internal/install"
)

// lacking ends a test that cannot be made here: in CI as a failure.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: scripts/install-deps installs what is needed, and it takes root", what)
	}
	t.Skipf("SKIPPED, and nothing was tried: %s; run scripts/install-deps, and the test as root", what)
}

// mounted returns a folder on an XFS of its own that can share blocks.
func mounted(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "a file system cannot be mounted by this user")
	}
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		lacking(t, "mkfs.xfs is missing")
	}
	dir := t.TempDir()
	image, at := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"truncate", "-s", "400M", image},
		{"mkfs.xfs", "-q", "-m", "reflink=1", image},
		{"mount", "-o", "loop", image, at},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			lacking(t, fmt.Sprintf("%v: %v: %s", args, err, out))
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return at
}

func used(t *testing.T, dir string) int64 {
	t.Helper()
	if err := durable.SyncFS(dir); err != nil {
		t.Fatal(err)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize
}

// TestACopyCostsWhatChanges: on a file system that shares blocks an updated copy takes
// the room of the changed files, and neither is the other's.
func TestACopyCostsWhatChanges(t *testing.T) {
	t.Parallel()
	disk := mounted(t)
	v := newVendor(t, start)
	big := strings.Repeat("0123456789abcdef", 2<<20) // 32 MiB
	v.publish(line, 0, files{"big": big, "changes": "0", "dir/x": "0"})
	v.publish(line, 1, files{"big": big, "changes": "1", "dir/x": "0"})
	u := onDisk(t, v, 0)
	home := filepath.Join(disk, "home")
	if out, err := exec.Command("cp", "-a", u.Home.Dir(), home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"big", "dir"} {
		v.must(unix.Setxattr(filepath.Join(home, name), "user.note", []byte("mine"), 0))
	}
	h, err := install.Open(home, install.Options{Now: u.Now, Holder: "test"})
	v.must(err)
	t.Cleanup(func() { h.Close() })
	u.Home = OnDisk(h)
	u.Other = func(_ context.Context, dir string) (*Updater, error) {
		h, err := install.Open(dir, install.Options{Now: u.Now, Holder: "test"})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { h.Close() })
		other := *u
		other.Home = OnDisk(h)
		return &other, nil
	}
	before := used(t, disk)
	copied := filepath.Join(disk, "copy")
	if _, err := u.ToDirectory(t.Context(), copied, Options{Level: "1"}); err != nil {
		t.Fatal(err)
	}
	if cost := used(t, disk) - before; cost > 4<<20 {
		t.Errorf("the copy costs %d bytes", cost)
	}
	if got, _ := os.ReadFile(filepath.Join(copied, "changes")); string(got) != "1" {
		t.Errorf("changes is %q in the copy", got)
	}
	for _, name := range []string{"big", "dir"} {
		value := make([]byte, 10)
		if n, err := unix.Getxattr(filepath.Join(copied, name), "user.note", value); err != nil || string(value[:n]) != "mine" {
			t.Errorf("the attribute of %s is not copied: %q, %v", name, value[:max(n, 0)], err)
		}
	}
	f, err := os.OpenFile(filepath.Join(copied, "big"), os.O_WRONLY, 0)
	v.must(err)
	_, err = f.WriteString("written in the copy")
	v.must(err)
	v.must(f.Close())
	if got, _ := os.ReadFile(filepath.Join(home, "big")); string(got) != big {
		t.Error("writing in the copy changed the original")
	}
}

package trouble

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uplevel/test/lab"
)

// The most that a bundle may take, whatever lies in the home.
const (
	supportMemory = 64 << 10         // KiB
	supportTime   = 20 * time.Second // of the processor
)

// tree is all of a folder: paths, modes, owners, sizes, times and what plain files hold
// up to 1 MB.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&b, p, info.Mode(), st.Uid, st.Gid, info.Size(), info.ModTime().UnixNano(), st.Ctim)
		if info.Mode().IsRegular() && info.Size() < 1<<20 {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b.Write(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hugeLogs writes a log of 2 GB that is mostly a hole, one line of 100 MB, and a full one.
func (w *world) hugeLogs(home string) {
	w.t.Helper()
	line := `[24-11-2026 18:03:27] DEBUG - item name="repository/components/plugins/org.vendor.carbon_5.14.97.5.jar" from="https://nexus.inner.bank/x" by=10.1.2.3` + "\n"
	w.write(filepath.Join(home, "updates/logs/hole.log"), "begin\n")
	f, err := os.OpenFile(filepath.Join(home, "updates/logs/hole.log"), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("\n"+strings.Repeat(line, 1000)+"[x] ERROR - the last line password=hunter2\n"), 2<<30)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(home, "updates/logs/full.log"), strings.Repeat(line, (8<<20)/len(line)))
	flat, err := os.Create(filepath.Join(home, "updates/logs/flat.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	for range 100 {
		if _, err := flat.WriteString(strings.Repeat("password=hunter2 and on ", 1<<20/24)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := flat.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestABundleOfHugeLogs takes the end of each, in bounded memory and time, and changes
// nothing.
func TestABundleOfHugeLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	w.said(home, nil, "", "update", "--level", "99")
	w.hugeLogs(home)
	outcome := `{"path":"lib/some/where/a-file-of-the-product.jar","action":"conflict","inside":{"disputes":[{"key":"a","mine":"hunter2"}]}},`
	w.write(filepath.Join(home, "updates/staging/pending.json"), `{"format":1,"plan":{"outcomes":[`+strings.Repeat(outcome, 12<<20/len(outcome))+`{}]}}`)
	before := tree(t, home)
	out := w.Path("huge.zip")
	r, err := w.Do(t.Context(), home, "uplevel", "support-bundle", "-o", out)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a bundle of a log of 2 GB: %s (%s of the processor), peak %d KiB, zip %d bytes", r.Wall.Round(time.Millisecond), r.CPU.Round(time.Millisecond), r.PeakKB, info.Size())
	if r.PeakKB > supportMemory || r.CPU > supportTime || info.Size() > 8<<20 {
		t.Errorf("too much: %s, peak %d KiB, zip %d bytes", r.CPU, r.PeakKB, info.Size())
	}
	if after := tree(t, home); after != before {
		t.Errorf("something was changed:\n%.3000s\n%.3000s", before, after)
	}
	all := unzipped(t, out)
	if strings.Contains(all, "hunter2") || strings.Contains(all, "inner.bank") || !strings.Contains(all, "the last line") || !strings.Contains(r.Output, "left out") {
		t.Errorf("the bundle is not as it should be:\n%s", r.Output)
	}
	shown, err := w.Do(t.Context(), w.Dir, "uplevel", "bundle", "show", out, "logs/hole.log")
	if err != nil || shown.PeakKB > supportMemory {
		t.Errorf("showing it takes %d KiB: %v", shown.PeakKB, err)
	}
}

func unzipped(t *testing.T, name string) string {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var all bytes.Buffer
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(f.Name + "\n")
		if _, err := io.Copy(&all, r); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// TestABundleInABadWorld makes one where the disk is full, where the home is another
// user's and cannot be read, and while a commit lies open.
func TestABundleInABadWorld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("commit open", func(t *testing.T) {
		t.Parallel()
		open := w.home()
		w.write(filepath.Join(open, "updates/COMMITTING"), `{"format":1,"id":1,"direction":"forward"}`)
		before := tree(t, open)
		code, said := w.said(open, nil, "", "support-bundle", "-o", w.Path("open.zip"))
		if code != 0 || !strings.Contains(said, "a commit is open") || tree(t, open) != before {
			t.Errorf("exit %d:\n%s", code, said)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		t.Parallel()
		full := w.tmpfs(t, "size=4k,nr_inodes=8")
		code, said := w.said(w.home(), nil, "", "support-bundle", "-o", full)
		left, err := os.ReadDir(full)
		if code != 15 || !strings.Contains(said, "no space left") || !strings.Contains(said, "with -o") || err != nil || len(left) > 0 {
			t.Errorf("exit %d, %v left:\n%s", code, left, said)
		}
	})
	t.Run("another user's home", func(t *testing.T) {
		t.Parallel()
		home := w.home()
		if code, said := w.said(home, nil, "", "update"); code != 0 {
			t.Fatal(said)
		}
		for _, name := range []string{"updates/logs", "updates/state.json", "updates/store", "updates/history"} {
			if err := os.Chmod(filepath.Join(home, name), 0); err != nil {
				t.Fatal(err)
			}
		}
		code, said := w.asNobody(home, "support-bundle", "-o", w.open("tickets"))
		if code != 0 {
			t.Fatalf("exit %d:\n%s", code, said)
		}
		for _, name := range []string{"updates/logs: ", "updates/state.json: ", "updates/store: ", "updates/history: ", "opening the product: "} {
			if !strings.Contains(said, name) {
				t.Errorf("%q is not named:\n%s", name, said)
			}
		}
		if code, said := w.asNobody(home, "support-bundle", "-o", w.Dir); code != 15 || !strings.Contains(said, "cannot be written") {
			t.Errorf("exit %d:\n%s", code, said)
		}
	})
}

// tmpfs mounts a small file system.
func (w *world) tmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting needs root: run sudo make test")
	}
	dir := w.Path("tmpfs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.unmount(dir) })
	return dir
}

// open makes a folder that everybody may write to.
func (w *world) open(name string) string {
	w.t.Helper()
	dir := w.Path(name)
	if !lab.Exists(dir) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// asNobody runs the tool as a user who owns nothing; who is not root is somebody already.
func (w *world) asNobody(home string, args ...string) (int, string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.Path("bin/uplevel"), append(args, "--dir", home)...)
	cmd.Dir, cmd.Env = "/", append(append([]string{}, w.Env...), "HOME=/", "UPLEVEL_CACHE=")
	if os.Geteuid() == 0 {
		for _, dir := range []string{w.Dir, home} {
			if err := os.Chmod(dir, 0o755); err != nil {
				w.t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

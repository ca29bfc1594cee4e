package copytree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree makes a folder with these files.
func tree(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for p, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, p)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, p), []byte(content), 0o600))
	}
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

func nothing(string) bool { return false }

// passing calls do at the n-th look at whether it is over.
type passing struct {
	context.Context //nolint:containedctx // it is one

	n  int
	do func()
}

func (p *passing) Err() error {
	if p.n--; p.n == 0 {
		p.do()
	}
	return p.Context.Err()
}

// TestWhatGoesMeanwhileIsPassedOver: files and folders that go while they are copied are no
// failure.
func TestWhatGoesMeanwhileIsPassedOver(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		from := tree(t, map[string]string{"a/b": "1", "conf/key": "secret", "zz-temporary": "passing", "zz-work/deep": "passing"})
		ctx := &passing{t.Context(), n + 1, func() { must(t, errors.Join(from.RemoveAll("zz-temporary"), from.RemoveAll("zz-work"))) }}
		to := t.TempDir()
		if _, err := Copy(ctx, from, to, nothing); err != nil {
			t.Errorf("gone at the %d. entry: %v", n+1, err)
		}
		if got, err := os.ReadFile(filepath.Join(to, "conf/key")); err != nil || string(got) != "secret" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestModesAndTimesAreAsTheyWere: of files, of folders that nobody may write, of the top.
func TestModesAndTimesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	from, to := tree(t, map[string]string{"bin/run": "1", "closed/deep/file": "2", "open/x": "3"}), filepath.Join(t.TempDir(), "copy")
	must(t, os.Mkdir(to, 0o755))
	must(t, from.Symlink("bin/run", "link"))
	must(t, from.Mkdir("empty", 0o700))
	modes := map[string]fs.FileMode{
		"bin/run": 0o751, "closed/deep/file": 0o400, "closed/deep": 0o550, "closed": 0o555, "open": 0o777 | fs.ModeSticky, "bin": 0o750 | fs.ModeSetgid, ".": 0o700,
	}
	when := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for p, mode := range modes {
		must(t, from.Chmod(p, mode))
		must(t, from.Chtimes(p, when, when))
	}
	t.Cleanup(func() {
		must(t, errors.Join(Remove(to), from.Chmod("closed", 0o700), from.Chmod("closed/deep", 0o700)))
	})
	n, err := Copy(t.Context(), from, to, nothing)
	if err != nil || n != 3 {
		t.Errorf("%d bytes, %v", n, err)
	}
	for p, mode := range modes {
		info, err := os.Stat(filepath.Join(to, p))
		must(t, err)
		if got := info.Mode() &^ fs.ModeDir; got != mode || !info.ModTime().Equal(when) {
			t.Errorf("%s: %v of %v, want %v of %v", p, got, info.ModTime(), mode, when)
		}
	}
	if target, err := os.Readlink(filepath.Join(to, "link")); err != nil || target != "bin/run" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if _, err := os.Stat(filepath.Join(to, "empty")); err != nil {
		t.Error(err)
	}
}

// TestACopyIsNotCopied: a target within what is copied, as a mount can bring it there.
func TestACopyIsNotCopied(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string]string{"a": "1"})
	must(t, from.MkdirAll("work/copy", 0o700))
	to := filepath.Join(from.Name(), "work/copy")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if _, err := Copy(ctx, from, to, nothing); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(to, "work/copy")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is in itself: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "a")); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhatIsLeftOut is neither copied nor counted.
func TestWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	from, to := tree(t, map[string]string{"a": "12", "out/b": "345", "in/out": "6"}), t.TempDir()
	skip := func(p string) bool { return filepath.Base(p) == "out" }
	if n, err := Copy(t.Context(), from, to, skip); err != nil || n != 2 {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, p := range []string{"out", "in/out"} {
		if _, err := os.Lstat(filepath.Join(to, p)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if n, err := Size(from, skip); err != nil || n != 2+3*4096 {
		t.Errorf("it takes %d, %v", n, err)
	}
}

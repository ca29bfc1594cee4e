package update

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"uplevel/internal/problem"
)

// looking calls do at every look at whether it is over.
type looking struct {
	context.Context //nolint:containedctx // it is one

	do func()
}

func (l looking) Err() error { l.do(); return l.Context.Err() }

// names are the entries of a folder; none where it is not there.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	found := []string{}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// TestACopyIsAProductOnlyWhenItIsWhole: whoever is killed while copying leaves nothing that
// passes for a product, and the next run says so and removes nothing.
func TestACopyIsAProductOnlyWhenItIsWhole(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	to := filepath.Join(t.TempDir(), "new/copy")
	c, err := claimed(to)
	b.do("claim", err)
	looks := 0
	ctx := looking{t.Context(), func() {
		looks++
		if _, err := os.Lstat(filepath.Join(to, "updates")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("half of a copy has updates/: %v", err)
		}
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("half of a copy is open to others: %v, %v", info.Mode(), err)
		}
		before := names(t, to)
		_, err := b.ToDirectory(t.Context(), to, Options{})
		refused(t, err, problem.Refused, "a copy that is not whole")
		if now := names(t, to); !slices.Equal(now, before) {
			t.Errorf("another run made %v of %v", now, before)
		}
	}}
	b.do("copy", b.copyHome(ctx, c))
	if looks < 10 {
		t.Errorf("looked at %d points only", looks)
	}
	for _, p := range []string{"updates/product.txt", "updates/state.json", "conf/key"} {
		if _, err := os.Stat(filepath.Join(to, p)); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []string{unfinished, "updates/lock", "updates/scan-cache"} {
		if _, err := os.Lstat(filepath.Join(to, p)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestACopyTakesOnlyWhatIsFree: of two runs with one directory the second removes nothing of
// the first one's.
func TestACopyTakesOnlyWhatIsFree(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	to := t.TempDir()
	unlock, err := b.Home.Lock()
	b.do("lock", err)
	_, err = b.ToDirectory(t.Context(), to, Options{})
	refused(t, err, problem.Refused, "locked")
	if _, err := os.Stat(to); err != nil {
		t.Errorf("who was refused removed the directory: %v", err)
	}
	b.do("unlock", unlock())

	first, err := claimed(to)
	b.do("claim", err)
	_, err = claimed(to)
	refused(t, err, problem.Refused, "a copy that is not whole")
	b.do("publish", first.publish())
	_, err = claimed(to)
	refused(t, err, problem.Refused, "is not empty")
	if found := names(t, to); !slices.Equal(found, []string{"updates"}) {
		t.Errorf("there is %v", found)
	}
}

// TestACopyForNothingLeavesWhatWas: the directory goes that was made, the empty one that was
// there stays as it was.
func TestACopyForNothingLeavesWhatWas(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	b.Other = func(_ context.Context, dir string) (*Updater, error) {
		return nil, errors.Join(errors.New("it does not open"), os.Chmod(dir, 0o500))
	}
	above := t.TempDir()
	made, there := filepath.Join(above, "made"), filepath.Join(above, "there")
	b.do("make", errors.Join(os.Mkdir(there, 0o755), os.Chmod(there, 0o751)))
	for _, to := range []string{made, there} {
		_, err := b.ToDirectory(t.Context(), to, Options{})
		if err == nil || len(names(t, to)) > 0 {
			t.Errorf("%s: %v, %v", to, names(t, to), err)
		}
	}
	if found := names(t, above); !slices.Equal(found, []string{"there"}) {
		t.Errorf("there is %v", found)
	}
	if info, err := os.Stat(there); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestACopyInsideThroughALinkIsRefused: the home would be copied into itself.
func TestACopyInsideThroughALinkIsRefused(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	link := filepath.Join(t.TempDir(), "current")
	b.do("link", os.Symlink(b.Home.Dir(), link))
	for _, to := range []string{filepath.Join(link, "new"), filepath.Join(link, "conf"), b.path("new/deep"), link} {
		_, err := b.ToDirectory(t.Context(), to, Options{})
		refused(t, err, problem.Refused, "inside the product directory")
	}
	if _, err := os.Lstat(b.path("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

// TestACopyOfAClosedProduct has the modes of the original, of the top folder, too.
func TestACopyOfAClosedProduct(t *testing.T) {
	t.Parallel()
	b := newMended(t)
	for _, mode := range []fs.FileMode{0o700, 0o555, 0o750} {
		b.do("chmod", os.Chmod(b.Home.Dir(), mode))
		c, err := claimed(filepath.Join(t.TempDir(), "copy"))
		b.do("claim", err)
		b.do("copy", b.copyHome(t.Context(), c))
		if info, err := os.Stat(c.dir); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%v, %v, want %v", info.Mode(), err, mode)
		}
		b.do("drop", c.drop())
	}
	b.do("chmod", os.Chmod(b.Home.Dir(), 0o755))
}

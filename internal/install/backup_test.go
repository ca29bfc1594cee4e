package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// copies are what lies in a backup folder, hidden entries too.
func copies(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "backup"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, filepath.Join(dir, "backup", e.Name()))
	}
	return found
}

// backedUp is what comes with a plan, and a full copy in dir.
func backedUp(t *testing.T, to tree, dir string) Extra {
	t.Helper()
	x := extraFor(t, to)
	x.Backup = dir
	return x
}

// TestAFullCopyIsOfWhatStandsRightBefore the commit, however long ago that was prepared.
func TestAFullCopyIsOfWhatStandsRightBefore(t *testing.T) {
	t.Parallel()
	h, dir := newHome(t, tree{"a": "0", "logs/x": "early"}, nil), t.TempDir()
	x := backedUp(t, tree{"a": "1"}, dir)
	x.Hold = true
	if err := h.Prepare(t.Context(), planBetween(t, tree{"a": "0"}, tree{"a": "1"}), contentsOf(tree{"a": "1"}), x); err != nil {
		t.Fatal(err)
	}
	if found := copies(t, dir); len(found) > 0 {
		t.Errorf("what only waits made %v", found)
	}
	tree{"logs/x": "late"}.write(t, h.Dir())
	done, err := h.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found := copies(t, dir); !slices.Equal(found, []string{done.Backup}) {
		t.Errorf("there is %v, told was %q", found, done.Backup)
	}
	got := read(t, done.Backup)
	if got["a"] != "0" || got["logs/x"] != "late" || done.Bytes == 0 {
		t.Errorf("the copy of %d bytes has %v", done.Bytes, got)
	}
	if _, err := os.Lstat(filepath.Join(done.Backup, stagingDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("staging: %v", err)
	}
}

// TestAnAttemptLeavesNoFullCopy: conflicts, a change that is refused, taken back or
// interrupted.
func TestAnAttemptLeavesNoFullCopy(t *testing.T) {
	t.Parallel()
	from, to := tree{"a": "0"}, tree{"a": "1"}
	failing := false
	h, dir := newHome(t, from, func() error {
		if failing {
			return errors.New("the disk fails")
		}
		return nil
	}), t.TempDir()
	prepare := func(p *plan.Plan, hold bool) {
		t.Helper()
		x := backedUp(t, to, dir)
		x.Hold = hold
		if err := h.Prepare(t.Context(), p, contentsOf(from, to), x); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(ctx context.Context, kind problem.Kind) {
		t.Helper()
		if _, err := h.Commit(ctx); problem.KindOf(err) != kind {
			t.Errorf("it ended with %v", err)
		}
		if found := copies(t, dir); len(found) > 0 {
			t.Errorf("it left %v", found)
		}
	}
	conflict, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{{Path: "a", Action: plan.Conflict, Disk: entryOf("a", "0"), Want: entryOf("a", "1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	prepare(conflict, false)
	fails(t.Context(), problem.Conflicts)

	prepare(planBetween(t, from, to), true)
	cut, stop := context.WithCancel(t.Context())
	stop()
	fails(cut, problem.Interrupted)
	tree{"a": "changed meanwhile"}.write(t, h.Dir())
	fails(t.Context(), problem.Refused)

	from.write(t, h.Dir())
	prepare(planBetween(t, from, to), false)
	failing = true
	fails(t.Context(), problem.RolledBack)
	if got := read(t, h.Dir())["a"]; got != "0" {
		t.Errorf("the product was changed to %q", got)
	}
}

// TestWhatACutLeftOfAFullCopyGoes with the next one, and nothing else does.
func TestWhatACutLeftOfAFullCopyGoes(t *testing.T) {
	t.Parallel()
	h, dir := newHome(t, tree{"a": "0"}, nil), t.TempDir()
	twin := openHome(t, newHome(t, tree{"a": "twin"}, nil).Dir(), nil)
	for _, p := range []string{h.partialBackup(dir), twin.partialBackup(dir)} {
		tree{"closed/half": "half"}.write(t, p)
		if err := os.Chmod(filepath.Join(p, "closed"), 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(p, "closed"), 0o700) })
	}
	p := &Pending{ID: 1, Backup: dir}
	for range 2 {
		f, err := h.backUp(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.keep(h, p); err != nil {
			t.Fatal(err)
		}
		if got := read(t, f.at); got["a"] != "0" || got["closed/half"] != "" {
			t.Errorf("%s has %v", f.at, got)
		}
	}
	if found := copies(t, dir); len(found) != 3 || !slices.Contains(found, twin.partialBackup(dir)) {
		t.Errorf("there are %v", found)
	}
}

// TestAFullCopyIsAsClosedAsTheProduct, from its first file on.
func TestAFullCopyIsAsClosedAsTheProduct(t *testing.T) {
	t.Parallel()
	h, dir := newHome(t, tree{"conf/key": "secret", "open/x": "1"}, nil), t.TempDir()
	modes := map[string]fs.FileMode{"conf": 0o500, "open": 0o777, ".": 0o700}
	for p, mode := range modes {
		if err := os.Chmod(filepath.Join(h.Dir(), p), mode); err != nil {
			t.Fatal(err)
		}
	}
	ctx := &looking{t.Context(), func() {
		if info, err := os.Stat(h.partialBackup(dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("half of it is %v, %v", info.Mode(), err)
		}
	}}
	f, err := h.backUp(ctx, &Pending{Backup: dir})
	if err != nil {
		t.Fatal(err)
	}
	for p, mode := range modes {
		if info, err := os.Stat(filepath.Join(f.at, p)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
	f.drop()
	if found := copies(t, dir); len(found) > 0 {
		t.Errorf("it left %v", found)
	}
}

// looking calls do at every look at whether it is over.
type looking struct {
	context.Context //nolint:containedctx // it is one

	do func()
}

func (l *looking) Err() error { l.do(); return l.Context.Err() }

// TestAFullCopyOfAProductThatRuns: a file that goes meanwhile is no failure.
func TestAFullCopyOfAProductThatRuns(t *testing.T) {
	t.Parallel()
	h, dir := newHome(t, tree{"a": "0", "zz/temporary": "passing"}, nil), t.TempDir()
	ctx := &looking{t.Context(), func() { _ = os.RemoveAll(filepath.Join(h.Dir(), "zz")) }}
	f, err := h.backUp(ctx, &Pending{Backup: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, f.at)["a"]; got != "0" {
		t.Errorf("a is %q", got)
	}
}

// TestTheDiskCheckCountsTheFullCopy on the disk that it goes to, which need not be there yet.
func TestTheDiskCheckCountsTheFullCopy(t *testing.T) {
	t.Parallel()
	h, dir := newHome(t, tree{"a": "0"}, nil), filepath.Join(t.TempDir(), "not/there")
	huge := filepath.Join(h.Dir(), "huge")
	if err := errors.Join(os.WriteFile(huge, nil, 0o600), os.Truncate(huge, 1<<42)); err != nil {
		lacking(t, "a file system that keeps files with holes: name one with TMPDIR", err)
	}
	p, to := planBetween(t, tree{"a": "0"}, tree{"a": "1"}), tree{"a": "1"}
	if err := h.Check(p, extraFor(t, to)); err != nil {
		t.Errorf("without a copy: %v", err)
	}
	err := h.Check(p, backedUp(t, to, dir))
	if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "Insufficient disk space") || !strings.Contains(err.Error(), "for the full copy") {
		t.Errorf("with one: %v", err)
	}
	without, _, err := h.DiskNeed(p, extraFor(t, to))
	if err != nil {
		t.Fatal(err)
	}
	with, _, err := h.DiskNeed(p, backedUp(t, to, dir))
	if err != nil || with-without < 1<<42 {
		t.Errorf("%d, and with the copy %d, %v", without, with, err)
	}
}

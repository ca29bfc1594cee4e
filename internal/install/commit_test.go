package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// tree is a small file tree: path → content; a content "/" is a folder, "→x" a link.
type tree map[string]string

func (tr tree) write(t testing.TB, dir string) {
	t.Helper()
	for path, content := range tr {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case content == "/":
			err = os.MkdirAll(full, 0o755)
		case strings.HasPrefix(content, "→"):
			err = os.Symlink(strings.TrimPrefix(content, "→"), full)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read is what lies in a home, the tool's own left out.
func read(t testing.TB, dir string) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		rel = filepath.ToSlash(rel)
		switch {
		case rel == ".":
		case rel == "updates":
			return fs.SkipDir
		case d.IsDir():
			got[rel] = "/"
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			got[rel] = "→" + target
		default:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			got[rel] = string(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (tr tree) withFolders() tree {
	full := tree{}
	for path, content := range tr {
		full[path] = content
		for up := parent(path); up != ""; up = parent(up) {
			full[up] = "/"
		}
	}
	return full
}

func (tr tree) manifest(t testing.TB) manifest.Tree {
	t.Helper()
	var entries []manifest.Entry
	for path, content := range tr.withFolders() {
		entries = append(entries, *entryOf(path, content))
	}
	m, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func entryOf(path, content string) *manifest.Entry {
	switch {
	case content == "/":
		return &manifest.Entry{Path: path, Kind: manifest.Dir, Mode: 0o755}
	case strings.HasPrefix(content, "→"):
		return &manifest.Entry{Path: path, Kind: manifest.Link, Target: strings.TrimPrefix(content, "→")}
	}
	return &manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))}
}

type contents map[digest.Digest]string

func (c contents) Open(ref release.Ref) (io.ReadCloser, error) {
	data, ok := c[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

func contentsOf(trees ...tree) contents {
	c := contents{}
	for _, tr := range trees {
		for _, content := range tr {
			c[digest.Of([]byte(content))] = content
		}
	}
	return c
}

// planBetween is the plan of an update nobody customised anything for.
func planBetween(t testing.TB, from, to tree) *plan.Plan {
	t.Helper()
	from, to = from.withFolders(), to.withFolders()
	var outcomes []plan.Outcome
	for path, old := range from {
		now, stays := to[path]
		switch {
		case !stays:
			outcomes = append(outcomes, plan.Outcome{Path: path, Action: plan.Remove, Base: entryOf(path, old), Disk: entryOf(path, old)})
		case now != old:
			outcomes = append(outcomes, plan.Outcome{Path: path, Action: plan.Replace, Base: entryOf(path, old), Disk: entryOf(path, old), Want: entryOf(path, now), Result: entryOf(path, now), Source: plan.FromObject})
		}
	}
	for path, now := range to {
		if _, was := from[path]; !was {
			outcomes = append(outcomes, plan.Outcome{Path: path, Action: plan.Add, Want: entryOf(path, now), Result: entryOf(path, now), Source: plan.FromObject})
		}
	}
	p, err := plan.Make(plan.Plan{Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1}, Outcomes: outcomes})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newHome(t testing.TB, content tree, fault func() error) *Home {
	t.Helper()
	dir := t.TempDir()
	content.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	return openHome(t, dir, fault)
}

func openHome(t testing.TB, dir string, fault func() error) *Home {
	t.Helper()
	h, err := Open(dir, Options{Now: time.Now, Holder: "test", Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func extraFor(t testing.TB, to tree) Extra {
	t.Helper()
	return Extra{
		Manifest: to.manifest(t).Bytes(), Record: []byte("record"), Notes: []byte("notes"), Keep: 3,
		Documents: map[string][]byte{"changelog-0000-0001.md": []byte("# Changelog\n")},
	}
}

var (
	oldTree = tree{
		"bin/start": "start 0", "conf/a.properties": "a=0", "lib/x-1.jar": "x1", "lib/same.jar": "same",
		"lib/gone/deep/file": "deep", "link": "→bin/start", "becomes-folder": "file", "turns/into/file": "inside", "empty": "/", "leer/größe – 大": "unicode 0",
	}
	newTree = tree{
		"bin/start": "start 1", "conf/a.properties": "a=0", "lib/x-2.jar": "x2", "lib/same.jar": "same",
		"fresh/deep/one": "1", "fresh/two": "2", "fresh/link": "→two", "link": "→lib/x-2.jar", "becomes-folder/file": "now inside", "turns": "now a file", "void": "", "leer/größe – 大": "unicode 1",
	}
)

func TestUpdateGivesExactlyTheNewTreeAndLeavesForeignFiles(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	tree{"logs/server.log": "log", "lib/gone/foreign": "mine"}.write(t, h.Dir())
	p := planBetween(t, oldTree, newTree)
	if err := h.Prepare(t.Context(), p, contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(read(t, h.Dir())["bin/start"], "start 0"); d != "" {
		t.Fatal("preparing changed the product:", d)
	}
	done, err := h.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := newTree.withFolders()
	want["logs"], want["logs/server.log"], want["lib/gone"], want["lib/gone/foreign"] = "/", "log", "/", "mine"
	if d := cmp.Diff(want, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
	if done.ID != 1 || h.State().Level != 1 || h.State().History != 1 {
		t.Errorf("%+v, state %+v", done, h.State())
	}
	nothingTemporary(t, h)
	config, err := os.ReadFile(filepath.Join(h.Dir(), "updates/config.json"))
	if err != nil || !bytes.Contains(config, []byte(`"update-level": "1"`)) {
		t.Errorf("config.json: %s, %v", config, err)
	}
	history, err := h.History()
	if err != nil || len(history) != 1 || len(history[0].Files) == 0 {
		t.Errorf("history %+v, %v", history, err)
	}
}

func nothingTemporary(t testing.TB, h *Home) {
	t.Helper()
	for _, name := range []string{stagingDir, journalFile, lockFile} {
		if h.exists(name) {
			t.Errorf("%s is left", name)
		}
	}
	if left, _ := filepath.Glob(h.abs(mountStaging + "*")); len(left) > 0 {
		t.Errorf("%s are left", left)
	}
}

// errCut ends a commit as a kill does: nothing after it runs.
var errCut = errors.New("cut")

// TestEveryCutIsCompletedAndEveryFailureTakenBack cuts a commit before each of its
// operations (the journal stays, recovery goes forward), and lets each operation fail
// (the commit takes itself back).
func TestEveryCutIsCompletedAndEveryFailureTakenBack(t *testing.T) {
	t.Parallel()
	p := planBetween(t, oldTree, newTree)
	source, extra := contentsOf(oldTree, newTree), extraFor(t, newTree)
	for n := 0; ; n++ {
		cut, ended := cutAt(t, p, source, extra, n)
		if d := cmp.Diff(newTree.withFolders(), read(t, cut.Dir())); d != "" {
			t.Fatalf("cut before operation %d, after recovery: %s", n, d)
		}
		nothingTemporary(t, cut)
		if ended {
			if n < 15 {
				t.Fatalf("only %d operations were cut", n)
			}
			return
		}
		failed := failAt(t, p, source, extra, n)
		if d := cmp.Diff(oldTree.withFolders(), read(t, failed.Dir())); d != "" {
			t.Fatalf("operation %d failed, after undo: %s", n, d)
		}
		if failed.State().Level != 0 {
			t.Errorf("level %d after undo", failed.State().Level)
		}
	}
}

func cutAt(t *testing.T, p *plan.Plan, source Source, extra Extra, n int) (*Home, bool) {
	t.Helper()
	ended := true
	count := 0
	h := newHome(t, oldTree, nil)
	h.opts.Fault = func() error {
		if count == n {
			ended = false
			panic(errCut)
		}
		count++
		return nil
	}
	if err := h.Prepare(t.Context(), p, source, extra); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if r := recover(); r != nil && r != errCut { //nolint:errorlint // the very value
				panic(r)
			}
		}()
		if _, err := h.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}()
	again := openHome(t, h.Dir(), nil)
	if _, err := again.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again.State().Level != 1 {
		t.Errorf("cut before operation %d: level %d after recovery", n, again.State().Level)
	}
	return again, ended
}

func failAt(t *testing.T, p *plan.Plan, source Source, extra Extra, n int) *Home {
	t.Helper()
	count := 0
	h := newHome(t, oldTree, func() error {
		count++
		if count == n+1 {
			return errors.New("input/output error")
		}
		return nil
	})
	if err := h.Prepare(t.Context(), p, source, extra); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.RolledBack {
		t.Fatalf("operation %d failed: %v", n, err)
	}
	again := openHome(t, h.Dir(), nil)
	if _, err := again.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingTemporary(t, again)
	return again
}

func TestAFileChangedMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	if err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Dir(), "bin/start"), []byte("edited!"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := read(t, h.Dir())
	if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.Refused {
		t.Fatalf("commit: %v", err)
	}
	if d := cmp.Diff(before, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
}

func TestConflictIsCommittedOnlyWhenResolved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resolve func(*Home) error
		want    string
	}{
		"mine":   {func(h *Home) error { return h.Resolve("conf/a", Mine, nil) }, "a=mine"},
		"theirs": {func(h *Home) error { return h.Resolve("conf/a", Theirs, nil) }, "a=1"},
		"file":   {func(h *Home) error { return h.Resolve("conf/a", Given, strings.NewReader("a=both")) }, "a=both"},
		"final": {func(h *Home) error {
			return os.WriteFile(filepath.Join(h.Dir(), "conf/a.final"), []byte("a=final"), 0o644)
		}, "a=final"},
	} {
		h := newHome(t, tree{"conf/a": "a=mine"}, nil)
		p, err := plan.Make(plan.Plan{
			Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
			Outcomes: []plan.Outcome{{Path: "conf/a", Action: plan.Conflict, Base: entryOf("conf/a", "a=0"), Disk: entryOf("conf/a", "a=mine"), Want: entryOf("conf/a", "a=1")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := tree{"conf": "/", "conf/a": "a=mine", "conf/a.original": "a=0", "conf/a.new": "a=1"}
		if err := h.Prepare(t.Context(), p, contentsOf(tree{"1": "a=0", "2": "a=1"}), extraFor(t, tree{"conf/a": "a=1"})); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, read(t, h.Dir())); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.Conflicts {
			t.Fatalf("%s: unresolved: %v", name, err)
		}
		if err := c.resolve(h); err != nil {
			t.Fatal(err)
		}
		h = openHome(t, h.Dir(), nil)
		if _, err := h.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Commit(t.Context()); err != nil {
			t.Fatal(name, err)
		}
		if d := cmp.Diff(tree{"conf": "/", "conf/a": c.want}, read(t, h.Dir())); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		nothingTemporary(t, h)
	}
}

func TestDiscardKeepsFinal(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "mine"}, nil)
	p, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{{Path: "a", Action: plan.Conflict, Base: entryOf("a", "0"), Disk: entryOf("a", "mine"), Want: entryOf("a", "1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Prepare(t.Context(), p, contentsOf(tree{"1": "0", "2": "1"}), extraFor(t, tree{"a": "1"})); err != nil {
		t.Fatal(err)
	}
	tree{"a.final": "work of an hour"}.write(t, h.Dir())
	if err := h.Discard(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(tree{"a": "mine", "a.final": "work of an hour"}, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, h)
}

func TestWrongContentNeverGetsIn(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	lies := contentsOf(oldTree, newTree)
	lies[digest.Of([]byte("start 1"))] = "evil"
	before := read(t, h.Dir())
	err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), lies, extraFor(t, newTree))
	if problem.KindOf(err) != problem.Verification {
		t.Fatalf("error %v", err)
	}
	if d := cmp.Diff(before, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, h)
}

func TestInterruptedPreparationLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := h.Prepare(ctx, planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree))
	if problem.KindOf(err) != problem.Interrupted {
		t.Fatalf("error %v", err)
	}
	nothingTemporary(t, h)
}

func TestStoreHasWhatWasReplaced(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	if err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"start 0", "x1", "deep", "inside"} {
		r, err := h.OpenObject(release.Ref{Sum: digest.Of([]byte(content)), Size: int64(len(content))})
		if err != nil {
			t.Errorf("%q: %v", content, err)
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(got) != content {
			t.Errorf("%q: got %q, %v", content, got, err)
		}
	}
	if damaged, err := h.CheckStore(t.Context()); err != nil || len(damaged) != 0 {
		t.Errorf("damaged %v, %v", damaged, err)
	}
}

func TestSecondToolIsRefusedByName(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	unlock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t, h.Dir(), nil).Lock(); problem.KindOf(err) != problem.Refused || !strings.Contains(fmt.Sprint(err), "test") {
		t.Errorf("second: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	nothingTemporary(t, h)
}

// TestALookThatFailsDuringUndoLosesNothing: an undo once took a failing look for "it is
// there" and removed the only copy of the old file. Every look of an undo fails here
// once; the next recovery must still find everything.
func TestALookThatFailsDuringUndoLosesNothing(t *testing.T) {
	t.Parallel()
	p := planBetween(t, oldTree, newTree)
	source, extra := contentsOf(oldTree, newTree), extraFor(t, newTree)
	for n := 1; ; n++ {
		looks, operations := 0, 0
		h := newHome(t, oldTree, nil)
		h.opts.Fault = func() error {
			if operations++; operations == 14 {
				h.lookFault = func(string) error {
					if looks++; looks == n {
						return errors.New("input/output error")
					}
					return nil
				}
				return errors.New("input/output error")
			}
			return nil
		}
		if err := h.Prepare(t.Context(), p, source, extra); err != nil {
			t.Fatal(err)
		}
		_, err := h.Commit(t.Context())
		if kind := problem.KindOf(err); kind != problem.RolledBack && kind != problem.Broken {
			t.Fatalf("look %d failed: %v", n, err)
		}
		again := openHome(t, h.Dir(), nil)
		if _, err := again.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(oldTree.withFolders(), read(t, again.Dir())); d != "" {
			t.Fatalf("look %d failed: %s", n, d)
		}
		nothingTemporary(t, again)
		if looks < n {
			if n < 20 {
				t.Fatalf("only %d looks failed", n)
			}
			return
		}
	}
}

// TestAFolderWithoutWritePermissionComesIn: its owner may not move such a folder, so it
// gets its mode only when it stands in its place.
func TestAFolderWithoutWritePermissionComesIn(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "0"}, nil)
	p := planBetween(t, tree{"a": "0"}, tree{"a": "0", "closed/deep/file": "1"})
	for i := range p.Outcomes {
		if p.Outcomes[i].Result.Kind == manifest.Dir {
			p.Outcomes[i].Result.Mode = 0o555
		}
	}
	if err := h.Prepare(t.Context(), p, contentsOf(tree{"f": "1"}), extraFor(t, tree{"a": "0"})); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(h.Dir(), "closed"), 0o755) })
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(h.Dir(), "closed/deep"), 0o755) })
	for _, dir := range []string{"closed", "closed/deep"} {
		if info, err := os.Stat(filepath.Join(h.Dir(), dir)); err != nil || info.Mode().Perm() != 0o555 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
}

// TestTheLockOfAnOpenCommitStays: recovery on a disk that is full finds the file of its lock
// there, for it could not make one.
func TestTheLockOfAnOpenCommitStays(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "1"}, nil)
	for _, open := range []bool{true, false} {
		unlock, err := h.Lock()
		if err != nil {
			t.Fatal(err)
		}
		if open {
			err = os.WriteFile(h.abs(journalFile), []byte("{}"), 0o600)
		} else {
			err = os.Remove(h.abs(journalFile))
		}
		if err = errors.Join(err, unlock()); err != nil {
			t.Fatal(err)
		}
		if h.exists(lockFile) != open {
			t.Errorf("commit open: %v, and the lock's file is there: %v", open, !open)
		}
	}
}

// TestWhatCannotBeClearedAwayIsTold: where a disk takes no change any more, what was prepared
// stays beside the product, and it is not said that nothing was changed.
func TestWhatCannotBeClearedAwayIsTold(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), stuck{h}, extraFor(t, newTree))
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.Refused || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(p.Next, "Free some space") ||
		!strings.Contains(p.Stands, "The product is as it was.") || !strings.Contains(p.Stands, "prepare --discard") {
		t.Errorf("%v, %+v", err, p)
	}
	if d := cmp.Diff(oldTree.withFolders(), read(t, h.Dir())); d != "" {
		t.Error(d)
	}
}

// stuck puts what cannot be removed where the prepared change is written, and fills the disk.
type stuck struct{ home *Home }

func (s stuck) Open(release.Ref) (io.ReadCloser, error) {
	return nil, errors.Join(syscall.ENOSPC, os.MkdirAll(s.home.abs(pendingFile+"/in the way"), 0o700))
}

// TestWhatLayReadyAndIsGoneWasNotPlaced: staging that somebody removes in the midst of a commit is
// no sign that all of it came into place.
func TestWhatLayReadyAndIsGoneWasNotPlaced(t *testing.T) {
	t.Parallel()
	p := planBetween(t, oldTree, newTree)
	source, extra := contentsOf(oldTree, newTree), extraFor(t, newTree)
	for n := 0; ; n++ {
		count := 0
		h := newHome(t, oldTree, nil)
		h.opts.Fault = func() error {
			if count == n {
				ready, err := filepath.Glob(h.abs(stagingDir + "/new-*"))
				for _, name := range ready {
					err = errors.Join(err, os.RemoveAll(name))
				}
				if err != nil {
					t.Error(err)
				}
			}
			count++
			return nil
		}
		if err := h.Prepare(t.Context(), p, source, extra); err != nil {
			t.Fatal(err)
		}
		_, err := h.Commit(t.Context())
		want, level := oldTree, 0
		if err == nil { // all of it had its place
			want, level = newTree, 1
		} else if problem.KindOf(err) != problem.RolledBack || !strings.Contains(err.Error(), "is gone") {
			t.Fatalf("before operation %d: %v", n, err)
		}
		if d := cmp.Diff(want.withFolders(), read(t, h.Dir())); d != "" || h.State().Level != level {
			t.Fatalf("before operation %d: %v: level %d, %s", n, err, h.State().Level, d)
		}
		if n >= count {
			return
		}
	}
}

// TestAnUndoKeepsWhatCameInstead: an editor that saves by renaming, and a product, may replace
// what a commit has placed already; going back does not take that away.
func TestAnUndoKeepsWhatCameInstead(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct{ stands, aside string }{
		"replaced": {"old", "mine"}, "added": {"mine", ""},
	} {
		before, after := tree{"replaced": "old", "other": "1"}, tree{"replaced": "new", "added": "new", "other": "2"}
		count := 0
		h := newHome(t, before, nil)
		h.opts.Fault = func() error {
			count++
			if there, _ := os.ReadFile(h.abs(path)); string(there) != "new" {
				return nil
			}
			err := errors.Join(os.WriteFile(h.abs("saved"), []byte("mine"), 0o644), os.Rename(h.abs("saved"), h.abs(path)))
			return errors.Join(errors.New("the disk fails"), err)
		}
		if err := h.Prepare(t.Context(), planBetween(t, before, after), contentsOf(before, after), extraFor(t, after)); err != nil {
			t.Fatal(err)
		}
		done, err := h.Commit(t.Context())
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Kind != problem.RolledBack {
			t.Fatalf("%s: %v", path, err)
		}
		if there, err := os.ReadFile(h.abs(path)); err != nil || string(there) != want.stands {
			t.Errorf("%s: there stands %q, %v", path, there, err)
		}
		if want.aside == "" {
			if len(done.Rescued) != 0 || strings.Contains(p.Stands, "Put aside") {
				t.Errorf("%s: %v, %s", path, done.Rescued, p.Stands)
			}
			continue
		}
		if len(done.Rescued) != 1 || !strings.Contains(p.Stands, done.Rescued[0]) {
			t.Fatalf("%s: %v, %s", path, done.Rescued, p.Stands)
		}
		if aside, err := os.ReadFile(h.abs(done.Rescued[0])); err != nil || string(aside) != want.aside {
			t.Errorf("%s: aside is %q, %v", path, aside, err)
		}
	}
}

// TestWhatAnUndoGaveBackIsNotNamed: a file that was put aside on the way forward has its own
// name again after the way back.
func TestWhatAnUndoGaveBackIsNotNamed(t *testing.T) {
	t.Parallel()
	before, after := tree{"a": "1"}, tree{"a": "2", "b": "new"}
	h := newHome(t, before, nil)
	count := 0
	h.opts.Fault = func() error {
		if count++; count == 1 {
			return os.WriteFile(h.abs("b"), []byte("mine"), 0o644)
		}
		if there, err := os.ReadFile(h.abs("b")); err == nil && string(there) == "new" {
			return errors.New("the disk fails")
		}
		return nil
	}
	if err := h.Prepare(t.Context(), planBetween(t, before, after), contentsOf(before, after), extraFor(t, after)); err != nil {
		t.Fatal(err)
	}
	done, err := h.Commit(t.Context())
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.RolledBack || len(done.Rescued) != 0 || strings.Contains(p.Stands, "rescued") {
		t.Errorf("%v, %v, %+v", err, done.Rescued, p)
	}
	if there, err := os.ReadFile(h.abs("b")); err != nil || string(there) != "mine" {
		t.Errorf("there stands %q, %v", there, err)
	}
}

// TestHomesThatShareAFolderDoNotShareStaging: two homes may have one folder mounted below them,
// and one of them may be in the midst of a commit while the other is recovered.
func TestHomesThatShareAFolderDoNotShareStaging(t *testing.T) {
	t.Parallel()
	a, b := newHome(t, tree{"updates/staging/x": "1"}, nil), newHome(t, tree{"updates/staging/x": "1"}, nil)
	own, err := a.nameElsewhere()
	other, err2 := b.nameElsewhere()
	if err != nil || err2 != nil || own == other || !staging("shared/"+own+"/new-1") {
		t.Fatalf("%s, %s, %v, %v", own, other, err, err2)
	}
	m, err := a.findMounts()
	if err != nil || m.own != own {
		t.Errorf("%+v, %v", m, err)
	}
	m.points = []string{"shared"}
	if got := m.staging("shared/a"); got != "shared/"+own || m.staging("bin/run") != stagingDir {
		t.Error(got)
	}
	if got := m.folders(); !slices.Equal(got, []string{"shared/" + own, stagingDir}) {
		t.Error(got)
	}
}

// lacking ends a test for want of what it needs: in CI that is a failure.
func lacking(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("missing: %s (%v)", what, err)
	}
	t.Skipf("SKIPPED, and nothing was tried, for want of %s (%v)", what, err)
}

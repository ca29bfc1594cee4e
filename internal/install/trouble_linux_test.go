package install

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// asUser makes everything in dir another user's and does do as that user, as far as
// files go: root may write where nobody else may.
func asUser(t *testing.T, dir string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(p, 1234, 4321)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // made for its owner alone
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		_, _ = unix.SetfsuidRetUid(1234)
		_, _ = unix.SetfsgidRetGid(4321)
		do()
	}()
	<-done
}

// withModes sets the modes that a level wants at some paths.
func withModes(p *plan.Plan, modes map[string]uint32) *plan.Plan {
	for i := range p.Outcomes {
		if mode, ok := modes[p.Outcomes[i].Path]; ok {
			p.Outcomes[i].Result.Mode = mode
		}
	}
	return p
}

// TestStagedFoldersThatMayNotBeWrittenAreRemoved: a level with such folders, one in the
// other, once could be prepared by their owner but never dropped again, and every later
// command failed.
func TestStagedFoldersThatMayNotBeWrittenAreRemoved(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "0"}, nil)
	to := tree{"a": "0", "closed/deep/file": "1"}
	p := withModes(planBetween(t, tree{"a": "0"}, to), map[string]uint32{"closed": 0o555, "closed/deep": 0o555})
	asUser(t, h.Dir(), func() {
		if err := h.Prepare(t.Context(), p, contentsOf(to), extraFor(t, to)); err != nil {
			t.Error(err)
		}
		if err := h.Discard(); err != nil {
			t.Error(err)
		}
		nothingTemporary(t, h)
	})
}

// TestAFolderIsClosedOnlyWhenItsContentChanged: what goes from a folder that the new
// level closes goes first.
func TestAFolderIsClosedOnlyWhenItsContentChanged(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"d/sub/file": "0", "d/b": "0"}, nil)
	to := tree{"d/b": "0"}
	p := planBetween(t, tree{"d/sub/file": "0", "d/b": "0"}, to)
	closed := *entryOf("d", "/")
	closed.Mode = 0o555
	p.Outcomes = append([]plan.Outcome{{Path: "d", Action: plan.Mode, Disk: entryOf("d", "/"), Result: &closed}}, p.Outcomes...)
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(h.Dir(), "d"), 0o755) })
	asUser(t, h.Dir(), func() {
		if err := h.Prepare(t.Context(), p, contentsOf(to), extraFor(t, to)); err != nil {
			t.Error(err)
		}
		if _, err := h.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if d := cmp.Diff(to.withFolders(), read(t, h.Dir())); d != "" {
		t.Error(d)
	}
}

// TestAttributesOfAFileThatMayNotBeWrittenAreKept: its owner may set them only while the
// new file may be written.
func TestAttributesOfAFileThatMayNotBeWrittenAreKept(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "0"}, nil)
	name := filepath.Join(h.Dir(), "a")
	if err := unix.Setxattr(name, "user.note", []byte("mine"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o444); err != nil {
		t.Fatal(err)
	}
	p := withModes(planBetween(t, tree{"a": "0"}, tree{"a": "1"}), map[string]uint32{"a": 0o444})
	p.Outcomes[0].Disk.Mode = 0o444
	asUser(t, h.Dir(), func() {
		if err := h.Prepare(t.Context(), p, contentsOf(tree{"a": "1"}), extraFor(t, tree{"a": "1"})); err != nil {
			t.Error(err)
		}
		if _, err := h.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	})
	value := make([]byte, 10)
	if n, err := unix.Getxattr(name, "user.note", value); err != nil || string(value[:n]) != "mine" {
		t.Errorf("attribute %q, %v", value[:max(n, 0)], err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestAFolderThatComesBackIsAsItWas: an undo once made removed folders anew, under the
// mask, for root, and without their attributes.
func TestAFolderThatComesBackIsAsItWas(t *testing.T) {
	t.Parallel()
	from, to := tree{"gone/deep/file": "0", "a": "0"}, tree{"a": "1"}
	failed := false
	h := newHome(t, from, nil)
	h.opts.Fault = func() error {
		if !h.exists("gone") && !failed {
			failed = true
			return unix.EIO
		}
		return nil
	}
	name := filepath.Join(h.Dir(), "gone/deep")
	if err := os.Chmod(name, 0o775|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(name, "user.note", []byte("mine"), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(name, 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	p := planBetween(t, from, to)
	for i := range p.Outcomes {
		if p.Outcomes[i].Path == "gone/deep" {
			p.Outcomes[i].Disk.Mode = 0o775
		}
	}
	if err := h.Prepare(t.Context(), p, contentsOf(from, to), extraFor(t, to)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.RolledBack || !failed {
		t.Fatal(err)
	}
	got, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	wantUID, wantGID, _ := owner(want)
	if uid, gid, _ := owner(got); uid != wantUID || gid != wantGID || got.Mode() != want.Mode() {
		t.Errorf("owner %d:%d mode %v, want %d:%d %v", uid, gid, got.Mode(), wantUID, wantGID, want.Mode())
	}
	value := make([]byte, 10)
	if n, err := unix.Getxattr(name, "user.note", value); err != nil || string(value[:n]) != "mine" {
		t.Errorf("attribute %q, %v", value[:max(n, 0)], err)
	}
}

// TestNothingIsTakenForDoneWhatIsNotMounted: after a cut, a recovery that starts before
// everything is mounted must wait, not conclude that what lies ready there was placed.
func TestNothingIsTakenForDoneWhatIsNotMounted(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	from, to := tree{"a": "0", "lib/a": "0", "lib/b": "0"}, tree{"a": "1", "lib/a": "1", "lib/c": "1"}
	if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, other, filepath.Join(dir, "lib"), "", unix.MS_BIND, "")
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	h := openHome(t, dir, nil)
	if err := h.Prepare(t.Context(), planBetween(t, from, to), contentsOf(from, to), extraFor(t, to)); err != nil {
		t.Fatal(err)
	}
	h.opts.Fault = func() error { panic(errCut) }
	func() {
		defer func() { _ = recover() }()
		_, _ = h.Commit(t.Context())
	}()
	if err := unix.Unmount(filepath.Join(dir, "lib"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t, dir, nil).Recover(t.Context()); problem.KindOf(err) != problem.Broken {
		t.Errorf("error %v", err)
	}
	if err := unix.Mount(other, filepath.Join(dir, "lib"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	again := openHome(t, dir, nil)
	if _, err := again.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(to.withFolders(), read(t, dir)); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, again)
}

// TestACustomisedFileOnAnOverlayIsReplaced: such a file carries attributes that the
// overlay counts and does not name.
func TestACustomisedFileOnAnOverlayIsReplaced(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	mount(t, "tmpfs", base, "tmpfs", 0, "size=50m")
	lower, upper, work := filepath.Join(base, "lower"), filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, d := range []string{lower, upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree{"a": "0", "updates/product.txt": "shop-1.0\n"}.write(t, lower)
	dir := filepath.Join(base, "merged")
	mount(t, "overlay", dir, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
	mine, to := tree{"a": "mine"}, tree{"a": "1"}
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := bring(t, openHome(t, dir, nil), mine, to); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(to, read(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestPermissionsChangedMeanwhileAreRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, oldTree, nil)
	if err := h.Prepare(t.Context(), planBetween(t, oldTree, newTree), contentsOf(oldTree, newTree), extraFor(t, newTree)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(h.Dir(), "bin/start"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Commit(t.Context()); problem.KindOf(err) != problem.Refused {
		t.Errorf("error %v", err)
	}
}

func TestSpecialBitsStayWhenPermissionsChange(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"d": "/"}, nil)
	name := filepath.Join(h.Dir(), "d")
	if err := os.Chmod(name, 0o755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if err := h.setMode("d", 0o750); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != os.ModeDir|0o750|os.ModeSetgid {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// cutSource ends the work as a kill does when the first side file is about to be written.
type cutSource struct {
	contents

	home *Home
}

func (c cutSource) Open(ref release.Ref) (io.ReadCloser, error) {
	if c.home.exists(pendingFile) {
		panic(errCut)
	}
	return c.contents.Open(ref)
}

// TestACutBeforeTheSideFilesLeavesNothingThatWaits: a prepared change once waited for
// the operator although the files to decide by were not there.
func TestACutBeforeTheSideFilesLeavesNothingThatWaits(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "mine"}, nil)
	p, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{{Path: "a", Action: plan.Conflict, Base: entryOf("a", "0"), Disk: entryOf("a", "mine"), Want: entryOf("a", "1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it was not cut")
			}
		}()
		_ = h.Prepare(t.Context(), p, cutSource{contentsOf(tree{"a": "0"}, tree{"a": "1"}), h}, extraFor(t, tree{"a": "1"}))
	}()
	again := openHome(t, h.Dir(), nil)
	if _, err := again.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(tree{"a": "mine"}, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, again)
}

func TestWhatIsRescuedIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "first"}, nil)
	names := map[string]bool{}
	for _, content := range []string{"first", "second", "third"} {
		tree{"a": content}.write(t, h.Dir())
		name, err := h.rescue("a", 7)
		if err != nil {
			t.Fatal(err)
		}
		names[name] = true
		if got := read(t, h.Dir())[name]; got != content {
			t.Errorf("%s holds %q, want %q", name, got, content)
		}
	}
	if len(names) != 3 {
		t.Errorf("names %v", names)
	}
}

// TestConfigThatCannotBeReadIsNotWrittenAnew: other programs' keys are in it.
func TestConfigThatCannotBeReadIsNotWrittenAnew(t *testing.T) {
	t.Parallel()
	from, to := tree{"a": "0"}, tree{"a": "1"}
	h := newHome(t, from, nil)
	const damaged = `{"mine": "precious",}`
	tree{configFile: damaged}.write(t, h.Dir())
	if err := bring(t, h, from, to); err == nil || !strings.Contains(err.Error(), "config.json is damaged") {
		t.Errorf("error %v", err)
	}
	if got, _ := os.ReadFile(filepath.Join(h.Dir(), configFile)); string(got) != damaged {
		t.Errorf("it is %q now", got)
	}
	if got := read(t, h.Dir())["a"]; got != "0" {
		t.Errorf("the product was changed to %q", got)
	}
}

func TestABackupInsideThroughALinkIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"logs": "/"}, nil)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(h.Dir(), "logs"), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, filepath.Join(link, "new/folder")} {
		if err := h.checkBackup(dir); problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := h.checkBackup(filepath.Join(filepath.Dir(link), "beside")); err != nil {
		t.Error(err)
	}
}

// TestLevelsTakenBackDoNotCountAsKept: who tried the next level thrice can still go back
// over the one that stands.
func TestLevelsTakenBackDoNotCountAsKept(t *testing.T) {
	t.Parallel()
	history := []Change{{ID: 1, Kind: plan.Update}, {ID: 2, Kind: plan.Update}}
	for id := 3; id < 9; id += 2 {
		history = append(history, Change{ID: id, Kind: plan.Update}, Change{ID: id + 1, Kind: plan.Revert, RevertTo: id, Time: time.Now()})
	}
	if kept := lastUpdates(history, 2); kept[0].ID != 1 {
		t.Errorf("kept from #%d on", kept[0].ID)
	}
	if kept := lastUpdates(history, 1); kept[0].ID != 2 {
		t.Errorf("kept from #%d on", kept[0].ID)
	}
}

// TestALevelWithClosedFoldersCanBeLeft: what lies in folders that their owner may not
// write changes and goes like anything else, and comes back when a commit fails anywhere.
func TestALevelWithClosedFoldersCanBeLeft(t *testing.T) {
	t.Parallel()
	from := tree{"closed/deep/gone": "0", "closed/a": "0", "closed/sub/b": "0", "turns/x": "0", "z": "0"}
	to := tree{"closed/a": "1", "closed/sub/b": "1", "turns": "a file", "z": "1"}
	p := planBetween(t, from, to)
	shut := map[string]bool{"closed": true, "closed/deep": true, "closed/sub": true, "turns": true}
	for i := range p.Outcomes {
		if d := p.Outcomes[i].Disk; d != nil && shut[d.Path] {
			d.Mode = 0o555
		}
	}
	for n := 0; ; n++ {
		h := newHome(t, from, nil)
		for dir := range shut {
			if err := os.Chmod(filepath.Join(h.Dir(), dir), 0o555); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			for dir := range shut {
				_ = os.Chmod(filepath.Join(h.Dir(), dir), 0o755)
			}
		})
		count, failed := 0, false
		h.opts.Fault = func() error {
			if count++; count == n+1 {
				failed = true
				return unix.EIO
			}
			return nil
		}
		var err error
		asUser(t, h.Dir(), func() {
			if err = h.Prepare(t.Context(), p, contentsOf(from, to), extraFor(t, to)); err == nil {
				_, err = h.Commit(t.Context())
			}
		})
		want := to
		if failed {
			want = from
		}
		if failed != (problem.KindOf(err) == problem.RolledBack) || !failed && err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		if d := cmp.Diff(want.withFolders(), read(t, h.Dir())); d != "" {
			t.Fatalf("operation %d: %s", n, d)
		}
		for dir := range shut {
			if info, err := os.Lstat(filepath.Join(h.Dir(), dir)); err == nil && info.IsDir() && info.Mode().Perm() != 0o555 {
				t.Errorf("operation %d: %s has mode %v", n, dir, info.Mode())
			}
		}
		if !failed {
			return
		}
	}
}

// TestAnUndoGivesRescuedFilesTheirNamesBack: what the operator put in the way while a
// commit ran is where they put it, once the commit is taken back.
func TestAnUndoGivesRescuedFilesTheirNamesBack(t *testing.T) {
	t.Parallel()
	from, to := tree{"a": "0"}, tree{"a": "1", "b": "new"}
	h := newHome(t, from, nil)
	steps := 0
	h.opts.Fault = func() error {
		if steps++; steps == 1 {
			tree{"b": "the operator's"}.write(t, h.Dir())
		}
		if _, err := os.Lstat(filepath.Join(h.Dir(), "b.rescued-1")); err == nil {
			return errCut
		}
		return nil
	}
	if err := bring(t, h, from, to); problem.KindOf(err) != problem.RolledBack {
		t.Fatalf("error %v", err)
	}
	if d := cmp.Diff(tree{"a": "0", "b": "the operator's"}, read(t, h.Dir())); d != "" {
		t.Error(d)
	}
}

// TestNothingIsConcludedFromALookThatFails: the sweep found a configuration that was
// taken for a stranger's, because a look at it had failed.
func TestNothingIsConcludedFromALookThatFails(t *testing.T) {
	t.Parallel()
	from, to := tree{"a": "0"}, tree{"a": "1"}
	for n := 1; ; n++ {
		h := newHome(t, from, nil)
		tree{configFile: `{"mine": "precious"}`}.write(t, h.Dir())
		looks := 0
		h.lookFault = func(rel string) error {
			if rel != configFile {
				return nil
			}
			if looks++; looks == n {
				return fs.ErrPermission
			}
			return nil
		}
		err := bring(t, h, from, to)
		h.lookFault = nil
		if looks < n {
			return // every look failed once
		}
		config, readErr := os.ReadFile(filepath.Join(h.Dir(), configFile))
		if readErr != nil || !strings.Contains(string(config), "precious") {
			t.Fatalf("look %d failed (%v): config.json is %q, %v", n, err, config, readErr)
		}
		if names, _ := filepath.Glob(filepath.Join(h.Dir(), configFile+".rescued*")); len(names) > 0 {
			t.Fatalf("look %d failed (%v): %v is left", n, err, names)
		}
	}
}

// TestNoLookAtTheStoreIsTakenForAnAnswer: the sweep found an object put aside as a
// stranger's, because a look for it had failed and it was made again.
func TestNoLookAtTheStoreIsTakenForAnAnswer(t *testing.T) {
	t.Parallel()
	from, to := tree{"a": "0", "b": "same"}, tree{"a": "1", "b": "same"}
	for n := 1; ; n++ {
		h := newHome(t, from, nil)
		if err := bring(t, h, from, to); err != nil {
			t.Fatal(err)
		}
		looks := 0
		h.lookFault = func(rel string) error {
			if !strings.HasPrefix(rel, storeDir+"/") {
				return nil
			}
			if looks++; looks == n {
				return fs.ErrPermission
			}
			return nil
		}
		h.state.Level = 0            // plans of these tests start there
		err := bring(t, h, to, from) // what it replaces and needs is in the store
		h.lookFault = nil
		if looks < n {
			return // every look failed once
		}
		if names, _ := filepath.Glob(filepath.Join(h.Dir(), storeDir, "*.rescued*")); len(names) > 0 {
			t.Fatalf("look %d failed (%v): %v is left", n, err, names)
		}
	}
}

// TestAPipeIsNotWaitedFor: who may write a home may put one in the place of each file that
// the tool reads.
func TestAPipeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{productFile, stateFile, configFile} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "updates"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, productFile), []byte("shop-1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := Open(dir, Options{Now: time.Now}); err == nil {
			t.Errorf("a pipe as %s is taken: %v", name, h.State())
		}
	}
}

package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// mount mounts for one test, which needs to be root.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("mounting needs root")
		}
		t.Skip("SKIPPED: mounting needs root: run sudo make test")
	}
	if _, err := os.Lstat(target); err != nil {
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mounting %s on %s: %v", kind, target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func bring(t *testing.T, h *Home, from, to tree) error {
	t.Helper()
	if err := h.Prepare(t.Context(), planBetween(t, from, to), contentsOf(from, to), extraFor(t, to)); err != nil {
		return err
	}
	_, err := h.Commit(t.Context())
	return err
}

// TestTargetsOnOtherMountsAreStagedThere has a part of the product on a file system of
// its own, and another on a bind mount of the same one, between which no rename works.
func TestTargetsOnOtherMountsAreStagedThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", filepath.Join(dir, "conf"), "tmpfs", 0, "size=10m")
	other := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, other, filepath.Join(dir, "lib"), "", unix.MS_BIND, "")
	from := tree{"bin/run": "0", "conf/a": "0", "conf/gone": "x", "lib/a": "0"}
	to := tree{"bin/run": "1", "conf/a": "1", "conf/new/b": "1", "lib/a": "1", "lib/new/deep/c": "1"}
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n", "conf/foreign": "mine"}.write(t, dir)
	h := openHome(t, dir, nil)
	if err := bring(t, h, from, to); err != nil {
		t.Fatal(err)
	}
	want := to.withFolders()
	want["conf/foreign"] = "mine"
	if d := cmp.Diff(want, read(t, dir)); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, h)
}

func TestAFileThatIsAMountPointIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := tree{"conf/a": "0"}, tree{"conf/a": "1"}
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	outside := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(outside, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	mount(t, outside, filepath.Join(dir, "conf/a"), "", unix.MS_BIND, "")
	if err := bring(t, openHome(t, dir, nil), from, to); problem.KindOf(err) != problem.Refused {
		t.Errorf("error %v", err)
	}
}

func TestOverlayIsUpdatedLikeAnyOther(t *testing.T) {
	t.Parallel()
	// Overlays cannot lie on every file system: this one has a tmpfs below it.
	base := t.TempDir()
	mount(t, "tmpfs", base, "tmpfs", 0, "size=50m")
	lower, upper, work := filepath.Join(base, "lower"), filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, d := range []string{lower, upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	oldTree.write(t, lower)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, lower)
	dir := filepath.Join(base, "merged")
	mount(t, "overlay", dir, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
	h := openHome(t, dir, nil)
	if err := bring(t, h, oldTree, newTree); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(newTree.withFolders(), read(t, dir)); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, h)
}

func TestADiskTooSmallIsRefusedBeforeAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=1m")
	from, to := tree{"a": "0"}, tree{"a": "1"}
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	h := openHome(t, dir, nil)
	before := read(t, dir)
	if err := bring(t, h, from, to); problem.KindOf(err) != problem.Refused {
		t.Errorf("error %v", err)
	}
	if d := cmp.Diff(before, read(t, dir)); d != "" {
		t.Error(d)
	}
	nothingTemporary(t, h)
}

// TestADiskThatFillsUpChangesNothing has room by the formula and none in truth: another
// program takes it meanwhile.
func TestADiskThatFillsUpChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=6m")
	from, to := tree{"a": "0"}, tree{"a": string(make([]byte, 300_000)), "b": "1"}
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	h := openHome(t, dir, nil)
	before := read(t, dir)
	p := planBetween(t, from, to)
	if err := h.Check(p, extraFor(t, to)); err != nil {
		t.Fatal(err)
	}
	s := &stager{home: h, src: contentsOf(from, to), extra: extraFor(t, to), trees: map[string]string{}}
	if err := os.WriteFile(filepath.Join(dir, "hog"), make([]byte, 6_100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	before["hog"] = string(make([]byte, 6_100_000))
	err := h.standing(s.run(t.Context(), p))
	if problem.KindOf(err) != problem.Refused {
		t.Errorf("error %v", err)
	}
	if _, err := h.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, read(t, dir)); d != "" {
		t.Error("the product was changed")
	}
	nothingTemporary(t, h)
}

func TestReadOnlyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := tree{"a": "0"}, tree{"a": "1"}
	from.write(t, dir)
	tree{"updates/product.txt": "shop-1.0\n"}.write(t, dir)
	mount(t, dir, dir, "", unix.MS_BIND, "")
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	h := openHome(t, dir, nil)
	if _, err := h.Lock(); problem.KindOf(err) != problem.Refused {
		t.Errorf("lock: %v", err)
	}
	if err := h.Check(planBetween(t, from, to), extraFor(t, to)); problem.KindOf(err) != problem.Refused {
		t.Errorf("check: %v", err)
	}
}

func TestAttributesOfReplacedFilesAreKept(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"bin/run": "0"}, nil)
	name := filepath.Join(h.Dir(), "bin/run")
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
	if err := bring(t, h, tree{"bin/run": "0"}, tree{"bin/run": "1"}); err != nil {
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

// TestALinkInPlaceOfAFolderIsRefused has the operator move a folder out of the product.
func TestALinkInPlaceOfAFolderIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"conf/a": "0"}, nil)
	outside := t.TempDir()
	if err := os.Rename(filepath.Join(h.Dir(), "conf/a"), filepath.Join(outside, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.Dir(), "conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(h.Dir(), "conf")); err != nil {
		t.Fatal(err)
	}
	p, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "shop", Version: "1.0", From: plan.Point{Channel: "full"}, To: plan.Point{Channel: "full", Level: 1},
		Outcomes: []plan.Outcome{{Path: "conf/a", Action: plan.Replace, Disk: entryOf("conf/a", "0"), Result: entryOf("conf/a", "1"), Source: plan.FromObject}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Prepare(t.Context(), p, contentsOf(tree{"a": "1"}), extraFor(t, tree{"conf/a": "1"})); problem.KindOf(err) != problem.Refused {
		t.Errorf("error %v", err)
	}
	if got, _ := os.ReadFile(filepath.Join(outside, "a")); string(got) != "0" {
		t.Error("a file outside was changed")
	}
}

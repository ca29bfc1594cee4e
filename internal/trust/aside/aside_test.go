package aside

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"uplevel/internal/problem"
)

// moving is a folder in which a refresh is at work: after it was listed, files go and come.
type moving struct {
	fstest.MapFS

	step   func(fstest.MapFS) // after each list
	broken string             // cannot be read
}

func (m moving) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := m.MapFS.ReadDir(name)
	if m.step != nil {
		m.step(m.MapFS)
	}
	return entries, err
}

func (m moving) Open(name string) (fs.File, error) {
	if name == m.broken {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return m.MapFS.Open(name)
}

func content(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// copied is what lies in a copy.
func copied(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(data)
	}
	return got
}

// TestACopyIsWholeBesideARefresh: a file that is being written sorts first and is gone when it
// is read. A copy without the root would begin with the one that was shipped.
func TestACopyIsWholeBesideARefresh(t *testing.T) {
	t.Parallel()
	once := true
	from := moving{MapFS: fstest.MapFS{
		".timestamp.json.partial-1": content("n"), "lock": content("me"),
		"root.json": content("root 2"), "snapshot.json": content("old"), "timestamp.json": content("old"),
	}}
	from.step = func(m fstest.MapFS) {
		delete(m, ".timestamp.json.partial-1")
		if once { // keys were revoked: a new root, and what it makes void goes
			once = false
			delete(m, "snapshot.json")
			m["root.json"], m["timestamp.json"] = content("root 3"), content("new")
		}
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := Copy(from, to); err != nil {
		t.Fatal(err)
	}
	got := copied(t, to)
	if len(got) != 2 || got["root.json"] != "root 3" || got["timestamp.json"] != "new" {
		t.Errorf("copied: %v", got)
	}
}

// TestACopyOfNothing is empty only where there is no folder.
func TestACopyOfNothing(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "copy")
	if err := Copy(os.DirFS(filepath.Join(t.TempDir(), "none")), to); err != nil || len(copied(t, to)) != 0 {
		t.Errorf("no folder: %v, %v", copied(t, to), err)
	}
	never := moving{MapFS: fstest.MapFS{"timestamp.json": content("x")}}
	never.step = func(m fstest.MapFS) {
		if m["timestamp.json"] != nil {
			delete(m, "timestamp.json")
			m["targets.json"] = content("x")
			return
		}
		delete(m, "targets.json")
		m["timestamp.json"] = content("x")
	}
	if err := Copy(never, to); problem.KindOf(err) != problem.Refused {
		t.Errorf("files that never stay: %v", err)
	}
}

// TestARootThatCannotBeCopiedIsRefused; what else cannot be read counts as absent, as it does
// in the folder.
func TestARootThatCannotBeCopiedIsRefused(t *testing.T) {
	t.Parallel()
	all := fstest.MapFS{"root.json": content("root"), "targets.json": content("t")}
	to := filepath.Join(t.TempDir(), "copy")
	if err := Copy(moving{MapFS: all, broken: "root.json"}, to); problem.KindOf(err) != problem.Verification {
		t.Errorf("the root: %v", err)
	}
	if err := Copy(moving{MapFS: all, broken: "targets.json"}, to); err != nil || len(copied(t, to)) != 1 {
		t.Errorf("targets: %v, %v", copied(t, to), err)
	}
	folder := fstest.MapFS{"root.json/x": content("x")}
	if err := Copy(folder, to); problem.KindOf(err) != problem.Verification || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder as the root: %v", err)
	}
}

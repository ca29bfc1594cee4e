package dir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/blob/blobtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Test(t, func(t *testing.T) blob.Store {
		s, err := New(filepath.Join(t.TempDir(), "made", "by", "New"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// What a crash leaves behind is neither listed nor read, and in nobody's way.
func TestCrashLitter(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	s, err := New(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "objects/ab/abcd", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	for _, litter := range []string{".abcd.partial-1", "objects/ab/.abcd.partial-123", "objects/ab/.abef.partial-9"} {
		if err := os.WriteFile(filepath.Join(top, litter), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(top, "objects/cd"), 0o700); err != nil { // made, then cut off
		t.Fatal(err)
	}
	var names []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	if len(names) != 1 || names[0] != "objects/ab/abcd" {
		t.Errorf("listed %v", names)
	}
	for _, name := range []string{"objects/ab/abef", "objects/cd/cdef"} {
		if err := s.Put(t.Context(), name, strings.NewReader("whole")); err != nil {
			t.Error(err)
		}
		if info, err := s.Stat(t.Context(), name); err != nil || info.Size != 5 {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

// TestLitterIsSweptOnceItIsOld: what a kill left goes; what is being written, or is none of
// ours, stays.
func TestLitterIsSweptOnceItIsOld(t *testing.T) {
	t.Parallel()
	top, now := t.TempDir(), time.Now()
	s, err := New(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "objects/ab/abcd", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	files := map[string]time.Duration{
		"objects/ab/abcd": 48 * time.Hour, "objects/ab/.abcd.partial-1": 48 * time.Hour, ".x.partial-2": 25 * time.Hour,
		"objects/ab/.abef.partial-3": time.Hour, "objects/ab/.notes": 48 * time.Hour, "objects/ab/x.partial-4": 48 * time.Hour,
	}
	for name, age := range files {
		file := filepath.Join(top, name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	before := now.Add(-24 * time.Hour)
	for _, want := range []int{2, 0} {
		if n, err := Sweep(t.Context(), top, before); n != want || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
	}
	for name := range files {
		_, err := os.Stat(filepath.Join(top, name))
		if swept := name == "objects/ab/.abcd.partial-1" || name == ".x.partial-2"; (err != nil) != swept {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := Sweep(t.Context(), filepath.Join(top, "nothing"), before); n != 0 || err != nil {
		t.Errorf("no folder: %d, %v", n, err)
	}
}

// A put that failed leaves no file at all, hidden ones included.
func TestFailedPutLeavesNoFile(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	s, err := New(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a/b", failing{}); err == nil {
		t.Fatal("stored what could not be read")
	}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fs.ErrPermission }

// Two stores over one folder, as two processes have, see each other's blobs.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	one, err := New(top)
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Put(t.Context(), "a", strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	if err := two.Put(t.Context(), "a", strings.NewReader("other")); err != nil {
		t.Fatal(err)
	}
	if info, err := two.Stat(t.Context(), "a"); err != nil || info.Size != 3 {
		t.Errorf("%+v, %v", info, err)
	}
	if err := two.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Open(t.Context(), "a"); err == nil {
		t.Error("still there")
	}
}

func TestNewRefusesAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(file); err == nil {
		t.Error("a file was taken for a folder")
	}
}

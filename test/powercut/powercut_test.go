//go:build linux

package powercut

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestACutLosesWhatWasNotSynced: the harness itself shows what it claims, on each kind of
// file system: a new name that was not synced, a content that was not synced, and that what
// was synced stays.
func TestACutLosesWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	Require(t)
	for _, kind := range []Kind{Ext4, XFS} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			base, err := New(Folder(t), "base", kind)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(base.At, "synced"), true)
			if err := base.Unmount(); err != nil {
				t.Fatal(err)
			}
			if got := lost(t, base, Unflushed); got != "synced" {
				t.Errorf("without the journal: %s", got)
			}
			if got := lost(t, base, Flushed); got != "synced, unsynced and empty" {
				t.Errorf("with the journal: %s", got)
			}
			if err := os.Remove(base.Image); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// lost says what a cut leaves of a file that was synced and one that was not.
func lost(t *testing.T, base *Disk, loss Loss) string {
	t.Helper()
	d, err := base.Clone("clone")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.At, "unsynced"), false)
	if err := d.Cut(loss); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	said := ""
	if data, err := os.ReadFile(filepath.Join(d.At, "synced")); err == nil && len(data) > 0 {
		said = "synced"
	}
	switch data, err := os.ReadFile(filepath.Join(d.At, "unsynced")); {
	case err != nil:
	case len(data) == 0:
		said += ", unsynced and empty"
	default:
		said += ", unsynced and whole"
	}
	return said
}

func write(t *testing.T, name string, sync bool) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	if !sync {
		return
	}
	if err := unix.Syncfs(int(f.Fd())); err != nil { // and no other file system: other tests cut theirs
		t.Fatal(err)
	}
}

//go:build !windows

package durable

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWhatRootMakesBelongsToTheFoldersOwner: who owns the folder goes on there later.
func TestWhatRootMakesBelongsToTheFoldersOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can give files away: run the tests as root")
		}
		t.Skip("SKIPPED: only root can give files away: run sudo make test")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1234, 4321); err != nil {
		t.Fatal(err)
	}
	file, folder := filepath.Join(dir, "file"), filepath.Join(dir, "new/folder")
	if err := WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Dir(folder), folder} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 1234 || st.Gid != 4321 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
}

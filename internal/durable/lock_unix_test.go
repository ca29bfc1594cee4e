//go:build !windows

package durable

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLockFollowsNoLink: who may write into the folder could have the lock overwrite a
// file that only the locker may write.
func TestLockFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious, lock := filepath.Join(dir, "precious"), filepath.Join(dir, "lock")
	for _, there := range []bool{true, false} {
		if there {
			if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(precious); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(lock)
		if err := os.Symlink(precious, lock); err != nil {
			t.Fatal(err)
		}
		if _, err := TryLock(lock, "me"); err == nil {
			t.Error("a link was locked")
		}
		if got, err := os.ReadFile(precious); there && string(got) != "mine" || !there && err == nil {
			t.Errorf("where the link leads is %q, %v", got, err)
		}
	}
}

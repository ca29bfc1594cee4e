package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestANameIsTakenOnce: where there are no second names (a FAT stick), the first one's file
// stays all the same.
func TestANameIsTakenOnce(t *testing.T) {
	t.Parallel()
	for name, rename := range map[string]func(from, to string) error{"in one step": renameNew, "after a look": renameLooking} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		for _, text := range []string{"first", "second"} {
			if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := rename(from, to)
			if text == "first" && err != nil || text == "second" && !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: %s: %v", name, text, err)
			}
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != "first" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

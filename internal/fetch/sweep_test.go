package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/release"
)

// TestWhatKillsLeftGoes after a week, and nothing else does.
func TestWhatKillsLeftGoes(t *testing.T) {
	t.Parallel()
	s := newSource()
	f := newFetcher(t, s)
	now := time.Now()
	f.Now = func() time.Time { return now }
	object := strings.Repeat("ab", 32)
	put := func(name string, age time.Duration) string {
		full := filepath.Join(f.Dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(full, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return full
	}
	const old, young = 8 * 24 * time.Hour, 6 * 24 * time.Hour
	gone := []string{
		put("ab/"+object+".own-123", old), put("ab/"+object+".partial", old), put("cd/x.lock", old),
		put("cd/z.zip.partial", old), put(".writable.partial-9", old),
	}
	stay := []string{
		put("ab/"+object, 10*old), put("ab/y.own-1", young), put("ab/y.partial", young), put("ab/y.lock", young),
		put("cd/z.zip", old), put("elsewhere/a.partial", old),
	}
	lock, err := durable.TryLock(filepath.Join(f.Dir, "cd/held.lock"), "other")
	if err != nil {
		t.Fatal(err)
	}
	held := []string{put("cd/held.partial", old), filepath.Join(f.Dir, "cd/held.lock")}
	if err := os.Chtimes(held[1], now, now.Add(-old)); err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{s.add(t, noise(100))}); err != nil {
		t.Fatal(err)
	}
	for _, name := range gone {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range append(stay, held...) {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

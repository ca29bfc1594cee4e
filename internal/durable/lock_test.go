package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestHolder looks at a lock without taking or making it.
func TestHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if by, err := Holder(path); by != "" || err != nil {
		t.Errorf("no lock is held by %q, %v", by, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking made the file")
	}
	l, err := TryLock(path, "uplevel (process 7)")
	if err != nil {
		t.Fatal(err)
	}
	if by, err := Holder(path); by != "uplevel (process 7)" || err != nil {
		t.Errorf("held by %q, %v", by, err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("left behind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if by, err := Holder(path); by != "" || err != nil {
		t.Errorf("a file that was left is held by %q, %v", by, err)
	}
	l, err = TryLock(path, "next")
	if err != nil {
		t.Fatalf("looking took the lock: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// TestALookKeepsNobodyAway takes and gives back a lock that others look at all the time: no
// look is in the way, and none fails because the lock goes away under it.
func TestALookKeepsNobodyAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var over atomic.Bool
	var looking sync.WaitGroup
	for range 3 {
		looking.Go(func() {
			for !over.Load() {
				if _, err := Holder(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		l, err := TryLock(path, "uplevel (process 7)")
		if err != nil {
			t.Errorf("refused, and nobody holds it: %v", err)
			continue
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
	over.Store(true)
	looking.Wait()
}

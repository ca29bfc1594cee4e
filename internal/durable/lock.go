package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gofrs/flock"
)

// ErrLocked is wrapped by the error of [TryLock] when another process holds the lock.
var ErrLocked = errors.New("locked")

// Lock is a held lock file. Release it.
type Lock struct {
	file *flock.Flock
}

// TryLock takes the lock at path or fails at once with [ErrLocked], naming the holder.
// The file is unlinked while held by [Lock.Release], so who gets the lock looks again
// whether the path still names the file that it locked.
func TryLock(path, holder string) (*Lock, error) {
	for range 100 {
		l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		got, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !got {
			by, _ := os.ReadFile(path)
			return nil, fmt.Errorf("%w by %s", ErrLocked, holderName(by))
		}
		if stillNamed(l) {
			// Only a courtesy to whoever is refused; Windows forbids it while locked.
			_ = os.WriteFile(path, []byte(holder+"\n"), 0o600)
			return &Lock{file: l}, nil
		}
		_ = l.Unlock()
	}
	return nil, fmt.Errorf("locking %s: %w: it changes hands all the time", path, ErrLocked)
}

// Release unlinks the lock file and gives the lock back.
func (l *Lock) Release() error {
	path := l.file.Path()
	removeErr := os.Remove(path)
	if err := l.file.Unlock(); err != nil {
		return err
	}
	if removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		return os.Remove(path) // Windows: only when no longer open
	}
	return nil
}

func stillNamed(l *flock.Flock) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.Path())
	return err == nil && os.SameFile(held, named)
}

func holderName(content []byte) string {
	name := strings.TrimSpace(string(content))
	if name == "" || len(name) > 200 {
		return "another process"
	}
	return name
}

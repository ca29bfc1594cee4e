package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"time"

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
// whether the path still names the file that it locked. A symbolic link is refused: the
// folder may be another user's, whose link must not lead into a file of ours.
func TryLock(path, holder string) (*Lock, error) {
	for range 100 {
		l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(0o600))
		got, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !got && onlyLooked(l) {
			time.Sleep(time.Duration(1+rand.IntN(5)) * time.Millisecond) //nolint:gosec // two that try in step would look at one another for ever
			continue
		}
		if !got {
			by, _ := os.ReadFile(path)
			return nil, fmt.Errorf("%w by %s", ErrLocked, holderName(by))
		}
		if stillNamed(l) {
			// Only a courtesy to whoever is refused; Windows forbids it while locked.
			sign(path, holder)
			return &Lock{file: l}, nil
		}
		_ = l.Unlock()
	}
	return nil, fmt.Errorf("locking %s: %w: it changes hands all the time", path, ErrLocked)
}

// onlyLooked reports whether nobody holds the lock: somebody just looks at it, as [Holder]
// does, for a moment.
func onlyLooked(l *flock.Flock) bool {
	got, err := l.TryRLock()
	return err == nil && got && l.Unlock() == nil
}

// Holder returns who holds the lock at path, as they named themselves; empty when nobody
// does. It leaves no trace: a file that is not there is not made.
func Holder(path string) (string, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	l := flock.New(path, flock.SetFlag(os.O_RDONLY))
	got, err := l.TryRLock()
	if err == nil && got {
		return "", l.Unlock()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // given back just now
	}
	if err != nil {
		return "", fmt.Errorf("looking at the lock %s: %w", path, err)
	}
	by, _ := os.ReadFile(path)
	return holderName(by), nil
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

// Leave gives the lock back and leaves its file: to take it again needs no room on the disk.
func (l *Lock) Leave() error { return l.file.Unlock() }

func stillNamed(l *flock.Flock) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(l.Path())
	return err == nil && os.SameFile(held, named)
}

// sign writes the holder's name into the lock file.
func sign(path, holder string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|noFollow, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(holder + "\n")
}

func holderName(content []byte) string {
	name := strings.TrimSpace(string(content))
	if name == "" || len(name) > 200 {
		return "another process"
	}
	return name
}

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"uplevel/internal/copytree"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// fullCopy is the copy of the whole home that a commit begins with. It gets its name right
// before the commit point: an attempt that ends earlier leaves none.
type fullCopy struct {
	at      string // where it lies
	partial string // and lay before it had its name
	bytes   int64
}

// backUp makes the full copy that the prepared change asks for; nil where it asks for none.
func (h *Home) backUp(ctx context.Context, p *Pending) (*fullCopy, error) {
	if p.Backup == "" {
		return nil, nil //nolint:nilnil // no copy is an answer: it is kept and dropped like one
	}
	if err := h.checkBackup(p.Backup); err != nil { // links may have changed since it was prepared
		return nil, err
	}
	partial := h.partialBackup(p.Backup)
	if err := copytree.Remove(partial); err != nil {
		return nil, fmt.Errorf("removing what a cut left of a full copy: %w", err)
	}
	err := durable.MkdirAll(filepath.Dir(partial), 0o755)
	if err == nil {
		err = os.Mkdir(partial, 0o700)
	}
	if err != nil {
		return nil, problem.New(problem.Refused, "Name another folder with --backup, or none with --backup ''.",
			"The full copy cannot be made in the backup directory %s: %w", p.Backup, err)
	}
	f := &fullCopy{at: partial, partial: partial}
	if f.bytes, err = copytree.Copy(ctx, h.root, partial, notBackedUp); err != nil {
		f.drop()
		return nil, fmt.Errorf("backing up to %s: %w", filepath.Dir(partial), err)
	}
	return f, nil
}

// partialBackup is what a full copy is called until it is whole and needed. It is the same
// for every change of this home, so that what a cut left goes with the next copy.
func (h *Home) partialBackup(dir string) string {
	of := digest.Of([]byte(h.dir)).String()
	return filepath.Join(dir, "backup", fmt.Sprintf(".%s-%s.partial", filepath.Base(h.dir), of[:12]))
}

// keep gives the copy its name.
func (f *fullCopy) keep(h *Home, p *Pending) error {
	if f == nil {
		return nil
	}
	name, err := freeName(filepath.Join(filepath.Dir(f.at), fmt.Sprintf("%s-%s-%d", filepath.Base(h.dir), p.State.Pack, p.ID)))
	if err != nil {
		return err
	}
	if err := durable.Rename(f.at, name); err != nil {
		return fmt.Errorf("backing up to %s: %w", name, err)
	}
	f.at = name
	return nil
}

// after ends a commit: the copy is told, or goes with a change that was taken back. While a
// commit lies open nobody knows yet whether it is needed.
func (f *fullCopy) after(done Committed, err error) (Committed, error) {
	switch {
	case f == nil:
	case err == nil:
		done.Backup, done.Bytes = f.at, f.bytes
	case problem.KindOf(err) != problem.Broken:
		f.drop()
	}
	return done, err
}

// drop removes a copy that nobody needs: what it is of stands. It loses its name first, so that
// half of it never passes for one.
func (f *fullCopy) drop() {
	if f == nil || f.at != f.partial && durable.Rename(f.at, f.partial) != nil {
		return // on a disk that takes no change any more it stays, and is whole
	}
	_ = copytree.Remove(f.partial) // what stays is hidden, and goes with the next copy
}

// freeName returns name, or name with a number where another home, or this one before it was
// brought back from a copy, has that.
func freeName(name string) (string, error) {
	for n, free := 2, name; ; n++ {
		_, err := os.Lstat(free)
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
}

// notBackedUp reports what belongs to the tool at work, or to the disk that the home is on.
func notBackedUp(p string) bool {
	return p == stagingDir || p == lockFile || p == cacheFile || strings.HasPrefix(path.Base(p), mountStaging)
}

// Package dir keeps blobs as files in a folder: synced before they get their name,
// never seen half written.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/durable"
)

// Store is a folder of blobs. It is safe for use by several processes at once.
type Store struct {
	dir    string
	synced sync.Map // folder → true, once this process saw it synced up to dir
}

// New returns the store in dir, which is made if it is missing.
func New(dir string) (*Store, error) {
	if err := durable.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	return &Store{dir: filepath.Clean(dir)}, nil
}

// folder makes the folder of a blob durable. One that is there already may be another
// process's that has not synced it yet, so each process syncs each folder once.
func (s *Store) folder(folder string) error {
	if _, done := s.synced.Load(folder); done {
		return nil
	}
	if err := durable.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for at := folder; len(at) > len(s.dir); {
		at = filepath.Dir(at)
		if err := durable.SyncDir(at); err != nil {
			return err
		}
	}
	s.synced.Store(folder, true)
	return nil
}

func (s *Store) file(name string) (string, error) {
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, filepath.FromSlash(name)), nil
}

// Put implements [blob.Store].
func (s *Store) Put(ctx context.Context, name string, r io.Reader) error {
	file, err := s.file(name)
	if err != nil {
		return err
	}
	if err := s.folder(filepath.Dir(file)); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	if _, err := os.Lstat(file); err == nil {
		// Whoever gave it the name may not have come to syncing it yet.
		return durable.SyncDir(filepath.Dir(file))
	}
	f, err := durable.Create(file, 0o640)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, readerUntil{ctx, r}); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	return f.CommitNew()
}

// readerUntil ends with the context's error once that is over.
type readerUntil struct {
	ctx context.Context //nolint:containedctx // it lives as long as one Put
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Open implements [blob.Store].
func (s *Store) Open(_ context.Context, name string) (blob.Object, error) {
	file, err := s.file(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file) //nolint:gosec // names are checked: safe characters, no hidden part
	if err != nil {
		return nil, absent(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &object{File: f, info: info, store: s}, nil
}

type object struct {
	*os.File
	info  fs.FileInfo
	store *Store
}

// Size returns the stored bytes.
func (o *object) Size() int64 { return o.info.Size() }

// Discard implements [blob.Object]. A name changes hands only by being discarded, so who
// looks and removes with the store's lock removes what it saw.
func (o *object) Discard(ctx context.Context) error {
	return o.store.locked(ctx, func() error {
		now, err := os.Lstat(o.Name())
		if err != nil || !os.SameFile(now, o.info) {
			return gone(err)
		}
		return durable.Remove(o.Name())
	})
}

// locked does something that only one process may do in a store at a time.
func (s *Store) locked(ctx context.Context, do func() error) error {
	for {
		l, err := durable.TryLock(filepath.Join(s.dir, ".discarding"), "upleveld")
		if err == nil {
			return errors.Join(do(), l.Leave())
		}
		if !errors.Is(err, durable.ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

// lockPause is how long is waited before a lock that is held is tried again.
const lockPause = 5 * time.Millisecond

// Stat implements [blob.Store].
func (s *Store) Stat(_ context.Context, name string) (blob.Info, error) {
	file, err := s.file(name)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(file)
	if err != nil {
		return blob.Info{}, absent(name, err)
	}
	if !info.Mode().IsRegular() {
		return blob.Info{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return blob.Info{Name: name, Size: info.Size()}, nil
}

// absent makes a name below a blob, which no file can have, one that is not there.
func absent(name string, err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return err
}

// Delete implements [blob.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	file, err := s.file(name)
	if err != nil {
		return err
	}
	_, err = s.Stat(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a folder of blobs is none itself
		return nil
	case err != nil:
		return err
	}
	return durable.Remove(file)
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		l := lister{ctx: ctx, dir: s.dir, prefix: prefix, yield: yield}
		if _, err := l.walk("."); err != nil {
			yield(blob.Info{}, err)
		}
	}
}

type lister struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one List
	dir    string
	prefix string
	yield  func(blob.Info, error) bool
}

// walk lists a folder in order of whole names: what lies in the folder a comes after
// a-b, as / comes after -. It returns false when the caller has enough.
func (l *lister) walk(folder string) (more bool, err error) {
	if err := l.ctx.Err(); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(filepath.Join(l.dir, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		if more, err = l.entry(path.Join(folder, e.Name()), e); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func (l *lister) entry(name string, e fs.DirEntry) (more bool, err error) {
	switch {
	case strings.HasPrefix(e.Name(), "."): // partial files
		return true, nil
	case e.IsDir():
		within := name + "/"
		if !strings.HasPrefix(within, l.prefix) && !strings.HasPrefix(l.prefix, within) {
			return true, nil
		}
		return l.walk(name)
	case !e.Type().IsRegular() || !strings.HasPrefix(name, l.prefix):
		return true, nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return l.yield(blob.Info{Name: name, Size: info.Size()}, nil), nil
}

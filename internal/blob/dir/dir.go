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
	"strings"

	"uplevel/internal/blob"
	"uplevel/internal/durable"
)

// Store is a folder of blobs. It is safe for use by several processes at once.
type Store struct{ dir string }

// New returns the store in dir, which is made if it is missing.
func New(dir string) (*Store, error) {
	if err := durable.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	return &Store{dir: dir}, nil
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
	if _, err := os.Lstat(file); err == nil {
		return nil
	}
	if err := durable.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
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
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &object{File: f, size: info.Size()}, nil
}

type object struct {
	*os.File
	size int64
}

// Size returns the stored bytes.
func (o *object) Size() int64 { return o.size }

// Stat implements [blob.Store].
func (s *Store) Stat(_ context.Context, name string) (blob.Info, error) {
	file, err := s.file(name)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := os.Lstat(file)
	if err != nil {
		return blob.Info{}, err
	}
	if !info.Mode().IsRegular() {
		return blob.Info{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return blob.Info{Name: name, Size: info.Size()}, nil
}

// Delete implements [blob.Store].
func (s *Store) Delete(_ context.Context, name string) error {
	file, err := s.file(name)
	if err != nil {
		return err
	}
	return durable.Remove(file)
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		top := path.Dir(prefix + "x")
		err := fs.WalkDir(os.DirFS(s.dir), top, func(p string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") || !strings.HasPrefix(p, prefix) {
				return err
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(blob.Info{Name: p, Size: info.Size()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(blob.Info{}, err)
		}
	}
}

// Package mem keeps blobs in memory, for tests.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"uplevel/internal/blob"
)

// Store keeps blobs in memory. The zero value is empty and ready.
type Store struct {
	mu    sync.Mutex
	blobs map[string]*held
}

type held struct{ data []byte }

// Put implements [blob.Store]; what a power cut takes away is the whole store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if _, err := s.Stat(ctx, name); err == nil {
		return nil
	}
	data, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs == nil {
		s.blobs = map[string]*held{}
	}
	if _, taken := s.blobs[name]; !taken {
		s.blobs[name] = &held{data}
	}
	return nil
}

// Open implements [blob.Store].
func (s *Store) Open(_ context.Context, name string) (blob.Object, error) {
	h, err := s.get(name)
	if err != nil {
		return nil, err
	}
	return object{bytes.NewReader(h.data), s, name, h}, nil
}

func (s *Store) get(name string) (*held, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.blobs[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return h, nil
}

type object struct {
	*bytes.Reader
	store *Store
	name  string
	held  *held
}

// Discard implements [blob.Object].
func (o object) Discard(context.Context) error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if o.store.blobs[o.name] == o.held {
		delete(o.store.blobs, o.name)
	}
	return nil
}

// Close does nothing.
func (object) Close() error { return nil }

// Stat implements [blob.Store].
func (s *Store) Stat(_ context.Context, name string) (blob.Info, error) {
	h, err := s.get(name)
	if err != nil {
		return blob.Info{Name: name}, err
	}
	return blob.Info{Name: name, Size: int64(len(h.data))}, nil
}

// Delete implements [blob.Store].
func (s *Store) Delete(_ context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, name)
	return nil
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	s.mu.Lock()
	names := slices.Sorted(maps.Keys(s.blobs))
	s.mu.Unlock()
	return func(yield func(blob.Info, error) bool) {
		for _, name := range names {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			info, err := s.Stat(ctx, name)
			if err == nil && !yield(info, nil) {
				return
			}
		}
	}
}

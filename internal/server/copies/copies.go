// Package copies keeps what anybody may ask a service for in a form that costs nothing to
// give: who asks and does not read holds no memory. Described in docs/design/api.md.
package copies

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// What is kept at most; small contents stay in memory.
const (
	small    = 64 << 10
	maxKept  = 256
	maxBytes = 1 << 30
)

// ErrNoFile says that a copy could not be written, for want of room as a rule.
var ErrNoFile = errors.New("the copy cannot be written")

// Shelf holds the copies that were asked for last. It is safe for concurrent use.
type Shelf struct {
	Folder string // for files without a name; empty: the system's

	mu    sync.Mutex
	named map[string]*list.Element
	order list.List // of copied, the one used last first
	bytes int64
}

type copied struct {
	name    string
	content io.ReaderAt // a file that nobody reads any more is closed by the runtime
	size    int64
}

// Known returns the copy of that name, if there is one.
func (s *Shelf) Known(name string) (*io.SectionReader, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.named[name]
	if !ok {
		return nil, false
	}
	s.order.MoveToFront(e)
	return e.Value.(copied).reader(), true //nolint:errcheck // the list holds nothing else
}

func (c copied) reader() *io.SectionReader { return io.NewSectionReader(c.content, 0, c.size) }

// Make keeps what write writes under a name, and returns it.
func (s *Shelf) Make(name string, write func(io.Writer) error) (*io.SectionReader, error) {
	w := &writer{folder: s.Folder}
	if err := write(w); err != nil {
		return nil, errors.Join(err, w.discard())
	}
	c := copied{name: name, content: bytes.NewReader(w.start.Bytes()), size: w.size}
	if w.file != nil {
		c.content = w.file
	}
	s.add(c)
	return c.reader(), nil
}

func (s *Shelf) add(c copied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil {
		s.named = map[string]*list.Element{}
	}
	if _, ok := s.named[c.name]; ok {
		return
	}
	s.named[c.name] = s.order.PushFront(c)
	s.bytes += c.size
	for s.order.Len() > 1 && (s.order.Len() > maxKept || s.bytes > maxBytes) {
		last := s.order.Remove(s.order.Back()).(copied) //nolint:errcheck // the list holds nothing else
		delete(s.named, last.name)
		s.bytes -= last.size
	}
}

// writer keeps what is small in memory and the rest in a file without a name, of which
// nothing stays when the process ends.
type writer struct {
	folder string
	start  bytes.Buffer
	file   *os.File
	size   int64
}

func (w *writer) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	if w.file == nil && w.size <= small {
		return w.start.Write(p)
	}
	if w.file == nil {
		if err := w.toFile(); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNoFile, err)
	}
	return n, err
}

func (w *writer) toFile() error {
	file, err := os.CreateTemp(w.folder, ".copy-*")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoFile, err)
	}
	_ = os.Remove(file.Name()) // where an open file can go
	w.file = file
	if _, err := file.Write(w.start.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", ErrNoFile, err)
	}
	w.start = bytes.Buffer{}
	return nil
}

func (w *writer) discard() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	_ = os.Remove(w.file.Name())
	return err
}

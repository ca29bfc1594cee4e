package content

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// errHold says that results cannot be held, for example on a full disk.
var errHold = errors.New("holding what was merged")

// held are results, one after the other in one temporary file that has no name where
// the system allows it, so that nothing is left of it whatever ends the program.
type held struct {
	dir  string
	file *os.File
	end  int64
	at   map[release.Ref]int64
}

// keep holds content and returns what names it. An error of the reader is its own.
func (h *held) keep(r io.Reader) (release.Ref, error) {
	return h.write(func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// write holds what is written by do and returns what names it.
func (h *held) write(do func(io.Writer) error) (release.Ref, error) {
	if err := h.ready(); err != nil {
		return release.Ref{}, fmt.Errorf("%w: %w", errHold, err)
	}
	w := &sink{to: io.NewOffsetWriter(h.file, h.end), sum: sha256.New()}
	buffered := bufio.NewWriterSize(w, 256<<10)
	err := do(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if w.failed != nil {
		return release.Ref{}, fmt.Errorf("%w: %w", errHold, w.failed)
	}
	if err != nil {
		return release.Ref{}, err
	}
	ref := release.Ref{Sum: digest.Digest(w.sum.Sum(nil)), Size: w.size}
	if _, ok := h.at[ref]; !ok {
		h.at[ref] = h.end
		h.end += ref.Size
	}
	return ref, nil
}

// sink writes, counts and sums, and knows its own failures from those of who writes.
type sink struct {
	to     io.Writer
	sum    hash.Hash
	size   int64
	failed error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.size += int64(n)
	_, _ = s.sum.Write(p[:n]) // never fails
	if err != nil {
		s.failed = err
	}
	return n, err
}

func (h *held) ready() error {
	if h.file != nil {
		return nil
	}
	f, err := os.CreateTemp(h.dir, "uplevel-merge-")
	if err != nil {
		return err
	}
	_ = os.Remove(f.Name()) // where an open file cannot be removed, close does it
	h.file, h.at = f, map[release.Ref]int64{}
	return nil
}

// section is held content that can be read anywhere.
func (h *held) section(ref release.Ref) (*io.SectionReader, bool) {
	at, ok := h.at[ref]
	if !ok {
		return nil, false
	}
	return io.NewSectionReader(h.file, at, ref.Size), true
}

func (h *held) open(ref release.Ref) (io.ReadCloser, error) {
	s, ok := h.section(ref)
	if !ok {
		return nil, fmt.Errorf("merged content %s: %w", ref.Sum, fs.ErrNotExist)
	}
	return io.NopCloser(digest.NewReader(s, ref.Sum, ref.Size)), nil
}

func (h *held) close() error {
	if h.file == nil {
		return nil
	}
	err := h.file.Close()
	if rm := os.Remove(h.file.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	h.file = nil
	return err
}

package content

import (
	"errors"
	"fmt"
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

// keep holds content and returns what names it.
func (h *held) keep(r io.Reader) (release.Ref, error) {
	if err := h.ready(); err != nil {
		return release.Ref{}, fmt.Errorf("%w: %w", errHold, err)
	}
	sum, size, err := digest.Copy(io.NewOffsetWriter(h.file, h.end), r)
	if err != nil {
		return release.Ref{}, fmt.Errorf("%w: %w", errHold, err)
	}
	ref := release.Ref{Sum: sum, Size: size}
	if _, ok := h.at[ref]; !ok {
		h.at[ref] = h.end
		h.end += size
	}
	return ref, nil
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

package layout

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrOther says that a part's bytes are not the deflated stream that it was taken for.
var ErrOther = errors.New("it is no deflated stream of the size that its archive says")

// Opener opens parts, one after the other. The zero value is ready.
type Opener struct {
	in      *bufio.Reader
	inflate io.Reader
}

// Content returns a reader of a part's content, good until the next call, which fails with
// [ErrOther] in place of io.EOF unless the content has the part's size. src is what holds the part.
func (o *Opener) Content(src io.ReaderAt, p Part) io.Reader {
	stored := io.NewSectionReader(src, p.At, p.Len)
	if !p.Deflate {
		return stored
	}
	if o.inflate == nil {
		o.in = bufio.NewReaderSize(stored, 16<<10)
		o.inflate = flate.NewReader(o.in)
	} else {
		o.in.Reset(stored)
		_ = o.inflate.(flate.Resetter).Reset(o.in, nil) //nolint:forcetypeassert,errcheck // every reader of flate is one, and fails for dictionaries only
	}
	return &opened{r: o.inflate, left: p.Size}
}

// opened is a deflated stream whose size is known.
type opened struct {
	r    io.Reader
	left int64
}

func (o *opened) Read(b []byte) (int, error) {
	if o.left == 0 {
		return 0, o.end()
	}
	n, err := o.r.Read(b[:min(int64(len(b)), o.left)])
	o.left -= int64(n)
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && o.left == 0:
		return n, nil // the next call looks at the end
	case corrupt, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return n, ErrOther
	}
	return n, fmt.Errorf("opening a deflated stream: %w", err)
}

// end sees that nothing more comes.
func (o *opened) end() error {
	var b [1]byte
	switch n, err := o.r.Read(b[:]); {
	case n > 0:
		return ErrOther
	case errors.Is(err, io.EOF):
		return io.EOF
	case err == nil:
		return nil
	default:
		return ErrOther
	}
}

// inner returns a part's content to look into: as it lies, or opened in memory; false where the
// content begins like no archive, or is no stream after all.
func (o *Opener) inner(src io.ReaderAt, p Part) (*io.SectionReader, bool, error) {
	if p.Size < gzipHead || strings.HasSuffix(p.Name, ".class") { // most members, and never an archive
		return nil, false, nil
	}
	r := o.Content(src, p)
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false, notOpened(err)
	}
	if string(head) != "PK\x03\x04" && string(head[:2]) != "\x1f\x8b" {
		return nil, false, nil
	}
	if !p.Deflate {
		return io.NewSectionReader(src, p.At, p.Len), true, nil
	}
	content := make([]byte, p.Size)
	copy(content, head)
	if _, err := io.ReadFull(r, content[len(head):]); err != nil {
		return nil, false, notOpened(err)
	}
	if _, err := r.Read(head[:1]); !errors.Is(err, io.EOF) {
		return nil, false, notOpened(err)
	}
	return io.NewSectionReader(bytes.NewReader(content), 0, p.Size), true, nil
}

// notOpened returns the errors that are those of reading.
func notOpened(err error) error {
	if err == nil || errors.Is(err, ErrOther) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

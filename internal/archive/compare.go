package archive

import (
	"bytes"
	"context"
	"errors"
	"io"

	"uplevel/internal/archive/anatomy"
)

// maxUnpack bounds what is unpacked only to be compared, in one merge.
const maxUnpack = 8 << 30

// comparer reads stored bytes and content in pieces, within what it may still unpack.
type comparer struct {
	a, b   []byte
	unpack int64
}

// copyRange copies the bytes [from, to) of src.
func (c *comparer) copyRange(ctx context.Context, out io.Writer, src io.ReaderAt, from, to int64) error {
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece := c.a[:min(int64(len(c.a)), to-from)]
		if err := anatomy.ReadAt(src, piece, from); err != nil {
			return err
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
		from += int64(len(piece))
	}
	return nil
}

// sameRange reports whether n bytes of x and y are the same.
func (c *comparer) sameRange(ctx context.Context, x io.ReaderAt, xAt int64, y io.ReaderAt, yAt, n int64) (bool, error) {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		a, b := c.a[:min(int64(len(c.a)), n)], c.b[:min(int64(len(c.b)), n)]
		if err := errors.Join(anatomy.ReadAt(x, a, xAt), anatomy.ReadAt(y, b, yAt)); err != nil {
			return false, err
		}
		if !bytes.Equal(a, b) {
			return false, nil
		}
		xAt, yAt, n = xAt+int64(len(a)), yAt+int64(len(a)), n-int64(len(a))
	}
	return true, nil
}

// same reports whether two members have the same kind and content: checksum and size
// first, then the stored bytes, and unpacked if these differ.
func (c *comparer) same(ctx context.Context, fx *anatomy.Archive, x *anatomy.Member, fy *anatomy.Archive, y *anatomy.Member) (bool, error) {
	if x.Folder() != y.Folder() || x.Link() != y.Link() || x.Size != y.Size || x.CRC != y.CRC {
		return false, nil
	}
	if x.Method == y.Method && x.Packed == y.Packed {
		same, err := c.sameRange(ctx, fx.Source, x.Data, fy.Source, y.Data, x.Packed)
		if same || err != nil || x.Method == anatomy.Store {
			return same, err
		}
	}
	if c.unpack -= x.Size; c.unpack < 0 {
		return false, whole("more than %d bytes were to be unpacked to compare them", int64(maxUnpack))
	}
	return c.sameContent(ctx, fx.Content(x), fy.Content(y))
}

func (c *comparer) sameContent(ctx context.Context, x, y io.Reader) (bool, error) {
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := io.ReadFull(x, c.a)
		m, err2 := io.ReadFull(y, c.b)
		ended := err != nil || err2 != nil
		for _, err := range []error{err, err2} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, err
			}
		}
		// That both ended alike, and that the checksums are right, was seen on the way.
		if same := bytes.Equal(c.a[:n], c.b[:m]); ended || !same {
			return same, nil
		}
	}
}

// Package object is the stored form of content: one zstd stream whose decoded bytes
// have the digest that names the object. Encoding is deterministic for one version of
// this program; decoding is bounded by the signed size and verifies the digest.
package object

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"uplevel/internal/digest"
)

// window bounds the memory of encoder and decoder: 4 MiB.
const window = 4 << 20

// Encode writes the stored form of r's content to w and returns the content's digest
// and size.
func Encode(w io.Writer, r io.Reader) (digest.Digest, int64, error) {
	enc, err := zstd.NewWriter(w,
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window),
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return digest.Digest{}, 0, fmt.Errorf("starting compression: %w", err)
	}
	sum, size, err := digest.Copy(enc, r)
	if closeErr := enc.Close(); err == nil {
		err = closeErr
	}
	return sum, size, err
}

// NewReader returns the content of a stored object. It ends with [digest.ErrMismatch]
// unless the content has that digest and size, and never gives more than size bytes.
// The caller must close it.
func NewReader(stored io.Reader, sum digest.Digest, size int64) (io.ReadCloser, error) {
	dec, err := zstd.NewReader(stored,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(2*window))
	if err != nil {
		return nil, fmt.Errorf("starting decompression: %w", err)
	}
	return &reader{Reader: digest.NewReader(damageReader{dec}, sum, size), dec: dec}, nil
}

type reader struct {
	io.Reader
	dec *zstd.Decoder
}

func (r *reader) Close() error {
	r.dec.Close()
	return nil
}

// damageReader turns the decoder's errors into [digest.ErrMismatch]: bytes that are no
// stored object are not the content asked for.
type damageReader struct{ dec *zstd.Decoder }

func (d damageReader) Read(p []byte) (int, error) {
	n, err := d.dec.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", digest.ErrMismatch, err)
	}
	return n, err
}

// ErrBomb is in the chain of errors that say a stored object unpacks to more than any
// content of its length.
var ErrBomb = errors.New("it unpacks to far more than it has")

// How much a stored object of unknown content may unpack to: so much, and so many times
// what was read of it.
const (
	freely = 4 << 30
	ratio  = 500
)

// Sum decodes a stored object and returns digest and size of its content. It takes
// time, not memory, whatever the object claims to hold.
func Sum(stored io.Reader) (digest.Digest, int64, error) { return sum(stored, math.MaxInt64/2) }

// SumUnknown is [Sum] for what anybody sent: its length bounds the time, too. What unpacks
// to more than 4 GiB and 500 times its length is [ErrBomb].
func SumUnknown(stored io.Reader) (digest.Digest, int64, error) { return sum(stored, freely) }

func sum(stored io.Reader, free int64) (digest.Digest, int64, error) {
	in := &counted{r: stored}
	dec, err := zstd.NewReader(in,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(2*window))
	if err != nil {
		return digest.Digest{}, 0, fmt.Errorf("starting decompression: %w", err)
	}
	defer dec.Close()
	return digest.Copy(io.Discard, &within{r: dec, in: in, free: free})
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// within ends a content that grew out of all proportion.
type within struct {
	r    io.Reader
	in   *counted
	n    int64
	free int64
}

func (w *within) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.n += int64(n); w.n > w.free+ratio*w.in.n {
		return 0, ErrBomb
	}
	return n, err
}

// Package digest names content by its SHA-256 and refuses content that does not
// match its name. A reader made here cannot reach io.EOF unless size and hash agree,
// so verification cannot be forgotten by a caller.
package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Size is the length of a [Digest] in bytes.
const Size = sha256.Size

// ErrMismatch is wrapped by every error that reports content whose size or hash is
// not the expected one.
var ErrMismatch = errors.New("content does not match its digest")

// Digest is the SHA-256 of some content. The zero value names nothing.
type Digest [Size]byte

// Of returns the digest of data.
func Of(data []byte) Digest { return sha256.Sum256(data) }

// Parse reads 64 lower-case hexadecimal digits.
func Parse(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(Size) {
		return Digest{}, fmt.Errorf("digest %.80q: want %d hexadecimal digits", text, hex.EncodedLen(Size))
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", text, err)
	}
	if d.String() != text {
		return Digest{}, fmt.Errorf("digest %q: want lower case", text)
	}
	if d.IsZero() { // it stands for none: what must be named would pass as what may be absent
		return Digest{}, errors.New("a digest of zeros names nothing")
	}
	return d, nil
}

// IsZero reports whether d names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Compare orders digests by their bytes.
func (d Digest) Compare(other Digest) int { return bytes.Compare(d[:], other[:]) }

// MarshalText writes the form that [Parse] reads; the zero digest is empty text.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return []byte{}, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what [Digest.MarshalText] wrote.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Digest{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Copy copies r to w and returns digest and size of what was copied.
func Copy(w io.Writer, r io.Reader) (Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	var d Digest
	h.Sum(d[:0])
	return d, n, err
}

// NewReader returns a reader of r's content that fails with [ErrMismatch] instead of
// io.EOF unless exactly size bytes with digest want were read. It never returns more
// than size bytes.
func NewReader(r io.Reader, want Digest, size int64) io.Reader {
	return &verifier{r: r, want: want, left: size, hash: sha256.New()}
}

type verifier struct {
	r    io.Reader
	want Digest
	left int64
	hash hash.Hash
	done error
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.done != nil {
		return 0, v.done
	}
	if v.left == 0 {
		v.done = v.finish()
		return 0, v.done
	}
	if int64(len(p)) > v.left {
		p = p[:v.left]
	}
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	v.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if v.left > 0 {
			err = fmt.Errorf("%w: %d bytes short of %s", ErrMismatch, v.left, v.want)
			v.done = err
		}
	}
	return n, err
}

// finish judges what was read: the hash must agree and nothing may follow.
func (v *verifier) finish() error {
	var got Digest
	v.hash.Sum(got[:0])
	if got != v.want {
		return fmt.Errorf("%w: want %s, got %s", ErrMismatch, v.want, got)
	}
	var one [1]byte
	switch n, err := io.ReadFull(v.r, one[:]); {
	case n > 0:
		return fmt.Errorf("%w: longer than the signed size of %s", ErrMismatch, v.want)
	case !errors.Is(err, io.EOF):
		return err
	}
	return io.EOF
}

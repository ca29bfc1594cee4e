package object

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"uplevel/internal/digest"
)

// FuzzReader reads a stored object that is anything: only the content asked for comes to an
// end, and never more than its size is given.
func FuzzReader(f *testing.F) {
	for _, content := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte("line\n"), 5000), []byte("\x00\x01\x02")} {
		stored, _ := encode(f, content)
		f.Add(stored, int64(len(content)))
		f.Add(stored[:len(stored)/2], int64(len(content)))
		f.Add(append(stored, stored...), int64(2*len(content)))
	}
	bomb, _ := encode(f, make([]byte, 8<<20))
	f.Add(bomb, int64(100))
	f.Fuzz(func(t *testing.T, stored []byte, size int64) {
		if size < 0 || size > 1<<20 {
			return
		}
		for _, sum := range []digest.Digest{digest.Of(plain(stored, size)), {}} {
			r, err := NewReader(bytes.NewReader(stored), sum, size)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if int64(len(got)) > size {
				t.Fatalf("%d bytes of %d", len(got), size)
			}
			if err != nil && !errors.Is(err, digest.ErrMismatch) {
				t.Fatal(err)
			}
			if err == nil && (digest.Of(got) != sum || int64(len(got)) != size) {
				t.Fatal("other content was taken")
			}
		}
	})
}

// plain is what a stored object holds, so many bytes of it and one more.
func plain(stored []byte, size int64) []byte {
	d, err := zstd.NewReader(bytes.NewReader(stored), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil
	}
	defer d.Close()
	out, _ := io.ReadAll(io.LimitReader(d, size+1))
	return out
}

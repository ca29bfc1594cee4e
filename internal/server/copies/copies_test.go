package copies

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// TestTheShelfIsBounded: it forgets what was asked for longest ago, and who reads that still
// reads on.
func TestTheShelfIsBounded(t *testing.T) {
	t.Parallel()
	s := Shelf{Folder: t.TempDir()}
	text := func(n int) []byte { return fmt.Appendf(nil, "%*d", 1+n%2*(small+1), n) }
	put := func(n int) *io.SectionReader {
		c, err := s.Make(fmt.Sprint(n), func(w io.Writer) error {
			_, err := w.Write(text(n))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := put(1)
	for n := 2; n <= maxKept; n++ {
		put(n)
	}
	if _, known := s.Known("1"); !known {
		t.Fatal("forgotten too soon")
	}
	put(0)
	put(-2)
	for name, want := range map[string]bool{"1": true, "2": false, "3": false, "4": true, "0": true} {
		if c, known := s.Known(name); known != want {
			t.Errorf("%s: known %v", name, known)
		} else if known {
			if data, err := io.ReadAll(c); err != nil || !bytes.Equal(bytes.TrimSpace(data), []byte(name)) {
				t.Errorf("%s: %.20q, %v", name, data, err)
			}
		}
	}
	s.bytes = 2 * maxBytes
	put(5000)
	if s.order.Len() != 1 {
		t.Errorf("%d copies, and too many bytes", s.order.Len())
	}
	if data, err := io.ReadAll(first); err != nil || !bytes.Equal(data, text(1)) {
		t.Errorf("a copy that was let go of: %d bytes, %v", len(data), err)
	}
}

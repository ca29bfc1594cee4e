package digest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParsePrintsBack(t *testing.T) {
	t.Parallel()
	want := Of([]byte("content"))
	got, err := Parse(want.String())
	if err != nil || got != want {
		t.Fatalf("Parse(%s) = %s, %v", want, got, err)
	}
	for _, bad := range []string{"", "ab", strings.ToUpper(want.String()), want.String() + "00", strings.Repeat("z", 64)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) accepted", bad)
		}
	}
}

func TestReaderEndsOnlyOnTheRightContent(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 1000)
	sum, size := Of(data), int64(len(data))
	flipped := bytes.Clone(data)
	flipped[77] ^= 1
	for name, c := range map[string]struct {
		data []byte
		size int64
		ok   bool
	}{
		"right":    {data, size, true},
		"flipped":  {flipped, size, false},
		"short":    {data[:len(data)-1], size, false},
		"long":     {append(bytes.Clone(data), 'x'), size, false},
		"size low": {data, size - 1, false},
		"empty":    {nil, size, false},
	} {
		for kind, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "data with EOF": iotest.DataErrReader,
		} {
			got, err := io.ReadAll(NewReader(wrap(bytes.NewReader(c.data)), sum, c.size))
			if c.ok != (err == nil) || (err != nil && !errors.Is(err, ErrMismatch)) {
				t.Errorf("%s, %s: error %v", name, kind, err)
			}
			if int64(len(got)) > c.size {
				t.Errorf("%s, %s: gave %d bytes, signed are %d", name, kind, len(got), c.size)
			}
		}
	}
}

func TestReaderOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := io.ReadAll(NewReader(strings.NewReader(""), Of(nil), 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(NewReader(strings.NewReader("x"), Of(nil), 0)); !errors.Is(err, ErrMismatch) {
		t.Fatalf("one byte too many: %v", err)
	}
}

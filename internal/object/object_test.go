package object

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/digest"
)

func encode(t interface{ Fatal(...any) }, data []byte) ([]byte, digest.Digest) {
	var stored bytes.Buffer
	sum, size, err := Encode(&stored, bytes.NewReader(data))
	if err != nil || size != int64(len(data)) || sum != digest.Of(data) {
		t.Fatal("Encode:", sum, size, err)
	}
	return stored.Bytes(), sum
}

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "data")
		stored, sum := encode(t, data)
		again, _ := encode(t, data)
		if !bytes.Equal(stored, again) {
			t.Fatal("encoding is not deterministic")
		}
		r, err := NewReader(bytes.NewReader(stored), sum, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatal("decoded", len(got), "bytes:", err)
		}
	})
}

func TestDamageAndBombsAreMismatches(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("a"), 64<<20) // a bomb: 64 MiB in a few KiB
	stored, sum := encode(t, data)
	for name, in := range map[string]struct {
		stored []byte
		size   int64
	}{
		"bomb beyond the signed size": {stored, 100},
		"cut":                         {stored[:len(stored)/2], int64(len(data))},
		"no zstd":                     {[]byte("plain text"), int64(len(data))},
		"nothing":                     {nil, int64(len(data))},
	} {
		r, err := NewReader(bytes.NewReader(in.stored), sum, in.size)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if !errors.Is(err, digest.ErrMismatch) || n > in.size {
			t.Errorf("%s: gave %d bytes, error %v", name, n, err)
		}
		r.Close()
	}
}

package lz_test

import (
	"bytes"
	"errors"
	"testing"

	"uplevel/internal/delta/lz"
	"uplevel/internal/delta/rangecode"
)

// FuzzDecode: whatever a code asks for, nothing outside is touched, and what is refused is
// refused with one of two errors.
func FuzzDecode(f *testing.F) {
	old, target := source(f, "parse.go"), source(f, "offer.go")
	code := lz.Encode(old, target)
	f.Add(old, code, uint16(len(target)))
	f.Add(old, code[:len(code)/3], uint16(len(target)))
	f.Add([]byte{}, lz.Encode(nil, target), uint16(len(target)))
	f.Add(old, lz.Encode(old, append([]byte("x"), old...)), uint16(len(old)+1))
	f.Add([]byte{}, []byte{0xff, 0xff, 0xff, 0xff, 0xff}, uint16(300))
	f.Fuzz(func(t *testing.T, old, code []byte, n uint16) {
		before := bytes.Clone(old)
		room := make([]byte, int(n)+64)
		for i := range room {
			room[i] = 0xa5
		}
		err := lz.Decode(room[32:32+int(n)], old, code)
		if err != nil && !errors.Is(err, lz.ErrCode) && !errors.Is(err, rangecode.ErrEnd) {
			t.Errorf("got %v", err)
		}
		around := append(bytes.Clone(room[:32]), room[32+int(n):]...)
		if !bytes.Equal(around, bytes.Repeat([]byte{0xa5}, 64)) || !bytes.Equal(old, before) {
			t.Error("something outside was written")
		}
	})
}

// FuzzRoundTrip: decode∘encode is the identity.
func FuzzRoundTrip(f *testing.F) {
	a, b := source(f, "parse.go"), source(f, "offer.go")
	f.Add(a, b)
	f.Add(a, append(bytes.ReplaceAll(a, []byte("price"), []byte("cost")), a[:900]...))
	f.Add(b, bytes.Repeat(b[:77], 30))
	f.Add([]byte{}, a)
	f.Fuzz(func(t *testing.T, old, target []byte) {
		roundTrip(t, old, target)
	})
}

package edit_test

import (
	"bytes"
	"testing"

	"uplevel/internal/delta/edit"
)

// FuzzDecode gives any code to Decode: it ends, writes nothing outside, and makes the same
// again whatever lay there.
func FuzzDecode(f *testing.F) {
	for _, pair := range [][2][]byte{
		{program()[:3000], program(3, 9)[:3000]},
		{headers(f)[:2000], headers(f, 3, 5)[:2000]},
		{nil, []byte("new")},
		{[]byte("old and gone"), nil},
		{[]byte("the same"), []byte("the same")},
	} {
		code := edit.Encode(pair[0], pair[1])
		f.Add(pair[0], code, uint16(len(pair[1])))
		f.Add(pair[0], code[:len(code)/2], uint16(len(pair[1])))
		f.Add(pair[1], code, uint16(2*len(pair[1])))
	}
	f.Fuzz(func(t *testing.T, old, code []byte, size uint16) {
		was := bytes.Clone(old)
		room := bytes.Repeat([]byte{0x5a}, int(size)+64)
		err := edit.Decode(room[32:32+int(size)], old, code)
		if !bytes.Equal(old, was) {
			t.Fatal("old was changed")
		}
		for i := range 32 {
			if room[i] != 0x5a || room[len(room)-1-i] != 0x5a {
				t.Fatal("it wrote outside")
			}
		}
		again := make([]byte, size)
		if other := edit.Decode(again, old, code); (err == nil) != (other == nil) {
			t.Fatalf("once %v, once %v", err, other)
		}
		if err == nil && !bytes.Equal(again, room[32:32+int(size)]) {
			t.Fatal("what lay in new matters")
		}
	})
}

// FuzzRoundTrip: whatever is encoded comes back.
func FuzzRoundTrip(f *testing.F) {
	f.Add(program()[:3000], program(3, 9)[:3000])
	f.Add(headers(f)[:2000], headers(f, 3, 5)[:2000])
	f.Add([]byte("banana bandana"), []byte("a bandana, bananas"))
	f.Add(bytes.Repeat([]byte{0}, 700), bytes.Repeat([]byte{0}, 900))
	f.Add([]byte{}, []byte("all new"))
	f.Add([]byte("all gone"), []byte{})
	f.Fuzz(func(t *testing.T, old, now []byte) { check(t, old, now) })
}

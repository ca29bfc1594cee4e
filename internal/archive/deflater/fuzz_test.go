package deflater

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzDeflate compresses anything, cut into writes anyhow: it is inflated to what it was,
// is what zlib gives, and is found out.
func FuzzDeflate(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	f.Add(text(r, nil, 3000), byte(0), uint16(100))
	f.Add(class(r, nil, 3000), byte(11), uint16(0))
	f.Add(copies(r, nil, 4000), byte(20), uint16(7))
	f.Add(fibonacci(r, nil, 2500), byte(45), uint16(1))
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaab"), byte(60), uint16(3))
	f.Add([]byte("abc"), byte(80), uint16(1))
	f.Add([]byte{}, byte(3), uint16(1))
	f.Fuzz(func(t *testing.T, content []byte, which byte, cut uint16) {
		if len(content) > 256<<10 {
			return
		}
		all := every()
		p := all[int(which)%len(all)]
		if err := same(t, content, p, int(cut)+1); err != nil {
			t.Fatal(err)
		}
		if len(content) > 8<<10 {
			return
		}
		packed := ours(t, content, p)
		opened := 0
		found, ok, err := NewFinder().Find(section(packed), opener(content, &opened))
		if !ok || err != nil || !bytes.Equal(ours(t, content, found), packed) {
			t.Fatalf("%v was found as %v, %v, %v", p, found, ok, err)
		}
	})
}

package rangecode_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/delta/rangecode"
)

// mixing codes bits that depend on a context, seen by one of two guesses, the other being of
// no use.
func mixing(c *rangecode.Coder, bits []uint32) []uint32 {
	useful, useless := make([]rangecode.Bit, 2), make([]rangecode.Bit, 1)
	rangecode.Reset(useful)
	rangecode.Reset(useless)
	weights := make([]int32, 2)
	rangecode.Weigh(weights)
	curve := rangecode.NewCurve()
	got := make([]uint32, len(bits))
	last := uint32(0)
	for i, b := range bits {
		var g rangecode.Mixed
		g.Begin(weights)
		g.Add(&useless[0])
		g.Add(&useful[last])
		last = g.Code(c, curve, b)
		got[i] = last
	}
	return got
}

func TestWhatIsMixedComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Uint32Range(0, 1), 0, 2000).Draw(t, "bits")
		e := rangecode.NewEncoder(nil)
		mixing(rangecode.Encoding(e), bits)
		d := rangecode.NewDecoder(e.Close())
		for i, got := range mixing(rangecode.Decoding(d), make([]uint32, len(bits))) {
			if got != bits[i] {
				t.Fatalf("bit %d is %d", i, got)
			}
		}
		if err := d.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheBetterGuessComesToCount(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	bits := make([]uint32, 40_000)
	for i := 1; i < len(bits); i++ { // as the last one, but for one in fifty
		bits[i] = bits[i-1]
		if r.IntN(50) == 0 {
			bits[i] ^= 1
		}
	}
	e := rangecode.NewEncoder(nil)
	mixing(rangecode.Encoding(e), bits)
	if n := len(e.Close()); n > 900 { // 707 bytes hold what cannot be foreseen
		t.Errorf("%d bits take %d bytes", len(bits), n)
	}
}

package suffix

import (
	"bytes"
	"index/suffixarray"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// text draws bytes of few or many letters, with repetitions.
func text(t *rapid.T, name string, most int) []byte {
	letters := rapid.SampledFrom([]int{1, 2, 3, 20, 256}).Draw(t, name+" letters")
	all := rapid.SliceOfN(rapid.IntRange(0, letters-1), 0, most).Draw(t, name)
	out := make([]byte, 0, len(all))
	for _, c := range all {
		out = append(out, byte(c))
		if c%7 == 3 && len(out) > 4 { // what was there before comes again
			out = append(out, out[len(out)/4:len(out)/2]...)
		}
		if len(out) > 1<<14 {
			break
		}
	}
	if rapid.Bool().Draw(t, name+" high") {
		for i := range out {
			out[i] ^= 255
		}
	}
	return out
}

func TestSuffixesAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := text(t, "text", 300)
		order := suffixes(text)
		want := make([]int32, len(text))
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortFunc(want, func(a, b int32) int { return bytes.Compare(text[a:], text[b:]) })
		if !slices.Equal(order, want) {
			t.Fatalf("of %v: %v, not %v", text, order, want)
		}
	})
}

func TestTheLongestIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old, s := text(t, "old", 200), text(t, "s", 40)
		if len(old) > 0 && rapid.Bool().Draw(t, "from it") {
			s = append(slices.Clone(old[rapid.IntRange(0, len(old)-1).Draw(t, "at"):]), s...)
		}
		at, n := NewIndex(old).Longest(s)
		if !bytes.Equal(old[at:at+n], s[:n]) {
			t.Fatalf("%v is not at %d of %v", s[:n], at, old)
		}
		if n+1 >= 2 && n < len(s) && len(suffixarray.New(old).Lookup(s[:n+1], 1)) > 0 && n+1 >= 2 {
			t.Fatalf("%v has more than %d bytes of %v", old, n, s)
		}
	})
}

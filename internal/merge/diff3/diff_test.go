package diff3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// letters makes a sequence of a word.
func letters(s string) []int {
	var out []int
	for _, c := range []byte(s) {
		out = append(out, int(c))
	}
	return out
}

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, a, b, want string }{
		{"nothing at all", "", "", ""},
		{"equal", "abc", "abc", ""},
		{"from nothing", "", "ab", "0,0>0,2"},
		{"to nothing", "ab", "", "0,2>0,0"},
		{"one changed", "abc", "axc", "1,2>1,2"},
		{"both ends", "abc", "xbz", "0,1>0,1 2,3>2,3"},
		{"inserted in a run: at its end", "abbc", "abbbc", "3,3>3,4"},
		{"a block slides down as far as it goes", "a{x}b", "a{x}{x}b", "4,4>4,7"},
		{"a group meets another and both go on as one", "xaya", "xa", "2,4>2,2"},
		{"opposite a change of the other side", "abbbc", "axbc", "1,3>1,2"},
	} {
		hunks, err := diff(letters(c.a), letters(c.b), maxDifferences)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, h := range hunks {
			got = append(got, fmt.Sprintf("%d,%d>%d,%d", h.a.From, h.a.To, h.b.From, h.b.To))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s to %s: got %q, want %q", c.name, c.a, c.b, s, c.want)
		}
	}
}

// elements draws a sequence of few different elements.
func elements(t *rapid.T, name string) []int {
	return rapid.SliceOfN(rapid.IntRange(0, rapid.IntRange(1, 9).Draw(t, name+" kinds")), 0, 60).Draw(t, name)
}

func TestDiffTurnsOneIntoTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := elements(t, "a"), elements(t, "b")
		hunks, err := diff(a, b, maxDifferences)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		at := 0
		for i, h := range hunks {
			if i > 0 && h.a.From <= hunks[i-1].a.To || h.a.Len()+h.b.Len() == 0 {
				t.Fatal("hunks touch or are empty", hunks)
			}
			got = append(append(got, a[at:h.a.From]...), b[h.b.From:h.b.To]...)
			at = h.a.To
		}
		if got = append(got, a[at:]...); !slices.Equal(got, b) {
			t.Fatal("got", got, "by", hunks)
		}
	})
}

// far returns two long sequences that differ in about n places without a unique element.
func far(size, n int) (a, b []int) {
	seed := uint64(1)
	next := func(below int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed>>33) % below
	}
	for range size {
		a = append(a, next(50))
	}
	b = slices.Clone(a)
	for range n {
		b[next(size)] = next(50)
	}
	return a, b
}

func TestTheWorkOfADiffIsBounded(t *testing.T) {
	t.Parallel()
	a, b := far(200_000, 1_000)
	if _, err := diff(a, b, maxDifferences); err != nil {
		t.Error("1,000 changes:", err)
	}
	a, b = far(200_000, 100_000)
	if _, err := diff(a, b, maxDifferences); !errors.Is(err, ErrTooDifferent) {
		t.Error("100,000 changes:", err)
	}
	if _, err := Regions(a, b, a); !errors.Is(err, ErrTooDifferent) {
		t.Error("mine:", err)
	}
	if _, err := Regions(a, a, b); !errors.Is(err, ErrTooDifferent) {
		t.Error("theirs:", err)
	}
	// What only one side has is not searched, however much it is.
	for i := range a {
		a[i], b[i] = 2*i, 2*i+1
	}
	if hunks, err := diff(a, b, 0); err != nil || len(hunks) != 1 {
		t.Error("all differs:", len(hunks), err)
	}
}

func TestDiff3(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs, want string }{
		{"nothing", "", "", "", ""},
		{"all alike", "ab", "ab", "ab", "stable(ab ab ab)"},
		{"one side each", "abc", "xbc", "aby", "mine only(a x a) stable(b b b) theirs only(c c y)"},
		{"touching", "ab", "xb", "ay", "clash(ab xb ay)"},
		{"touching by an insertion", "ab", "axb", "a", "stable(a a a) clash(b xb )"},
		{"alike", "abc", "axc", "axc", "stable(a a a) alike(b x x) stable(c c c)"},
		{"both deleted", "abc", "ac", "ac", "stable(a a a) alike(b  ) stable(c c c)"},
		{"equally long", "abcd", "xycz", "xvcz", "alike(a x x) clash(b y v) stable(c c c) alike(d z z)"},
		{"Alike at the ends", "a", "pxs", "pys", "alike( p p) clash(a x y) alike( s s)"},
		{"both added the file", "", "pxs", "pyys", "alike( p p) clash( x yy) alike( s s)"},
		{"one has more of the same", "a", "p", "pq", "alike( p p) clash(a  q)"},
		{"a chain of overlaps", "abcdef", "xxcyyf", "azzzeg", "clash(abcdef xxcyyf azzzeg)"},
	} {
		b, m, th := letters(c.base), letters(c.mine), letters(c.theirs)
		regions, err := Regions(b, m, th)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, r := range regions {
			got = append(got, fmt.Sprintf("%s(%s %s %s)", r.Change, c.base[r.Base.From:r.Base.To],
				c.mine[r.Mine.From:r.Mine.To], c.theirs[r.Theirs.From:r.Theirs.To]))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}

func TestRegionsCoverAllSidesAndAreWhatTheySay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := elements(t, "base"), elements(t, "mine"), elements(t, "theirs")
		regions, err := Regions(base, mine, theirs)
		if err != nil {
			t.Fatal(err)
		}
		var at Region
		for _, r := range regions {
			if r.Base.From != at.Base.To || r.Mine.From != at.Mine.To || r.Theirs.From != at.Theirs.To {
				t.Fatal("a gap before", r)
			}
			at = r
			b, m, th := base[r.Base.From:r.Base.To], mine[r.Mine.From:r.Mine.To], theirs[r.Theirs.From:r.Theirs.To]
			if len(b)+len(m)+len(th) == 0 {
				t.Fatal("an empty Region", r)
			}
			bm, bt, mt := slices.Equal(b, m), slices.Equal(b, th), slices.Equal(m, th)
			ok := map[Change]bool{
				Stable: bm && bt, MineOnly: bt && !bm, TheirsOnly: bm && !bt, Alike: mt, Clash: !mt,
			}
			if !ok[r.Change] {
				t.Fatal("wrong about", r)
			}
		}
		if at.Base.To != len(base) || at.Mine.To != len(mine) || at.Theirs.To != len(theirs) {
			t.Fatal("the end is not covered", regions)
		}
	})
}

package diff3

import (
	"slices"
)

// maxDifferences bounds the work of one diff.
const maxDifferences = 4_000

// hunk is one difference: a's span became b's.
type hunk struct{ a, b Span }

// sequence is one side of a diff: its elements, and which the other side lacks.
type sequence struct {
	elements []int
	changed  []bool
}

// diff tells two sequences apart, in the way of Myers' O(ND) algorithm. Elements are small
// numbers from 0, as interning gives them; each is counted. It works in the steps and with
// the choices of git's xdiff, so that the same one of many shortest answers comes out.
// More differences than work are [ErrTooDifferent]; elements that only one side has cost nothing.
func diff(a, b []int, work int) ([]hunk, error) {
	x := sequence{a, make([]bool, len(a))}
	y := sequence{b, make([]bool, len(b))}
	inner := trim(a, b)
	placesX := x.hopeful(inner.a, count(b, a))
	s := newSearch(x, placesX, y, y.hopeful(inner.b, count(a, b)), work)
	if err := s.compare(s.all(), false); err != nil {
		return nil, err
	}
	x.compact(y)
	y.compact(x)
	return hunks(x, y), nil
}

// trim returns what common ends leave of both.
func trim(a, b []int) hunk {
	from, most := 0, min(len(a), len(b))
	for from < most && a[from] == b[from] {
		from++
	}
	end := 0
	for end < most-from && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return hunk{Span{from, len(a) - end}, Span{from, len(b) - end}}
}

// count says how often each element stands in a; it has room for those of b.
func count(a, b []int) []int32 {
	most := -1
	for _, elements := range [][]int{a, b} {
		if len(elements) > 0 {
			most = max(most, slices.Max(elements))
		}
	}
	times := make([]int32, most+1)
	for _, e := range a {
		times[e]++
	}
	return times
}

// hope says what an element may contribute to an alignment.
type hope byte

const (
	none hope = iota // the other side lacks it
	some
	weak // it is as frequent as a blank line or a brace
)

// hopeful returns the places in s that are worth comparing, and marks the others as
// changed: elements that the other side lacks, and frequent ones in the midst of such,
// which would only be aligned by chance. other counts the other side's elements.
func (s sequence) hopeful(within Span, other []int32) []int {
	frequent := min(roughRoot(len(s.elements)), 1024)
	hopes := make([]hope, within.Len())
	for i := range hopes {
		switch times := int(other[s.elements[within.From+i]]); {
		case times >= frequent:
			hopes[i] = weak
		case times > 0:
			hopes[i] = some
		}
	}
	places := make([]int, 0, len(hopes))
	for i, h := range hopes {
		if h == some || h == weak && !hopeless(hopes, i) {
			places = append(places, within.From+i)
		} else {
			s.changed[within.From+i] = true
		}
	}
	return places
}

// hopeless reports whether a frequent element stands among elements that the other side
// lacks: some on either hand, and at least three times as many as frequent ones.
func hopeless(hopes []hope, at int) bool {
	const window = 100
	lacking, frequent := 0, 0
	for _, step := range []int{-1, 1} {
		here := 0
		for i := at + step; i >= max(0, at-window) && i < min(len(hopes), at+window+1) && hopes[i] != some; i += step {
			if hopes[i] == none {
				here++
			}
			if hopes[i] == weak {
				frequent++
			}
		}
		if here == 0 {
			return false
		}
		lacking += here
	}
	return lacking > 3*(frequent+2)
}

// roughRoot is the next power of two above the square root, more or less.
func roughRoot(n int) int {
	root := 1
	for ; n > 0; n >>= 2 {
		root <<= 1
	}
	return root
}

// hunks lists what is marked as changed.
func hunks(x, y sequence) []hunk {
	var all []hunk
	i, j := 0, 0
	for i < len(x.elements) || j < len(y.elements) {
		h := hunk{x.group(i), y.group(j)}
		if h.a.Len()+h.b.Len() > 0 {
			all = append(all, h)
		}
		i, j = h.a.To+1, h.b.To+1
	}
	return all
}

// group returns the changed elements that begin at a place; they may be none.
func (s sequence) group(from int) Span {
	g := Span{from, from}
	for g.To < len(s.changed) && s.changed[g.To] {
		g.To++
	}
	return g
}

// before returns the group that ends before the element in front of g.
func (s sequence) before(g Span) Span {
	p := Span{g.From - 1, g.From - 1}
	for p.From > 0 && s.changed[p.From-1] {
		p.From--
	}
	return p
}

// up moves a group to the one element before it where that says the same, and takes in a
// group that it meets.
func (s sequence) up(g *Span) bool {
	if g.From == 0 || s.elements[g.From-1] != s.elements[g.To-1] {
		return false
	}
	g.From, g.To = g.From-1, g.To-1
	s.changed[g.From], s.changed[g.To] = true, false
	for g.From > 0 && s.changed[g.From-1] {
		g.From--
	}
	return true
}

// down is the way back.
func (s sequence) down(g *Span) bool {
	if g.To == len(s.elements) || s.elements[g.From] != s.elements[g.To] {
		return false
	}
	s.changed[g.From], s.changed[g.To] = false, true
	g.From, g.To = g.From+1, g.To+1
	g.To = s.group(g.To).To
	return true
}

// compact moves each group of changes as far down as it goes, after it was moved up to
// merge with those it meets; but where it can stand opposite a group of the other side,
// the lowest such place is taken.
func (s sequence) compact(other sequence) {
	g, o := s.group(0), other.group(0)
	for {
		if g.Len() > 0 {
			g, o = s.settle(g, other, o)
		}
		if g.To >= len(s.elements) {
			return
		}
		g, o = s.group(g.To+1), other.group(o.To+1)
	}
}

// settle moves one group, and the place opposite it with it.
func (s sequence) settle(g Span, other sequence, o Span) (Span, Span) {
	highest, opposite := 0, false
	for size := -1; size != g.Len(); {
		size = g.Len()
		for s.up(&g) {
			o = other.before(o)
		}
		highest, opposite = g.To, o.Len() > 0
		for s.down(&g) {
			o = other.group(o.To + 1)
			opposite = opposite || o.Len() > 0
		}
	}
	if !opposite || g.To == highest {
		return g, o
	}
	for o.Len() == 0 && s.up(&g) {
		o = other.before(o)
	}
	return g, o
}

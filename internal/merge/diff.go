package merge

import (
	"fmt"
	"math"
	"slices"
)

// maxDifferences bounds the work of one diff.
const maxDifferences = 4_000

// hunk is one difference: a's span became b's.
type hunk struct{ a, b span }

// sequence is one side of a diff: its elements, and which the other side lacks.
type sequence struct {
	elements []int
	changed  []bool
}

// diff tells two sequences apart, in the way of Myers' O(ND) algorithm. Elements are small
// numbers from 0, as interning gives them; each is counted. It works in the steps and with
// the choices of git's xdiff, so that the same one of many shortest answers comes out.
// More differences than work are [ErrWhole]; elements that only one side has cost nothing.
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
	return hunk{span{from, len(a) - end}, span{from, len(b) - end}}
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
func (s sequence) hopeful(within span, other []int32) []int {
	frequent := min(roughRoot(len(s.elements)), 1024)
	hopes := make([]hope, within.len())
	for i := range hopes {
		switch times := int(other[s.elements[within.from+i]]); {
		case times >= frequent:
			hopes[i] = weak
		case times > 0:
			hopes[i] = some
		}
	}
	places := make([]int, 0, len(hopes))
	for i, h := range hopes {
		if h == some || h == weak && !hopeless(hopes, i) {
			places = append(places, within.from+i)
		} else {
			s.changed[within.from+i] = true
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
		if h.a.len()+h.b.len() > 0 {
			all = append(all, h)
		}
		i, j = h.a.to+1, h.b.to+1
	}
	return all
}

// group returns the changed elements that begin at a place; they may be none.
func (s sequence) group(from int) span {
	g := span{from, from}
	for g.to < len(s.changed) && s.changed[g.to] {
		g.to++
	}
	return g
}

// before returns the group that ends before the element in front of g.
func (s sequence) before(g span) span {
	p := span{g.from - 1, g.from - 1}
	for p.from > 0 && s.changed[p.from-1] {
		p.from--
	}
	return p
}

// up moves a group to the one element before it where that says the same, and takes in a
// group that it meets.
func (s sequence) up(g *span) bool {
	if g.from == 0 || s.elements[g.from-1] != s.elements[g.to-1] {
		return false
	}
	g.from, g.to = g.from-1, g.to-1
	s.changed[g.from], s.changed[g.to] = true, false
	for g.from > 0 && s.changed[g.from-1] {
		g.from--
	}
	return true
}

// down is the way back.
func (s sequence) down(g *span) bool {
	if g.to == len(s.elements) || s.elements[g.from] != s.elements[g.to] {
		return false
	}
	s.changed[g.from], s.changed[g.to] = false, true
	g.from, g.to = g.from+1, g.to+1
	g.to = s.group(g.to).to
	return true
}

// compact moves each group of changes as far down as it goes, after it was moved up to
// merge with those it meets; but where it can stand opposite a group of the other side,
// the lowest such place is taken.
func (s sequence) compact(other sequence) {
	g, o := s.group(0), other.group(0)
	for {
		if g.len() > 0 {
			g, o = s.settle(g, other, o)
		}
		if g.to >= len(s.elements) {
			return
		}
		g, o = s.group(g.to+1), other.group(o.to+1)
	}
}

// settle moves one group, and the place opposite it with it.
func (s sequence) settle(g span, other sequence, o span) (span, span) {
	highest, opposite := 0, false
	for size := -1; size != g.len(); {
		size = g.len()
		for s.up(&g) {
			o = other.before(o)
		}
		highest, opposite = g.to, o.len() > 0
		for s.down(&g) {
			o = other.group(o.to + 1)
			opposite = opposite || o.len() > 0
		}
	}
	if !opposite || g.to == highest {
		return g, o
	}
	for o.len() == 0 && s.up(&g) {
		o = other.before(o)
	}
	return g, o
}

// The habits of the search.
const (
	longRun = 20  // equal elements that say that an alignment is no chance
	eager   = 256 // differences after which it may go on from such a run
	never   = math.MaxInt
)

// search finds the changed ones among the elements that are worth comparing.
type search struct {
	x, y              sequence
	placesX, placesY  []int // of the elements compared
	a, b              []int // the elements compared
	forward, backward front
	left, patience    int
}

func newSearch(x sequence, placesX []int, y sequence, placesY []int, work int) *search {
	s := &search{x: x, y: y, placesX: placesX, placesY: placesY, left: work}
	s.a, s.b = x.at(placesX), y.at(placesY)
	s.patience = max(256, roughRoot(len(s.a)+len(s.b)+3))
	reach := min(work, len(s.a)+len(s.b)) + 2
	s.forward = front{at: make([]int, 2*reach+1), zero: reach, unknown: -1}
	s.backward = front{at: make([]int, 2*reach+1), zero: reach, unknown: never}
	return s
}

func (s sequence) at(places []int) []int {
	out := make([]int, 0, len(places))
	for _, i := range places {
		out = append(out, s.elements[i])
	}
	return out
}

func (s *search) all() hunk { return hunk{span{0, len(s.a)}, span{0, len(s.b)}} }

// compare marks the differences within a box of both sequences. An exact search never
// gives up the shortest way to be done earlier.
func (s *search) compare(box hunk, exact bool) error {
	inner := trim(s.a[box.a.from:box.a.to], s.b[box.b.from:box.b.to])
	box = hunk{
		span{box.a.from + inner.a.from, box.a.from + inner.a.to},
		span{box.b.from + inner.b.from, box.b.from + inner.b.to},
	}
	if box.a.len() == 0 || box.b.len() == 0 {
		for _, i := range s.placesX[box.a.from:box.a.to] {
			s.x.changed[i] = true
		}
		for _, j := range s.placesY[box.b.from:box.b.to] {
			s.y.changed[j] = true
		}
		return nil
	}
	at, err := s.split(box, exact)
	if err != nil {
		return err
	}
	low := hunk{span{box.a.from, at.a}, span{box.b.from, at.b}}
	high := hunk{span{at.a, box.a.to}, span{at.b, box.b.to}}
	if err := s.compare(low, at.exactLow); err != nil {
		return err
	}
	return s.compare(high, at.exactHigh)
}

// front is how far into a the search came from one end, by diagonal: place in a less
// place in b.
type front struct {
	at          []int
	zero        int // index of the diagonal that the search began on
	unknown     int
	mid, lo, hi int
}

func (f *front) begin(a, b int) {
	f.mid, f.lo, f.hi = a-b, a-b, a-b
	f.at[f.zero] = a
}

func (f *front) get(d int) int { return f.at[d-f.mid+f.zero] }

func (f *front) set(d, a int) { f.at[d-f.mid+f.zero] = a }

// widen goes on to the diagonals of the next step within the bounds; outside of them, only
// every second diagonal is left.
func (f *front) widen(lo, hi int) {
	if f.lo > lo {
		f.lo--
		f.set(f.lo-1, f.unknown)
	} else {
		f.lo++
	}
	if f.hi < hi {
		f.hi++
		f.set(f.hi+1, f.unknown)
	} else {
		f.hi--
	}
}

func (f *front) has(d int) bool { return f.lo <= d && d <= f.hi }

// place is where a box is split, and whether the searches in its parts are exact.
type place struct {
	a, b                int
	exactLow, exactHigh bool
}

// split searches a way through a box from both ends at once, until they meet.
func (s *search) split(box hunk, exact bool) (place, error) {
	lo, hi := box.a.from-box.b.to, box.a.to-box.b.from
	s.forward.begin(box.a.from, box.b.from)
	s.backward.begin(box.a.to, box.b.to)
	odd := (s.forward.mid - s.backward.mid) & 1
	for cost := 1; ; cost++ {
		if spent := 2*cost - odd; spent > s.left && !exact || cost > s.forward.zero-2 {
			return place{}, fmt.Errorf("%w: it has too many differences", ErrWhole)
		}
		s.forward.widen(lo, hi)
		at, met, run := s.stepForward(box, odd == 1)
		if met {
			return s.pay(at, 2*cost-1, exact), nil
		}
		s.backward.widen(lo, hi)
		at, met, back := s.stepBackward(box, odd == 0)
		if met {
			return s.pay(at, 2*cost, exact), nil
		}
		if exact {
			continue
		}
		if (run || back) && cost > eager {
			if at, ok := s.promising(box, cost); ok {
				return s.pay(at, cost, exact), nil
			}
		}
		if cost >= s.patience {
			return s.pay(s.furthest(box), cost, exact), nil
		}
	}
}

// pay takes the differences found from the work that is left. The parts of what is known
// to be a shortest way are not paid again.
func (s *search) pay(at place, cost int, exact bool) place {
	if !exact {
		s.left -= cost
	}
	return at
}

func (s *search) stepForward(box hunk, meet bool) (at place, met, run bool) {
	f, b := &s.forward, &s.backward
	for d := f.hi; d >= f.lo; d -= 2 {
		i := max(f.get(d-1)+1, f.get(d+1))
		from := i
		for i < box.a.to && i-d < box.b.to && s.a[i] == s.b[i-d] {
			i++
		}
		run = run || i-from > longRun
		f.set(d, i)
		if meet && b.has(d) && b.get(d) <= i {
			return place{i, i - d, true, true}, true, run
		}
	}
	return place{}, false, run
}

func (s *search) stepBackward(box hunk, meet bool) (at place, met, run bool) {
	f, b := &s.forward, &s.backward
	for d := b.hi; d >= b.lo; d -= 2 {
		i := min(b.get(d-1), b.get(d+1)-1)
		from := i
		for i > box.a.from && i-d > box.b.from && s.a[i-1] == s.b[i-d-1] {
			i--
		}
		run = run || from-i > longRun
		b.set(d, i)
		if meet && f.has(d) && i <= f.get(d) {
			return place{i, i - d, true, true}, true, run
		}
	}
	return place{}, false, run
}

// promising looks for a long run at the end of a way that is far ahead of its cost.
func (s *search) promising(box hunk, cost int) (place, bool) {
	best, at := 4*cost, place{}
	for d := s.forward.hi; d >= s.forward.lo; d -= 2 {
		i := s.forward.get(d)
		gain := i - box.a.from + i - d - box.b.from - abs(d-s.forward.mid)
		if gain > best && i < box.a.to && i-d < box.b.to && s.run(box, i-longRun, i-d-longRun) {
			best, at = gain, place{i, i - d, true, false}
		}
	}
	if best > 4*cost {
		return at, true
	}
	for d := s.backward.hi; d >= s.backward.lo; d -= 2 {
		i := s.backward.get(d)
		gain := box.a.to - i + box.b.to - (i - d) - abs(d-s.backward.mid)
		if gain > best && i > box.a.from && i-d > box.b.from && s.run(box, i, i-d) {
			best, at = gain, place{i, i - d, false, true}
		}
	}
	return at, best > 4*cost
}

// run reports whether a long run of equal elements begins at a place.
func (s *search) run(box hunk, i, j int) bool {
	return i >= box.a.from && j >= box.b.from && i+longRun <= box.a.to && j+longRun <= box.b.to &&
		slices.Equal(s.a[i:i+longRun], s.b[j:j+longRun])
}

// furthest gives up the shortest way: it splits where one of both fronts is furthest.
func (s *search) furthest(box hunk) place {
	ahead, at := -1, place{}
	for d := s.forward.hi; d >= s.forward.lo; d -= 2 {
		i := min(s.forward.get(d), box.a.to, box.b.to+d)
		if i+i-d > ahead {
			ahead, at = i+i-d, place{i, i - d, true, false}
		}
	}
	behind, back := never, place{}
	for d := s.backward.hi; d >= s.backward.lo; d -= 2 {
		i := max(s.backward.get(d), box.a.from, box.b.from+d)
		if i+i-d < behind {
			behind, back = i+i-d, place{i, i - d, false, true}
		}
	}
	if box.a.to+box.b.to-behind < ahead-box.a.from-box.b.from {
		return at
	}
	return back
}

func abs(n int) int { return max(n, -n) }

package diff3

import (
	"math"
	"slices"
)

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

func (s *search) all() hunk { return hunk{Span{0, len(s.a)}, Span{0, len(s.b)}} }

// compare marks the differences within a box of both sequences. An exact search never
// gives up the shortest way to be done earlier.
func (s *search) compare(box hunk, exact bool) error {
	inner := trim(s.a[box.a.From:box.a.To], s.b[box.b.From:box.b.To])
	box = hunk{
		Span{box.a.From + inner.a.From, box.a.From + inner.a.To},
		Span{box.b.From + inner.b.From, box.b.From + inner.b.To},
	}
	if box.a.Len() == 0 || box.b.Len() == 0 {
		for _, i := range s.placesX[box.a.From:box.a.To] {
			s.x.changed[i] = true
		}
		for _, j := range s.placesY[box.b.From:box.b.To] {
			s.y.changed[j] = true
		}
		return nil
	}
	at, err := s.split(box, exact)
	if err != nil {
		return err
	}
	low := hunk{Span{box.a.From, at.a}, Span{box.b.From, at.b}}
	high := hunk{Span{at.a, box.a.To}, Span{at.b, box.b.To}}
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
	lo, hi := box.a.From-box.b.To, box.a.To-box.b.From
	s.forward.begin(box.a.From, box.b.From)
	s.backward.begin(box.a.To, box.b.To)
	odd := (s.forward.mid - s.backward.mid) & 1
	for cost := 1; ; cost++ {
		if spent := 2*cost - odd; spent > s.left && !exact || cost > s.forward.zero-2 {
			return place{}, ErrTooDifferent
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
		for i < box.a.To && i-d < box.b.To && s.a[i] == s.b[i-d] {
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
		for i > box.a.From && i-d > box.b.From && s.a[i-1] == s.b[i-d-1] {
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
		gain := i - box.a.From + i - d - box.b.From - abs(d-s.forward.mid)
		if gain > best && i < box.a.To && i-d < box.b.To && s.run(box, i-longRun, i-d-longRun) {
			best, at = gain, place{i, i - d, true, false}
		}
	}
	if best > 4*cost {
		return at, true
	}
	for d := s.backward.hi; d >= s.backward.lo; d -= 2 {
		i := s.backward.get(d)
		gain := box.a.To - i + box.b.To - (i - d) - abs(d-s.backward.mid)
		if gain > best && i > box.a.From && i-d > box.b.From && s.run(box, i, i-d) {
			best, at = gain, place{i, i - d, false, true}
		}
	}
	return at, best > 4*cost
}

// run reports whether a long run of equal elements begins at a place.
func (s *search) run(box hunk, i, j int) bool {
	return i >= box.a.From && j >= box.b.From && i+longRun <= box.a.To && j+longRun <= box.b.To &&
		slices.Equal(s.a[i:i+longRun], s.b[j:j+longRun])
}

// furthest gives up the shortest way: it splits where one of both fronts is furthest.
func (s *search) furthest(box hunk) place {
	ahead, at := -1, place{}
	for d := s.forward.hi; d >= s.forward.lo; d -= 2 {
		i := min(s.forward.get(d), box.a.To, box.b.To+d)
		if i+i-d > ahead {
			ahead, at = i+i-d, place{i, i - d, true, false}
		}
	}
	behind, back := never, place{}
	for d := s.backward.hi; d >= s.backward.lo; d -= 2 {
		i := max(s.backward.get(d), box.a.From, box.b.From+d)
		if i+i-d < behind {
			behind, back = i+i-d, place{i, i - d, false, true}
		}
	}
	if box.a.To+box.b.To-behind < ahead-box.a.From-box.b.From {
		return at
	}
	return back
}

func abs(n int) int { return max(n, -n) }

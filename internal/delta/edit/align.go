package edit

import (
	"encoding/binary"

	"uplevel/internal/delta/edit/suffix"
)

// What was found by trial on class files, archives' directories and native code.
const (
	enough  = 32 // equal bytes along an alignment after which no other is looked for
	least   = 6  // equal bytes for which another is looked at,
	leastBy = 4  // or one near by
	cost    = 8  // equal bytes that another must have more,
	costBy  = 5  // or one near by,
	window  = 32 // of so many bytes or as many as are equal
	nearby  = 64 // bytes to both sides that are near by
	lost    = 1024
	longest = 1 << 14 // equal bytes that are counted
	drop    = 128     // points lost after which an alignment is not worth going on
)

// align finds alignments of new to old, in the order of new.
func align(old, now []byte) []alignment {
	a := &aligner{old: old, new: now, index: suffix.NewIndex(old)}
	for i := 0; i < len(now); {
		same := a.same(i)
		if same > leastBy {
			a.known = i + same
		}
		if same >= enough {
			i += same
			continue
		}
		if at := a.better(i); at >= 0 {
			i = a.turn(i, at)
			a.known = i
			continue
		}
		i += same + 1
	}
	a.keep(a.forward(len(now)))
	return a.all
}

type aligner struct {
	old, new []byte
	index    *suffix.Index
	all      []alignment
	current  alignment // its size is not known yet
	known    int       // where equal bytes ended last
}

// same counts the equal bytes along the current alignment from i of new on.
func (a *aligner) same(i int) int {
	o := a.current.old + i - a.current.new
	return suffix.Common(a.new[i:], a.old[min(o, len(a.old)):])
}

// better returns where in old an alignment leads that is better for new from i on than the
// current one, or -1.
func (a *aligner) better(i int) int {
	best, at := 0, -1
	try := func(o, n, cost int) {
		n = max(n, window)
		if gain := a.equal(i, o, n) - a.equal(i, a.current.old+i-a.current.new, n) - cost; gain > best {
			best, at = gain, o
		}
	}
	if o, n := a.index.Longest(a.new[i:min(len(a.new), i+longest)]); n >= least {
		try(o, n, cost)
	}
	if o, n := a.nearest(i); n >= leastBy {
		try(o, n, costBy)
	}
	return at
}

// nearest returns the place in old, near to where the current alignment leads, that has most
// bytes equal to those from i of new on; none after too long a time without an alignment.
func (a *aligner) nearest(i int) (at, length int) {
	middle := a.current.old + i - a.current.new
	from, to := max(middle-nearby, 0), min(middle+nearby, len(a.old)-4)
	if i-a.known > lost || len(a.new)-i < 4 {
		return 0, 0
	}
	begin := binary.LittleEndian.Uint32(a.new[i:])
	for o := from; o <= to; o++ {
		if binary.LittleEndian.Uint32(a.old[o:]) != begin {
			continue
		}
		if n := suffix.Common(a.new[i:min(len(a.new), i+longest)], a.old[o:]); n > length {
			at, length = o, n
		}
	}
	return at, length
}

// equal counts the bytes that are equal of n from i of new and from o of old.
func (a *aligner) equal(i, o, n int) int {
	n = min(n, len(a.new)-i, len(a.old)-o)
	if n <= 0 {
		return 0
	}
	equal := 0
	x, y := a.new[i:i+n], a.old[o:o+n]
	for j, c := range x {
		if c == y[j] {
			equal++
		}
	}
	return equal
}

// turn ends the current alignment where that is best, and begins another there that leads
// from i of new to at of old. It returns where the bytes that are equal at once end.
func (a *aligner) turn(i, at int) int {
	size := a.forward(i)
	start := i - a.backward(i, at)
	if end := a.current.new + size; end > start {
		start = a.divide(start, end, at-i)
		size = start - a.current.new
	}
	a.keep(size)
	a.current = alignment{new: start, old: at + start - i}
	return i + suffix.Common(a.new[i:], a.old[at:])
}

// points is what an alignment is worth: a byte that changed costs less than an equal one
// brings, as much of it is guessed.
type points struct{ now, best, at int }

// add counts a byte, the nth, and reports whether to go on.
func (p *points) add(n int, equal bool) bool {
	if equal {
		p.now += 2
	} else {
		p.now--
	}
	if p.now > p.best {
		p.best, p.at = p.now, n
	}
	return p.now > p.best-drop
}

// forward returns how long the current alignment is best before i of new.
func (a *aligner) forward(i int) int {
	var p points
	from := a.current
	for n := 1; from.new+n <= i && from.old+n <= len(a.old); n++ {
		p.add(n, a.new[from.new+n-1] == a.old[from.old+n-1])
	}
	return p.at
}

// backward returns how far before i of new an alignment to at of old is best.
func (a *aligner) backward(i, at int) int {
	var p points
	for n := 1; n <= at && n <= i-a.current.new && p.add(n, a.old[at-n] == a.new[i-n]); n++ {
	}
	return p.at
}

// divide returns where from start to end of new the current alignment is best left for one
// by the given shift.
func (a *aligner) divide(start, end, shift int) int {
	more, most, best := 0, 0, start
	for i := start; i < end; i++ {
		if a.new[i] == a.old[a.current.old+i-a.current.new] {
			more++
		}
		if a.new[i] == a.old[i+shift] {
			more--
		}
		if more > most {
			most, best = more, i+1
		}
	}
	return best
}

// keep keeps size bytes of the current alignment.
func (a *aligner) keep(size int) {
	if size > 0 && len(a.all) < maxAlignments {
		a.current.size = size
		a.all = append(a.all, a.current)
	}
}

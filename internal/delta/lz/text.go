package lz

import (
	"encoding/binary"
	"math/bits"
)

// text is what can be copied from: old, then new as far as it is known.
type text struct{ old, new []byte }

// past is the byte at a distance before position at of new; 0 where there is none.
func (t *text) past(at, dist uint32) byte {
	if dist <= at {
		if dist == 0 {
			return 0
		}
		return t.new[at-dist]
	}
	if i := uint32(len(t.old)) + at - dist; i < uint32(len(t.old)) {
		return t.old[i]
	}
	return 0
}

// fill carries out a copy. It reports whether there is something to copy and room for it.
func (t *text) fill(p *place, o op) bool {
	old, d := uint32(len(t.old)), p.distance(o, uint32(len(t.old)))
	if d == 0 || d > old+p.at || o.n == 0 || o.n > uint32(len(t.new))-p.at {
		return false
	}
	if d > p.at {
		return copy(t.new[p.at:p.at+o.n], t.old[old+p.at-d:]) == int(o.n)
	}
	// Where source and target overlap, what was copied is copied, too: twice as much each time.
	for from, to, end := p.at-d, p.at, p.at+o.n; to < end; {
		to += uint32(copy(t.new[to:end], t.new[from:to]))
	}
	return true
}

// common counts the bytes from position at of new that also lie the distance back; at most most.
func (t *text) common(at, dist uint32, most int) int {
	switch old := uint32(len(t.old)); {
	case dist == 0 || dist > old+at:
		return 0
	case dist <= at:
		return common(t.new[at-dist:], t.new[at:], most)
	default:
		return common(t.old[old+at-dist:], t.new[at:], most)
	}
}

// common counts the bytes with which both begin; at most most.
func common(a, b []byte, most int) int {
	most = min(most, len(a), len(b))
	a, b = a[:most], b[:most]
	n := 0
	for ; n+8 <= most; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

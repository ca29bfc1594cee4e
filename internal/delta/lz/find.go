package lz

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// hash is how a few bytes are found again: width of them, in a table of so many bits.
type hash struct{ width, bits int }

// reach is how many bytes are looked at for a hash, whatever its width.
const reach = 8

func (h hash) of(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) << (8 * (reach - h.width)) * 0x9E3779B185EBCA87 >> (64 - h.bits)
}

// hashFor is a hash for n positions, of at most so many bits.
func hashFor(width, n, most int) hash {
	return hash{width, min(max(bits.Len(uint(n)), 8), most)}
}

// index finds where in old the same few bytes lie: all positions, ordered by the hash of what
// lies there, then by themselves.
type index struct {
	hash
	first []int32 // by hash, where its positions begin in at
	at    []int32
}

func newIndex(old []byte, width int) *index {
	n := max(len(old)-reach+1, 0)
	x := &index{hash: hashFor(width, n, 20), at: make([]int32, n)}
	x.first = make([]int32, 1<<x.bits+1)
	for i := range n {
		x.first[x.of(old[i:])+1]++
	}
	for i := 1; i < len(x.first); i++ {
		x.first[i] += x.first[i-1]
	}
	for i := range n {
		h := x.of(old[i:])
		x.at[x.first[h]] = int32(i)
		x.first[h]++
	}
	copy(x.first[1:], x.first) // each stands at its end now, where the next begins
	x.first[0] = 0
	return x
}

// near tries n positions of what b begins with, those nearest to where first.
func (x *index) near(b []byte, where int32, n int, try func(at int32)) {
	if len(b) < reach {
		return
	}
	h := x.of(b)
	all := x.at[x.first[h]:x.first[h+1]]
	up, _ := slices.BinarySearch(all, where)
	down := up - 1
	for ; n > 0 && (up < len(all) || down >= 0); n-- {
		if down < 0 || up < len(all) && all[up]-where <= where-all[down] {
			try(all[up])
			up++
		} else {
			try(all[down])
			down--
		}
	}
}

// chains finds where in new the same few bytes lay before: the last position by hash, and
// from each the one before it.
type chains struct {
	hash
	last, before []int32 // positions + 1; 0 is none
}

func newChains(target []byte, width int) *chains {
	c := &chains{hash: hashFor(width, len(target), 18), before: make([]int32, len(target))}
	c.last = make([]int32, 1<<c.bits)
	return c
}

// add notes a position, once, and tries n positions before it, the last one first.
func (c *chains) add(target []byte, at, n int, try func(at int32)) {
	if at+reach > len(target) {
		return
	}
	last := &c.last[c.of(target[at:])]
	if *last <= int32(at) {
		c.before[at] = *last
		*last = int32(at) + 1
	}
	for i := c.before[at]; i > 0 && n > 0; n-- {
		try(i - 1)
		i = c.before[i-1]
	}
}

// match is n bytes that can be copied; v is as in op.
type match struct{ n, v uint32 }

// finder finds what can be copied, from old next to where it is expected and from new the
// last, each match longer than those before it.
type finder struct {
	t            *text
	effort       effort
	four, eight  *index
	three, more  *chains
	seeks, fresh []match
}

func newFinder(t *text, e effort) *finder {
	return &finder{
		t: t, effort: e, four: newIndex(t.old, 4), eight: newIndex(t.old, reach),
		three: newChains(t.new, 3), more: newChains(t.new, 4),
	}
}

// find looks for what the byte at a place may begin.
func (f *finder) find(p *place) {
	f.seeks, f.fresh = f.seeks[:0], f.fresh[:0]
	b := f.t.new[p.at:]
	best := shortest - 1
	longer := func(a []byte) bool {
		if best < min(len(a), len(b)) && a[best] != b[best] {
			return false
		}
		n := common(a, b, longest)
		if n <= best {
			return false
		}
		best = n
		return true
	}
	try := func(from int32) {
		if longer(f.t.old[from:]) {
			f.seeks = append(f.seeks, match{uint32(best), uint32(from)})
		}
	}
	where := int32(p.end)
	try(where)
	f.eight.near(b, where, f.effort.old, try)
	if best < reach { // a few bytes pay only where nothing longer is
		f.four.near(b, where, f.effort.old, try)
	}
	best = shortest - 1
	try = func(from int32) {
		if longer(f.t.new[from:]) {
			f.fresh = append(f.fresh, match{uint32(best), p.at - uint32(from)})
		}
	}
	f.three.add(f.t.new, int(p.at), 1, try)
	f.more.add(f.t.new, int(p.at), f.effort.new, try)
}

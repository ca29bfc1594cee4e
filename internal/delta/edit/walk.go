package edit

import (
	"math/bits"

	"uplevel/internal/delta/edit/mix"
	"uplevel/internal/delta/edit/suffix"
)

// patience is after how many bytes that did not change the number of further ones is coded,
// instead of a flag for each.
const patience = 256

// walk goes over new and codes it, or decodes it.
type walk struct {
	*coder
	old, new []byte
	flags    *flagModel
	bytes    *byteModel
	fields   *fields
	runs     *number

	// Along alignments.
	last  int            // position in new of the last byte that changed
	gap   int            // from the one before to it
	diff  byte           // what was added to it
	diffs [1 << 12]byte  // and to others, by the byte before and the high half of the old one
	like  int            // how many old bytes before here are like the last one, up to mostLike
	seen  [1 << 16]int32 // in extra bytes: behind where four bytes were last, by their hash
	match int            // where what comes now came before, or 0
}

const mostLike = 16

func newWalk(c *coder, old, now []byte, bases []base, moved []int32) *walk {
	l := mix.NewLogistic()
	size := min(max(bits.Len(uint(len(now)))-4, 8), 16)
	f := &fields{old: old, moved: moved}
	f.chain.bases = bases
	return &walk{
		coder: c, old: old, new: now, fields: f, runs: newNumber(),
		flags: newFlagModel(c, l, size), bytes: newByteModel(c, l, size),
	}
}

// all goes over the alignments and what is between them.
func (w *walk) all(all []alignment) {
	at, near := 0, 0 // near: from new to old, as the last alignment leads
	for _, a := range all {
		w.extra(at, a.new, near)
		w.along(a)
		at, near = a.new+a.size, a.old-a.new
	}
	w.extra(at, len(w.new), near)
}

// set sets a byte of new while it decodes.
func (w *walk) set(to int, is byte) {
	if w.dec != nil {
		w.new[to] = is
	}
}

// extra codes bytes of new that are of no alignment, by those before them, by what came
// before after the same four, and by what the last alignment would have led to.
func (w *walk) extra(from, to, near int) {
	w.match = 0
	var history uint64 // the last bytes
	for i := max(from-8, 0); i < from; i++ {
		history = history<<8 | uint64(w.new[i])
	}
	for i := from; i < to && !w.ended(); i++ {
		four := uint32(history)
		g := guessed{
			contexts: [contextsOfByte]uint32{
				0, hash(four&0xff, 1), hash(four&0xffff, 2), hash(four&0xffffff, 3), hash(four, 4), hash(four>>8&0xffff, 5),
			},
			expected: [expectedBytes]int{-1, -1, -1, -1, -1, -1, -1, -1, -1},
		}
		seen := &w.seen[four*0x9e3779b1>>16]
		if w.match == 0 {
			w.match = int(*seen)
		}
		*seen = int32(i)
		if w.match > 0 {
			g.expected[0] = int(w.new[w.match])
		}
		if o := i + near; o >= 0 && o < len(w.old) {
			g.expected[1] = int(w.old[o])
		}
		is := w.bytes.code(extraByte, &g, w.new[i])
		w.set(i, is)
		history = history<<8 | uint64(is)
		if w.match > 0 && w.new[w.match] == is {
			w.match++
		} else {
			w.match = 0
		}
	}
}

// along codes the bytes of an alignment. Flags say which of them changed, but after a long
// time in which none did, and at the beginning, how many did not is said.
func (w *walk) along(a alignment) {
	shift, end := a.new-a.old, a.old+a.size
	w.fields.open, w.fields.shift = false, int32(shift)
	same := patience
	for p := a.old; p < end && !w.ended(); p++ {
		sure := same >= patience
		if sure {
			p = w.skip(p, end, shift)
			if p == end {
				return
			}
			w.fields.resume(p, a.old)
			w.like = w.likeBefore(p)
		} else if p > 1 && w.old[p-1] == w.old[p-2] {
			w.like = min(w.like+1, mostLike)
		} else {
			w.like = 1
		}
		w.fields.at(p)
		if !sure && !w.flag(p, p+shift, same) {
			w.set(p+shift, w.old[p])
			w.fields.saw(p, w.old[p], w.new)
			same++
			continue
		}
		w.change(p, p+shift)
		same = 0
	}
}

// skip codes how many bytes from p on did not change, and returns where one did, or end.
func (w *walk) skip(p, end, shift int) int {
	n := 0
	if w.dec == nil {
		n = suffix.Common(w.old[p:end], w.new[p+shift:end+shift])
	}
	n = min(int(w.number(w.runs, uint32(n))), end-p)
	if w.dec != nil {
		copy(w.new[p+shift:p+shift+n], w.old[p:])
	}
	return p + n
}

func (w *walk) likeBefore(p int) int {
	n := 0
	for n < mostLike && n < p && w.old[p-1-n] == w.old[p-1] {
		n++
	}
	return max(n, 1)
}

// before returns the n bytes before i, the last one lowest; zeros where there are none.
func before(data []byte, i, n int) uint32 {
	v := uint32(0)
	for j := max(i-n, 0); j < i; j++ {
		v = v<<8 | uint32(data[j])
	}
	return v
}

// flag codes whether the byte at p of old, to of new, changed, after same bytes that did not.
func (w *walk) flag(p, to, same int) bool {
	changed := uint32(0)
	if w.new[to] != w.old[p] {
		changed = 1
	}
	is, three, state := uint32(w.old[p]), before(w.old, p, 3), w.fields.state(p)
	one := three & 0xff
	gate := w.flags.gate(hash(one<<8|is, state<<8|uint32(w.like)<<3|uint32(bits.Len(uint(same))>>1)))
	if gate.One < certain {
		return w.flags.sure(gate, changed) == 1
	}
	since, again, next := uint32(min(to-w.last, 63)), uint32(0), uint32(0)
	if to-w.last == w.gap {
		again = 1
	}
	if p+1 < len(w.old) {
		next = uint32(w.old[p+1])
	}
	return w.flags.code(gate, state, &[contextsOfFlag]uint32{
		hash(three&0xffff, state),
		hash(since<<1|again, state+1000),
		hash(one<<8|is, state+2000),
		hash(three, state+3000),
		hash(since<<8|is, again+4000),
		hash(is<<8|next, state+5000),
		hash(one<<8|uint32(w.like), state+6000),
	}, changed) == 1
}

// change codes the byte at p of old, to of new, which changed.
func (w *walk) change(p, to int) {
	w.fields.changes(p)
	is, two, newTwo := uint32(w.old[p]), before(w.old, p, 2), before(w.new, to, 2)
	one, place := two&0xff, uint32(p-w.fields.start)<<8
	diff := &w.diffs[one<<4|is>>4]
	g := guessed{contexts: [contextsOfByte]uint32{
		hash(is, 1),
		hash(is<<8|one, 2),
		hash(newTwo&0xff<<8|is, place+3),
		hash(uint32(w.diff), place+4),
		hash(newTwo, 5),
		hash(two<<8|is, 6),
	}}
	for by := range guesses {
		g.expected[by] = w.fields.expect(by, p)
	}
	g.expected[guesses] = int(byte(is) + w.diff)
	g.expected[guesses+1] = int(byte(is) + *diff)
	g.expected[guesses+2] = int(is)
	became := w.bytes.code(changedByte, &g, w.new[to])
	w.set(to, became)
	w.diff = became - byte(is)
	*diff = w.diff
	w.gap, w.last = to-w.last, to
	w.fields.saw(p, became, w.new)
}

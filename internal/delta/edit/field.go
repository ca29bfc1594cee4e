package edit

import "encoding/binary"

const (
	fieldSize = 4
	grain     = 4 // bits of a position that the map of what moved leaves out
	knownBits = 14
)

// What a guess of a field's new value rests on, the best first.
const (
	byTarget = iota // a field with the same target that changed before
	byMap           // where what lies at its target went
	byBase          // where what it points to went, counted from a base
	byValue         // a field of the same value that changed before
	byLast          // what was added to the last field that changed
	byBefore        // and to the one before
	guesses
)

const states = 2 * (2*guesses + 2) * (fieldSize + 1)

type guess struct {
	value uint32
	is    bool // so far
}

// known is what was added to a field of which the key is known.
type known struct{ key, added uint32 }

// fields guesses what becomes of numbers of 32 bits, lowest byte first, when what they point
// to moves: relative to their own end, as machines jump, or to some base. Nothing tells where
// in old such a field is; one is open while something is guessed of it.
type fields struct {
	old     []byte
	moved   []int32 // by how much each grain of old moved
	targets [1 << knownBits]known
	values  [1 << knownBits]known
	last    [2]uint32 // added to the last fields, two that differ
	chain   chain

	start   int   // of the field in old
	shift   int32 // of the alignment
	open    bool
	changed bool // some byte of it
	guess   [guesses]guess
}

// movedBy makes the map of what moved from the alignments. What none of them holds moved like
// what is before it.
func movedBy(old []byte, all []alignment) []int32 {
	const unset = -1 << 31
	moved := make([]int32, len(old)>>grain+1)
	for i := range moved {
		moved[i] = unset
	}
	for _, a := range all {
		for g := (a.old + 1<<grain - 1) >> grain; g<<grain < a.old+a.size; g++ {
			moved[g] = int32(a.new - a.old)
		}
	}
	by := int32(0)
	for i, m := range moved {
		if m != unset {
			by = m
		}
		moved[i] = by
	}
	return moved
}

func slot(key uint32) uint32 { return key * 0x9e3779b1 >> (32 - knownBits) }

// at prepares for the byte at p of old.
func (f *fields) at(p int) {
	if f.open && p < f.start+fieldSize {
		return
	}
	f.open = false
	if p+fieldSize <= len(f.old) {
		f.begin(p)
	}
}

// begin opens a field at p if something says that it changes.
func (f *fields) begin(p int) {
	f.start, f.changed, f.guess = p, false, [guesses]guess{}
	v := binary.LittleEndian.Uint32(f.old[p:])
	target := uint32(p) + fieldSize + v
	if k := &f.targets[slot(target)]; k.key == target {
		f.suppose(byTarget, v, k.added-uint32(f.shift))
	}
	if target < uint32(len(f.old)) {
		f.suppose(byMap, v, uint32(f.moved[target>>grain]-f.shift))
	}
	if added, ok := f.chain.expect(p, v, f.moved); ok {
		f.suppose(byBase, v, added)
	}
	if k := &f.values[slot(v)]; k.key == v {
		f.suppose(byValue, v, k.added)
	}
}

func (f *fields) suppose(by int, value, added uint32) {
	if added != 0 {
		f.guess[by] = guess{value + added, true}
		f.open = true
	}
}

// resume prepares for the byte at p, which is the first that changed after others from from
// on: a field that began before it may hold it.
func (f *fields) resume(p, from int) {
	f.open = false
	for s := max(p-fieldSize+1, from); s < p && s+fieldSize <= len(f.old); s++ {
		f.begin(s)
		for q := s; q < p && f.open; q++ {
			f.saw(q, f.old[q], nil)
		}
		if f.open && f.foreseen(p) {
			return
		}
		f.open = false
	}
}

// expect returns what a guess says of the byte at p, or -1.
func (f *fields) expect(by, p int) int {
	if !f.open || !f.guess[by].is {
		return -1
	}
	return int(byte(f.guess[by].value >> (8 * (p - f.start))))
}

// foreseen reports whether a guess says that the byte at p changes.
func (f *fields) foreseen(p int) bool {
	for by := range f.guess {
		if e := f.expect(by, p); e >= 0 && e != int(f.old[p]) {
			return true
		}
	}
	return false
}

// state sums up what is guessed of the byte at p, in a number below states.
func (f *fields) state(p int) uint32 {
	if !f.open {
		return fieldSize * 2
	}
	best := uint32(0)
	for by := range f.guess {
		if e := f.expect(by, p); e >= 0 {
			best = uint32(2*by + 2)
			if e != int(f.old[p]) {
				best++
			}
			break
		}
	}
	s := (best*(fieldSize+1) + uint32(p-f.start)) * 2
	if f.changed {
		s++
	}
	return s
}

// changes prepares for a byte at p of which nothing is known but that it changed: it is of the
// open field, if a guess says so, or begins one.
func (f *fields) changes(p int) {
	if f.open && f.changed {
		return
	}
	if !f.open || !f.foreseen(p) {
		f.open, f.start, f.guess = true, p, [guesses]guess{}
	}
	f.changed = true
	if f.start+fieldSize > len(f.old) {
		return
	}
	v := binary.LittleEndian.Uint32(f.old[f.start:])
	for i, added := range f.last {
		f.guess[byLast+i] = guess{v + added, true}
	}
}

// saw learns that the byte at p became is; now is what the alignment leads to so far.
func (f *fields) saw(p int, is byte, now []byte) {
	if !f.open {
		return
	}
	some := f.changed
	for by := range f.guess {
		if g := &f.guess[by]; g.is {
			g.is = f.expect(by, p) == int(is)
			some = some || g.is
		}
	}
	f.open = some
	if f.changed && p == f.start+fieldSize-1 {
		f.learn(binary.LittleEndian.Uint32(now[f.start+int(f.shift):]))
		f.open = false
	}
}

// learn learns what the open field became.
func (f *fields) learn(became uint32) {
	v := binary.LittleEndian.Uint32(f.old[f.start:])
	added, target := became-v, uint32(f.start)+fieldSize+v
	f.targets[slot(target)] = known{target, added + uint32(f.shift)}
	f.values[slot(v)] = known{v, added}
	f.chain.learn(f.start, vote{v, added}, f.moved)
	if f.last[0] != added {
		f.last[1], f.last[0] = f.last[0], added
	}
}

package edit

import (
	"cmp"
	"encoding/binary"
	"slices"
)

const (
	voters     = 1 << 12 // fields that are asked, at most
	leastVotes = 64      // for a base, and a 64th of all
	mostHomes  = 16      // alignments of the same shift that a field may point into
	mostShifts = 64
)

// vote is a field that changed: what it was, and what was added to it.
type vote struct{ value, added uint32 }

// findBases finds from what fields count. With the right base, what was added to a field is
// by how much the alignment moved that it points into, less what the base moved.
func findBases(old, now []byte, all []alignment, moved []int32) []base {
	votes := changes(old, now, all, moved)
	homes, shifts := homesOf(all)
	var found []base
	for len(found) < maxBases && len(votes) > 0 {
		asked := votes[:min(len(votes), voters)]
		var best base
		most := 0
		for _, s := range shifts {
			if at, n := elect(asked, s, homes); n > most {
				best, most = base{at, s}, n
			}
		}
		if most < leastVotes {
			break
		}
		best = best.refine(votes[:min(len(votes), 8*voters)], moved)
		before := len(votes)
		votes = slices.DeleteFunc(votes, func(v vote) bool { return best.explains(v, moved) })
		if before-len(votes) < before/64 {
			break
		}
		found = append(found, best)
	}
	return found
}

// homesOf returns the longest alignments of each shift, and the shifts of most bytes.
func homesOf(all []alignment) (homes map[uint32][]alignment, shifts []uint32) {
	homes = map[uint32][]alignment{}
	total := map[uint32]int{}
	for _, a := range all {
		s := uint32(a.new - a.old)
		homes[s] = append(homes[s], a)
		total[s] += a.size
	}
	for s, h := range homes {
		slices.SortFunc(h, func(a, b alignment) int { return cmp.Or(b.size-a.size, a.old-b.old) })
		homes[s] = h[:min(len(h), mostHomes)]
		shifts = append(shifts, s)
	}
	slices.SortFunc(shifts, func(a, b uint32) int { return cmp.Or(total[b]-total[a], cmp.Compare(a, b)) })
	shifts = shifts[:min(len(shifts), mostShifts)]
	if !slices.Contains(shifts, 0) {
		shifts = append(shifts, 0)
	}
	return homes, shifts
}

// refine returns the best of the base and of rounder ones near it.
func (b base) refine(votes []vote, moved []int32) base {
	best, most := b, 0
	for k := range 14 {
		mask := uint32(1)<<k - 1
		for _, at := range [2]uint32{b.at &^ mask, (b.at + mask) &^ mask} {
			r, n := base{at, b.moved}, 0
			for _, v := range votes {
				if r.explains(v, moved) {
					n++
				}
			}
			if n > most {
				best, most = r, n
			}
		}
	}
	return best
}

// changes collects fields that changed and are not relative, in an order in which all parts
// of old come early.
func changes(old, now []byte, all []alignment, moved []int32) []vote {
	var votes []vote
	for _, a := range all {
		shift := a.new - a.old
		for p := (a.old + fieldSize - 1) &^ (fieldSize - 1); p+fieldSize <= a.old+a.size; p += fieldSize {
			v := binary.LittleEndian.Uint32(old[p:])
			added := binary.LittleEndian.Uint32(now[p+shift:]) - v
			if added != 0 && added+1<<24 < 1<<25 && !relative(old, now, p, shift, moved) {
				votes = append(votes, vote{v, added})
			}
		}
	}
	for i := range votes {
		j := i + int(uint32(i)*0x9e3779b1%uint32(len(votes)-i))
		votes[i], votes[j] = votes[j], votes[i]
	}
	return votes
}

// relative reports whether the first byte that changed in the field at p is of an address
// that is relative to its own end.
func relative(old, now []byte, p, shift int, moved []int32) bool {
	for old[p] == now[p+shift] {
		p++
	}
	last := min(p, len(old)-fieldSize, len(now)-fieldSize-shift)
	for s := max(p-fieldSize+1, 0, -shift); s <= last; s++ {
		v := binary.LittleEndian.Uint32(old[s:])
		g := (uint32(s) + fieldSize + v) >> grain
		if g < uint32(len(moved)) && binary.LittleEndian.Uint32(now[s+shift:])-v == uint32(moved[g]-int32(shift)) {
			return true
		}
	}
	return false
}

// elect returns the base that moved by shift and from which most fields point where they
// should: it lies where most of the ranges overlap in which they want it.
func elect(votes []vote, shift uint32, homes map[uint32][]alignment) (at uint32, n int) {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, v := range votes {
		for _, h := range homes[v.added+shift] {
			from := int64(h.old) - int64(v.value)
			edges = append(edges, edge{from, 1}, edge{from + int64(h.size), -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), a.step-b.step) })
	in := 0
	for _, e := range edges {
		in += e.step
		if in > n {
			n, at = in, uint32(e.at)
		}
	}
	return at, n
}

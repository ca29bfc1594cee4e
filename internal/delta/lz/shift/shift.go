// Package shift foresees numbers that grew. Where something was inserted into what numbers count (a
// class file's constants), all of them from some on grew by the same: what becomes of one is
// foreseen from what became of those next to it.
package shift

import "math/bits"

// remembered is how many pairs are kept in mind, a power of two.
const remembered = 64

// Table is what became of numbers of two bytes lately. It must begin as [Table.Reset] makes it.
type Table struct {
	pairs  [remembered + 1]int32 // in order; behind them noPair
	became [remembered + 1]byte  // what came for the lower byte of each
	order  [remembered]int32     // the pairs as they came, for the oldest goes first
	n      int                   // pairs that ever came
}

const noPair = 1 << 30

// Reset forgets all numbers.
func (s *Table) Reset() {
	for i := range s.pairs {
		s.pairs[i] = noPair
	}
}

// from is where the first pair that is not below k stands.
func (s *Table) from(k int32) int {
	at := 0
	for step := remembered / 2; step > 0; step /= 2 {
		if s.pairs[at+step-1] < k {
			at += step
		}
	}
	if s.pairs[at] < k {
		at++
	}
	return at
}

// Learn keeps in mind that v came for the lower byte of k, which is below 1<<16.
func (s *Table) Learn(k int32, v byte) {
	at := s.from(k)
	if s.pairs[at] == k {
		s.became[at] = v
		return
	}
	oldest := &s.order[s.n%remembered]
	if s.n >= remembered {
		gone := s.from(*oldest)
		copy(s.pairs[gone:], s.pairs[gone+1:])
		copy(s.became[gone:], s.became[gone+1:])
		if gone < at {
			at--
		}
	}
	copy(s.pairs[at+1:], s.pairs[at:])
	copy(s.became[at+1:], s.became[at:])
	s.pairs[at], s.became[at] = k, v
	s.pairs[remembered] = noPair
	*oldest = k
	s.n++
}

// Neighbour is a byte that is expected because a number changed, and how far that number is: the
// length of the distance in bits, at most 14; 15 where there is none.
type Neighbour struct {
	V   byte
	Far uint32
}

// Neighbours returns what k's lower byte becomes if k grows by as much as the numbers next to it.
func (s *Table) Neighbours(k int32) (below, above Neighbour) {
	at := s.from(k)
	below, above = Neighbour{Far: 15}, Neighbour{Far: 15}
	if above.take(s.pairs[at]-k, s.became[at], -1); above.Far == 0 {
		return above, above
	}
	if at > 0 {
		below.take(k-s.pairs[at-1], s.became[at-1], 1)
	}
	return below, above
}

func (n *Neighbour) take(d int32, v byte, way int32) {
	if d < 1<<16 {
		*n = Neighbour{v + byte(way*d), min(uint32(bits.Len32(uint32(d))), 14)}
	}
}

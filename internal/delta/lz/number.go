package lz

import (
	"math/bits"

	"uplevel/internal/delta/rangecode"
)

const (
	slotBits = 6
	slots    = 1 << slotBits // of a number: its length in bits and its second bit
	aligned  = 4             // lowest bits of a number that are foreseen, too
)

// number is what is known of one kind of number, in some contexts. A number is coded as its
// slot, then the bits behind the two highest: the lowest four by a tree of their slot's or of
// all large numbers', the rest as they are.
type number struct {
	slot [][slots]bit
	low  [slots][1 << aligned]bit
}

func newNumber(contexts int) *number {
	n := &number{slot: make([][slots]bit, contexts)}
	for i := range n.slot {
		reset(n.slot[i][:])
	}
	for i := range n.low {
		reset(n.low[i][:])
	}
	return n
}

func slotOf(v uint32) uint32 {
	if v < 4 {
		return v
	}
	n := uint32(bits.Len32(v)) - 1
	return n<<1 | v>>(n-1)&1
}

// base is the smallest number of a slot, and how many bits follow.
func base(slot uint32) (uint32, int) {
	if slot < 4 {
		return slot, 0
	}
	n := int(slot>>1) - 1
	return (2 | slot&1) << n, n
}

func (n *number) code(c *rangecode.Coder, context int, v uint32) uint32 {
	slot := c.Tree(n.slot[context][:], slotOf(v), slotBits)
	first, extra := base(slot)
	if extra == 0 {
		return first
	}
	rest := v - first
	low := min(extra, aligned)
	var high uint32
	if extra > low {
		high = c.Direct(rest>>low, extra-low)
	}
	return first + (high<<low | c.Tree(n.low[slot][:], rest&(1<<low-1), low))
}

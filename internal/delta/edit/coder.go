package edit

import (
	"math/bits"

	"uplevel/internal/delta/rangecode"
)

// coder codes bits or decodes them, so that one walk over the bytes describes both ways.
// What is given to be coded does not matter while it decodes.
type coder struct {
	enc *rangecode.Encoder
	dec *rangecode.Decoder // nil while it codes
}

// bit codes a bit that is 1 in one of 65,536 cases.
func (c *coder) bit(one, bit uint32) uint32 {
	if c.dec != nil {
		return c.dec.At(1<<16 - one)
	}
	c.enc.At(1<<16-one, bit)
	return bit
}

// tree codes the lowest n bits of v, learning how often each number comes.
func (c *coder) tree(known []rangecode.Bit, v uint32, n int) uint32 {
	if c.dec != nil {
		return c.dec.Tree(known, n)
	}
	c.enc.Tree(known, v, n)
	return v
}

// direct codes the lowest n bits of v, learning nothing.
func (c *coder) direct(v uint32, n int) uint32 {
	if c.dec != nil {
		return c.dec.Direct(n)
	}
	c.enc.Direct(v, n)
	return v
}

// word codes 32 bits, learning nothing.
func (c *coder) word(v uint32) uint32 { return c.direct(v>>16, 16)<<16 | c.direct(v&0xffff, 16) }

// ended reports whether more was decoded than the code can hold.
func (c *coder) ended() bool { return c.dec != nil && c.dec.Err() != nil }

// number is what is known of one kind of number.
type number struct {
	length [32]rangecode.Bit    // how many bits it has
	top    [32][8]rangecode.Bit // by that: up to three bits below the highest
}

func newNumber() *number {
	n := &number{}
	rangecode.Reset(n.length[:])
	for i := range n.top {
		rangecode.Reset(n.top[i][:])
	}
	return n
}

// number codes v, which is below 1<<31.
func (c *coder) number(n *number, v uint32) uint32 {
	length := int(c.tree(n.length[:], uint32(bits.Len32(v)), 5))
	if length <= 1 {
		return uint32(length)
	}
	low := max(length-4, 0)
	high := uint32(1) << (length - 1 - low)
	high |= c.tree(n.top[length][:], v>>low&(high-1), length-1-low)
	return high<<low | c.direct(v&(1<<low-1), low)
}

// signed codes v, which is at least -1<<30 and below 1<<30.
func (c *coder) signed(n *number, v int) int {
	u := c.number(n, uint32(v<<1^v>>63))
	return int(u>>1) ^ -int(u&1)
}

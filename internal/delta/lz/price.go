package lz

import (
	"math/bits"

	"uplevel/internal/delta/rangecode"
)

const unit = 64 // of a price: parts of a bit

// prices tells what bits cost.
type prices [4096]uint16

func newPrices() *prices {
	var p prices
	for i := range p {
		// The binary logarithm of the middle of each part by squaring, bit by bit.
		w, log := uint64(i)<<1|1, uint32(0)
		for range bits.Len(unit - 1) {
			w *= w
			log <<= 1
			for w >= 1<<16 {
				w >>= 1
				log++
			}
		}
		p[i] = uint16(13*unit - min(log+15, 13*unit))
	}
	return &p
}

// at is the price of a bit that is 0 as likely as zero says.
func (p *prices) at(zero, v uint32) uint32 {
	if v == 1 {
		zero = rangecode.Likely - 1 - zero
	}
	return uint32(p[zero>>4])
}

func (p *prices) bit(b *bit, v uint32) uint32 { return p.at(b.Zero(), v) }

func (p *prices) tree(b []bit, v uint32, n int) uint32 {
	at, sum := uint32(1), uint32(0)
	for i := n - 1; i >= 0; i-- {
		x := v >> i & 1
		sum += p.bit(&b[at], x)
		at = at<<1 | x
	}
	return sum
}

// flag is the price of a mixed bit that is 1, and of one that is 0.
func (p *prices) flag(g *rangecode.Mixed, c *rangecode.Curve) (is, not uint32) {
	zero := g.Zero(c)
	return p.at(zero, 1), p.at(zero, 0)
}

// spelt is the price of a byte's bits.
func (p *prices) spelt(b *singles, at *place, a *around, v byte) uint32 {
	var g rangecode.Mixed
	sum, node := uint32(0), uint32(1)
	for i := 7; i >= 0; i-- {
		x := uint32(v) >> i & 1
		b.foresee(&g, at, a, node)
		sum += p.at(g.Zero(b.curve), x)
		node = node<<1 | x
	}
	return sum
}

// numberPrices are the prices of a number's slots in each context, and of its lowest bits.
type numberPrices struct {
	slot [][slots]uint32
	low  [slots][1 << aligned]uint32
}

func (p *prices) number(n *number, into *numberPrices) {
	if into.slot == nil {
		into.slot = make([][slots]uint32, len(n.slot))
	}
	for s := range uint32(slots) {
		_, extra := base(s)
		for c := range n.slot {
			into.slot[c][s] = p.tree(n.slot[c][:], s, slotBits) + uint32(max(extra-aligned, 0))*unit
		}
		if low := min(extra, aligned); low > 0 {
			for v := range uint32(1) << low {
				into.low[s][v] = p.tree(n.low[s][:], v, low)
			}
		}
	}
}

func (n *numberPrices) of(context int, v uint32) uint32 {
	s := slotOf(v)
	sum := n.slot[context][s]
	if s < 4 {
		return sum
	}
	low := min(bits.Len32(v)-2, aligned)
	return sum + n.low[s][v&(1<<low-1)]
}

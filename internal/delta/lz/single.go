package lz

import (
	"math/bits"

	"uplevel/internal/delta/lz/shift"
	"uplevel/internal/delta/rangecode"
)

// singles is what is known of single bytes: whether one is the byte at the last distance, whether
// it begins a copy, and else its bits. Numbers that grew by what was inserted (the indices of a
// class file's constants) are foreseen from what became of their neighbours.
type singles struct {
	curve  *rangecode.Curve
	same   sameBits
	copied copiedBits
	spelt  speltBits
	shifts shift.Table
}

type sameBits struct {
	hist   [256]bit
	prev   [256 * 4]bit
	match  [1 << 16]bit
	near   [32 * 4]bit
	weight [states][4]int32
}

type copiedBits struct {
	state  [states]bit
	hist   [256]bit
	prev   [states * 256]bit
	match  [1 << 16]bit
	weight [states][4]int32
}

// speltBits has for each guess a bit for each beginning of a byte, or for each depth and bit of
// a byte that is expected.
type speltBits struct {
	order1 [1 << 16]bit
	order2 [1 << 16]bit
	match  [1 << 16]bit
	joint  [81 * 16]bit
	weight [states * 2][4]int32
	loose  [2]int32
}

func (b *singles) reset() {
	b.curve = rangecode.NewCurve()
	b.shifts.Reset()
	s, c, l := &b.same, &b.copied, &b.spelt
	reset(s.hist[:], s.prev[:], s.match[:], s.near[:], c.state[:], c.hist[:], c.prev[:], c.match[:],
		l.order1[:], l.order2[:], l.match[:], l.joint[:])
	rangecode.Weigh(l.loose[:])
	for i := range states {
		rangecode.Weigh(s.weight[i][:])
		rangecode.Weigh(c.weight[i][:])
		rangecode.Weigh(l.weight[2*i][:])
		rangecode.Weigh(l.weight[2*i+1][:])
	}
}

// around is what a byte is foreseen from.
type around struct {
	prev, prev2  byte            // before it
	match        byte            // at the last distance
	matchPrev    byte            // before that
	below, above shift.Neighbour // what became of the nearest pairs
	agree        uint32          // whether they agree
}

func (a *around) pair() int32 { return int32(a.matchPrev)<<8 | int32(a.match) }

func (b *singles) around(t *text, p *place) around {
	d := p.dist[0]
	a := around{prev: t.past(p.at, 1), prev2: t.past(p.at, 2), match: t.past(p.at, d), matchPrev: t.past(p.at, d+1)}
	if p.aligned() {
		a.below, a.above = b.shifts.Neighbours(a.pair())
		a.agree = flag(a.below.V == a.above.V)
	}
	return a
}

func (b *singles) foreseeSame(g *rangecode.Mixed, p *place, a *around) {
	s := &b.same
	g.Begin(s.weight[p.state][:])
	g.Add(&s.hist[p.hist])
	g.Add(&s.prev[int(a.prev)<<2|int(p.hist&3)])
	g.Add(&s.match[int(a.match)<<8|int(a.prev)])
	g.Add(&s.near[(a.agree<<4|a.below.Far)<<2|flag(a.below.V == a.match)<<1|flag(a.above.V == a.match)])
}

func (b *singles) foreseeCopied(g *rangecode.Mixed, p *place, a *around) {
	c := &b.copied
	g.Begin(c.weight[p.state][:])
	g.Add(&c.state[p.state])
	g.Add(&c.hist[p.hist])
	g.Add(&c.prev[int(p.state)<<8|int(a.prev)])
	g.Add(&c.match[int(a.match)<<8|int(a.prev)])
}

// foresee foresees the next bit of a byte of which the highest are known: they stand in node,
// below a one.
func (b *singles) foresee(g *rangecode.Mixed, p *place, a *around, node uint32) {
	l := &b.spelt
	if p.aligned() {
		x := agreeing(node, a.match)
		g.Begin(l.weight[uint32(p.state)<<1|flag(x != 0)][:])
		x = x*3 + agreeing(node, a.match+p.diff)
		x = x*3 + agreeing(node, a.below.V)
		x = x*3 + agreeing(node, a.above.V)
		g.Add(&l.joint[x<<4|uint32(p.right&3)<<2|a.agree<<1|flag(min(a.below.Far, a.above.Far) < 4)])
		g.Add(&l.match[uint32(a.match)<<8|node])
	} else {
		g.Begin(l.loose[:])
	}
	g.Add(&l.order1[uint32(a.prev)<<8|node])
	g.Add(&l.order2[(uint32(a.prev2)<<16|uint32(a.prev)<<8|node)*0x9E3779B1>>16])
}

// agreeing is 1 more than the next bit of a node on the way to a byte; 0 beside the way.
func agreeing(node uint32, v byte) uint32 {
	d := bits.Len32(node) // 1 to 8
	if (uint32(v)|256)>>(9-d) != node {
		return 0
	}
	return 1 + uint32(v)>>(8-d)&1
}

func (b *singles) codeSame(c *rangecode.Coder, p *place, a *around, v uint32) uint32 {
	var g rangecode.Mixed
	b.foreseeSame(&g, p, a)
	v = g.Code(c, b.curve, v)
	if v == 1 && (a.below.V != a.match || a.above.V != a.match) {
		b.shifts.Learn(a.pair(), a.match)
	}
	return v
}

func (b *singles) codeCopied(c *rangecode.Coder, p *place, a *around, v uint32) uint32 {
	var g rangecode.Mixed
	b.foreseeCopied(&g, p, a)
	return g.Code(c, b.curve, v)
}

func (b *singles) code(c *rangecode.Coder, p *place, a *around, v uint32) uint32 {
	var g rangecode.Mixed
	node := uint32(1)
	for i := 7; i >= 0; i-- {
		b.foresee(&g, p, a, node)
		node = node<<1 | g.Code(c, b.curve, v>>i&1)
	}
	if p.aligned() {
		b.shifts.Learn(a.pair(), byte(node))
	}
	return node & 255
}

package lz

import "uplevel/internal/delta/rangecode"

type bit = rangecode.Bit

// model is what is known of ops.
type model struct {
	single         singles
	again          [states]bit // a distance that was used before
	older          [states]bit // not the last one
	older2, older3 [states]bit
	inOld          [states]bit // seek, not fresh
	back           [lengths]bit
	lenAgain       *number
	lenSeek        *number
	lenFresh       *number
	seekDist       *number
	freshDist      *number
}

func newModel() *model {
	m := &model{
		lenAgain: newNumber(states), lenSeek: newNumber(2), lenFresh: newNumber(2),
		seekDist: newNumber(2 * lengths), freshDist: newNumber(lengths),
	}
	reset(m.again[:], m.older[:], m.older2[:], m.older3[:], m.inOld[:], m.back[:])
	m.single.reset()
	return m
}

func reset(all ...[]bit) {
	for _, b := range all {
		rangecode.Reset(b)
	}
}

// lengths counts the kinds of lengths that distances are foreseen by.
const lengths = 4

func kindOfLength(n uint32) int { return int(min(n-shortest, lengths-1)) }

// code codes an op, and returns it.
func (m *model) code(c *rangecode.Coder, p *place, t *text, o op) op {
	a := m.single.around(t, p)
	if p.aligned() && m.single.codeSame(c, p, &a, flag(o.kind == same)) == 1 {
		return op{same, 1, 0}
	}
	if m.single.codeCopied(c, p, &a, flag(o.kind > same)) == 0 {
		return spell(m.single.code(c, p, &a, o.v&255), a.match)
	}
	if c.Bit(&m.again[p.state], flag(o.kind < seek)) == 0 {
		return m.codeFound(c, p, o)
	}
	k := again0 + kind(c.Bit(&m.older[p.state], flag(o.kind > again0)))
	if k == again1 {
		k += kind(c.Bit(&m.older2[p.state], flag(o.kind > again1)))
	}
	if k == again2 {
		k += kind(c.Bit(&m.older3[p.state], flag(o.kind > again2)))
	}
	return op{k, shortest + m.lenAgain.code(c, againContext(p.state, k), o.n-shortest), 0}
}

// againContext: only the last distance goes on behind a literal in a way of its own.
func againContext(state uint8, k kind) int {
	if k == again0 {
		return int(state)
	}
	return afterCopy
}

func foundContext(state uint8) int { return int(flag(state >= afterCopy)) }

func (m *model) codeFound(c *rangecode.Coder, p *place, o op) op {
	x := foundContext(p.state)
	if c.Bit(&m.inOld[p.state], flag(o.kind == seek)) == 0 {
		n := shortest + m.lenFresh.code(c, x, o.n-shortest)
		return op{fresh, n, 1 + m.freshDist.code(c, kindOfLength(n), o.v-1)}
	}
	n := shortest + m.lenSeek.code(c, x, o.n-shortest)
	by := o.v - p.end
	if o.v < p.end {
		by = p.end - o.v - 1
	}
	l := kindOfLength(n)
	if c.Bit(&m.back[l], flag(o.v < p.end)) == 1 {
		return op{seek, n, p.end - 1 - m.seekDist.code(c, l+lengths, by)}
	}
	return op{seek, n, p.end + m.seekDist.code(c, l, by)}
}

package lz

import (
	"math"
	"slices"
)

const (
	window  = 512     // bytes for which ops are weighed against each other
	kept    = 384     // bytes of a window whose ops are final; the rest is weighed again
	nice    = 256     // a copy of so many bytes is taken at once
	longest = 1 << 20 // copy that is looked for
	renewed = 256     // ops after which prices are made anew
)

// effort is how hard copies are looked for.
type effort struct {
	old, new int // positions tried for one byte, with each hash
	sure     int // bytes that go on at the last distance before nothing else is looked for
}

// effortFor lets the effort fall with the bytes of old and new together.
func effortFor(n int) effort {
	switch {
	case n <= 2<<20:
		return effort{32, 64, 32}
	case n <= 10<<20:
		return effort{24, 32, 16}
	}
	return effort{12, 16, 16}
}

// node is the cheapest way that is known to a position of the window: ops from another one.
type node struct {
	price uint32
	from  int32
	n     int8
	ops   [3]op
	place place
}

// parser chooses the ops: among all ways through a window the cheapest, as prices are now.
type parser struct {
	t       *text
	model   *model
	finder  *finder
	effort  effort
	prices  *prices
	age     int // of the prices, in ops
	nodes   [window + 2*nice + 2]node
	end     int // the last node that a way leads to
	literal [2 * nice]literalPrice

	lenAgain, lenSeek, lenFresh, seekDist, freshDist numberPrices
}

func newParser(t *text, m *model, e effort) *parser {
	return &parser{t: t, model: m, finder: newFinder(t, e), effort: e, prices: newPrices()}
}

// older tells that n ops were coded, and returns whether the prices have to be made anew.
func (q *parser) older(n int) bool {
	q.age += n
	return q.age >= renewed
}

func (q *parser) refresh() {
	q.age = 0
	q.prices.number(q.model.lenAgain, &q.lenAgain)
	q.prices.number(q.model.lenSeek, &q.lenSeek)
	q.prices.number(q.model.lenFresh, &q.lenFresh)
	q.prices.number(q.model.seekDist, &q.seekDist)
	q.prices.number(q.model.freshDist, &q.freshDist)
}

// next appends the ops to take from a place on: at least one.
func (q *parser) next(p place, out []op) []op {
	q.nodes[0] = node{place: p}
	q.end = 0
	for i := 0; ; i++ {
		x := &q.nodes[i]
		if x.price == math.MaxUint32 {
			continue
		}
		if i > 0 {
			x.place = q.nodes[x.from].place
			for _, o := range x.ops[:x.n] {
				x.place.move(o, uint32(len(q.t.old)))
			}
		}
		switch {
		case i > 0 && i == q.end: // all ways lead here
			return q.way(i, out)
		case i >= window:
			for i > kept && q.nodes[i].from > 0 {
				i = int(q.nodes[i].from)
			}
			return q.way(i, out)
		}
		if o, ok := q.offer(i); ok {
			return append(q.way(i, out), o)
		}
	}
}

// way appends the ops that lead to a node.
func (q *parser) way(i int, out []op) []op {
	first := len(out)
	for ; i > 0; i = int(q.nodes[i].from) {
		x := &q.nodes[i]
		for k := x.n - 1; k >= 0; k-- {
			out = append(out, x.ops[k])
		}
	}
	slices.Reverse(out[first:])
	return out
}

// relax offers ops that lead from node i n bytes on.
func (q *parser) relax(i, n int, price uint32, ops ...op) {
	to := i + n
	for q.end < to {
		q.end++
		q.nodes[q.end].price = math.MaxUint32
	}
	if x := &q.nodes[to]; price < x.price {
		x.price, x.from, x.n = price, int32(i), int8(len(ops))
		copy(x.ops[:], ops)
	}
}

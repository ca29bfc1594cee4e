package lz

import "uplevel/internal/delta/rangecode"

// offer offers all ops from node i on. What is so long that it is taken at once is returned.
func (q *parser) offer(i int) (op, bool) {
	x := &q.nodes[i]
	var again [4]int
	for k, d := range x.place.dist {
		again[k] = q.t.common(x.place.at, d, longest)
		if again[k] >= nice {
			return op{again0 + kind(k), uint32(again[k]), 0}, true
		}
	}
	copied := x.price + q.offerByte(i)
	if again[0] >= q.effort.sure {
		q.offerAgain(i, copied, again0, again[0], again[0]-8)
		return op{}, false
	}
	q.finder.find(&x.place)
	for k, list := range [][]match{q.finder.seeks, q.finder.fresh} {
		if n := len(list); n > 0 && list[n-1].n >= nice {
			return op{seek + kind(k), list[n-1].n, list[n-1].v}, true
		}
	}
	for k, n := range again {
		q.offerAgain(i, copied, again0+kind(k), n, shortest)
	}
	q.offerFound(i, copied, seek, &q.lenSeek, q.finder.seeks)
	q.offerFound(i, copied, fresh, &q.lenFresh, q.finder.fresh)
	return op{}, false
}

// offerByte offers a single byte, and returns the price of not taking one.
func (q *parser) offerByte(i int) uint32 {
	x := &q.nodes[i]
	b, p := &q.model.single, &x.place
	a := b.around(q.t, p)
	is, not, copied, spelt := q.beginPrices(p, &a)
	v := q.t.new[p.at]
	if v == a.match && p.aligned() {
		// What costs little more at first teaches where bytes change: it pays later.
		q.relax(i, 1, x.price+is*3/4, op{same, 1, 0})
		return not + copied
	}
	price := x.price + not + spelt + q.prices.spelt(b, p, &a, v)
	o := spell(uint32(v), a.match)
	q.relax(i, 1, price, o)
	q.offerGoingOn(i, price, x.place, o)
	return not + copied
}

// offerAgain offers copies at a known distance of least to n bytes.
func (q *parser) offerAgain(i int, price uint32, k kind, n, least int) {
	if n < shortest {
		return
	}
	p := &q.nodes[i].place
	price += q.againPrice(p.state, k)
	x := againContext(p.state, k)
	for l := least; l <= n; l++ {
		q.relax(i, l, price+q.lenAgain.of(x, uint32(l-shortest)), op{k, uint32(l), 0})
	}
	q.offerEdit(i, price+q.lenAgain.of(x, uint32(n-shortest)), op{k, uint32(n), 0})
}

// offerFound offers copies of each length from the first match that has it.
func (q *parser) offerFound(i int, price uint32, k kind, lens *numberPrices, list []match) {
	if len(list) == 0 {
		return
	}
	p := q.nodes[i].place
	m, b := q.model, q.prices
	price += b.bit(&m.again[p.state], 0) + b.bit(&m.inOld[p.state], flag(k == seek))
	x, l := foundContext(p.state), uint32(shortest)
	for _, f := range list {
		for ; l <= f.n; l++ {
			q.relax(i, int(l), price+lens.of(x, l-shortest)+q.distPrice(&p, k, l, f.v), op{k, l, f.v})
		}
	}
	f := list[len(list)-1]
	q.offerEdit(i, price+lens.of(x, f.n-shortest)+q.distPrice(&p, k, f.n, f.v), op{k, f.n, f.v})
}

// againPrice is the price of a known distance, without the length.
func (q *parser) againPrice(s uint8, k kind) uint32 {
	m, p := q.model, q.prices
	sum := p.bit(&m.again[s], 1) + p.bit(&m.older[s], flag(k > again0))
	if k > again0 {
		sum += p.bit(&m.older2[s], flag(k > again1))
	}
	if k > again1 {
		sum += p.bit(&m.older3[s], flag(k > again2))
	}
	return sum
}

func (q *parser) distPrice(p *place, k kind, n, v uint32) uint32 {
	l := kindOfLength(n)
	switch {
	case k == fresh:
		return q.freshDist.of(l, v-1)
	case v < p.end:
		return q.prices.bit(&q.model.back[l], 1) + q.seekDist.of(l+lengths, p.end-v-1)
	default:
		return q.prices.bit(&q.model.back[l], 0) + q.seekDist.of(l, v-p.end)
	}
}

// offerGoingOn offers ops to a literal, and to go on behind it at the last distance: the place
// behind the literal may be reached in a cheaper way that has lost that distance.
func (q *parser) offerGoingOn(i int, price uint32, p place, ops ...op) {
	last := ops[len(ops)-1]
	p.move(last, uint32(len(q.t.old)))
	if int(p.at) == len(q.t.new) {
		return
	}
	n := q.t.common(p.at, p.dist[0], nice)
	if n < shortest {
		return
	}
	b := &q.model.single
	a := b.around(q.t, &p)
	_, not, copied, _ := q.beginPrices(&p, &a)
	price += not + copied + q.againPrice(p.state, again0) + q.lenAgain.of(againContext(p.state, again0), uint32(n-shortest))
	far := n
	for _, o := range ops {
		far += int(o.n)
	}
	q.relax(i, far, price, append(ops, op{again0, uint32(n), 0})...)
}

// offerEdit offers a copy, a literal, and to go on at the copy's distance.
func (q *parser) offerEdit(i int, price uint32, o op) {
	p := q.nodes[i].place
	p.move(o, uint32(len(q.t.old)))
	if int(p.at)+shortest >= len(q.t.new) || q.t.common(p.at+1, p.dist[0], shortest) < shortest {
		return
	}
	v := q.t.new[p.at]
	lit := spell(uint32(v), q.t.past(p.at, p.dist[0]))
	q.offerGoingOn(i, price+q.literalPrice(&p, v), p, o, lit)
}

// literalPrice is the price of a literal behind a copy, about, as it was when it was last asked
// for: many copies end at the same byte.
type literalPrice struct{ at, dist, price uint32 }

func (q *parser) literalPrice(p *place, v byte) uint32 {
	c := &q.literal[p.at%uint32(len(q.literal))]
	if c.at == p.at && c.dist == p.dist[0] {
		return c.price
	}
	b := &q.model.single
	a := b.around(q.t, p)
	_, not, _, spelt := q.beginPrices(p, &a)
	*c = literalPrice{p.at, p.dist[0], not + spelt + q.prices.spelt(b, p, &a, v)}
	return c.price
}

// beginPrices are the prices of how an op begins: with the byte at the last distance or not,
// with a copy or a byte that is spelt.
func (q *parser) beginPrices(p *place, a *around) (is, not, copied, spelt uint32) {
	var g rangecode.Mixed
	b := &q.model.single
	if p.aligned() {
		b.foreseeSame(&g, p, a)
		is, not = q.prices.flag(&g, b.curve)
	}
	b.foreseeCopied(&g, p, a)
	copied, spelt = q.prices.flag(&g, b.curve)
	return is, not, copied, spelt
}

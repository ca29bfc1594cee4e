package lz

// kind is what the next bytes are made of.
type kind uint8

const (
	literal kind = iota // one byte, spelt out
	same                // one byte, that at the last distance
	again0              // copied from the last distance, or the one before it, …
	again1
	again2
	again3
	seek  // copied from old, found from where the last copy from old ended
	fresh // copied from what new holds already
)

// shortest is the length of the shortest copy.
const shortest = 2

// op makes the next n bytes of new. v is the distance of a fresh copy, the position in old of a
// seek, or the byte of a literal, with what [spell] adds.
type op struct {
	kind kind
	n, v uint32
}

// spell is the literal v where the byte at the last distance is match: how much more v is
// stands above it.
func spell(v uint32, match byte) op {
	return op{literal, 1, v | uint32(byte(v)-match)<<8}
}

// place is what the coder remembers between two ops.
type place struct {
	state uint8     // the kinds of the last ops, as in LZMA
	hist  uint8     // which of the last bytes were those at the last distance; the last one lowest
	diff  uint8     // how much more the last literal was than the byte at the last distance
	right uint8     // which of the last five literals had the diff of the one before it
	at    uint32    // position in new
	dist  [4]uint32 // last distances: from source to target in old ++ new
	end   uint32    // position in old where the last copy from old ended
}

// states counts the values of place.state; from afterCopy on the last op was no literal.
const (
	states    = 12
	afterCopy = 7
)

// start is the place before the first byte: new is expected to be as old.
func start(old int) place {
	n := uint32(old)
	return place{dist: [4]uint32{n, n, n, n}}
}

// distance is the distance of a copy.
func (p *place) distance(o op, old uint32) uint32 {
	switch o.kind {
	case seek:
		return old + p.at - o.v
	case fresh:
		return o.v
	case again1, again2, again3:
		return p.dist[o.kind-again0]
	case literal, same, again0:
	}
	return p.dist[0]
}

// move goes to the place behind an op.
func (p *place) move(o op, old uint32) {
	if o.kind == literal {
		p.spelt(uint8(o.v >> 8))
		return
	}
	d := p.distance(o, old)
	switch o.kind {
	case same:
		p.state = p.after(9, 11)
	case seek, fresh:
		p.dist = [4]uint32{d, p.dist[0], p.dist[1], p.dist[2]}
		p.state = p.after(7, 10)
	case literal, again0, again1, again2, again3:
		for i := o.kind - again0; i > 0; i-- {
			p.dist[i] = p.dist[i-1]
		}
		p.dist[0] = d
		p.state = p.after(8, 11)
	}
	if d > p.at {
		p.end = old + p.at - d + o.n
	}
	p.at += o.n
	p.hist = uint8((uint32(p.hist)+1)<<min(o.n, 8) - 1)
}

// spelt goes behind a literal.
func (p *place) spelt(diff uint8) {
	switch {
	case p.state < 4:
		p.state = 0
	case p.state < 10:
		p.state -= 3
	default:
		p.state -= 6
	}
	p.right = p.right<<1&31 | uint8(flag(diff == p.diff))
	p.diff = diff
	p.hist <<= 1
	p.at++
}

// aligned reports whether one of the last bytes was that at the last distance, so that the next
// may be, too, or have to do with it.
func (p *place) aligned() bool { return p.hist != 0 }

func (p *place) after(literal, copied uint8) uint8 {
	if p.state < afterCopy {
		return literal
	}
	return copied
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

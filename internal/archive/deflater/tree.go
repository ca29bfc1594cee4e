package deflater

import "math/bits"

const (
	maxSymbols = literals + lengths + 2
	maxNodes   = 2*(literals+lengths) + 1
	maxBits    = 15 // of a code
	maxRunBits = 7  // of a code of run lengths
)

// A tree holds the codes of one alphabet in a block.
type tree struct {
	count [maxSymbols]uint16 // how often a symbol is in the block
	size  [maxSymbols]uint8  // bits of its code; 0: it has none
	code  [maxSymbols]uint16 // as it is put out, the first bit lowest
	top   int                // the highest symbol with a code
}

// sized returns the sizes of the codes up to the highest.
func (t *tree) sized() []uint8 { return t.size[:t.top+1] }

// cost returns the bits that the block's symbols take with codes of these sizes.
func (t *tree) cost(size []uint8, extra func(symbol int) uint) int {
	n := 0
	for s, c := range t.count[:t.top+1] {
		n += int(c) * int(uint(size[s])+extra(s))
	}
	return n
}

// assign gives every symbol its code, by the sizes (RFC 1951, 3.2.2).
func (t *tree) assign() {
	var next [maxBits + 2]uint16
	for _, n := range t.sized() {
		next[n+1]++
	}
	next[1] = 0 // symbols without a code
	for n := 1; n < len(next); n++ {
		next[n] = (next[n] + next[n-1]) << 1
	}
	for s, n := range t.sized() {
		if n > 0 {
			t.code[s] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// A builder finds the sizes of the codes of a tree. Huffman's algorithm leaves open which
// of equally rare nodes are joined first, and how a tree that grew too deep is cut back:
// both are as in zlib, to which the shape of the heap belongs.
type builder struct {
	heap   [maxNodes]uint16 // from 1 on the heap, the rarest first; from behind the nodes that were joined
	length int              // of the heap
	done   int              // where the joined nodes begin
	rank   [maxNodes]uint32 // of a node: how often it occurs, and then how deep it is
	parent [maxNodes]uint16
	depth  [maxNodes]uint8
}

// build finds the codes of the first symbols of a tree, none longer than limit bits.
func (b *builder) build(t *tree, symbols, limit int) {
	b.plant(t, symbols)
	b.join(symbols)
	b.measure(t, limit)
	t.assign()
}

// plant puts the symbols that occur into the heap. There must be two; where there are
// fewer, others get a code, too.
func (b *builder) plant(t *tree, symbols int) {
	b.length, b.done, t.top = 0, maxNodes, -1
	push := func(s int, count uint16) {
		b.length++
		b.heap[b.length], b.rank[s] = uint16(s), uint32(count)<<8
	}
	clear(t.size[:symbols])
	for s, c := range t.count[:symbols] {
		if c > 0 {
			t.top = s
			push(s, c)
		}
	}
	for b.length < 2 {
		s := 0
		if t.top < 2 {
			t.top++
			s = t.top
		}
		push(s, 1)
	}
	for i := b.length / 2; i >= 1; i-- {
		b.sink(i)
	}
}

// join makes one tree of the heap; new nodes are numbered from the given number on.
func (b *builder) join(node int) {
	for ; b.length >= 2; node++ {
		x := b.heap[1]
		b.heap[1] = b.heap[b.length]
		b.length--
		b.sink(1)
		y := b.heap[1]
		b.done -= 2
		b.heap[b.done+1], b.heap[b.done] = x, y
		b.rank[node] = (b.rank[x]&^0xff + b.rank[y]&^0xff) | (max(b.rank[x]&0xff, b.rank[y]&0xff) + 1)
		b.parent[x], b.parent[y] = uint16(node), uint16(node)
		b.heap[1] = uint16(node)
		b.sink(1)
	}
	b.done--
	b.heap[b.done] = b.heap[1]
}

// sink moves a node of the heap down until both below it are rarer than none above.
func (b *builder) sink(at int) {
	v := b.heap[at]
	for {
		next := 2 * at
		if next > b.length {
			break
		}
		if next < b.length && b.rank[b.heap[next+1]] <= b.rank[b.heap[next]] {
			next++
		}
		if b.rank[v] <= b.rank[b.heap[next]] {
			break
		}
		b.heap[at] = b.heap[next]
		at = next
	}
	b.heap[at] = v
}

// measure gives every symbol the size of its code: its depth below the root, within limit.
func (b *builder) measure(t *tree, limit int) {
	var counts [maxBits + 1]int
	over := 0
	nodes := b.heap[b.done:]
	b.depth[nodes[0]] = 0
	for _, n := range nodes[1:] {
		d := int(b.depth[b.parent[n]]) + 1
		if d > limit {
			d = limit
			over++
		}
		b.depth[n] = uint8(d)
		if int(n) <= t.top {
			t.size[n] = uint8(d)
			counts[d]++
		}
	}
	if over > 0 {
		b.cut(t, counts[:limit+1], over)
	}
}

// cut makes room for the symbols that lay too deep: one from higher up goes down a step
// and takes one of them as its brother. Then the sizes are dealt out anew, the longest to
// the rarest.
func (b *builder) cut(t *tree, counts []int, over int) {
	limit := len(counts) - 1
	for ; over > 0; over -= 2 {
		d := limit - 1
		for counts[d] == 0 {
			d--
		}
		counts[d]--
		counts[d+1] += 2
		counts[limit]--
	}
	at := maxNodes
	for d := limit; d > 0; d-- {
		for n := counts[d]; n > 0; {
			at--
			if s := int(b.heap[at]); s <= t.top {
				t.size[s] = uint8(d)
				n--
			}
		}
	}
}

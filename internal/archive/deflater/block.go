package deflater

import "math/bits"

// The symbols of RFC 1951.
const (
	endOfBlock = 256
	literals   = endOfBlock + 1 // and the end; lengths follow
	lengths    = 29
	distances  = 30
	runLengths = 19

	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2
)

// A block is what will be coded with the same codes: bytes and matches, and how often which
// symbol is among them.
type block struct {
	symbols  [1 << 15]uint32 // distance<<8 | length-3; a byte has distance 0
	n        int             // of symbols
	limit    int             // of n: the block is full then
	literals tree            // and lengths
	distance tree
	header   header
	builder  builder

	fixedLiterals, fixedDistance tree
}

// init makes the codes that are the same for all content.
func (b *block) init() {
	for s := range maxSymbols { // the last two are never used, but have their codes
		size := uint8(8)
		switch {
		case s > 143 && s < endOfBlock:
			size = 9
		case s >= endOfBlock && s < 280:
			size = 7
		}
		b.fixedLiterals.size[s] = size
	}
	b.fixedLiterals.top = maxSymbols - 1
	b.fixedLiterals.assign()
	for s := range distances {
		b.fixedDistance.size[s] = 5
	}
	b.fixedDistance.top = distances - 1
	b.fixedDistance.assign()
}

// restart begins a block that is full with so many symbols.
func (b *block) restart(limit int) {
	b.n, b.limit = 0, limit
	clear(b.literals.count[:])
	clear(b.distance.count[:])
	b.literals.count[endOfBlock] = 1
}

// addByte adds a byte, and reports whether the block is full.
func (b *block) addByte(c byte) bool {
	b.literals.count[c]++
	return b.push(uint32(c))
}

// add adds a match, and reports whether the block is full.
func (b *block) add(distance, length int) bool {
	b.literals.count[literals+lengthCode(uint8(length-minMatch))]++
	b.distance.count[distanceCode(uint32(distance))]++
	return b.push(uint32(distance)<<8 | uint32(length-minMatch))
}

func (b *block) push(symbol uint32) bool {
	b.symbols[b.n&(1<<15-1)] = symbol
	b.n++
	return b.n == b.limit
}

// lengthCode returns the code of a length less 3: four to each number of extra bits.
func lengthCode(length uint8) int {
	switch {
	case length < 8:
		return int(length)
	case length == maxMatch-minMatch:
		return lengths - 1
	}
	extra := bits.Len8(length) - 3
	return extra<<2 + int(length>>extra)
}

// lengthExtra returns how many extra bits follow the code of a length.
func lengthExtra(code int) uint {
	if code < 8 || code == lengths-1 {
		return 0
	}
	return uint(code)>>2 - 1
}

// literalExtra returns how many extra bits follow a symbol of the alphabet of literals.
func literalExtra(symbol int) uint {
	if symbol < literals {
		return 0
	}
	return lengthExtra(symbol - literals)
}

// distanceCode returns the code of a distance: two to each number of extra bits.
func distanceCode(distance uint32) int {
	distance--
	if distance < 4 {
		return int(distance)
	}
	extra := bits.Len32(distance) - 2
	return extra<<1 + int(distance>>extra)
}

// distanceExtra returns how many extra bits follow the code of a distance.
func distanceExtra(code int) uint {
	if code < 4 {
		return 0
	}
	return uint(code)>>1 - 1
}

// write puts the block out in the form that is shortest, and begins the next. The content
// may be nil, when it can not be stored any more; size is what it had.
func (b *block) write(out *bitWriter, content []byte, size int, fixed, last bool) {
	b.builder.build(&b.literals, literals+lengths, maxBits)
	b.builder.build(&b.distance, distances, maxBits)
	header := b.header.prepare(&b.builder, b.literals.sized(), b.distance.sized())
	dynamic := (header + b.cost(&b.literals, &b.distance) + 3 + 7) >> 3
	static := (b.cost(&b.fixedLiterals, &b.fixedDistance) + 3 + 7) >> 3
	best := min(dynamic, static)
	if fixed {
		best = static
	}
	end := uint64(0)
	if last {
		end = 1
	}
	switch {
	case size+4 <= best && content != nil:
		out.put(end|storedBlock<<1, 3)
		out.align()
		out.put(uint64(uint16(size))|uint64(^uint16(size))<<16, 32)
		out.write(content)
	case static == best:
		out.put(end|fixedBlock<<1, 3)
		b.writeSymbols(out, &b.fixedLiterals, &b.fixedDistance)
	default:
		out.put(end|dynamicBlock<<1, 3)
		b.header.write(out, b.literals.top+1, b.distance.top+1)
		b.writeSymbols(out, &b.literals, &b.distance)
	}
	b.restart(b.limit)
}

// cost returns the bits that the symbols take with these codes.
func (b *block) cost(lits, dists *tree) int {
	return b.literals.cost(lits.size[:], literalExtra) + b.distance.cost(dists.size[:], distanceExtra)
}

func (b *block) writeSymbols(out *bitWriter, lits, dists *tree) {
	for _, symbol := range b.symbols[:b.n] {
		length, distance := uint8(symbol), symbol>>8
		if distance == 0 {
			out.put(uint64(lits.code[length]), uint(lits.size[length]))
			continue
		}
		lc, dc := lengthCode(length), distanceCode(distance)
		le, de := lengthExtra(lc), distanceExtra(dc)
		s := literals + lc
		v, n := uint64(lits.code[s]), uint(lits.size[s])
		v |= uint64(length) & (1<<le - 1) << n
		n += le
		v |= uint64(dists.code[dc]) << n
		n += uint(dists.size[dc])
		v |= uint64(distance-1) & (1<<de - 1) << n
		out.put(v, n+de)
	}
	out.put(uint64(lits.code[endOfBlock]), uint(lits.size[endOfBlock]))
}

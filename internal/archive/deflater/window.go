package deflater

import (
	"encoding/binary"
	"math/bits"
)

// The sizes of deflate (RFC 1951) and of zlib's search.
const (
	minMatch   = 3
	maxMatch   = 258
	windowSize = 1 << 15
	windowMask = windowSize - 1

	minAhead    = maxMatch + minMatch + 1 // with fewer bytes ahead zlib asks for more content
	maxDistance = windowSize - minAhead   // a match is never taken from farther back
	slideFrom   = windowSize + maxDistance
)

// effort is how hard a level searches.
type effort struct {
	good   int // from this length in hand on, a quarter of the chain will do
	enough int // lazy: with this length in hand no better one is looked for; else: longer matches are not indexed
	nice   int // this length ends a search
	chain  int // so many places are looked at
	lazy   bool
}

// effortOf returns zlib's table of levels.
func effortOf(level int) effort {
	return [...]effort{
		1: {good: 4, enough: 4, nice: 8, chain: 4},
		2: {good: 4, enough: 5, nice: 16, chain: 8},
		3: {good: 4, enough: 6, nice: 32, chain: 32},
		4: {good: 4, enough: 4, nice: 16, chain: 16, lazy: true},
		5: {good: 8, enough: 16, nice: 32, chain: 32, lazy: true},
		6: {good: 8, enough: 16, nice: 128, chain: 128, lazy: true},
		7: {good: 8, enough: 32, nice: 128, chain: 256, lazy: true},
		8: {good: 32, enough: 128, nice: 258, chain: 1024, lazy: true},
		9: {good: 32, enough: 258, nice: 258, chain: 4096, lazy: true},
	}[level]
}

// A window is the content that is looked at: up to 32 KB behind the current byte, for
// matches, and what lies ahead. Positions with the same hash of three bytes form a chain,
// the latest first. Position 0 ends a chain, so no match begins there.
type window struct {
	data       [2*windowSize + slack]byte
	head       [1 << 16]uint16    // of a hash: its latest position
	before     [windowSize]uint16 // of a position, without its highest bit: the one before it in its chain
	start      int                // the current byte
	end        int                // behind the last one that is known
	blockStart int                // of the current block; below 0 when the window has left it behind
	match      int                // where the last search found its match
	shift      uint8              // of the hash, for each byte
	mask       uint16             // of the hash
}

// slack lets eight bytes be read from any position at which a match may be compared.
const slack = 2 * maxMatch

// restart empties the window for hashes of so many bits.
func (w *window) restart(hashBits int) {
	clear(w.head[:])
	w.start, w.end, w.blockStart, w.match = 0, 0, 0, 0
	w.shift, w.mask = uint8(hashBits+minMatch-1)/minMatch, uint16(1<<hashBits-1)
}

// ahead returns how many bytes are known from the current one on.
func (w *window) ahead() int { return w.end - w.start }

// sinceBlock returns the content of the current block; nil when it is no longer here.
func (w *window) sinceBlock() []byte {
	if w.blockStart < 0 {
		return nil
	}
	return w.data[w.blockStart:w.start]
}

// scarce is for when fewer bytes lie ahead than a step wants: more content may bring them,
// for which the window slides to make room, or they are the last. It reports whether to go on.
func (w *window) scarce(last bool) bool {
	if w.start >= slideFrom {
		w.slide()
	}
	return last && w.ahead() > 0
}

// slide drops the older half.
func (w *window) slide() {
	copy(w.data[:windowSize], w.data[windowSize:2*windowSize])
	w.start -= windowSize
	w.end -= windowSize
	w.blockStart -= windowSize
	w.match -= windowSize
	for i, at := range w.head[:int(w.mask)+1] {
		w.head[i] = at - min(at, windowSize)
	}
	for i, at := range w.before {
		w.before[i] = at - min(at, windowSize)
	}
}

// insert indexes a position and returns the latest one with the same hash. At the very end
// the hash may be of bytes that are not there: nothing is searched for then.
func (w *window) insert(at int) uint16 {
	at &= 2*windowSize - 1
	v := binary.LittleEndian.Uint32(w.data[at : at+4])
	s := w.shift & 15
	hash := (uint16(v&0xff)<<(2*s) ^ uint16(v>>8&0xff)<<s ^ uint16(v>>16&0xff)) & w.mask
	earlier := w.head[hash]
	w.before[at&windowMask] = earlier
	w.head[hash] = uint16(at)
	return earlier
}

// insertRange indexes positions.
func (w *window) insertRange(from, to int) {
	for at := from; at < to; at++ {
		w.insert(at)
	}
}

// reachable reports whether a match may be taken from an earlier position.
func (w *window) reachable(at uint16) bool { return at != 0 && w.start-int(at) <= maxDistance }

// search follows the chain from a position for a match of the current bytes that is longer
// than the length in hand, and returns the longest length; where it is goes to w.match. The
// first of several equally long ones counts, which is the nearest.
func (w *window) search(at uint16, length int, e *effort) int {
	most := min(maxMatch, w.ahead())
	if length >= most {
		return most // nothing can be longer
	}
	chain, nice := e.chain, min(e.nice, most)
	if length >= e.good {
		chain >>= 2
	}
	limit := uint16(max(0, w.start-maxDistance))
	here := w.start & (2*windowSize - 1)
	for {
		// What is longer agrees in these bytes: all of them so far and one more, or the last eight.
		skip := max(0, length-7) & 0xff
		want := ^uint64(0) >> (8 * uint(max(0, 7-length)))
		tail := w.word(here+skip) & want
		for w.word(int(at)+skip)&want != tail {
			at = w.before[at&windowMask]
			if chain--; at <= limit || chain == 0 {
				return length
			}
		}
		if n := w.common(int(at), here, most); n > length {
			length, w.match = n, int(at)
			if n >= nice {
				return n
			}
		}
		at = w.before[at&windowMask]
		if chain--; at <= limit || chain == 0 {
			return length
		}
	}
}

// word returns eight bytes of the window.
func (w *window) word(at int) uint64 { return binary.LittleEndian.Uint64(w.data[at : at+8]) }

// common returns how many bytes are the same at two positions, up to most.
func (w *window) common(a, b, most int) int {
	for n := 0; n < most; n += 8 {
		if x := w.word(a+n) ^ w.word(b+n); x != 0 {
			return min(n+bits.TrailingZeros64(x)/8, most)
		}
	}
	return most
}

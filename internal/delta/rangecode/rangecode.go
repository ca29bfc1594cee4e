// Package rangecode codes bits by how likely they are: an adaptive binary range coder. A bit
// that was foreseen costs next to nothing, so that a long run of what was expected costs a
// few bytes. The arithmetic is that of G. N. N. Martin (1979), with the carry kept back as in
// LZMA; probabilities are the mean of a fast and a slow estimate.
package rangecode

import (
	"errors"
	"math/bits"
)

// ErrEnd says that a decoder was asked for more than what was encoded can hold.
var ErrEnd = errors.New("the coded bits end too early")

const (
	precision = 15      // bits of a probability as it is used
	top       = 1 << 24 // the range is kept at or above it
	fast      = 4       // shifts of the two estimates, once much was seen
	slow      = 7
	even      = 1 << 15
)

// Likely is the sum of the parts in which [Bit.Zero], [Encoder.At] and [Decoder.At] count.
const Likely = 1 << 16

// Bit is what is known of one kind of bit. It must begin as [NewBit] makes it.
type Bit struct {
	fast, slow uint16
	seen       uint16 // bits, up to settled
}

// settled is after how many bits both estimates move at their last speed.
const settled = 127

// NewBit returns a bit of which nothing is known.
func NewBit() Bit { return Bit{fast: even, slow: even} }

// Reset forgets what is known of all of them.
func Reset(all []Bit) {
	for i := range all {
		all[i] = NewBit()
	}
}

// Zero returns how likely the bit is 0, in parts of [Likely].
func (b *Bit) Zero() uint32 { return (uint32(b.fast) + uint32(b.slow)) >> 1 }

// Saw learns from a bit. The first ones count for more: an estimate moves by one part of how
// many were seen, down to its last speed.
func (b *Bit) Saw(bit uint32) {
	s := uint(bits.Len16(b.seen + 1))
	f := min(s, fast)
	s = min(s, slow)
	if b.seen < settled {
		b.seen++
	}
	// For 0 both estimates go towards 65535, for 1 towards 0.
	if bit == 0 {
		b.fast += (0xffff - b.fast) >> f
		b.slow += (0xffff - b.slow) >> s
		return
	}
	b.fast -= b.fast >> f
	b.slow -= b.slow >> s
}

// Encoder codes bits into bytes. The zero value is not usable.
type Encoder struct {
	out   []byte
	start int // of the code in out
	low   uint64
	size  uint32
	cache byte
	held  int // bytes of 0xff kept back behind cache, and cache
}

// NewEncoder returns an encoder that appends to out.
func NewEncoder(out []byte) *Encoder {
	return &Encoder{out: out, start: len(out), size: 0xffffffff, held: 1}
}

// Encode codes one bit.
func (e *Encoder) Encode(b *Bit, bit uint32) {
	e.At(b.Zero(), bit)
	b.Saw(bit)
}

// At codes one bit that is 0 as likely as zero says, in parts of [Likely].
func (e *Encoder) At(zero, bit uint32) {
	bound := (e.size >> precision) * part(zero)
	if bit == 0 {
		e.size = bound
	} else {
		e.low += uint64(bound)
		e.size -= bound
	}
	for e.size < top {
		e.size <<= 8
		e.shift()
	}
}

// part brings a likelihood to the precision of the range; never 0 or all of it.
func part(zero uint32) uint32 {
	return min(max(zero>>(16-precision), 1), 1<<precision-1)
}

// Direct codes the lowest n bits of v, highest first, each as likely as not.
func (e *Encoder) Direct(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		e.size >>= 1
		if v>>i&1 == 1 {
			e.low += uint64(e.size)
		}
		for e.size < top {
			e.size <<= 8
			e.shift()
		}
	}
}

// Tree codes the lowest n bits of v, highest first; all has 1<<n of them, one for each
// beginning.
func (e *Encoder) Tree(all []Bit, v uint32, n int) {
	at := uint32(1)
	for i := n - 1; i >= 0; i-- {
		bit := v >> i & 1
		e.Encode(&all[at], bit)
		at = at<<1 | bit
	}
}

// shift gives the highest byte of low away, unless a carry may still reach it.
func (e *Encoder) shift() {
	if uint32(e.low) < 0xff000000 || e.low > 0xffffffff {
		carry := byte(e.low >> 32)
		for next := e.cache; e.held > 0; e.held-- {
			e.out = append(e.out, next+carry)
			next = 0xff
		}
		e.cache = byte(e.low >> 24)
	}
	e.held++
	e.low = e.low & 0x00ffffff << 8
}

// slack are bytes that may be missing at the end of a code: a decoder takes them for zeros.
const slack = 4

// Close ends the code and returns all bytes.
func (e *Encoder) Close() []byte {
	for range 5 {
		e.shift()
	}
	code := e.out[e.start+1:] // what comes first is always 0: no carry reaches it
	most := max(len(code)-slack, 0)
	for len(code) > most && code[len(code)-1] == 0 {
		code = code[:len(code)-1]
	}
	return append(e.out[:e.start], code...)
}

// Decoder decodes what [Encoder] coded. It never fails while it decodes: what is missing
// counts as zeros, and [Decoder.Err] says whether too much was.
type Decoder struct {
	in   []byte
	at   int
	code uint32
	size uint32
}

// NewDecoder returns a decoder of in.
func NewDecoder(in []byte) *Decoder {
	d := &Decoder{in: in, size: 0xffffffff}
	for range 4 {
		d.code = d.code<<8 | uint32(d.next())
	}
	return d
}

// Err is [ErrEnd] when more was decoded than was there.
func (d *Decoder) Err() error {
	if d.at > len(d.in)+slack {
		return ErrEnd
	}
	return nil
}

func (d *Decoder) next() byte {
	at := d.at
	d.at++
	if at < len(d.in) {
		return d.in[at]
	}
	return 0
}

// Decode decodes one bit.
func (d *Decoder) Decode(b *Bit) uint32 {
	bit := d.At(b.Zero())
	b.Saw(bit)
	return bit
}

// At decodes a bit that [Encoder.At] coded.
func (d *Decoder) At(zero uint32) uint32 {
	bound := (d.size >> precision) * part(zero)
	var bit uint32
	if d.code < bound {
		d.size = bound
	} else {
		d.code -= bound
		d.size -= bound
		bit = 1
	}
	for d.size < top {
		d.size <<= 8
		d.code = d.code<<8 | uint32(d.next())
	}
	return bit
}

// Direct decodes n bits that were as likely as not.
func (d *Decoder) Direct(n int) uint32 {
	var v uint32
	for range n {
		d.size >>= 1
		bit := uint32(0)
		if d.code >= d.size {
			d.code -= d.size
			bit = 1
		}
		v = v<<1 | bit
		for d.size < top {
			d.size <<= 8
			d.code = d.code<<8 | uint32(d.next())
		}
	}
	return v
}

// Tree decodes n bits that [Encoder.Tree] coded.
func (d *Decoder) Tree(all []Bit, n int) uint32 {
	at := uint32(1)
	for range n {
		at = at<<1 | d.Decode(&all[at])
	}
	return at - 1<<n
}

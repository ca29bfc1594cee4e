package deflater

import (
	"encoding/binary"
	"io"
)

// A bitWriter puts bits together to bytes, the lowest first, for a writer. Its first error stays.
type bitWriter struct {
	to   io.Writer
	err  error
	word uint64 // the bits that are no whole byte yet: fewer than eight between calls
	n    uint   // how many those are
	size int    // bytes in buf
	buf  [4096]byte
}

func (b *bitWriter) restart(to io.Writer) { b.to, b.err, b.word, b.n, b.size = to, nil, 0, 0, 0 }

// put appends the lowest n bits of v, of which no higher one is set; n is 48 at most.
func (b *bitWriter) put(v uint64, n uint) {
	if b.size > len(b.buf)-8 {
		b.drain()
	}
	b.word |= v << (b.n & 63)
	b.n += n
	binary.LittleEndian.PutUint64(b.buf[b.size:], b.word)
	b.size += int(b.n >> 3)
	b.word >>= b.n & 56
	b.n &= 7
}

// align fills up the last byte with zeros.
func (b *bitWriter) align() { b.put(0, -b.n&7) }

// write appends whole bytes; the bits before them are aligned.
func (b *bitWriter) write(p []byte) {
	b.drain()
	b.give(p)
}

// flush hands on all whole bytes, and the last bits too where nothing follows.
func (b *bitWriter) flush(last bool) {
	if last {
		b.align()
	}
	b.drain()
}

func (b *bitWriter) drain() {
	b.give(b.buf[:b.size])
	b.size = 0
}

func (b *bitWriter) give(p []byte) {
	if b.err == nil && len(p) > 0 {
		_, b.err = b.to.Write(p)
	}
}

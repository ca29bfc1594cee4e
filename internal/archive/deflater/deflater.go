// Package deflater compresses as zlib does, bit for bit: for the same content and the same
// parameters it gives the bytes that deflate() of zlib 1.2.11 to 1.3.1 gives with a window
// of 32 KB, no header, and all of the content before Z_FINISH. So a member of an archive can
// be opened, changed by a delta and closed again to exactly what the vendor signed. [Finder]
// learns from the bytes with which parameters that works.
//
// The algorithm is that of RFC 1951 and of zlib, whose choices (which earlier place a search
// comes upon first, when it gives up, where a block ends, which code a symbol gets) are all
// kept; the code is its own. Why, and how it is judged, is in
// docs/decisions/2026-11-30-own-deflater.md.
package deflater

import (
	"errors"
	"fmt"
	"io"
)

// A Strategy is what zlib takes content for. The values are zlib's.
type Strategy uint8

// The strategies.
const (
	Default     Strategy = iota // anything
	Filtered                    // small values, little that repeats: short matches are not used
	HuffmanOnly                 // no matches
	RLE                         // matches at distance 1 only
	Fixed                       // no codes of a block's own; as zlib 1.2.13 and later choose between fixed and stored
)

// Params are how zlib was called.
type Params struct {
	Level    int // 1 (fastest) to 9 (smallest); 0, which only stores, is not made here
	MemLevel int // 8, which nearly everybody uses, or 9
	Strategy Strategy
}

// check refuses parameters that are not made here.
func (p Params) check() error {
	if p.Level < 1 || p.Level > 9 || p.MemLevel < 8 || p.MemLevel > 9 || p.Strategy > Fixed {
		return fmt.Errorf("deflate with level %d, memory level %d and strategy %d: there are levels 1 to 9, memory levels 8 and 9, strategies 0 to 4",
			p.Level, p.MemLevel, p.Strategy)
	}
	return nil
}

// A Writer compresses what is written to it. It holds about 420 KB, whatever the content.
type Writer struct {
	params Params
	effort effort
	out    bitWriter
	block  block
	window window
	closed bool

	// What the step before found, of which deflateLazy thinks again.
	length  int  // of the match
	literal bool // the byte before the current one is not yet in the block
}

// NewWriter returns a Writer that gives its output to w, a block at a time. It fails for
// parameters that are not made here.
func NewWriter(w io.Writer, p Params) (*Writer, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	z := new(Writer)
	z.block.init()
	z.restart(w, p)
	return z, nil
}

// Reset begins anew with the same parameters; it allocates nothing.
func (z *Writer) Reset(w io.Writer) { z.restart(w, z.params) }

func (z *Writer) restart(w io.Writer, p Params) {
	z.params, z.effort, z.closed = p, effortOf(p.Level), false
	z.length, z.literal = minMatch-1, false
	z.out.restart(w)
	z.block.restart(1<<(p.MemLevel+6) - 1)
	z.window.restart(p.MemLevel + 7)
}

// Write compresses p; the output does not depend on how content is cut into calls. After
// an error of the writer below it does nothing but return that error.
func (z *Writer) Write(p []byte) (int, error) {
	for rest := p; ; {
		free, err := z.room()
		if err != nil {
			return 0, err
		}
		n := copy(free, rest)
		z.window.end += n
		if rest = rest[n:]; len(rest) == 0 {
			return len(p), nil
		}
	}
}

// ReadFrom compresses what r has, until its end, as Write does but without a copy.
func (z *Writer) ReadFrom(r io.Reader) (int64, error) {
	for total := int64(0); ; {
		free, err := z.room()
		if err != nil {
			return total, err
		}
		n, err := r.Read(free)
		z.window.end += n
		total += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// room returns where content goes next, at least a byte, and compresses to get it.
func (z *Writer) room() ([]byte, error) {
	if z.closed {
		return nil, errors.New("deflate: written to after Close")
	}
	if z.window.end == 2*windowSize {
		z.deflate(false)
	}
	return z.window.data[z.window.end : 2*windowSize], z.out.err
}

// Close compresses what is left and ends the stream. It does not close the writer below.
func (z *Writer) Close() error {
	if !z.closed && z.out.err == nil {
		z.closed = true
		z.deflate(true)
		z.endBlock(true)
	}
	return z.out.err
}

// deflate compresses as much of the window as may be before more of the content is known,
// or all of it if there is no more.
func (z *Writer) deflate(last bool) {
	switch {
	case z.params.Strategy == HuffmanOnly:
		z.deflateHuffman(last)
	case z.params.Strategy == RLE:
		z.deflateRuns(last)
	case z.effort.lazy:
		z.deflateLazy(last)
	default:
		z.deflateGreedy(last)
	}
}

// endBlock puts out the block up to the current byte, and reports whether to go on: not
// when the writer below fails.
func (z *Writer) endBlock(last bool) bool {
	w := &z.window
	z.block.write(&z.out, w.sinceBlock(), w.start-w.blockStart, z.params.Strategy == Fixed, last)
	w.blockStart = w.start
	z.out.flush(last)
	return z.out.err == nil
}

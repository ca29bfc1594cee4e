package deflater

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// A Finder finds out how content was compressed, by trying. It holds 8 KB more than a
// [Writer] does, and is made for the many members of an archive: what was right for the one
// before is tried first. Each goroutine needs its own.
type Finder struct {
	tries      []Params
	comparison comparison
	writer     Writer
}

// NewFinder returns a Finder.
func NewFinder() *Finder {
	f := &Finder{tries: likely()}
	f.writer.block.init()
	return f
}

// likely returns all parameters that can make a difference, the likeliest first.
func likely() []Params {
	var all []Params
	add := func(s Strategy, levels ...int) {
		for mem := 8; mem <= 9; mem++ {
			for _, level := range levels {
				all = append(all, Params{level, mem, s})
			}
		}
	}
	add(Default, 6, 9, 1, 5, 8, 7, 4, 3, 2)
	add(Filtered, 6, 9, 8, 7, 5, 4) // below, it is Default
	add(HuffmanOnly, 6)             // the level does not count
	add(RLE, 6)
	add(Fixed, 6, 9, 1, 5, 8, 7, 4, 3, 2)
	return all
}

// Find returns the parameters with which a [Writer] makes exactly the packed bytes of the
// content, and whether there are any: there are none for what another program than zlib
// compressed. It calls content for a reader from the start each time it tries: once when
// its first guess is right, 52 times when none is. A wrong guess mostly ends with the first
// block, 16,000 or 32,000 matches and bytes; all are compressed to their end only where
// they give the same. It fails where either side can not be read.
func (f *Finder) Find(packed *io.SectionReader, content func() io.Reader) (Params, bool, error) {
	var first [1]byte
	if _, err := packed.ReadAt(first[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return Params{}, false, err
	}
	ownCodes := first[0]>>1&3 == dynamicBlock
	for i, p := range f.tries {
		if ownCodes && p.Strategy == Fixed {
			continue
		}
		switch err := f.try(p, packed, content()); {
		case err == nil:
			copy(f.tries[1:], f.tries[:i])
			f.tries[0] = p
			return p, true, nil
		case !errors.Is(err, errDifferent):
			return Params{}, false, err
		}
	}
	return Params{}, false, nil
}

// errDifferent ends a try.
var errDifferent = errors.New("other bytes than the packed ones")

// try compresses until something differs.
func (f *Finder) try(p Params, packed *io.SectionReader, content io.Reader) error {
	f.comparison.packed, f.comparison.at = packed, 0
	f.writer.restart(&f.comparison, p)
	if _, err := f.writer.ReadFrom(content); err != nil {
		return err
	}
	if err := f.writer.Close(); err != nil {
		return err
	}
	if f.comparison.at < packed.Size() {
		return errDifferent
	}
	return nil
}

// A comparison takes only what the packed bytes are.
type comparison struct {
	packed *io.SectionReader
	at     int64
	buf    [8 << 10]byte
}

func (c *comparison) Write(p []byte) (int, error) {
	for part := range slices.Chunk(p, len(c.buf)) {
		there := c.buf[:len(part)]
		if n, err := c.packed.ReadAt(there, c.at); n < len(there) && !errors.Is(err, io.EOF) {
			return 0, err
		} else if !bytes.Equal(there[:n], part) {
			return 0, errDifferent
		}
		c.at += int64(len(part))
	}
	return len(p), nil
}

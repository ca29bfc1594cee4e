// Package lz is the delta engine for content of which much is new or has moved: what of new
// lies in old or earlier in new is copied, the rest is spelt out, all foreseen as well as can
// be from what came before (LZ77 with the last distances of LZMA, bytes from mixed guesses).
// docs/design/delta-lz.md describes the code.
package lz

import (
	"errors"
	"fmt"

	"uplevel/internal/delta/rangecode"
)

// Max is how many bytes old and target together may have.
const Max = 1 << 30

// ErrCode says that a code was not made by [Encode] for this old and this size of target.
var ErrCode = errors.New("the code copies from where nothing is")

// Encode returns a code from which [Decode] makes target again, given old. Both together have at
// most [Max] bytes. It takes about 8 bytes of memory for each byte of both.
func Encode(old, target []byte) []byte {
	t := &text{old, target}
	q := newParser(t, newModel(), effortFor(len(old)+len(target)))
	e := rangecode.NewEncoder(nil)
	c := rangecode.Encoding(e)
	p := start(len(old))
	var ops []op
	for stale := true; int(p.at) < len(target); {
		if stale {
			q.refresh()
		}
		ops = q.next(p, ops[:0])
		for _, o := range ops {
			q.model.code(c, &p, t, o)
			p.move(o, uint32(len(old)))
		}
		stale = q.older(len(ops))
	}
	return e.Close()
}

// Decode fills target, whose length is known, from old and a code of unknown origin. It takes
// time linear in the length of target and 2 MB of memory. An error is [ErrCode] or
// [rangecode.ErrEnd]; a code that was damaged may also give other bytes without one.
func Decode(target, old, code []byte) error {
	if len(old)+len(target) > Max {
		return fmt.Errorf("%w: %d bytes of old and target are more than %d", ErrCode, len(old)+len(target), Max)
	}
	t, m := &text{old, target}, newModel()
	d := rangecode.NewDecoder(code)
	c := rangecode.Decoding(d)
	for p := start(len(old)); int(p.at) < len(target); {
		o := m.code(c, &p, t, op{})
		switch o.kind {
		case literal:
			target[p.at] = byte(o.v)
		case same:
			target[p.at] = t.past(p.at, p.dist[0])
		case again0, again1, again2, again3, seek, fresh:
			if !t.fill(&p, o) {
				return fmt.Errorf("%w, for byte %d of %d", ErrCode, p.at, len(target))
			}
		}
		p.move(o, uint32(len(old)))
	}
	return d.Err()
}

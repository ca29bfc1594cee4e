// Package edit codes new content by old content from which it differs in small edits: bytes
// changed here and there, addresses that moved, something put in or left out. It is of the
// kind of bsdiff (Percival: "Naive differences of executable code", 2003): alignments of new
// to old, what changed along them, and extra bytes between them; but what changed is coded
// byte for byte by all that is known of the old content around it. docs/design/delta-edit.md
// has the code's grammar.
package edit

import (
	"fmt"

	"uplevel/internal/delta/rangecode"
)

const (
	maxAlignments = 1 << 18
	maxBases      = 15
	maxSize       = 1 << 30 // of old and of new
)

// alignment says that size bytes of new come from old.
type alignment struct{ new, old, size int }

// Encode returns a code from which [Decode] makes now again, given old. Both must be shorter
// than 1 GB. It takes about eight times the size of old in memory.
func Encode(old, now []byte) []byte {
	all := align(old, now)
	moved := movedBy(old, all)
	bases := findBases(old, now, all, moved)
	c := &coder{enc: rangecode.NewEncoder(nil)}
	c.number(newNumber(), uint32(len(all)))
	// What is written can be read: no error comes of it.
	_ = c.alignments(all, len(old), len(now))
	c.bases(bases)
	newWalk(c, old, now, bases, moved).all(all)
	return c.enc.Close()
}

// Decode fills now (its length is known) from old and a code of unknown origin. It reads and
// writes nothing outside, takes time in proportion to len(now) and len(code), and at most
// 16 MB and a quarter of len(old) in memory. It returns an error for what cannot be; what now
// holds then is of no use.
func Decode(now, old, code []byte) error {
	if len(old) >= maxSize || len(now) >= maxSize {
		return fmt.Errorf("an edit of %d bytes to %d is too large: each may have 1 GB", len(old), len(now))
	}
	c := &coder{dec: rangecode.NewDecoder(code)}
	n := c.number(newNumber(), 0)
	if n > maxAlignments || n > uint32(len(now)) {
		return fmt.Errorf("an edit has %d alignments for %d bytes: at most one for each and %d may be", n, len(now), maxAlignments)
	}
	all := make([]alignment, n)
	if err := c.alignments(all, len(old), len(now)); err != nil {
		return err
	}
	bases := make([]base, maxBases)
	bases = c.bases(bases)
	newWalk(c, old, now, bases, movedBy(old, all)).all(all)
	if c.ended() {
		return fmt.Errorf("an edit of %d bytes: %w", len(code), rangecode.ErrEnd)
	}
	return nil
}

// alignments codes all alignments: how many extra bytes are before each, how long it is, and
// how far in old it is from the end of the one before.
func (c *coder) alignments(all []alignment, old, now int) error {
	gaps, sizes, seeks := newNumber(), newNumber(), newNumber()
	to, from := 0, 0
	for i := range all {
		a := &all[i]
		gap := int(c.number(gaps, uint32(a.new-to)))
		more := int(c.number(sizes, uint32(a.size-1))) // than one byte
		at := from + c.signed(seeks, a.old-from)
		if gap >= now-to || more >= now-to-gap || at < 0 || at >= old || more >= old-at {
			return fmt.Errorf("alignment %d has %d bytes more than the one at %d of %d, and as many at %d of %d: outside", i, more, at, old, to+gap, now)
		}
		*a = alignment{to + gap, at, more + 1}
		to, from = a.new+a.size, a.old+a.size
	}
	return nil
}

// bases codes the bases; of those that are given, as many as there are while it decodes.
func (c *coder) bases(all []base) []base {
	all = all[:c.direct(uint32(len(all)), 4)]
	for i, b := range all {
		all[i] = base{c.word(b.at), c.word(b.moved)}
	}
	return all
}

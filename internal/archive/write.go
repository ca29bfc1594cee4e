package archive

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"

	"uplevel/internal/archive/anatomy"
)

// writer writes one archive; of a nested one, depth tells how deep.
type writer struct {
	*merger

	out    *bufio.Writer
	depth  int
	at     int64 // how much was written
	shift  int64 // what offsets do not count
	placed map[*choice]placed
	result Result
}

// placed is a record that was written: what the directory says of it.
type placed struct {
	central []byte
	wideAt  int
	offset  int64
	mode    uint32 // of the permission bits that are to be set, with setMode
	setMode bool
}

// Write counts what goes out.
func (w *writer) Write(b []byte) (int, error) {
	n, err := w.out.Write(b)
	w.at += int64(n)
	return n, err
}

func (w *writer) write(ctx context.Context, f frames, all choices) error {
	if err := w.stub(ctx, f); err != nil {
		return err
	}
	for _, c := range all {
		switch c.act {
		case mineRemoved:
			w.conflict(c, MineRemoved)
		case theirsRemoved:
			w.conflict(c, TheirsRemoved)
		case drop, takeMine, takeTheirs, mergeBoth: // told where they are written, if at all
		}
	}
	w.placed = make(map[*choice]placed, len(all))
	for _, c := range w.order(all, f.mine.Records, f.theirs.Records) {
		if err := w.put(ctx, f, c); err != nil {
			return err
		}
	}
	start := w.at
	ordered := w.order(all, f.mine.Members, f.theirs.Members)
	if len(ordered) > anatomy.MaxMembers {
		return whole("merged it would have more than %d members", anatomy.MaxMembers)
	}
	for _, c := range ordered {
		central, err := w.central(w.placed[c])
		if err != nil {
			return err
		}
		if _, err := w.Write(central); err != nil {
			return err
		}
	}
	if w.at-start > anatomy.MaxDirectory {
		return whole("merged its directory would be too long")
	}
	return w.end(f, start, len(ordered))
}

// stub writes what stands before the first member.
func (w *writer) stub(ctx context.Context, f frames) error {
	same := func(a, b *anatomy.Archive) (bool, error) {
		if a.Stub != b.Stub || a.Stub == 0 {
			return a.Stub == b.Stub, nil
		}
		return w.sameRange(ctx, a.Source, 0, b.Source, 0, a.Stub)
	}
	side, err := w.frameSide(f, same, Stub, func(f *anatomy.Archive) Value {
		return Value{Text: fmt.Sprintf("%d bytes", f.Stub), Gone: f.Stub == 0}
	})
	if err != nil {
		return err
	}
	if side.Relative {
		w.shift = side.Stub
	}
	return w.copyRange(ctx, w, side.Source, 0, side.Stub)
}

// frameSide picks whose frame has what is wanted, three-way by same.
func (w *writer) frameSide(f frames, same func(a, b *anatomy.Archive) (bool, error), why Why, value func(*anatomy.Archive) Value) (*anatomy.Archive, error) {
	for _, try := range []struct{ a, b, pick *anatomy.Archive }{
		{f.mine, f.theirs, f.mine}, {f.base, f.theirs, f.mine}, {f.base, f.mine, f.theirs},
	} {
		if ok, err := same(try.a, try.b); ok || err != nil {
			return try.pick, err
		}
	}
	w.result.Conflicts = append(w.result.Conflicts, Conflict{Why: why, Base: value(f.base), Mine: value(f.mine), Theirs: value(f.theirs)})
	if w.preferTheirs {
		return f.theirs, nil
	}
	return f.mine, nil
}

// put writes the record of one member and what follows its content.
func (w *writer) put(ctx context.Context, f frames, c *choice) error {
	switch c.act {
	case drop:
		return nil
	case takeMine:
		return w.raw(ctx, f.mine, c.mine, c)
	case takeTheirs:
		return w.raw(ctx, f.theirs, c.theirs, c)
	case mergeBoth:
		return w.both(ctx, f, c)
	case mineRemoved, theirsRemoved:
	}
	return w.side(ctx, f, c)
}

// side writes the side that is preferred at conflicts, nothing if that has nothing.
func (w *writer) side(ctx context.Context, f frames, c *choice) error {
	from, m := f.mine, c.mine
	if w.preferTheirs {
		from, m = f.theirs, c.theirs
	}
	if m == nil {
		return nil
	}
	return w.raw(ctx, from, m, c)
}

// raw copies a record as it is stored.
func (w *writer) raw(ctx context.Context, from *anatomy.Archive, m *anatomy.Member, c *choice) error {
	p := placed{central: m.Central, wideAt: m.WideAt, offset: w.at}
	p.mode, p.setMode = mode(c, m)
	w.placed[c] = p
	return w.copyRange(ctx, w, from.Source, m.Offset, m.End)
}

// mode returns the permission bits that a record of the result must have, if they are
// not those that it has: mine's if they are not the base's, else theirs'.
func mode(c *choice, m *anatomy.Member) (uint32, bool) {
	if c.base == nil || c.mine == nil || c.theirs == nil {
		return 0, false
	}
	base, mine, theirs := c.base.Unix(), c.mine.Unix(), c.theirs.Unix()
	if base == 0 || mine == 0 || theirs == 0 || base&anatomy.UnixType != mine&anatomy.UnixType || mine&anatomy.UnixType != theirs&anatomy.UnixType {
		return 0, false
	}
	wanted := theirs
	if mine != base {
		wanted = mine
	}
	return wanted, wanted != m.Unix()
}

// rebuilt writes a member with new content, in all else like mine.
func (w *writer) rebuilt(mine *anatomy.Archive, c *choice, content []byte) error {
	head, err := c.mine.LocalHeader(mine.Source)
	if err != nil {
		return err
	}
	packed := content
	if c.mine.Method == anatomy.Deflate {
		var b bytes.Buffer
		z, err := flate.NewWriter(&b, flate.DefaultCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(content); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		packed = b.Bytes()
	}
	if max(len(content), len(packed)) >= math.MaxInt32 {
		return fmt.Errorf("%d bytes are too many", len(content))
	}
	sizes := [3]uint32{crc32.ChecksumIEEE(content), uint32(len(packed)), uint32(len(content))} //nolint:gosec // bounded above
	p := placed{central: refit(c.mine.Central, anatomy.LenCentral, 28, 8, 16, sizes), offset: w.at}
	p.mode, p.setMode = mode(c, c.mine)
	w.placed[c] = p
	if _, err := w.Write(refit(head, anatomy.LenLocal, 26, 6, 14, sizes)); err != nil {
		return err
	}
	_, err = w.Write(packed)
	return err
}

// refit returns a header for other content: checksum and sizes are put in, no data
// descriptor follows, and the zip64 field goes. The header is fixed bytes long before its
// name; the others are where it has lengths, flags and checksum.
func refit(header []byte, fixed, lengths, flags, crc int, sizes [3]uint32) []byte {
	le := binary.LittleEndian
	extraAt := fixed + int(le.Uint16(header[lengths:]))
	extraEnd := extraAt + int(le.Uint16(header[lengths+2:]))
	h := slices.Clone(header[:extraAt])
	for rest := header[extraAt:extraEnd]; len(rest) > 0; {
		n := len(rest) // what is too short for a field is kept
		if n >= 4 {
			n = 4 + int(le.Uint16(rest[2:]))
		}
		if len(rest) < 4 || le.Uint16(rest) != anatomy.ExtraZip64 {
			h = append(h, rest[:n]...)
		}
		rest = rest[n:]
	}
	le.PutUint16(h[lengths+2:], uint16(len(h)-extraAt)) //nolint:gosec // no longer than it was
	le.PutUint16(h[flags:], le.Uint16(h[flags:])&^anatomy.FlagDescriptor)
	for i, v := range sizes {
		le.PutUint32(h[crc+4*i:], v)
	}
	return append(h, header[extraEnd:]...)
}

// central returns the directory's record of what was written.
func (w *writer) central(p placed) ([]byte, error) {
	le := binary.LittleEndian
	central := slices.Clone(p.central)
	switch offset := p.offset - w.shift; {
	case p.wideAt > 0:
		le.PutUint64(central[p.wideAt:], uint64(offset)) //nolint:gosec // never negative: the stub was written before
	case offset >= math.MaxUint32:
		return nil, whole("merged it is too long for the offsets it has")
	default:
		le.PutUint32(central[42:], uint32(offset)) //nolint:gosec // bounded above
	}
	if p.setMode {
		le.PutUint16(central[40:], uint16(p.mode)) //nolint:gosec // 16 bits, as they were read
	}
	return central, nil
}

// end writes the records at the end, in the form that mine has.
func (w *writer) end(f frames, start int64, count int) error {
	comment, err := w.frameSide(f, func(a, b *anatomy.Archive) (bool, error) { return bytes.Equal(a.Comment, b.Comment), nil }, Comment,
		func(f *anatomy.Archive) Value {
			return Value{Text: strings.ToValidUTF8(string(f.Comment), "�"), Gone: len(f.Comment) == 0}
		})
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	//nolint:gosec // counts and offsets, never negative
	n, length, at := uint64(count), uint64(w.at-start), uint64(start-w.shift)
	last := slices.Clone(f.mine.Last)
	for _, s := range []int{8, 10} {
		le.PutUint16(last[s:], uint16(shorten(n, uint64(le.Uint16(last[s:])), math.MaxUint16, f.mine.Wide))) //nolint:gosec // shortened
	}
	le.PutUint32(last[12:], uint32(shorten(length, uint64(le.Uint32(last[12:])), math.MaxUint32, f.mine.Wide))) //nolint:gosec // shortened
	le.PutUint32(last[16:], uint32(shorten(at, uint64(le.Uint32(last[16:])), math.MaxUint32, f.mine.Wide)))     //nolint:gosec // shortened
	le.PutUint16(last[20:], uint16(len(comment.Comment)))                                                       //nolint:gosec // as it was read
	if f.mine.Wide != nil || n >= math.MaxUint16 || at >= math.MaxUint32 {
		if _, err := w.Write(wideEnd(f.mine.Wide, n, length, at)); err != nil {
			return err
		}
	}
	_, err = w.Write(append(last, comment.Comment...))
	return err
}

// shorten returns a number for a field that can hold less than none, which says that it is
// in the zip64 record; where mine said that, so does the result.
func shorten(number, former, none uint64, wide []byte) uint64 {
	if number >= none || wide != nil && former == none {
		return none
	}
	return number
}

// wideEnd returns the zip64 record and its locator, like mine's if it has one.
func wideEnd(mine []byte, count, length, start uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, anatomy.LenEnd64+anatomy.LenLocator64)
	le.PutUint32(b, anatomy.SignEnd64)
	le.PutUint64(b[4:], anatomy.LenEnd64-12)
	le.PutUint16(b[12:], 45) // version 4.5 knows zip64
	le.PutUint16(b[14:], 45)
	copy(b, mine)
	le.PutUint64(b[24:], count)
	le.PutUint64(b[32:], count)
	le.PutUint64(b[40:], length)
	le.PutUint64(b[48:], start)
	locator := b[anatomy.LenEnd64:]
	le.PutUint32(locator, anatomy.SignLocator64)
	le.PutUint64(locator[8:], start+length)
	le.PutUint32(locator[16:], 1)
	return b
}

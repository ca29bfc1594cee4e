// Package layout says of what parts a file consists: bytes as they lie, deflated streams that
// can be opened, and archives within them. The parts of a file, one after the other, are the
// whole of it. What is no archive, or one that two readers could understand differently, is
// one part. The answer depends on the file's bytes and on nothing else, so that whoever makes
// a delta and whoever applies it see the same parts.
package layout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"uplevel/internal/archive/anatomy"
)

// Bounds of what is opened. Beyond them a file, or an archive in it, is one part.
const (
	MaxParts = 200_000  // of one file, those within its parts counted
	MaxInner = 32 << 20 // bytes of an archive that lies deflated in another: it is opened in memory
	maxDepth = 3        // archives within archives
	members  = 65_536   // of one archive
	records  = 16 << 20 // bytes of its directory
	smallest = 16       // bytes that a deflated stream must have to be opened
)

// Part is a stretch of a file, or of an archive within it.
type Part struct {
	At, Len int64  // where its bytes lie in what holds it
	Size    int64  // of its content: Len, but for one that is deflated
	Deflate bool   // its bytes are a deflated stream
	Frame   bool   // headers and directory of an archive
	Name    string // of the member; a frame's is that of the member that follows, "" at the end
	Within  []Part // its content is an archive, and these are all of it; nil: it is looked at as a whole
}

// Count returns the number of parts, those within them counted.
func Count(parts []Part) int {
	n := len(parts)
	for _, p := range parts {
		n += Count(p.Within)
	}
	return n
}

// Of returns the parts of a file. Errors are those of reading it, and of the context.
func Of(ctx context.Context, file *io.SectionReader) ([]Part, error) {
	l := lister{left: MaxParts - 1}
	parts, err := l.list(ctx, file, 0)
	if err != nil {
		return nil, err
	}
	if parts == nil {
		parts = []Part{{Len: file.Size(), Size: file.Size()}}
	}
	return parts, nil
}

// lister counts the parts that may still be found.
type lister struct {
	left   int
	opener Opener
}

// list returns the parts of an archive, nil of what is none.
func (l *lister) list(ctx context.Context, src *io.SectionReader, depth int) ([]Part, error) {
	if depth > maxDepth {
		return nil, nil
	}
	var magic [4]byte
	if n, err := src.ReadAt(magic[:], 0); n < len(magic) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading what is to be opened: %w", err)
	}
	var parts []Part
	var err error
	if magic[0] == 0x1f && magic[1] == 0x8b {
		parts, err = gzipParts(src)
	} else {
		parts, err = zipParts(ctx, src)
	}
	switch {
	case errors.Is(err, anatomy.ErrRefused):
		return nil, nil
	case err != nil:
		return nil, err
	case len(parts) > l.left:
		return nil, nil
	}
	l.left -= len(parts)
	return parts, l.within(ctx, src, parts, depth)
}

// within looks for archives in the parts.
func (l *lister) within(ctx context.Context, src *io.SectionReader, parts []Part, depth int) error {
	for i := range parts {
		p := &parts[i]
		if p.Frame || p.Deflate && p.Size > MaxInner {
			continue
		}
		inner, ok, err := l.opener.inner(src, *p)
		if err == nil && ok {
			p.Within, err = l.list(ctx, inner, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// zipParts returns the parts of a zip archive.
func zipParts(ctx context.Context, src *io.SectionReader) ([]Part, error) {
	a, err := anatomy.OpenWithin(ctx, src, anatomy.Bounds{Members: members, Directory: records})
	if err != nil {
		return nil, err
	}
	parts := make([]Part, 0, 2*len(a.Records)+1)
	var at int64
	frame := func(until int64, name string) {
		if until > at {
			parts = append(parts, Part{At: at, Len: until - at, Size: until - at, Frame: true, Name: name})
		}
	}
	for _, m := range a.Records {
		if m.Packed < smallest {
			continue // it stays in the frame
		}
		frame(m.Data, m.Name)
		parts = append(parts, Part{At: m.Data, Len: m.Packed, Size: m.Size, Deflate: m.Method == anatomy.Deflate, Name: m.Name})
		at = m.Data + m.Packed
	}
	frame(src.Size(), "")
	return parts, nil
}

// Flags of a gzip header (RFC 1952, 2.3.1).
const (
	gzipCRC     = 1 << 1
	gzipExtra   = 1 << 2
	gzipName    = 1 << 3
	gzipComment = 1 << 4

	gzipHead = 10
	gzipTail = 8
	maxHead  = 4096
)

var errNoGzip = fmt.Errorf("no gzip of one member: %w", anatomy.ErrRefused)

// gzipParts returns the parts of a gzip file, which is taken for one of a single member: if it
// is none, its stream will not be found to be as long as it says, and is not opened.
func gzipParts(src *io.SectionReader) ([]Part, error) {
	head := make([]byte, min(src.Size(), maxHead))
	var tail [gzipTail]byte
	if src.Size() < gzipHead+gzipTail+smallest {
		return nil, errNoGzip
	}
	if err := errors.Join(anatomy.ReadAt(src, head, 0), anatomy.ReadAt(src, tail[:], src.Size()-gzipTail)); err != nil {
		return nil, err
	}
	at := afterGzipHead(head)
	end := src.Size() - gzipTail
	size := int64(binary.LittleEndian.Uint32(tail[4:]))
	if at == 0 || at+smallest > end || size > (end-at)*maxGrowth {
		return nil, errNoGzip
	}
	return []Part{
		{At: 0, Len: at, Size: at, Frame: true, Name: "stream"},
		{At: at, Len: end - at, Size: size, Deflate: true, Name: "stream"},
		{At: end, Len: gzipTail, Size: gzipTail, Frame: true},
	}, nil
}

// maxGrowth is more than a deflated stream can unpack to, for each of its bytes.
const maxGrowth = 1040

// afterGzipHead returns where a header ends, 0 if it does not.
func afterGzipHead(head []byte) int64 {
	if len(head) < gzipHead || head[2] != 8 || head[3] > gzipComment<<1-1 {
		return 0
	}
	at := gzipHead
	if head[3]&gzipExtra != 0 {
		if at+2 > len(head) {
			return 0
		}
		at += 2 + int(binary.LittleEndian.Uint16(head[at:]))
	}
	for _, flag := range []byte{gzipName, gzipComment} {
		if head[3]&flag == 0 {
			continue
		}
		for at < len(head) && head[at] != 0 {
			at++
		}
		at++
	}
	if head[3]&gzipCRC != 0 {
		at += 2
	}
	if at > len(head) {
		return 0
	}
	return int64(at)
}

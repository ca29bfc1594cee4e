// Package anatomy takes zip archives apart without unpacking them: it tells what every
// byte belongs to, and refuses archives that two readers could understand differently.
package anatomy

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Bounds of an archive that [Open] reads.
const (
	MaxMembers   = 100_000
	MaxDirectory = 64 << 20
)

// Bounds are how much may be known of one archive: it takes memory.
type Bounds struct {
	Members   int
	Directory int64 // bytes
}

// ErrRefused is in the chain of errors that say an archive is damaged, hostile, too
// large or of a kind that is not understood; errors of reading do not have it.
var ErrRefused = errors.New("not to be taken apart")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrRefused)
}

// Archive is the anatomy of one: every byte belongs to the stub, to one member, to the
// directory or to the records at the end. The zero value is an archive of nothing.
type Archive struct {
	Source   *io.SectionReader
	Members  []*Member // in the order of the directory
	Records  []*Member // in the order of the file
	Stub     int64     // length of what stands before the first member
	Relative bool      // offsets do not count the stub
	Wide     []byte    // zip64 record at the end, nil if there is none
	Last     []byte    // record at the end, without the comment
	Comment  []byte

	byPath map[string]*Member
}

// Lookup returns the member at a path, which has no slash at its end; nil if none is there.
func (f *Archive) Lookup(path string) *Member { return f.byPath[path] }

// Open reads the directory of an archive, compares every record with its local
// header, and refuses what two readers could understand differently.
func Open(ctx context.Context, src *io.SectionReader) (*Archive, error) {
	return OpenWithin(ctx, src, Bounds{Members: MaxMembers, Directory: MaxDirectory})
}

// OpenWithin is [Open] with other bounds.
func OpenWithin(ctx context.Context, src *io.SectionReader, within Bounds) (*Archive, error) {
	f := &Archive{Source: src, byPath: map[string]*Member{}}
	e, err := f.readEnd(within.Directory)
	if err != nil {
		return nil, err
	}
	directory := make([]byte, e.length)
	if err := ReadAt(src, directory, e.start+e.shift); err != nil {
		return nil, err
	}
	if err := f.readMembers(ctx, directory, e, within.Members); err != nil {
		return nil, err
	}
	f.Records = slices.Clone(f.Members)
	slices.SortFunc(f.Records, func(a, b *Member) int { return cmp.Compare(a.Offset, b.Offset) })
	f.Stub = e.start + e.shift
	if len(f.Records) > 0 {
		f.Stub = f.Records[0].Offset
	}
	f.Relative = e.shift > 0
	if e.shift != 0 && e.shift != f.Stub {
		return nil, refuse("its offsets count a part of what stands before the first member")
	}
	if err := f.checkStub(); err != nil {
		return nil, err
	}
	return f, f.checkExtents(e.start + e.shift)
}

// checkStub refuses an archive before the archive: who reads from the front sees that.
func (f *Archive) checkStub() error {
	var b [4]byte
	if f.Stub < int64(len(b)) {
		return nil
	}
	err := ReadAt(f.Source, b[:], 0)
	if err == nil && binary.LittleEndian.Uint32(b[:]) == signLocal {
		err = refuse("another archive stands before its first member")
	}
	return err
}

func (f *Archive) readMembers(ctx context.Context, directory []byte, e end, most int) error {
	for len(directory) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, rest, err := parseCentral(directory)
		if err != nil {
			return err
		}
		if len(f.Members) >= most {
			return refuse("it has more than %d members", most)
		}
		m.Offset += e.shift
		if err := m.classify(); err != nil {
			return fmt.Errorf("%.200q: %w", m.Name, err)
		}
		if err := m.compareLocal(f.Source, e.start+e.shift); err != nil {
			return fmt.Errorf("%.200q: %w", m.Name, err)
		}
		if _, twice := f.byPath[m.Path()]; twice {
			return refuse("%.200q stands in it twice", m.Name)
		}
		f.byPath[m.Path()] = m
		f.Members, directory = append(f.Members, m), rest
	}
	if uint64(len(f.Members)) != e.count {
		return refuse("its directory lists %d members and claims %d", len(f.Members), e.count)
	}
	return f.checkFolders()
}

// checkFolders refuses a file that others stand below.
func (f *Archive) checkFolders() error {
	for _, m := range f.Members {
		if name, ok := FileAbove(m.Path(), func(p string) bool { above := f.byPath[p]; return above != nil && !above.Folder() }); ok {
			return refuse("%.200q stands below %.200q, which is no folder", m.Name, name)
		}
	}
	return nil
}

// FileAbove returns the first of the folders above path that isFile says is none.
func FileAbove(path string, isFile func(string) bool) (string, bool) {
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if isFile(path[:i]) {
			return path[:i], true
		}
	}
	return "", false
}

// checkExtents finds where each member ends: its data descriptor included, exactly where
// the next one begins, the last one where the directory does.
func (f *Archive) checkExtents(directory int64) error {
	for i, m := range f.Records {
		next := directory
		if i+1 < len(f.Records) {
			next = f.Records[i+1].Offset
		}
		if next < m.Data+m.Packed {
			return refuse("%.200q overlaps another member", m.Name)
		}
		if err := m.checkDescriptor(f.Source, next); err != nil {
			return fmt.Errorf("%.200q: %w", m.Name, err)
		}
		m.End = next
	}
	return nil
}

// end is what the records at the end of an archive say.
type end struct {
	start, length int64 // of the directory; start as written
	shift         int64 // what is to be added to every offset
	count         uint64
}

func (f *Archive) readEnd(maxDirectory int64) (end, error) {
	at, record, err := f.findEnd()
	if err != nil {
		return end{}, err
	}
	le := binary.LittleEndian
	if le.Uint16(record[4:]) != 0 || le.Uint16(record[6:]) != 0 || le.Uint16(record[8:]) != le.Uint16(record[10:]) {
		return end{}, refuse("it is one part of several")
	}
	count, length, start := uint64(le.Uint16(record[10:])), uint64(le.Uint32(record[12:])), uint64(le.Uint32(record[16:]))
	locator := uint64(0)
	if wide, position, ok, err := f.readWide(at); err != nil {
		return end{}, err
	} else if ok {
		wCount, wLength, wStart := le.Uint64(wide[32:]), le.Uint64(wide[40:]), le.Uint64(wide[48:])
		if !agree(count, wCount, math.MaxUint16) || !agree(length, wLength, math.MaxUint32) || !agree(start, wStart, math.MaxUint32) {
			return end{}, refuse("its zip64 records do not agree with its end")
		}
		at, count, length, start, locator = at-LenLocator64-LenEnd64, wCount, wLength, wStart, position
		f.Wide = wide
	} else if count == math.MaxUint16 || length == math.MaxUint32 || start == math.MaxUint32 {
		return end{}, refuse("its zip64 records are missing")
	}
	switch {
	case length > uint64(max(0, maxDirectory)):
		return end{}, refuse("its directory of %d bytes is too long", length)
	case length > uint64(at) || start > uint64(at)-length: //nolint:gosec // at is an offset, never negative
		return end{}, refuse("its directory is not where its end says")
	}
	e := end{start: int64(start), length: int64(length), count: count} //nolint:gosec // within the file, as compared before
	e.shift = at - e.length - e.start
	if f.Wide != nil && locator+uint64(e.shift) != uint64(at) { //nolint:gosec // both are offsets, never negative
		return end{}, refuse("its zip64 record is not where its locator says")
	}
	return e, nil
}

// agree reports whether a short number is its wide one, or says that it is too short.
func agree(short, wide, none uint64) bool { return short == wide || short == none }

func (f *Archive) findEnd() (int64, []byte, error) {
	size := f.Source.Size()
	tail := make([]byte, min(size, LenEnd+math.MaxUint16))
	if err := ReadAt(f.Source, tail, size-int64(len(tail))); err != nil {
		return 0, nil, err
	}
	for i := len(tail) - LenEnd; i >= 0; i-- {
		if binary.LittleEndian.Uint32(tail[i:]) != signEnd {
			continue
		}
		if i+LenEnd+int(binary.LittleEndian.Uint16(tail[i+20:])) != len(tail) {
			return 0, nil, refuse("something follows its end, or looks like another")
		}
		f.Last, f.Comment = tail[i:i+LenEnd], tail[i+LenEnd:]
		return size - int64(len(tail)-i), f.Last, nil
	}
	return 0, nil, refuse("it is no zip archive")
}

// readWide reads the zip64 records, which stand right before the end if there are any.
func (f *Archive) readWide(at int64) (record []byte, position uint64, ok bool, err error) {
	var b [LenEnd64 + LenLocator64]byte
	le := binary.LittleEndian
	if at < LenLocator64 {
		return nil, 0, false, nil
	}
	locator := b[LenEnd64:]
	if err := ReadAt(f.Source, locator, at-LenLocator64); err != nil || le.Uint32(locator) != SignLocator64 {
		return nil, 0, false, err
	}
	if at < int64(len(b)) {
		return nil, 0, false, refuse("its zip64 record is missing")
	}
	record = b[:LenEnd64]
	if err := ReadAt(f.Source, record, at-int64(len(b))); err != nil {
		return nil, 0, false, err
	}
	if le.Uint32(record) != SignEnd64 || le.Uint64(record[4:]) != LenEnd64-12 ||
		le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) > 1 ||
		le.Uint64(record[16:]) != 0 || le.Uint64(record[24:]) != le.Uint64(record[32:]) {
		return nil, 0, false, refuse("its zip64 records are not understood")
	}
	return record, le.Uint64(locator[8:]), true, nil
}

// ReadAt fills b. That the archive ends before is its fault; other errors are not.
func ReadAt(src io.ReaderAt, b []byte, at int64) error {
	n, err := src.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return refuse("it is cut off")
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, err)
}

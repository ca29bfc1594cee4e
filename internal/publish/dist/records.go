package dist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"uplevel/internal/manifest"
)

// Signatures and fixed lengths of the records of a zip archive (APPNOTE 6.3.10).
const (
	signLocal     = 0x04034b50
	signCentral   = 0x02014b50
	signEnd       = 0x06054b50
	signEnd64     = 0x06064b50
	signLocator64 = 0x07064b50

	lenLocal     = 30
	lenCentral   = 46
	lenEnd       = 22
	lenEnd64     = 56
	lenLocator64 = 20

	methodStore   = 0
	methodDeflate = 8

	flagEncrypted  = 1<<0 | 1<<6 | 1<<13
	flagDescriptor = 1 << 3

	extraZip64 = 1
)

// maxDirectory bounds the bytes of the central directory that are read.
const maxDirectory = 256 << 20

// record is one member as the central directory describes it.
type record struct {
	name    string // slash path, without the slash at the end of a folder's
	folder  bool   // the name ended with a slash
	method  uint16
	flags   uint16
	crc     uint32
	packed  int64
	size    int64
	offset  int64 // of the local header
	data    int64 // of the compressed bytes
	creator byte  // system whose attributes are external
	attr    uint32

	kind  manifest.Kind
	mode  uint32
	setID bool
}

// readRecords reads the central directory, compares every record with its local
// header and refuses an archive in which anything disagrees or overlaps.
func readRecords(file io.ReaderAt, size int64) ([]record, error) {
	start, length, count, err := readEnd(file, size)
	if err != nil {
		return nil, err
	}
	directory := make([]byte, length)
	if _, err := file.ReadAt(directory, start); err != nil {
		return nil, fmt.Errorf("reading its directory: %w", err)
	}
	var records []record
	for len(directory) > 0 {
		r, rest, err := parseCentral(directory)
		if err != nil {
			return nil, err
		}
		if err := r.compareLocal(file, start); err != nil {
			return nil, fmt.Errorf("%q: %w", r.name, err)
		}
		if len(records) >= manifest.MaxEntries {
			return nil, fmt.Errorf("it has more than %d entries", manifest.MaxEntries)
		}
		records = append(records, r)
		directory = rest
	}
	if uint64(len(records)) != count {
		return nil, fmt.Errorf("its directory lists %d members and claims %d", len(records), count)
	}
	return records, checkOverlap(records)
}

// checkOverlap refuses members that share bytes, and bytes before the first one.
func checkOverlap(records []record) error {
	sorted := slices.Clone(records)
	slices.SortFunc(sorted, func(a, b record) int { return cmp.Compare(a.offset, b.offset) })
	var end int64
	for i, r := range sorted {
		if i == 0 && r.offset != 0 {
			return errors.New("something stands before its first member")
		}
		if r.offset < end {
			return fmt.Errorf("%q overlaps another member", r.name)
		}
		end = r.data + r.packed
	}
	return nil
}

// readEnd finds the central directory: it must reach exactly to the records that end
// the archive, and these to the end of the file.
func readEnd(file io.ReaderAt, size int64) (start, length int64, count uint64, err error) {
	at, end, err := findEnd(file, size)
	if err != nil {
		return 0, 0, 0, err
	}
	le := binary.LittleEndian
	count = uint64(le.Uint16(end[10:]))
	ulength, ustart := uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	if le.Uint16(end[4:]) != 0 || le.Uint16(end[6:]) != 0 || le.Uint16(end[8:]) != le.Uint16(end[10:]) {
		return 0, 0, 0, errors.New("it is one part of several")
	}
	if count == math.MaxUint16 || ulength == math.MaxUint32 || ustart == math.MaxUint32 {
		if at, ulength, ustart, count, err = readEnd64(file, at); err != nil {
			return 0, 0, 0, err
		}
	}
	switch {
	case ulength > maxDirectory:
		return 0, 0, 0, fmt.Errorf("its directory of %d bytes is too long", ulength)
	case ustart > uint64(at) || ustart+ulength != uint64(at): //nolint:gosec // at is an offset, never negative
		return 0, 0, 0, errors.New("its directory is not where its end says")
	}
	return int64(ustart), int64(ulength), count, nil //nolint:gosec // within the file, as compared before
}

func findEnd(file io.ReaderAt, size int64) (int64, []byte, error) {
	tail := make([]byte, min(size, lenEnd+math.MaxUint16))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, nil, err
	}
	for i := len(tail) - lenEnd; i >= 0; i-- {
		if binary.LittleEndian.Uint32(tail[i:]) != signEnd {
			continue
		}
		comment := int(binary.LittleEndian.Uint16(tail[i+20:]))
		if i+lenEnd+comment == len(tail) {
			return size - int64(len(tail)) + int64(i), tail[i : i+lenEnd], nil
		}
	}
	return 0, nil, errors.New("it is no zip archive, or something follows its end")
}

func readEnd64(file io.ReaderAt, end int64) (at int64, length, start, count uint64, err error) {
	damaged := errors.New("its zip64 records do not agree")
	le := binary.LittleEndian
	var locator [lenLocator64]byte
	if end < lenLocator64 {
		return 0, 0, 0, 0, damaged
	}
	if _, err := file.ReadAt(locator[:], end-lenLocator64); err != nil {
		return 0, 0, 0, 0, err
	}
	position := le.Uint64(locator[8:])
	if le.Uint32(locator[:]) != signLocator64 || position > uint64(end-lenLocator64) {
		return 0, 0, 0, 0, damaged
	}
	var record [lenEnd64]byte
	if _, err := file.ReadAt(record[:], int64(position)); err != nil { //nolint:gosec // within the file, as compared before
		return 0, 0, 0, 0, damaged
	}
	if le.Uint32(record[:]) != signEnd64 || position+12+le.Uint64(record[4:]) != uint64(end-lenLocator64) ||
		le.Uint64(record[24:]) != le.Uint64(record[32:]) {
		return 0, 0, 0, 0, damaged
	}
	return int64(position), le.Uint64(record[40:]), le.Uint64(record[48:]), le.Uint64(record[32:]), nil //nolint:gosec // within the file, as compared before
}

// parseCentral reads one record of the central directory.
func parseCentral(b []byte) (record, []byte, error) {
	le := binary.LittleEndian
	if len(b) < lenCentral || le.Uint32(b) != signCentral {
		return record{}, nil, errors.New("its directory is damaged")
	}
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	total := lenCentral + nameLen + extraLen + commentLen
	if len(b) < total {
		return record{}, nil, errors.New("its directory is cut off")
	}
	r := record{
		name: string(b[lenCentral : lenCentral+nameLen]), creator: b[5],
		flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), crc: le.Uint32(b[16:]), attr: le.Uint32(b[38:]),
	}
	numbers, err := zip64(b[lenCentral+nameLen:lenCentral+nameLen+extraLen],
		le.Uint32(b[24:]), le.Uint32(b[20:]), le.Uint32(b[42:]))
	if err != nil {
		return record{}, nil, fmt.Errorf("%q: %w", r.name, err)
	}
	r.size, r.packed, r.offset = numbers[0], numbers[1], numbers[2]
	if !utf8.ValidString(r.name) {
		return record{}, nil, fmt.Errorf("%q: its name is not UTF-8", r.name)
	}
	return r, b[total:], nil
}

// zip64 returns numbers with those that do not fit in 32 bits taken from the extra
// field, in the order size, packed size, offset.
func zip64(extra []byte, short ...uint32) ([]int64, error) {
	var wide []byte
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if len(extra) < 4+n {
			return nil, errors.New("its extra field is cut off")
		}
		if id == extraZip64 {
			wide = extra[4 : 4+n]
		}
		extra = extra[4+n:]
	}
	numbers := make([]int64, len(short))
	for i, s := range short {
		numbers[i] = int64(s)
		if s != math.MaxUint32 {
			continue
		}
		if len(wide) < 8 || le.Uint64(wide) > math.MaxInt64/2 {
			return nil, errors.New("its zip64 field is damaged")
		}
		numbers[i], wide = int64(le.Uint64(wide)), wide[8:] //nolint:gosec // bounded above
	}
	return numbers, nil
}

// compareLocal reads the local header and refuses it unless it agrees with the
// central record. The member must end before limit, where the directory begins.
func (r *record) compareLocal(file io.ReaderAt, limit int64) error {
	var head [lenLocal]byte
	if r.offset < 0 || r.offset > limit-lenLocal {
		return errors.New("its local header lies outside the archive")
	}
	if _, err := file.ReadAt(head[:], r.offset); err != nil {
		return err
	}
	le := binary.LittleEndian
	nameLen, extraLen := int(le.Uint16(head[26:])), int(le.Uint16(head[28:]))
	more := make([]byte, nameLen+extraLen)
	if _, err := file.ReadAt(more, r.offset+lenLocal); err != nil {
		return err
	}
	flags := le.Uint16(head[6:])
	switch {
	case le.Uint32(head[:]) != signLocal:
		return errors.New("its local header is missing")
	case (flags|r.flags)&flagEncrypted != 0:
		return errors.New("it is encrypted")
	case !bytes.Equal(more[:nameLen], []byte(r.name)) || le.Uint16(head[8:]) != r.method:
		return errors.New("its local header disagrees with the directory")
	}
	if err := r.compareSizes(head[:], more[nameLen:], flags); err != nil {
		return err
	}
	r.data = r.offset + lenLocal + int64(len(more))
	if r.packed < 0 || r.size < 0 || r.data > limit || r.packed > limit-r.data {
		return errors.New("it reaches beyond the members of the archive")
	}
	return nil
}

func (r *record) compareSizes(head, extra []byte, flags uint16) error {
	le := binary.LittleEndian
	crc := le.Uint32(head[14:])
	local, err := zip64(extra, le.Uint32(head[22:]), le.Uint32(head[18:]))
	if err != nil {
		return err
	}
	if flags&flagDescriptor != 0 && crc == 0 && local[0] == 0 && local[1] == 0 {
		return nil // sizes follow the content; those of the directory are checked on reading
	}
	if crc != r.crc || local[0] != r.size || local[1] != r.packed {
		return errors.New("its local header disagrees with the directory")
	}
	return nil
}

// Kinds of file in the upper half of a Unix system's attributes.
const (
	unixType = 0o170000
	unixDir  = 0o040000
	unixFile = 0o100000
	unixLink = 0o120000
	unixSet  = 0o006000
)

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// classify judges name and attributes and fills in what the record stands for.
func (r *record) classify() error {
	r.name, r.folder = strings.CutSuffix(r.name, "/")
	if err := manifest.CheckPath(r.name); err != nil {
		return err
	}
	switch {
	case drive.MatchString(r.name):
		return errors.New("its name begins with a drive")
	case r.method != methodStore && r.method != methodDeflate:
		return fmt.Errorf("it is compressed by method %d; only store and deflate are known", r.method)
	case r.method == methodStore && r.packed != r.size, r.size > (r.packed+1)*maxRatio:
		return errors.New("its sizes can not both be true")
	}
	unix := uint32(0)
	if r.creator == 3 || r.creator == 19 { // Unix, macOS
		unix = r.attr >> 16
	}
	r.mode = unix & 0o777
	switch kind := unix & unixType; {
	case r.folder && (kind == 0 || kind == unixDir):
		r.kind = manifest.Dir
	case !r.folder && (kind == 0 || kind == unixFile):
		r.kind, r.setID = manifest.File, unix&unixSet != 0
	case !r.folder && kind == unixLink:
		r.kind = manifest.Link
	default:
		return errors.New("it is neither file, folder nor link, or its name says otherwise")
	}
	if r.kind == manifest.Dir && r.size != 0 {
		return errors.New("it is a folder with content")
	}
	if unix == 0 {
		r.mode = map[manifest.Kind]uint32{manifest.Dir: 0o755, manifest.File: 0o644}[r.kind]
	}
	return nil
}

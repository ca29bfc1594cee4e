package anatomy

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"

	"uplevel/internal/manifest"
)

// Signatures and fixed lengths of the records of a zip archive (APPNOTE 6.3.10).
const (
	signLocal      = 0x04034b50
	signCentral    = 0x02014b50
	signEnd        = 0x06054b50
	SignEnd64      = 0x06064b50
	SignLocator64  = 0x07064b50
	signDescriptor = 0x08074b50

	LenLocal     = 30
	LenCentral   = 46
	LenEnd       = 22
	LenEnd64     = 56
	LenLocator64 = 20

	Store   = 0
	Deflate = 8

	flagEncrypted  = 1<<0 | 1<<6 | 1<<13
	flagPatch      = 1 << 5
	FlagDescriptor = 1 << 3

	ExtraZip64   = 1
	extraUnicode = 0x7075 // another name
)

// maxRatio is more than deflate can reach; a size beyond it is a lie.
const maxRatio = 1040

// Kinds of file in the upper half of a Unix system's attributes.
const (
	UnixType = 0o170000
	unixDir  = 0o040000
	unixFile = 0o100000
	unixLink = 0o120000
)

// Member is one member as directory and local header describe it.
type Member struct {
	Name    string // as it is written: a folder's ends with a slash
	Method  uint16
	Flags   uint16
	CRC     uint32
	Packed  int64
	Size    int64
	Offset  int64  // of the local header within the file
	Data    int64  // of the compressed bytes
	End     int64  // where the next member begins
	Central []byte // its record in the directory
	WideAt  int    // place of a 64-bit offset within Central, 0 if it has none
}

// Path is the name without the slash at the end of a folder's.
func (m *Member) Path() string { return strings.TrimSuffix(m.Name, "/") }

// Folder reports whether the name is that of a folder.
func (m *Member) Folder() bool { return strings.HasSuffix(m.Name, "/") }

// Link reports whether it is a symbolic link.
func (m *Member) Link() bool { return m.Unix()&UnixType == unixLink }

// Unix are the attributes that a Unix system recorded, 0 if none did.
func (m *Member) Unix() uint32 {
	if system := m.Central[5]; system != 3 && system != 19 { // Unix, macOS
		return 0
	}
	return binary.LittleEndian.Uint32(m.Central[38:]) >> 16
}

// parseCentral reads one record of the directory.
func parseCentral(b []byte) (*Member, []byte, error) {
	le := binary.LittleEndian
	if len(b) < LenCentral || le.Uint32(b) != signCentral {
		return nil, nil, refuse("its directory is damaged")
	}
	extraAt := LenCentral + int(le.Uint16(b[28:]))
	extraEnd := extraAt + int(le.Uint16(b[30:]))
	total := extraEnd + int(le.Uint16(b[32:]))
	if len(b) < total {
		return nil, nil, refuse("its directory is cut off")
	}
	m := &Member{
		Name: string(b[LenCentral:extraAt]), Flags: le.Uint16(b[8:]), Method: le.Uint16(b[10:]), CRC: le.Uint32(b[16:]),
		Central: b[:total:total],
	}
	if le.Uint16(b[34:]) != 0 {
		return nil, nil, refuse("it is one part of several")
	}
	numbers, wideAt, err := zip64(m.Name, b[extraAt:extraEnd], le.Uint32(b[24:]), le.Uint32(b[20:]), le.Uint32(b[42:]))
	if err != nil {
		return nil, nil, err
	}
	m.Size, m.Packed, m.Offset = numbers[0], numbers[1], numbers[2]
	if le.Uint32(b[42:]) == math.MaxUint32 {
		m.WideAt = extraAt + wideAt
	}
	return m, b[total:], nil
}

// zip64 returns numbers with those that do not fit in 32 bits taken from the extra field,
// in the order size, packed size, offset, and where in the field the last such stood.
// Info-ZIP repeats a name that is not ASCII in a field of its own; another one is refused.
func zip64(name string, extra []byte, short ...uint32) ([]int64, int, error) {
	var wide []byte
	le := binary.LittleEndian
	at, last := 0, 0
	for rest := extra; len(rest) >= 4; {
		id, n := le.Uint16(rest), int(le.Uint16(rest[2:]))
		if len(rest) < 4+n {
			return nil, 0, refuse("an extra field is cut off")
		}
		switch {
		case id == extraUnicode && (n < 5 || string(rest[9:4+n]) != name):
			return nil, 0, refuse("a member has a second name")
		case id == ExtraZip64 && wide != nil:
			return nil, 0, refuse("a zip64 field stands twice")
		case id == ExtraZip64:
			wide, at = rest[4:4+n], len(extra)-len(rest)+4
		}
		rest = rest[4+n:]
	}
	numbers := make([]int64, len(short))
	for i, s := range short {
		numbers[i] = int64(s)
		if s != math.MaxUint32 {
			continue
		}
		if len(wide) < 8 || le.Uint64(wide) > math.MaxInt64/4 {
			return nil, 0, refuse("a zip64 field is damaged")
		}
		numbers[i], last = int64(le.Uint64(wide)), at //nolint:gosec // bounded above
		wide, at = wide[8:], at+8
	}
	return numbers, last, nil
}

// classify judges name, attributes, method and sizes.
func (m *Member) classify() error {
	if err := manifest.CheckPath(m.Path()); err != nil {
		return refuse("%v", err)
	}
	kind := m.Unix() & UnixType
	switch {
	case len(m.Name) > 1 && m.Name[1] == ':':
		return refuse("its name begins with a drive")
	case m.Method != Store && m.Method != Deflate:
		return refuse("it is compressed by method %d; only store and deflate are known", m.Method)
	case m.Method == Store && m.Packed != m.Size, m.Size > (m.Packed+1)*maxRatio:
		return refuse("its sizes can not both be true")
	case m.Folder() && m.Size != 0:
		return refuse("it is a folder with content")
	case m.Folder() && kind != 0 && kind != unixDir, !m.Folder() && kind != 0 && kind != unixFile && kind != unixLink:
		return refuse("it is neither file, folder nor link, or its name says otherwise")
	}
	return nil
}

// compareLocal reads the local header and refuses it unless it agrees with the directory,
// which begins at limit.
func (m *Member) compareLocal(src io.ReaderAt, limit int64) error {
	if m.Offset < 0 || m.Offset > limit-LenLocal {
		return refuse("its local header lies outside the archive")
	}
	head, err := m.LocalHeader(src)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	nameLen := int(le.Uint16(head[26:]))
	flags := le.Uint16(head[6:])
	switch {
	case (flags|m.Flags)&(flagEncrypted|flagPatch) != 0:
		return refuse("it is encrypted, or a patch")
	case string(head[LenLocal:LenLocal+nameLen]) != m.Name || le.Uint16(head[8:]) != m.Method || (flags^m.Flags)&FlagDescriptor != 0:
		return refuse("its local header disagrees with the directory")
	}
	local, _, err := zip64(m.Name, head[LenLocal+nameLen:], le.Uint32(head[22:]), le.Uint32(head[18:]))
	if err != nil {
		return err
	}
	// Whoever streams writes zero for what is not known yet: often all, or all but the size.
	later := flags&FlagDescriptor != 0
	for _, n := range [][2]int64{{int64(le.Uint32(head[14:])), int64(m.CRC)}, {local[0], m.Size}, {local[1], m.Packed}} {
		if n[0] != n[1] && (!later || n[0] != 0) {
			return refuse("its local header disagrees with the directory")
		}
	}
	m.Data = m.Offset + int64(len(head))
	if m.Data > limit || m.Packed > limit-m.Data {
		return refuse("it reaches beyond the members of the archive")
	}
	return nil
}

// LocalHeader reads the local header with name and extra field.
func (m *Member) LocalHeader(src io.ReaderAt) ([]byte, error) {
	var fixed [LenLocal]byte
	if err := ReadAt(src, fixed[:], m.Offset); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(fixed[:]) != signLocal {
		return nil, refuse("its local header is missing")
	}
	head := slices.Grow(fixed[:], int(le.Uint16(fixed[26:]))+int(le.Uint16(fixed[28:])))
	head = head[:LenLocal+int(le.Uint16(fixed[26:]))+int(le.Uint16(fixed[28:]))]
	return head, ReadAt(src, head[LenLocal:], m.Offset+LenLocal)
}

// checkDescriptor refuses bytes between the content and the next member unless they are
// the member's data descriptor, in one of the four forms that are written.
func (m *Member) checkDescriptor(src io.ReaderAt, next int64) error {
	var b [24]byte
	le := binary.LittleEndian
	n := next - m.Data - m.Packed
	switch {
	case n == 0 && m.Flags&FlagDescriptor == 0:
		return nil
	case m.Flags&FlagDescriptor == 0 || n != 12 && n != 16 && n != 20 && n != 24:
		return refuse("something stands between it and the next member")
	}
	d := b[:n]
	if err := ReadAt(src, d, m.Data+m.Packed); err != nil {
		return err
	}
	if n == 16 || n == 24 {
		if le.Uint32(d) != signDescriptor {
			return refuse("its data descriptor is damaged")
		}
		d = d[4:]
	}
	var packed, size uint64
	if len(d) == 12 {
		packed, size = uint64(le.Uint32(d[4:])), uint64(le.Uint32(d[8:]))
	} else {
		packed, size = le.Uint64(d[4:]), le.Uint64(d[12:])
	}
	if le.Uint32(d) != m.CRC || packed != uint64(m.Packed) || size != uint64(m.Size) { //nolint:gosec // never negative
		return refuse("its data descriptor disagrees with the directory")
	}
	return nil
}

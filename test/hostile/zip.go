// Package hostile makes archives, names, trees and texts that are meant to harm whoever
// takes them: written byte by byte, because no writer would. Its tests carry each of them
// to every door of the built programs. Described in docs/design/hostile.md.
package hostile

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// Signatures of the records of a zip archive.
const (
	signLocal      = 0x04034b50
	signCentral    = 0x02014b50
	signEnd        = 0x06054b50
	signEnd64      = 0x06064b50
	signLocator64  = 0x07064b50
	signDescriptor = 0x08074b50
)

// Kinds of file in a Unix system's attributes.
const (
	dirMode     = 0o040755
	fileMode    = 0o100644
	linkMode    = 0o120777
	fifoMode    = 0o010644
	socketMode  = 0o140644
	charMode    = 0o020644
	blockMode   = 0o060644
	setUserMode = 0o104755
	setBothMode = 0o106755
	stickyMode  = 0o101755
)

// Side is what one of the two headers of a member says.
type Side struct {
	Name         string
	Flags        uint16
	Method       uint16
	CRC          uint32
	Packed, Size uint32
	Extra        []byte
}

// Member is one member: what both headers say, and what stands between them.
type Member struct {
	Local, Central Side
	Mode           uint32 // Unix attributes
	Data           []byte // packed, as it stands in the file
	After          []byte // follows the data: a descriptor, or what has no place
	Comment        string
	Offset         *uint32 // nil: where the local header is
	Absent         bool    // only the directory knows it
	Hidden         bool    // only the local header is there
}

// File is a plain file, stored.
func File(name, content string) Member {
	s := Side{Name: name, CRC: crc32.ChecksumIEEE([]byte(content)), Packed: uint32(len(content)), Size: uint32(len(content))}
	return Member{Local: s, Central: s, Mode: fileMode, Data: []byte(content)}
}

// Deflated is a plain file, compressed.
func Deflated(name, content string) Member {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	m := File(name, content)
	m.Data = b.Bytes()
	return m.both(func(s *Side) { s.Method, s.Packed = 8, uint32(len(m.Data)) })
}

// Kind is a member with such attributes.
func Kind(name, content string, mode uint32) Member {
	m := File(name, content)
	m.Mode = mode
	return m
}

// Link is a symbolic link.
func Link(name, target string) Member { return Kind(name, target, linkMode) }

// both changes what both headers say.
func (m Member) both(change func(*Side)) Member {
	change(&m.Local)
	change(&m.Central)
	return m
}

// central changes what the directory says.
func (m Member) central(change func(*Side)) Member {
	change(&m.Central)
	return m
}

// local changes what the local header says.
func (m Member) local(change func(*Side)) Member {
	change(&m.Local)
	return m
}

// Streamed is m as a writer makes it that cannot go back: the sizes follow the content.
func (m Member) Streamed(keepSize bool) Member {
	m.Local.Flags |= 8
	m.Central.Flags |= 8
	m.Local.CRC, m.Local.Packed = 0, 0
	if !keepSize {
		m.Local.Size = 0
	}
	d := binary.LittleEndian.AppendUint32(nil, signDescriptor)
	for _, n := range []uint32{m.Central.CRC, m.Central.Packed, m.Central.Size} {
		d = binary.LittleEndian.AppendUint32(d, n)
	}
	m.After = d
	return m
}

// Archive is a whole zip.
type Archive struct {
	Prefix  []byte
	Members []Member
	Gap     []byte // between members and directory
	End64   []byte // between directory and end
	Comment string
	Suffix  []byte
	End     func(record []byte) // changes the 22 bytes of the end
}

// Bytes writes it.
func (a Archive) Bytes() []byte {
	le := binary.LittleEndian
	out := bytes.Clone(a.Prefix)
	offsets := make([]uint32, len(a.Members))
	for i, m := range a.Members {
		offsets[i] = uint32(len(out))
		if m.Absent {
			continue
		}
		out = le.AppendUint32(out, signLocal)
		out = m.Local.common(append(out, 20, 0))
		out = append(append(append(append(out, m.Local.Name...), m.Local.Extra...), m.Data...), m.After...)
	}
	out = append(out, a.Gap...)
	start, count := len(out), 0
	for i, m := range a.Members {
		if m.Hidden {
			continue
		}
		count++
		out = le.AppendUint32(out, signCentral)
		out = m.Central.common(append(out, 20, 3, 20, 0))
		out = le.AppendUint16(out, uint16(len(m.Comment)))
		out = append(out, 0, 0, 0, 0)
		out = le.AppendUint32(out, m.Mode<<16)
		if m.Offset != nil {
			offsets[i] = *m.Offset
		}
		out = le.AppendUint32(out, offsets[i])
		out = append(append(append(out, m.Central.Name...), m.Central.Extra...), m.Comment...)
	}
	length := len(out) - start
	out = append(out, a.End64...)
	end := len(out)
	out = append(le.AppendUint32(out, signEnd), 0, 0, 0, 0)
	out = le.AppendUint16(le.AppendUint16(out, uint16(count)), uint16(count))
	out = le.AppendUint32(le.AppendUint32(out, uint32(length)), uint32(start))
	out = le.AppendUint16(out, uint16(len(a.Comment)))
	if a.End != nil {
		a.End(out[end:])
	}
	return append(append(out, a.Comment...), a.Suffix...)
}

// common is what both headers have in the same order.
func (s Side) common(out []byte) []byte {
	le := binary.LittleEndian
	out = le.AppendUint16(le.AppendUint16(out, s.Flags), s.Method)
	out = append(out, 0, 0, 0x21, 0x28) // 2000-01-01
	out = le.AppendUint32(le.AppendUint32(le.AppendUint32(out, s.CRC), s.Packed), s.Size)
	return le.AppendUint16(le.AppendUint16(out, uint16(len(s.Name))), uint16(len(s.Extra)))
}

// wide is a zip64 extra field with these numbers.
func wide(numbers ...uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, 1), uint16(8*len(numbers)))
	for _, n := range numbers {
		b = le.AppendUint64(b, n)
	}
	return b
}

// end64 is a zip64 end with its locator, which points at position.
func end64(count, length, start, position uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(le.AppendUint32(nil, signEnd64), 44)
	b = append(b, 45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, n := range []uint64{count, count, length, start} {
		b = le.AppendUint64(b, n)
	}
	b = append(le.AppendUint32(b, signLocator64), 0, 0, 0, 0)
	return append(le.AppendUint64(b, position), 1, 0, 0, 0)
}

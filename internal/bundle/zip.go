package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

const (
	endLength     = 22
	centralLength = 46
	localLength   = 30
	locatorLength = 20
)

// kind is one kind of zip: what it is called, what helps, and its limits.
type kind struct {
	called, next string
	zip          int64 // bytes
	members      int
	directory    int64 // bytes
}

func ofHotfix() kind {
	return kind{
		called: "the zip of the hotfix", next: "Get the file again and compare its SHA-256 with the one in the portal.",
		zip: MaxZip, members: 2*hotfix.MaxFiles + trust.MaxRotations + 16, directory: 4 << 20,
	}
}

// refuse makes of an error one of kind [problem.Verification].
func (k kind) refuse(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		k.next = p.Next // of another kind of zip
	}
	return problem.New(problem.Verification, k.next, "Unable to use %s: %w", k.called, err)
}

// member is one member: a run of bytes that are not compressed.
type member struct {
	name         string
	offset, size int64
	crc          uint32
}

func (m member) in(folder string) bool { return strings.HasPrefix(m.name, folder) }

// under is the name below a folder that the member is in.
func (m member) under(folder string) string { return strings.TrimPrefix(m.name, folder) }

func (m member) reader(r io.ReaderAt) io.Reader { return io.NewSectionReader(r, m.offset, m.size) }

// all reads a member of limit bytes at most and compares its checksum.
func (m member) all(r io.ReaderAt, limit int64) ([]byte, error) {
	if m.size > limit {
		return nil, fmt.Errorf("%.200q is longer than %d bytes", m.name, limit)
	}
	data := make([]byte, m.size)
	if _, err := io.ReadFull(m.reader(r), data); err != nil {
		return nil, fmt.Errorf("reading %.200q: %w", m.name, err)
	}
	if crc32.ChecksumIEEE(data) != m.crc {
		return nil, fmt.Errorf("%.200q is damaged", m.name)
	}
	return data, nil
}

// readMembers returns the members in their order. The zip must be as [Write] lays it out:
// members follow one another without a gap, not compressed, and nothing is before,
// between or after them but their headers and the directory, which agree.
func (k kind) readMembers(r io.ReaderAt, size int64) ([]member, error) {
	directory, err := k.readEnd(r, size)
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is no such zip: %w", err)
	}
	members := make([]member, 0, len(z.File))
	next := int64(0)
	for _, f := range z.File {
		m := member{name: f.Name, offset: next + localLength + int64(len(f.Name)), size: int64(f.UncompressedSize64), crc: f.CRC32} //nolint:gosec // judged below
		if f.Method != zip.Store || f.Flags != 0 || len(f.Extra) > 0 || f.Comment != "" || f.CompressedSize64 != f.UncompressedSize64 ||
			m.size < 0 || m.offset > directory || m.size > directory-m.offset {
			return nil, fmt.Errorf("its member %.200q is not laid out as in such a zip", f.Name)
		}
		if err := m.checkLocal(r, next); err != nil {
			return nil, err
		}
		members = append(members, m)
		next = m.offset + m.size
	}
	if next != directory {
		return nil, errors.New("something lies between its members and its directory")
	}
	return members, nil
}

// checkLocal compares a member's own header with what the directory says.
func (m member) checkLocal(r io.ReaderAt, at int64) error {
	header := make([]byte, m.offset-at)
	if _, err := r.ReadAt(header, at); err != nil {
		return fmt.Errorf("reading %.200q: %w", m.name, err)
	}
	le := binary.LittleEndian
	if !bytes.HasPrefix(header, []byte("PK\x03\x04")) || le.Uint16(header[6:]) != 0 || le.Uint16(header[8:]) != zip.Store ||
		le.Uint32(header[14:]) != m.crc || int64(le.Uint32(header[18:])) != m.size || int64(le.Uint32(header[22:])) != m.size ||
		int(le.Uint16(header[26:])) != len(m.name) || le.Uint16(header[28:]) != 0 || string(header[localLength:]) != m.name {
		return fmt.Errorf("the header of %.200q disagrees with the directory", m.name)
	}
	return nil
}

// readEnd returns where the directory begins, once the end of the zip says that it is
// bounded and lies right before it. No comment, no second disk, no zip64.
func (k kind) readEnd(r io.ReaderAt, size int64) (directory int64, err error) {
	if size < endLength {
		return 0, fmt.Errorf("it has %d bytes and is no such zip", size)
	}
	if size > k.zip {
		return 0, fmt.Errorf("it has %d bytes, the limit is %d", size, k.zip)
	}
	end := make([]byte, endLength)
	if _, err := r.ReadAt(end, size-endLength); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading its end: %w", err)
	}
	le := binary.LittleEndian
	count, length, at := le.Uint16(end[10:]), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case !bytes.HasPrefix(end, []byte("PK\x05\x06")) || le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != count || le.Uint16(end[20:]) != 0:
		return 0, errors.New("it does not end as such a zip does")
	case int(count) > k.members || length > k.directory:
		return 0, fmt.Errorf("its directory lists %d members in %d bytes", count, length)
	case at+length != size-endLength:
		return 0, errors.New("its directory is not where its end says")
	}
	if err := refuseZip64(r, size-endLength); err != nil {
		return 0, err
	}
	return at, checkCount(io.NewSectionReader(r, at, length), length, int(count))
}

// checkCount walks a directory of so many bytes and wants as many records in it as its end
// counts, before a reader makes values of them: that counts to 65,535 and then from 0 again,
// and for a reader of Go's that is good enough.
func checkCount(r io.ReaderAt, length int64, count int) error {
	record := make([]byte, centralLength)
	at, le := int64(0), binary.LittleEndian
	for range count {
		if _, err := r.ReadAt(record, at); err != nil || !bytes.HasPrefix(record, []byte("PK\x01\x02")) {
			return errors.New("its directory is damaged")
		}
		at += centralLength + int64(le.Uint16(record[28:])) + int64(le.Uint16(record[30:])) + int64(le.Uint16(record[32:]))
	}
	if at != length {
		return fmt.Errorf("its directory does not list the %d members that its end counts", count)
	}
	return nil
}

// refuseZip64 refuses a pointer to another directory before the end: whoever follows it
// reads another zip, of any length. No directory that is let through ends like this.
func refuseZip64(r io.ReaderAt, end int64) error {
	if end < locatorLength {
		return nil
	}
	locator := make([]byte, 4)
	if _, err := r.ReadAt(locator, end-locatorLength); err != nil {
		return fmt.Errorf("reading its end: %w", err)
	}
	if string(locator) == "PK\x06\x07" {
		return errors.New("it is a zip64")
	}
	return nil
}

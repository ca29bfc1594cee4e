package anatomy

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Load reads the whole content of a member, which the caller knows to be small enough.
func (f *Archive) Load(m *Member) ([]byte, error) {
	r := f.Content(m)
	content := make([]byte, m.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, short(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF {
		return nil, short(err)
	}
	return content, nil
}

// short takes an end too early for what it is.
func short(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return refuse("its content is cut off")
	}
	return err
}

// Content returns the content of a member. It fails instead of io.EOF unless size, checksum
// and the end of the compressed bytes agree with the record.
func (f *Archive) Content(m *Member) io.Reader {
	packed := bufio.NewReaderSize(io.NewSectionReader(f.Source, m.Data, m.Packed), 16<<10)
	c := &content{member: m, packed: packed, plain: packed, crc: crc32.NewIEEE()}
	if m.Method == Deflate {
		c.plain = flate.NewReader(packed)
	}
	return c
}

type content struct {
	member *Member
	packed *bufio.Reader
	plain  io.Reader
	crc    hash.Hash32
	read   int64
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.plain.Read(p)
	c.read += int64(n)
	_, _ = c.crc.Write(p[:n])
	if c.read > c.member.Size {
		return 0, c.refuse("it is longer than its record says")
	}
	if err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		return n, c.finish()
	}
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, c.refuse("its content is damaged")
	}
	return n, fmt.Errorf("%.200q: %w", c.member.Name, err)
}

func (c *content) refuse(text string) error {
	return fmt.Errorf("%.200q: %w", c.member.Name, refuse("%s", text))
}

func (c *content) finish() error {
	_, err := c.packed.ReadByte()
	switch {
	case c.read != c.member.Size:
		return c.refuse("it is shorter than its record says")
	case c.crc.Sum32() != c.member.CRC:
		return c.refuse("its checksum is not the one of its record")
	case err == nil:
		return c.refuse("something follows its compressed content")
	}
	return io.EOF
}

package hostile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// bombs are archives that unpack to more than they should, small enough for every run.
func bombs() []Zip {
	inner := with()
	for range 12 {
		inner = with(Deflated("inner.zip", string(inner)))
	}
	return []Zip{
		{Kind: "bomb", Name: "zip in zip in zip", Data: inner, Harmless: true},
		{Kind: "bomb", Name: "30 MB of zeros", Data: with(Zeros("zeros", 30<<20)), Harmless: true},
		{Kind: "bomb", Name: "more than deflate can", Data: with(Zeros("zeros", 1<<20).both(func(s *Side) { s.Size = 1 << 31 }))},
		{Kind: "bomb", Name: "overlapping", Data: Overlapping(200, 1<<20)},
		{Kind: "bomb", Name: "one content, a thousand names", Data: shared(1000)},
		{Kind: "bomb", Name: "second directory of 150,000 members", Data: SecondDirectory(150_000)},
		{Kind: "bomb", Name: "deflate without end", Data: with(endless())},
	}
}

// Zeros is a member of size zeros, packed as tightly as deflate can.
func Zeros(name string, size int64) Member {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	sum := crc32.NewIEEE()
	if err == nil {
		_, err = io.CopyN(io.MultiWriter(w, sum), zeros{}, size)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	m := Member{Mode: fileMode, Data: b.Bytes()}
	m = m.both(func(s *Side) {
		*s = Side{Name: name, Method: 8, CRC: sum.Sum32(), Packed: uint32(b.Len()), Size: uint32(size)}
	})
	return m
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// endless is a member whose packed bytes begin a block that nothing ends.
func endless() Member {
	m := Zeros("endless", 1<<16)
	m.Data = m.Data[:len(m.Data)-5] // the last block
	return m.both(func(s *Side) { s.Packed = uint32(len(m.Data)) })
}

// Overlapping is the better bomb: n members whose packed bytes quote the local headers that
// follow, so that all share one kernel of zeros.
func Overlapping(n int, size int64) []byte {
	kernel := Zeros("kernel", size)
	var members []Member
	for i := range n {
		m := File("f"+strings.Repeat("x", i%7)+string(rune('a'+i%26)), "")
		m = m.both(func(s *Side) { s.Method, s.CRC, s.Size = 8, kernel.Central.CRC, uint32(size) })
		m.Central.Packed = uint32((n-i)*40 + len(kernel.Data))
		m.Local.Packed = m.Central.Packed
		members = append(members, m)
	}
	return Archive{Members: append(members, kernel)}.Bytes()
}

// shared is one content that a thousand records of the directory name.
func shared(n int) []byte {
	zero := uint32(0)
	members := []Member{Zeros("a", 1<<20)}
	for range n {
		m := members[0]
		m.Absent, m.Offset = true, &zero
		members = append(members, m)
	}
	return Archive{Members: members}.Bytes()
}

// Wide is an archive of n empty members.
func Wide(n int) []byte {
	members := make([]Member, n)
	for i := range members {
		members[i] = File("d/"+base26(i), "")
	}
	start := 0
	for _, m := range members {
		start += 30 + len(m.Local.Name)
	}
	length := start + 16*n
	a := Archive{Members: members, End64: end64(uint64(n), uint64(length), uint64(start), uint64(start+length))}
	a.End = func(r []byte) { copy(r[8:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") }
	return a.Bytes()
}

// SecondDirectory is an archive whose end tells of one short directory, of just the length
// at which Go's reader follows zip64 records to another one, of n members.
func SecondDirectory(n int) []byte {
	le := binary.LittleEndian
	out := make([]byte, 0, 60*n)
	for i := range n {
		out = Side{Name: "d/" + base26(i)}.common(append(le.AppendUint32(out, signCentral), 20, 3, 20, 0))
		out = append(append(out, make([]byte, 14)...), "d/"+base26(i)...)
	}
	length := len(out)
	out = append(out, end64(uint64(n), uint64(length), 0, uint64(length))...)
	start := len(out) - 0xffff
	out = append(le.AppendUint32(out, signEnd), 0, 0, 0, 0, 1, 0, 1, 0)
	return append(le.AppendUint32(le.AppendUint32(out, 0xffff), uint32(start)), 0, 0)
}

func base26(i int) string {
	var b [6]byte
	for n := range b {
		b[n] = byte('a' + i%26)
		i /= 26
	}
	return string(b[:])
}

// Stored is size zeros as one zstd stream: a bomb among stored objects.
func Stored(size int64) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(4<<20))
	if err == nil {
		_, err = io.CopyN(w, zeros{}, size)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// Gzipped is size zeros as gzip.
func Gzipped(size int64) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

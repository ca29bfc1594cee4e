package archive

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/archive/anatomy"
)

// hand writes an archive by hand: without data descriptors, and with what change does.
type hand struct {
	name, content string
	localExtra    []byte
	extra         []byte
	change        func(local, central []byte)
	after         string // after the content
	flags         uint16
}

func build(shift int, stub string, members ...hand) []byte {
	le := binary.LittleEndian
	b, directory := []byte(stub), []byte{}
	for _, m := range members {
		offset := len(b) - shift
		sum, n := crc32.ChecksumIEEE([]byte(m.content)), uint32(len(m.content))
		local := make([]byte, 30, 100)
		le.PutUint32(local, 0x04034b50)
		le.PutUint16(local[6:], m.flags)
		le.PutUint32(local[14:], sum)
		le.PutUint32(local[18:], n)
		le.PutUint32(local[22:], n)
		le.PutUint16(local[26:], uint16(len(m.name)))
		le.PutUint16(local[28:], uint16(len(m.localExtra)))
		local = append(append(local, m.name...), m.localExtra...)
		central := make([]byte, 46, 100)
		le.PutUint32(central, 0x02014b50)
		le.PutUint16(central[8:], m.flags)
		le.PutUint32(central[16:], sum)
		le.PutUint32(central[20:], n)
		le.PutUint32(central[24:], n)
		le.PutUint16(central[28:], uint16(len(m.name)))
		le.PutUint16(central[30:], uint16(len(m.extra)))
		le.PutUint32(central[42:], uint32(offset))
		central = append(append(central, m.name...), m.extra...)
		if m.change != nil {
			m.change(local, central)
		}
		b = append(append(append(b, local...), m.content...), m.after...)
		directory = append(directory, central...)
	}
	end := make([]byte, 22)
	le.PutUint32(end, 0x06054b50)
	le.PutUint16(end[8:], uint16(len(members)))
	le.PutUint16(end[10:], uint16(len(members)))
	le.PutUint32(end[12:], uint32(len(directory)))
	le.PutUint32(end[16:], uint32(len(b)-shift))
	return slices.Concat(b, directory, end)
}

// wideField is a zip64 extra field.
func wideField(numbers ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(8*len(numbers)))
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// widen puts zip64 records before the end of an archive, and says so in the end.
func widen(b []byte) []byte {
	le := binary.LittleEndian
	at := len(b) - 22
	end := slices.Clone(b[at:])
	wide := make([]byte, 56+20)
	le.PutUint32(wide, 0x06064b50)
	le.PutUint64(wide[4:], 44)
	le.PutUint64(wide[24:], uint64(le.Uint16(end[8:])))
	le.PutUint64(wide[32:], uint64(le.Uint16(end[10:])))
	le.PutUint64(wide[40:], uint64(le.Uint32(end[12:])))
	le.PutUint64(wide[48:], uint64(le.Uint32(end[16:])))
	le.PutUint32(wide[56:], 0x07064b50)
	le.PutUint64(wide[64:], uint64(at))
	le.PutUint32(wide[72:], 1)
	le.PutUint32(end[16:], math.MaxUint32)
	return slices.Concat(b[:at:at], wide, end)
}

// descriptor is a data descriptor of four lengths.
func descriptor(content string, signed, wide bool) string {
	var b []byte
	le := binary.LittleEndian
	if signed {
		b = le.AppendUint32(b, 0x08074b50)
	}
	b = le.AppendUint32(b, crc32.ChecksumIEEE([]byte(content)))
	for range 2 {
		if wide {
			b = le.AppendUint64(b, uint64(len(content)))
		} else {
			b = le.AppendUint32(b, uint32(len(content)))
		}
	}
	return string(b)
}

func streamed(local, _ []byte) { clear(local[14:26]) }

// piped is what zip writes to a pipe: it knows the size, nothing else.
func piped(local, _ []byte) { clear(local[14:22]) }

// oddForms are archives of forms that are seldom and right.
func oddForms(t testing.TB) map[string][]byte {
	t.Helper()
	a, b := hand{name: "a", content: "1"}, hand{name: "b", content: "2"}
	forms := map[string][]byte{
		"empty":                build(0, ""),
		"empty with a stub":    build(0, "#!/bin/sh\n"),
		"without descriptors":  build(0, "", a, b),
		"stub, counted":        build(0, "#!/bin/sh\n", a, b),
		"stub, not counted":    build(10, "#!/bin/sh\n", a, b),
		"one byte before":      build(0, "x", a),
		"zip64 end":            widen(build(0, "", a, b)),
		"comment":              packComment(t, strings.Repeat("long ", 13_000), is("a", "1")),
		"order of the records": swapped(build(0, "", a, b)),
		"piped":                build(0, "", hand{name: "a", content: "1", flags: 8, after: descriptor("1", true, false), change: piped}, b),
		"zip64 member": build(0, "", hand{name: "a", content: "1", localExtra: wideField(1, 1), extra: wideField(1, 1, 0), change: func(local, central []byte) {
			for _, f := range [][]byte{local[18:22], local[22:26], central[20:24], central[24:28], central[42:46]} {
				binary.LittleEndian.PutUint32(f, math.MaxUint32)
			}
		}}, b),
	}
	for _, signed := range []bool{false, true} {
		for _, wide := range []bool{false, true} {
			forms[fmt.Sprintf("descriptor, signed %v, wide %v", signed, wide)] = build(0, "",
				hand{name: "a", content: "1", flags: 8, after: descriptor("1", signed, wide), change: streamed}, b)
		}
	}
	return forms
}

// swapped exchanges the two records of a directory.
func swapped(b []byte) []byte {
	at, n := len(b)-22-2*47, 47
	return slices.Concat(b[:at:at], b[at+n:at+2*n], b[at:at+n], b[at+2*n:])
}

func hostileForms(t testing.TB) map[string][]byte {
	t.Helper()
	le := binary.LittleEndian
	good := pack(t, is("a", "1"), is("b", "2"))
	a, b := hand{name: "a", content: "1"}, hand{name: "b", content: "2"}
	with := func(change func(local, central []byte)) []byte {
		return build(0, "", hand{name: "a", content: "1", change: change}, b)
	}
	named := func(names ...string) []byte {
		var all []hand
		for _, name := range names {
			all = append(all, hand{name: name, content: "1"})
		}
		return build(0, "", all...)
	}
	forms := map[string][]byte{
		"nothing": {}, "no archive": []byte(strings.Repeat("text ", 100)),
		"cut off": good[:len(good)-1], "cut at the front": good[1:], "something after": append(slices.Clone(good), 0),
		"twice": named("a", "a"), "file and folder": build(0, "", a, hand{name: "a/"}), "below a file": named("a", "a/b"),
		"parent": named("../a"), "absolute": named("/a"), "backslash": named(`a\b`), "drive": named("c:a"), "no UTF-8": named("\xff"), "control": named("a\n"), "no name": named(""),
		"encrypted":           build(0, "", hand{name: "a", content: "1", flags: 1}),
		"local name":          with(func(local, _ []byte) { local[30] = 'b' }),
		"local size":          with(func(local, _ []byte) { local[22] = 2 }),
		"local checksum":      with(func(local, _ []byte) { local[14]++ }),
		"local method":        with(func(local, _ []byte) { local[8] = 8 }),
		"no local header":     with(func(local, _ []byte) { local[0] = 0 }),
		"unknown method":      with(func(local, central []byte) { local[8], central[10] = 12, 12 }),
		"offset":              with(func(_, central []byte) { central[42] = 1 }),
		"offset beyond":       with(func(_, central []byte) { le.PutUint32(central[42:], 1<<30) }),
		"second disk":         with(func(_, central []byte) { central[34] = 1 }),
		"device":              with(func(_, central []byte) { central[5] = 3; le.PutUint16(central[40:], 0o020644) }),
		"link named a folder": build(0, "", hand{name: "a/", change: func(_, central []byte) { central[5] = 3; le.PutUint16(central[40:], 0o120777) }}),
		"folder with content": named("a/"),
		"bomb by its record": with(func(local, central []byte) {
			local[8], central[10] = 8, 8
			le.PutUint32(local[22:], 1<<30)
			le.PutUint32(central[24:], 1<<30)
		}),
		"stored size":                 with(func(local, central []byte) { local[22], central[24] = 2, 2 }),
		"wide size, no field":         with(func(_, central []byte) { le.PutUint32(central[24:], math.MaxUint32) }),
		"bytes between":               build(0, "", hand{name: "a", content: "1", after: "between"}, b),
		"bytes before the directory":  build(0, "", a, hand{name: "b", content: "1", after: "between"}),
		"size that lies":              build(0, "", hand{name: "a", content: "1", flags: 8, after: descriptor("1", true, false), change: func(local, _ []byte) { clear(local[14:22]); local[22] = 2 }}),
		"descriptor that lies":        build(0, "", hand{name: "a", content: "1", flags: 8, after: descriptor("2", true, false), change: streamed}),
		"descriptor without its sign": build(0, "", hand{name: "a", content: "1", flags: 8, after: "1234" + descriptor("1", false, false), change: streamed}),
		"flag without a descriptor":   build(0, "", hand{name: "a", content: "1", flags: 8}, b),
		"stub counted in part":        build(4, "#!/bin/sh\n", a),
		"an archive before":           build(0, string(good), a),
		"two names":                   build(0, "", hand{name: "a", content: "1", extra: []byte{0x75, 0x70, 1, 0, 1}}),
		"extra cut off":               build(0, "", hand{name: "a", content: "1", extra: []byte{9, 9, 200, 0, 1}}),
		"two zip64 fields":            build(0, "", hand{name: "a", content: "1", extra: append(wideField(1), wideField(1)...)}),
	}
	overlap := build(0, "", hand{name: "a", content: string(build(0, "", b))}, a)
	le.PutUint32(overlap[len(overlap)-22-47+42:], 31) // the second record begins within the first's content
	forms["overlap"] = overlap
	for name, at := range map[string]int{"count": 10, "disk": 4, "length": 12, "start": 16, "comment length": 20} {
		c := build(0, "", a, b)
		c[len(c)-22+at]++
		forms["end: "+name] = c
	}
	for name, at := range map[string]int{"locator": 64, "count": 32, "start": 48, "record": 0, "length": 4} {
		c := widen(build(0, "", a, b))
		c[len(c)-22-76+at]++
		forms["zip64: "+name] = c
	}
	none := build(0, "", a)
	le.PutUint32(none[len(none)-22+16:], math.MaxUint32)
	forms["zip64: missing"] = none
	return forms
}

func TestHostile(t *testing.T) {
	t.Parallel()
	good := pack(t, is("a", "1"))
	for name, hostile := range hostileForms(t) {
		for side, s := range map[string]Sides{
			"base": sides(hostile, good, good), "mine": sides(good, hostile, good), "theirs": sides(good, good, hostile),
		} {
			if _, err := Merge(t.Context(), s, io.Discard, false, byLine); !errors.Is(err, ErrWhole) {
				t.Errorf("%s as %s: %v, want ErrWhole", name, side, err)
			}
		}
	}
}

// TestDamagedContent: what a record says of the content is found out when it is read.
func TestDamagedContent(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a=1\n", 100)
	flip := func(b []byte) []byte { b[30+1+10]++; return b } // within the compressed content
	lie := func(b []byte) []byte {
		a, err := anatomy.Open(t.Context(), section(b))
		if err != nil {
			t.Fatal(err)
		}
		m := a.Members[0]
		for _, at := range []int64{m.Data + m.Packed + 12, int64(len(b)) - 22 - int64(len(m.Central)) + 24} {
			b[at]-- // size in data descriptor and directory
		}
		return b
	}
	for name, damage := range map[string]func([]byte) []byte{"flipped": flip, "size": lie} {
		s := sides(pack(t, is("a", "b=1\n")), damage(pack(t, is("a", text))), pack(t, is("a", "c=1\n")))
		if _, err := Merge(t.Context(), s, io.Discard, false, byLine); !errors.Is(err, ErrWhole) {
			t.Errorf("%s: %v, want ErrWhole", name, err)
		}
	}
}

// TestSameChecksum: content of the same size and CRC-32 that is not the same.
func TestSameChecksum(t *testing.T) {
	t.Parallel()
	const x, y = "plumless", "buckeroo" // a well-known pair
	if crc32.ChecksumIEEE([]byte(x)) != crc32.ChecksumIEEE([]byte(y)) {
		t.Fatal("the pair does not collide")
	}
	for _, stored := range []bool{true, false} {
		p := func(content string) []byte { return pack(t, item{name: "a", content: content, stored: stored}) }
		if out, _ := merge(t, sides(p(x), p(x), p(y)), false); unpack(t, out)["a"] != y {
			t.Error("the vendor's change was not seen")
		}
	}
}

func TestManyMembers(t *testing.T) {
	t.Parallel()
	many := func(n int, content string) []byte {
		all := make([]hand, n)
		for i := range all {
			all[i] = hand{name: fmt.Sprint("f", i), content: content}
		}
		return build(0, "", all...)
	}
	base, theirs := many(65_000, "a=1\n"), many(65_000, "a=2\n")
	mine := pack(t, is("m", "m"))
	out, result := merge(t, sides(nil, mine, base), false)
	if len(unpack(t, out)) != 65_001 || len(result.Conflicts) > 0 {
		t.Errorf("added: %d members", len(unpack(t, out)))
	}
	// What both have goes beyond what the short end can count.
	more := pack(t, slices.Collect(func(yield func(item) bool) {
		for i := range 600 {
			if !yield(is(fmt.Sprint("m", i), "m")) {
				return
			}
		}
	})...)
	out, _ = merge(t, sides(nil, more, theirs), false)
	if got := len(unpack(t, out)); got != 65_600 {
		t.Errorf("beyond 65,535: %d members", got)
	}
	checkUnzip(t, out)
}

func TestTooManyMembers(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range anatomy.MaxMembers + 1 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	good := pack(t, is("a", "1"))
	if _, err := Merge(t.Context(), sides(good, good, b.Bytes()), io.Discard, false, byLine); !errors.Is(err, ErrWhole) {
		t.Errorf("%v, want ErrWhole", err)
	}
}

func TestMembersOfAllVersionsAreBounded(t *testing.T) {
	t.Parallel()
	inner := pack(t, is("x", "1"), is("y", "1"))
	base, mine, theirs := pack(t, is("in.zip", string(inner))), pack(t, is("in.zip", string(pack(t, is("x", "2"), is("y", "1"))))), pack(t, is("in.zip", string(pack(t, is("x", "1"), is("y", "2")))))
	s := sides(base, mine, theirs)
	for room, want := range map[int]int{9: 0, 8: 1} {
		s.MaxMembers = room
		if r, err := Merge(t.Context(), s, io.Discard, false, byLine); err != nil || len(r.Conflicts) != want {
			t.Errorf("room for %d: %v %+v, want %d conflicts", room, err, r, want)
		}
	}
	s.MaxMembers = 2
	if _, err := Merge(t.Context(), s, io.Discard, false, byLine); !errors.Is(err, ErrWhole) {
		t.Errorf("%v, want ErrWhole", err)
	}
}

// TestMemory merges two archives of 200 MB each and watches the heap; not beside others.
func TestMemory(t *testing.T) { //nolint:paralleltest // the heap is everybody's
	const size, bound = 200 << 20, 40 << 20
	write := func(name, text string) *io.SectionReader {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		z := zip.NewWriter(f)
		w, err := z.CreateHeader(&zip.FileHeader{Name: "large", Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		piece := make([]byte, 1<<20)
		_, _ = rand.Read(piece[:1000])
		copy(piece, "both have the same")
		clear(piece[18:])
		for range size / len(piece) {
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		w, err = z.Create("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return io.NewSectionReader(f, 0, info.Size())
	}
	s := Sides{Mine: write("mine.zip", "a=1\n"), Theirs: write("theirs.zip", "b=1\n")}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var done atomic.Bool
	peak := make(chan uint64)
	go func() {
		most := uint64(0)
		for !done.Load() {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
			time.Sleep(time.Millisecond)
		}
		peak <- most
	}()
	var out counter
	result, err := Merge(t.Context(), s, &out, false, byLine)
	done.Store(true)
	most := <-peak
	if err != nil || len(result.Merged) != 1 || out < size {
		t.Fatalf("%v %v, %d bytes", result, err, out)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > bound {
		t.Errorf("the heap grew by %d bytes, the bound is %d", grown, bound)
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

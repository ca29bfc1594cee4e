package edit_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"uplevel/internal/delta/edit"
)

func check(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, old, now []byte,
) []byte {
	t.Helper()
	keptOld, keptNew := slices.Clone(old), slices.Clone(now)
	code := edit.Encode(old, now)
	if !bytes.Equal(old, keptOld) || !bytes.Equal(now, keptNew) {
		t.Fatalf("what was coded is not what it was")
	}
	got := bytes.Repeat([]byte{0xa5}, len(now)) // what lies there must not matter
	if err := edit.Decode(got, old, code); err != nil {
		t.Fatalf("%d bytes from %d by %d: %v", len(now), len(old), len(code), err)
	}
	if !bytes.Equal(got, now) {
		t.Fatalf("%d bytes from %d by %d: another content", len(now), len(old), len(code))
	}
	if !bytes.Equal(old, keptOld) {
		t.Fatalf("old is not what it was")
	}
	return code
}

// content draws bytes: random, of few letters, or fields.
func content(t *rapid.T, name string) []byte {
	size := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 17, 300, 5000}).Draw(t, name+" size")
	size += rapid.IntRange(0, 9).Draw(t, name+" more")
	seed := rapid.Uint64().Draw(t, name+" seed")
	letters := rapid.SampledFrom([]uint64{1, 2, 5, 256}).Draw(t, name+" letters")
	out := make([]byte, size)
	for i := range out {
		seed = seed*6364136223846793005 + 1442695040888963407
		out[i] = byte(seed >> 33 % letters)
	}
	return out
}

// edited draws what may become of bytes.
func edited(t *rapid.T, old []byte) []byte {
	b := slices.Clone(old)
	for range rapid.IntRange(0, 12).Draw(t, "edits") {
		from := rapid.IntRange(0, len(b)).Draw(t, "from")
		to := min(len(b), from+rapid.SampledFrom([]int{0, 1, 4, 40, 1000}).Draw(t, "length"))
		switch rapid.IntRange(0, 5).Draw(t, "edit") {
		case 0:
			b = slices.Delete(b, from, to)
		case 1:
			b = slices.Insert(b, from, content(t, "put in")...)
		case 2: // moved
			part := slices.Clone(b[from:to])
			b = slices.Delete(b, from, to)
			b = slices.Insert(b, rapid.IntRange(0, len(b)).Draw(t, "moved to"), part...)
		case 3: // repeated
			b = slices.Insert(b, from, b[from:to]...)
		case 4: // every n-th byte
			n := rapid.IntRange(1, 60).Draw(t, "every")
			for i := from; i < to; i += n {
				b[i]++
			}
		default: // fields
			for i := from; i+4 <= to; i += 8 {
				binary.LittleEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:])+0x1230)
			}
		}
	}
	return b
}

func TestWhatIsEncodedComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old := content(t, "old")
		if rapid.IntRange(0, 4).Draw(t, "of it") == 0 {
			check(t, old, content(t, "new"))
			return
		}
		check(t, old, edited(t, old))
	})
}

// program makes something like a program of functions that call one another and a table of
// where they are; some of them are longer than they were when edits is given.
func program(edits ...int) []byte {
	const functions = 400
	starts := make([]int, functions)
	var code []byte
	var calls [][2]int // where in code, and to which function
	seed := uint32(1)
	random := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed >> 8 % uint32(n))
	}
	for f := range functions {
		starts[f] = len(code)
		for range 20 + random(40) {
			for range 3 + random(9) {
				code = append(code, byte(random(256)))
			}
			code = append(code, 0xe8, 0, 0, 0, 0)
			calls = append(calls, [2]int{len(code) - 4, random(functions)})
		}
		if slices.Contains(edits, f) {
			code = append(code, bytes.Repeat([]byte{0x90}, f)...)
		}
		code = append(code, make([]byte, -len(code)&31)...)
	}
	for _, c := range calls {
		binary.LittleEndian.PutUint32(code[c[0]:], uint32(starts[c[1]]-c[0]-4))
	}
	for f, s := range starts {
		code = binary.LittleEndian.AppendUint32(code, uint32(0x400000+s))
		code = binary.LittleEndian.AppendUint32(code, uint32(f))
	}
	return code
}

// headers makes an archive of many empty members, some with another time.
func headers(t testing.TB, edits ...int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := range 500 {
		h := &zip.FileHeader{Name: fmt.Sprintf("org/example/part%d/Class%d.class", i%17, i*i), Modified: time.Unix(1_700_000_000, 0)}
		if slices.Contains(edits, i) {
			h.Extra = []byte{1, 2, 0, 0}
		}
		if _, err := w.CreateRaw(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatMovesCostsLittle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, new []byte
		most     int
	}{
		"program": {program(), program(3, 77, 201, 333), 700},
		"headers": {headers(t), headers(t, 30, 400), 150},
		"equal":   {program(), program(), 12},
		"nothing": {program(), nil, 4},
	} {
		code := check(t, c.old, c.new)
		t.Logf("%s: %d bytes by %d", name, len(c.new), len(code))
		if len(code) > c.most {
			t.Errorf("%s: %d bytes take %d, not %d", name, len(c.new), len(code), c.most)
		}
	}
}

func TestHopelessCostsNoMoreThanItself(t *testing.T) {
	t.Parallel()
	old, now := make([]byte, 100_000), make([]byte, 100_000)
	seed := uint64(7)
	for i := range old {
		seed = seed*6364136223846793005 + 1442695040888963407
		old[i], now[i] = byte(seed>>33), byte(seed>>41)
	}
	if code := check(t, old, now); len(code) > len(now)*102/100 {
		t.Errorf("%d bytes take %d", len(now), len(code))
	}
}

// TestDamageIsToldOrDecoded: a code is not protected against damage; whatever it says, it
// ends, and inside what it was given.
func TestDamageIsToldOrDecoded(t *testing.T) {
	t.Parallel()
	old, now := program()[:20_000], program(3, 9)[:20_000]
	code := edit.Encode(old, now)
	room := bytes.Repeat([]byte{0x5a}, len(now)+200)
	told := 0
	for i := range 400 {
		bad := slices.Clone(code)
		if i%4 == 0 {
			bad = bad[:len(bad)*i/400]
		} else {
			bad[(i*7919)%min(len(bad), 40+i)] ^= 1 << (i % 8)
		}
		if err := edit.Decode(room[100:100+len(now):100+len(now)], old, bad); err != nil {
			told++
		}
		for j := range 100 {
			if room[j] != 0x5a || room[len(room)-1-j] != 0x5a {
				t.Fatalf("case %d wrote outside", i)
			}
		}
	}
	if told < 50 {
		t.Errorf("only %d of 400 damaged codes were refused", told)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	code := edit.Encode(program(), program(5))
	for name, c := range map[string]struct {
		size int
		old  []byte
		code []byte
	}{
		"no code":       {1000, program(), nil},
		"another old":   {len(program(5)), program()[:5000], code},
		"shorter new":   {100, program(), code},
		"endless":       {1 << 20, program(), []byte{1}},
		"all alignment": {1 << 20, program(), bytes.Repeat([]byte{0xff}, 40)},
	} {
		if err := edit.Decode(make([]byte, c.size), c.old, c.code); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

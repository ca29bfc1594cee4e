package deflater

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// A maker appends n bytes of one kind.
type maker func(r *rand.Rand, to []byte, n int) []byte

func makers() map[string]maker {
	return map[string]maker{
		"random": func(r *rand.Rand, to []byte, n int) []byte {
			for range n {
				to = append(to, byte(r.Uint32()))
			}
			return to
		},
		"few letters": func(r *rand.Rand, to []byte, n int) []byte {
			few := 1 + r.IntN(6)
			for range n {
				to = append(to, byte('a'+r.IntN(few)))
			}
			return to
		},
		"run": func(r *rand.Rand, to []byte, n int) []byte {
			return append(to, bytes.Repeat([]byte{byte(r.Uint32())}, n)...)
		},
		"text":  text,
		"class": class,
		"skewed": func(r *rand.Rand, to []byte, n int) []byte { // codes of all lengths, too long ones too
			for range n {
				to = append(to, byte(min(r.ExpFloat64()*8, 255)))
			}
			return to
		},
		"fibonacci": fibonacci,
		"far away": func(r *rand.Rand, to []byte, n int) []byte { // matches about as far as they may be
			for end := len(to) + n; len(to) < end; {
				if at := len(to) - windowSize + r.IntN(600); at >= 0 {
					to = append(to, to[at:at+3+r.IntN(6)]...)
				}
				to = append(to, byte(r.Uint32()))
			}
			return to
		},
		"copies": copies,
	}
}

// copies repeats what was before, mostly near.
func copies(r *rand.Rand, to []byte, n int) []byte {
	for end := len(to) + n; len(to) < end; {
		if len(to) > 4 {
			at := max(0, len(to)-1-int(r.ExpFloat64()*3000))
			for m := 3 + int(r.ExpFloat64()*12); m > 0; m-- {
				to = append(to, to[at])
				at++
			}
		}
		if r.IntN(3) == 0 || len(to) <= 4 {
			to = append(to, byte(r.Uint32()))
		}
	}
	return to
}

func text(r *rand.Rand, to []byte, n int) []byte {
	words := strings.Fields("the of and to in that with which update level product version file archive member installation return static void import java public int class String = { } ; ( ) 0 1 2 10")
	for end := len(to) + n; len(to) < end; {
		to = append(append(to, words[int(r.ExpFloat64()*6)%len(words)]...), " \n.,"[r.IntN(4)])
	}
	return to
}

// class looks like compiled classes: names, then short instructions with numbers.
func class(r *rand.Rand, to []byte, n int) []byte {
	for end := len(to) + n; len(to) < end; {
		if r.IntN(4) == 0 {
			to = text(r, append(to, 1, 0, byte(r.IntN(40))), 10+r.IntN(30))
		}
		for range r.IntN(40) {
			to = append(to, []byte{0x2a, 0xb4, 0xb6, 0x59, 0xb1, 0x19, 0x12}[r.IntN(7)], 0, byte(r.ExpFloat64()*20))
		}
	}
	return to
}

// fibonacci has bytes as often as makes the deepest tree.
func fibonacci(r *rand.Rand, to []byte, n int) []byte {
	at, a, b := len(to), 1, 1
	for c := 0; len(to) < at+n; c++ {
		for range a {
			to = append(to, byte(c))
		}
		a, b = b, a+b
	}
	part := to[at:]
	r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	return to
}

// draw draws content of up to four parts, with sizes about those at which something happens.
func draw(t *rapid.T) []byte {
	all := makers()
	names := []string{"class", "copies", "far away", "few letters", "fibonacci", "random", "run", "skewed", "text"}
	if len(names) != len(all) {
		t.Fatal("a maker is not drawn")
	}
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	var content []byte
	for range rapid.IntRange(0, 4).Draw(t, "parts") {
		sizes := rapid.IntRange(0, 600)
		if rapid.IntRange(0, 4).Draw(t, "large") == 0 {
			sizes = rapid.OneOf(rapid.IntRange(16000, 40000), rapid.IntRange(65000, 66000), rapid.IntRange(0, 150000))
		}
		size := sizes.Draw(t, "size")
		content = all[rapid.SampledFrom(names).Draw(t, "kind")](r, content, size)
	}
	if cut := rapid.IntRange(0, 300).Draw(t, "cut"); cut < len(content) {
		content = content[:len(content)-cut]
	}
	return content
}

func TestSameBytesAsZlib(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		content := draw(r)
		cuts := rapid.SliceOfN(rapid.IntRange(1, 70000), 0, 3).Draw(r, "cuts")
		p := rapid.SampledFrom(append(every(), slices.Repeat([]Params{{6, 8, Default}}, 30)...)).Draw(r, "params")
		if err := same(t, content, p, cuts...); err != nil {
			r.Fatal(err)
		}
	})
}

// TestEndsOfTheWindow ends content at and about every place at which the window slides, is
// full, or a block begins that it leaves behind.
func TestEndsOfTheWindow(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 9))
	random := makers()["random"](r, nil, 100000)
	mixed := copies(r, makers()["random"](r, text(r, nil, 20000), 30000), 70000)
	sizes := []int{
		slideFrom - 1, slideFrom, slideFrom + 1, slideFrom + 100, slideFrom + minAhead - 1, slideFrom + minAhead,
		2*windowSize - 1, 2 * windowSize, 2*windowSize + 1, slideFrom + windowSize, slideFrom + windowSize + 1,
	}
	for i, size := range sizes {
		of := []Params{{2, 9, Default}, {6, 9, HuffmanOnly}, {6, 8, Filtered}, {6, 9, RLE}, {5, 9, Default}, {6, 9, Fixed}}
		for _, p := range []Params{of[i%6], of[(i+3)%6]} {
			content := [][]byte{random, mixed}[i/6%2][:size]
			if err := same(t, content, p, 1+r.IntN(70000)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFarthestMatches(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 11))
	random := makers()["random"]
	for d := -3; d <= 3; d++ {
		for _, distance := range []int{maxDistance, tooFar, windowSize} {
			for i, length := range []int{3, 4, 258} {
				content := random(r, nil, r.IntN(2)*r.IntN(2)*r.IntN(35000)+1)
				again := random(r, nil, length)
				content = append(content, again...)
				content = append(random(r, content, distance+d-length), again...)
				content = random(r, content, r.IntN(300))
				if err := same(t, content, []Params{{3, 8, Default}, {6, 8, Default}, {9, 9, Default}}[(i+d+3)%3]); err != nil {
					t.Error(d, distance, length, err)
				}
			}
		}
	}
}

func TestNothingIsAllocatedAgain(t *testing.T) {
	content := copies(rand.New(rand.NewPCG(1, 3)), nil, 100000)
	z, err := NewWriter(io.Discard, Params{6, 9, Default})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(3, func() {
		z.Reset(io.Discard)
		writeAll(t, z, content)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if size := unsafe.Sizeof(Finder{}); size > 512<<10 {
		t.Errorf("a finder takes %d bytes", size)
	}
}

func TestResetForgets(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 4))
	var out bytes.Buffer
	z, err := NewWriter(&out, Params{6, 8, Default})
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		z.Reset(io.Discard)
		if _, err := z.Write(text(r, nil, r.IntN(200000))); err != nil { // left in the middle
			t.Fatal(err)
		}
		out.Reset()
		z.Reset(&out)
		content := text(r, nil, r.IntN(5000))
		writeAll(t, z, content)
		if !bytes.Equal(out.Bytes(), zlibs(t, content, Params{6, 8, Default})) {
			t.Fatal("what was written before shows")
		}
	}
}

func TestParamsThatDoNotExist(t *testing.T) {
	t.Parallel()
	for _, p := range []Params{{}, {0, 8, Default}, {10, 8, Default}, {-1, 8, Default}, {6, 7, Default}, {6, 10, Default}, {6, 8, Fixed + 1}} {
		if _, err := NewWriter(io.Discard, p); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
}

// full takes a few bytes.
type full struct {
	left int
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestAWriterThatFails(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk full")
	content := makers()["random"](rand.New(rand.NewPCG(1, 5)), nil, 200000)
	for _, left := range []int{0, 1, 70000, 200000} {
		z, err := NewWriter(&full{left, disk}, Params{6, 8, Default})
		if err != nil {
			t.Fatal(err)
		}
		_, err = z.Write(content)
		if left < 100000 && !errors.Is(err, disk) {
			t.Errorf("room for %d: writing gave %v", left, err)
		}
		if err := z.Close(); !errors.Is(err, disk) {
			t.Errorf("room for %d: closing gave %v", left, err)
		}
	}
	var out bytes.Buffer
	z, err := NewWriter(&out, Params{6, 8, Default})
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, z, []byte("abc"))
	if _, err := z.Write([]byte("d")); err == nil {
		t.Error("a closed writer took something")
	}
	if err := z.Close(); err != nil || out.Len() != len(zlibs(t, []byte("abc"), Params{6, 8, Default})) {
		t.Errorf("closing again gave %v and %d bytes", err, out.Len())
	}
}

package lz_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/delta/lz"
	"uplevel/internal/delta/rangecode"
)

// roundTrip fails where new does not come back, and returns the size of its code.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, old, target []byte,
) int {
	t.Helper()
	code := lz.Encode(old, target)
	got := make([]byte, len(target))
	if err := lz.Decode(got, old, code); err != nil {
		t.Fatalf("%d bytes from %d: %v", len(target), len(old), err)
	}
	if !bytes.Equal(got, target) {
		t.Fatalf("%d bytes from %d: other bytes came back", len(target), len(old))
	}
	return len(code)
}

// content draws bytes of one of several kinds: noise, words, few letters, one letter.
func content(t *rapid.T, most int) []byte {
	n := rapid.IntRange(0, most).Draw(t, "size")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	letters := rapid.SampledFrom([]int{1, 2, 20, 256}).Draw(t, "letters")
	b := make([]byte, 0, n)
	for len(b) < n {
		if len(b) > 20 && r.IntN(4) == 0 { // something again
			at := r.IntN(len(b) - 10)
			b = append(b, b[at:at+r.IntN(10)]...)
			continue
		}
		b = append(b, byte(r.IntN(letters)))
	}
	return b[:n]
}

// edited draws a near copy: bytes changed, inserted, taken out, moved and repeated.
func edited(t *rapid.T, old []byte) []byte {
	b := bytes.Clone(old)
	for range rapid.IntRange(0, 30).Draw(t, "edits") {
		if len(b) == 0 {
			b = content(t, 100)
			continue
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		n := min(rapid.SampledFrom([]int{1, 2, 3, 7, 30, 300}).Draw(t, "n"), len(b)-at)
		part := bytes.Clone(b[at : at+n])
		switch rapid.IntRange(0, 5).Draw(t, "edit") {
		case 0:
			b[at]++
		case 1:
			b = append(b[:at:at], append(content(t, n), b[at:]...)...)
		case 2:
			b = append(b[:at:at], b[at+n:]...)
		case 3:
			b = append(b, part...)
		case 4:
			b = append(part, b...)
		default: // every so many bytes, as numbers change
			for i := at; i < at+n; i += 3 {
				b[i] += 2
			}
		}
	}
	return b
}

func TestWhatIsEncodedComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old := content(t, 5000)
		target := content(t, 3000)
		if rapid.Bool().Draw(t, "near") {
			target = edited(t, old)
		}
		roundTrip(t, old, target)
	})
}

// TestSizesAroundEdges: the window of the parser, lengths that are taken at once, copies up to
// the end of old, and nothing at all.
func TestSizesAroundEdges(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 3000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for _, n := range []int{0, 1, 2, 8, 9, 255, 257, 384, 513, 1025} {
		same := bytes.Repeat([]byte("x"), n)
		turns := bytes.Repeat([]byte("abc"), n)
		for _, old := range [][]byte{nil, noise[:n], same} {
			for _, target := range [][]byte{nil, noise[:n], turns, append(noise[3000-n:], same...)} {
				roundTrip(t, old, target)
			}
		}
	}
}

func TestWhatIsInOldCostsNextToNothing(t *testing.T) {
	t.Parallel()
	old := make([]byte, 1_000_000)
	rand.NewChaCha8([32]byte{2}).Read(old)
	if n := roundTrip(t, old, old); n > 20 {
		t.Errorf("the same again takes %d bytes", n)
	}
	moved := append(bytes.Clone(old[600_000:]), old[:600_000]...)
	if n := roundTrip(t, old, moved); n > 40 {
		t.Errorf("two parts that changed places take %d bytes", n)
	}
	for i := 0; i < len(old); i += 10_000 {
		moved[i]++
	}
	if n := roundTrip(t, old, moved); n > 700 {
		t.Errorf("100 changed bytes take %d bytes", n)
	}
}

// TestShiftedNumbers: indices that all grow by the same are foreseen.
func TestShiftedNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	var old, target []byte
	for range 6_000 {
		op, v := byte(r.IntN(40)), r.IntN(250)
		old = append(old, op, 0, byte(v))
		if v >= 100 {
			v += 3
		}
		target = append(target, op, 0, byte(v))
	}
	if n := roundTrip(t, old, target); n > 900 {
		t.Errorf("numbers of 3,600 that grew by 3 take %d bytes", n)
	}
}

// TestOwnSourceAfterAnEdit: a real file against a version of it with a function moved and a word changed.
func TestOwnSourceAfterAnEdit(t *testing.T) {
	t.Parallel()
	old := source(t, "parse.go")
	target := bytes.ReplaceAll(old, []byte("price"), []byte("cost"))
	target = append(target, old[len(old)/2:]...)
	if n := roundTrip(t, old, target); n > len(old)/10 {
		t.Errorf("%d bytes take %d", len(target), n)
	}
}

func source(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestACodeThatCannotBeIsRefused: each beginning of a code is too short, and no code that asks
// for what is not there is followed.
func TestACodeThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	old, target := source(t, "parse.go"), source(t, "offer.go")
	code := lz.Encode(old, target)
	got := make([]byte, len(target))
	for n := 0; n < len(code)-8; n += 29 {
		if err := lz.Decode(got, old, code[:n]); err == nil && bytes.Equal(got, target) {
			t.Fatalf("%d of %d bytes are enough", n, len(code))
		}
	}
	if err := lz.Decode(got, old, code[:len(code)/2]); !errors.Is(err, rangecode.ErrEnd) && !errors.Is(err, lz.ErrCode) {
		t.Errorf("half a code: got %v", err)
	}
	refused := 0
	r := rand.NewChaCha8([32]byte{4})
	for range 100 {
		noise := make([]byte, 200)
		r.Read(noise)
		if err := lz.Decode(make([]byte, 10_000), old, noise); err != nil {
			refused++
		}
	}
	if refused < 80 {
		t.Errorf("only %d of 100 codes of noise are refused", refused)
	}
}

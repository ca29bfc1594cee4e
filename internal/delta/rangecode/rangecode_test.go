package rangecode_test

import (
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/delta/rangecode"
)

// op is something that is coded.
type op struct {
	kind, n int
	v       uint32
}

func ops(t *rapid.T) []op {
	all := make([]op, rapid.IntRange(0, 3000).Draw(t, "ops"))
	skew := rapid.IntRange(0, 100).Draw(t, "skew")
	for i := range all {
		o := op{kind: rapid.IntRange(0, 2).Draw(t, "kind"), n: rapid.IntRange(1, 12).Draw(t, "n")}
		if rapid.IntRange(0, 100).Draw(t, "rare") >= skew {
			o.v = rapid.Uint32().Draw(t, "v")
		}
		if o.kind == 0 {
			o.n = 1
		}
		o.v &= 1<<o.n - 1
		all[i] = o
	}
	return all
}

func TestWhatIsCodedComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := ops(t)
		bit, tree := rangecode.NewBit(), make([]rangecode.Bit, 1<<12)
		rangecode.Reset(tree)
		e := rangecode.NewEncoder([]byte("x"))
		for _, o := range all {
			switch o.kind {
			case 0:
				e.Encode(&bit, o.v)
			case 1:
				e.Direct(o.v, o.n)
			default:
				e.Tree(tree, o.v, o.n)
			}
		}
		code := e.Close()
		if code[0] != 'x' {
			t.Fatalf("what stood before the code is %q now", code[0])
		}
		d := rangecode.NewDecoder(code[1:])
		bit = rangecode.NewBit()
		rangecode.Reset(tree)
		for i, o := range all {
			var got uint32
			switch o.kind {
			case 0:
				got = d.Decode(&bit)
			case 1:
				got = d.Direct(o.n)
			default:
				got = d.Tree(tree, o.n)
			}
			if got != o.v {
				t.Fatalf("%d: %+v: got %d", i, o, got)
			}
		}
		if err := d.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheForeseenCostsNextToNothing(t *testing.T) {
	t.Parallel()
	e, bit := rangecode.NewEncoder(nil), rangecode.NewBit()
	for range 1_000_000 {
		e.Encode(&bit, 0)
	}
	if got := len(e.Close()); got > 300 {
		t.Errorf("a million zeros take %d bytes", got)
	}
}

func TestAnEndTooEarlyIsTold(t *testing.T) {
	t.Parallel()
	d := rangecode.NewDecoder([]byte{0, 1, 2})
	for range 1000 {
		d.Direct(8)
	}
	if d.Err() == nil {
		t.Error("a thousand bytes came out of three")
	}
}

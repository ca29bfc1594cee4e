package delta_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"uplevel/internal/delta"
)

// pairs are trees whose deltas hold every kind of step and engine.
func pairs(t testing.TB) [][2]files {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	content, other := text(r, 120), text(r, 40)
	inner := func(c []byte) []byte {
		return zipped(t, member{"in.txt", c, zip.Deflate, 9}, member{"keep", other, zip.Deflate, 6})
	}
	jar := func(c []byte) []byte {
		return zipped(t, member{"a.txt", c, zip.Deflate, 6}, member{"b.jar", inner(c), zip.Deflate, 6}, member{"c.jar", inner(c), zip.Store, 0}, member{"d", other, zip.Deflate, 6})
	}
	return [][2]files{
		{{"x.jar": jar(content)}, {"x.jar": jar(edited(r, content, 3))}},
		{{"n.txt": content, "m.txt": other}, {"n.txt": edited(r, content, 2), "m.txt": edited(r, other, 9)}},
		{{}, {"now.txt": other}},
	}
}

// FuzzApply applies what comes to trees that are known: it fails, or makes as much as was to be
// made and not a byte more.
func FuzzApply(f *testing.F) {
	all := pairs(f)
	for n, p := range all {
		f.Add(n, making(f, p[0], p[1]))
	}
	f.Fuzz(func(t *testing.T, n int, code []byte) {
		p := all[(n%len(all)+len(all))%len(all)]
		wanted := p[1].tree(t)
		got, err := applying(t, p[0], wanted, p[0].tree(t), code)
		if err != nil && !errors.Is(err, delta.ErrDamaged) {
			t.Fatal(err)
		}
		for _, c := range delta.Contents(wanted) {
			if len(got[c.Sum]) > int(c.Size) || err == nil && got[c.Sum] != nil && len(got[c.Sum]) != int(c.Size) {
				t.Errorf("%s has %d bytes, not %d", c.Path, len(got[c.Sum]), c.Size)
			}
		}
	})
}

// FuzzText makes a text of another, and back.
func FuzzText(f *testing.F) {
	f.Add([]byte("a text and more of it"), []byte("a text, and more of it"))
	f.Add([]byte{}, []byte("new"))
	f.Fuzz(func(t *testing.T, old, now []byte) {
		got, err := delta.ApplyText(old, delta.Text(old, now), len(now))
		if err != nil || !bytes.Equal(got, now) {
			t.Errorf("it comes to %q: %v", got, err)
		}
		if got, err := delta.ApplyText(old, now, 1<<16); err != nil && !errors.Is(err, delta.ErrDamaged) {
			t.Errorf("%q: %v", got, err)
		}
	})
}

package archive

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"uplevel/internal/archive/anatomy"
)

// drawMembers draws an archive near to another: few names, so that sides meet.
func drawMembers(t *rapid.T, near map[string]string) map[string]string {
	names := []string{"a", "b", "ä", "d/", "d/c", "e/f.jar", manifest, "META-INF/"}
	all := maps.Clone(near)
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		name := rapid.SampledFrom(names).Draw(t, "name")
		switch {
		case rapid.IntRange(0, 3).Draw(t, "remove") == 0:
			delete(all, name)
		case !strings.HasSuffix(name, "/"):
			all[name] = rapid.SampledFrom([]string{"", "bin 1", "bin 2", "a=1\n", "a=2\n", "a=1\nb=1\n", "a=1\nc=1\n"}).Draw(t, "content")
		default:
			all[name] = ""
		}
	}
	return all
}

func packMembers(t *rapid.T, tb testing.TB, all map[string]string) []byte {
	items := []item{}
	for _, name := range rapid.Permutation(slices.Sorted(maps.Keys(all))).Draw(t, "order") {
		items = append(items, item{name: name, content: all[name], stored: rapid.Bool().Draw(t, "stored")})
	}
	return pack(tb, items...)
}

func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		b := drawMembers(r, map[string]string{"a": "a=1\n", "b": "bin", "d/c": ""})
		x, y := drawMembers(r, b), drawMembers(r, b)
		base, mine, theirs := packMembers(r, t, b), packMembers(r, t, x), packMembers(r, t, y)

		if out, result := merge(t, sides(base, mine, base), false); !bytes.Equal(out, mine) || len(result.Conflicts)+len(result.Merged) > 0 {
			r.Fatalf("merge(b, x, b) is not x: %v", result)
		}
		if out, result := merge(t, sides(base, mine, mine), false); !bytes.Equal(out, mine) || len(result.Conflicts)+len(result.Merged) > 0 {
			r.Fatalf("merge(b, x, x) is not x: %v", result)
		}
		out, result := merge(t, sides(base, base, theirs), false)
		if d := cmp.Diff(y, unpack(t, out)); d != "" || len(result.Conflicts)+len(result.Merged) > 0 {
			r.Fatalf("merge(b, b, y) is not y: %v %s", result, d)
		}
		for _, former := range [][]byte{base, nil} {
			one, told1 := merge(t, sides(former, mine, theirs), false)
			other, told2 := merge(t, sides(former, theirs, mine), true)
			for i := range told2.Conflicts {
				c := &told2.Conflicts[i]
				c.Mine, c.Theirs = c.Theirs, c.Mine
				c.Why = map[Why]Why{MineRemoved: TheirsRemoved, TheirsRemoved: MineRemoved}[c.Why] + map[bool]Why{true: c.Why}[c.Why != MineRemoved && c.Why != TheirsRemoved]
			}
			if d := cmp.Diff(unpack(t, one), unpack(t, other)) + cmp.Diff(told1, told2, cmpopts.EquateEmpty()); d != "" {
				r.Fatalf("the orders differ:\n%s", d)
			}
			again, _ := merge(t, sides(former, mine, theirs), false)
			if !bytes.Equal(one, again) {
				r.Fatal("merged twice it differs")
			}
		}
	})
}

// FuzzMerge changes archives at will: a merge ends, either with ErrWhole or with an archive.
func FuzzMerge(f *testing.F) {
	base := pack(f, is("META-INF/", ""), is(manifest, "v=1\n"), is("a", "a=1\n"), is("lib/a.jar", string(pack(f, is("k", "k=1\n")))))
	mine := pack(f, is("META-INF/", ""), is(manifest, "v=1\n"), is("a", "a=2\n"), is("lib/a.jar", string(pack(f, is("k", "k=2\n")))))
	theirs := pack(f, is(manifest, "v=2\n"), is("a", "a=3\n"), is("lib/a.jar", string(pack(f, is("k", "k=1\n"), is("l", "l")))), is("n", "n"))
	f.Add(base, mine, theirs, false)
	f.Add([]byte{}, mine, theirs, true)
	for _, odd := range oddForms(f) {
		if len(odd) > 4096 {
			continue // the engine is slow with them
		}
		f.Add(base, odd, theirs, false)
		f.Add(odd, mine, odd, true)
	}
	for _, hostile := range hostileForms(f) {
		f.Add(base, mine, hostile, false)
	}
	f.Fuzz(func(t *testing.T, base, mine, theirs []byte, preferTheirs bool) {
		s := sides(base, mine, theirs)
		if len(base) == 0 {
			s.Base = nil
		}
		var out bytes.Buffer
		_, err := Merge(t.Context(), s, &out, preferTheirs, byLine)
		switch {
		case errors.Is(err, ErrWhole):
			return
		case err != nil:
			t.Fatal(err)
		}
		if _, err := anatomy.Open(t.Context(), section(out.Bytes())); err != nil {
			t.Fatalf("the result: %v", err)
		}
	})
}

package merge

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs, want, theirsWant string }{
		{name: "nothing"},
		{"both change", "a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n", ""},
		{"a clash", "a\nb\nc\n", "a\nB\nc\n", "a\nX\nc\n", "a\nB\nc\n", "a\nX\nc\n"},
		{"both added the file", "", "a\nb\n", "a\nc\n", "a\nb\n", "a\nc\n"},
		{"mine lost the newline", "a\nb\nc\n", "a\nb\nc", "A\nb\nc\n", "A\nb\nc", ""},
		{"theirs lost the newline", "a\nb\nc\n", "A\nb\nc\n", "a\nb\nc", "A\nb\nc", ""},
		{"both add behind no newline", "a", "a\nb", "a\nc", "a\nb", "a\nc"},
		{"mine adds where theirs has no newline", "a\n", "a\nb\n", "a", "a\nb\n", "a"},
		{"base has no newline", "a\nb\nc", "A\nb\nc", "a\nb\nc\nd\n", "A\nb\nc\nd\n", ""},
		{
			"mixed ends: theirs take those around them", "a\nb\nc\nd\ne\nf\n", "a\r\nb\r\nc\r\nd\ne\nf\n",
			"a\nB\nc\nd\nE\nf\n", "a\r\nB\r\nc\r\nd\nE\nf\n", "",
		},
		{"where two kinds meet", "a\nb\nc\n", "a\r\nb\nc\n", "a\nx\nb\nc\n", "a\r\nx\nb\nc\n", ""},
		{"theirs' last line has no end", "a\nb\nc", "x\na\r\nb\r\nc", "a\nb\nd\ne", "x\na\r\nb\r\nd\r\ne", ""},
		{"theirs' CR is not doubled", "a\nb\nc\n", "a\r\nb\r\nc\n", "a\nx\r\nb\nc\n", "a\r\nx\r\nb\r\nc\n", ""},
		{"a clash among CR LF", "a\nb\nc\n", "a\r\nB\nc\r\n", "a\nX\nc\n", "a\r\nB\nc\r\n", "a\r\nX\r\nc\r\n"},
	} {
		got, err := lines(c.base, c.mine, c.theirs)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got.mine != c.want || got.theirs != c.theirsWant {
			t.Errorf("%s:\n got %q, theirs %q\nwant %q, theirs %q", c.name, got.mine, got.theirs, c.want, c.theirsWant)
		}
	}
}

func TestClashesAreNamedByTheirPlaceInMine(t *testing.T) {
	t.Parallel()
	here := func(s string) Value { return Value{s, true} }
	for _, c := range []struct {
		name, base, mine, theirs string
		want                     Conflict
	}{
		{"a line", "a\nb\nc\n", "a\nB\nc\n", "a\nX\nc\n", Conflict{"line 2", here("b\n"), here("B\n"), here("X\n")}},
		{"lines", "b\nc\n", "B\nC\nD\nc\n", "X\nc\n", Conflict{"lines 1–3", here("b\n"), here("B\nC\nD\n"), here("X\n")}},
		{"mine deleted it", "a\nb\nc\n", "a\nc\n", "a\nX\nc\n", Conflict{"after line 1", here("b\n"), Value{}, here("X\n")}},
		{"mine deleted the first", "b\nc\n", "c\n", "X\nc\n", Conflict{"before line 1", here("b\n"), Value{}, here("X\n")}},
		{"theirs deleted it", "a\nb\n", "a\nB\n", "a\n", Conflict{"line 2", here("b\n"), here("B\n"), Value{}}},
		{"both added", "a\n", "a\nB\n", "a\nX\n", Conflict{"line 2", Value{}, here("B\n"), here("X\n")}},
	} {
		got, err := lines(c.base, c.mine, c.theirs)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if d := cmp.Diff([]Conflict{c.want}, got.conflicts); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestTooManyLines(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("a\n", maxLines)
	if _, err := lines(full, full, full); err != nil {
		t.Error("at the bound:", err)
	}
	for _, long := range []string{full + "a", full + "a\n"} {
		for _, s := range [][3]string{{long, "", ""}, {"", long, ""}, {"", "", long}} {
			if _, err := lines(s[0], s[1], s[2]); !errors.Is(err, ErrWhole) {
				t.Error("over the bound:", err)
			}
		}
	}
}

// drawText draws a text of few different lines; the last one may lack its newline.
func drawText(t *rapid.T, name string, ends ...string) string {
	line := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "}", "# x"})
	end := rapid.SampledFrom(ends)
	var out strings.Builder
	for range rapid.IntRange(0, 20).Draw(t, name+" lines") {
		out.WriteString(line.Draw(t, name) + end.Draw(t, name+" end"))
	}
	return out.String() + rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, name+" last")
}

func TestOneSidedChangesComeThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, text := drawText(t, "base", "\n"), drawText(t, "text", "\n", "\r\n")
		plain := strings.ReplaceAll(text, "\r\n", "\n")
		for _, c := range []struct{ name, mine, theirs, want string }{
			{"mine", text, base, text},
			{"theirs", base, plain, plain},
			{"both", text, plain, text},
		} {
			got, err := lines(base, c.mine, c.theirs)
			if err != nil || got.mine != c.want || len(got.conflicts) > 0 {
				t.Fatalf("%s: %q, %v, %v", c.name, got.mine, got.conflicts, err)
			}
		}
	})
}

func TestSidesCanBeSwapped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base, mine, theirs := drawText(t, "base", "\n"), drawText(t, "mine", "\n"), drawText(t, "theirs", "\n")
		one, err := lines(base, mine, theirs)
		if err != nil {
			t.Fatal(err)
		}
		two, err := lines(base, theirs, mine)
		if err != nil {
			t.Fatal(err)
		}
		if len(one.conflicts) == 0 {
			one.theirs, two.theirs = one.mine, two.mine
		}
		if one.mine != two.theirs || one.theirs != two.mine || len(one.conflicts) != len(two.conflicts) {
			t.Fatalf("%+v\n%+v", one, two)
		}
		for i, c := range one.conflicts {
			if o := two.conflicts[i]; c.Base != o.Base || c.Mine != o.Theirs || c.Theirs != o.Mine {
				t.Fatalf("%+v\n%+v", c, o)
			}
		}
	})
}

func TestNoLinesAreGluedTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sides := []string{drawText(t, "base", "\n"), drawText(t, "mine", "\n", "\r\n"), drawText(t, "theirs", "\n")}
		got, err := lines(sides[0], sides[1], sides[2])
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, side := range sides {
			for line := range strings.Lines(side) {
				known[strings.TrimRight(line, "\r\n")] = true
			}
		}
		for _, out := range []string{got.mine, got.theirs} {
			for line := range strings.Lines(out) {
				if body := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"); !known[body] {
					t.Fatalf("%q is no line of any side", line)
				}
			}
		}
	})
}

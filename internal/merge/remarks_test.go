package merge_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/merge"
	"uplevel/internal/merge/properties"
)

func TestRemarksStandAloneBeforeABlankLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines string
		alone []string
		own   string
	}{
		"nothing":            {"", nil, ""},
		"blank":              {"\n\n", nil, "\n\n"},
		"comment of its own": {"\n# a\n", nil, "\n# a\n"},
		"title":              {"\n# A\n\n", []string{"\n# A\n\n"}, ""},
		"licence and own":    {"# L\n# M\n\n# a\n", []string{"# L\n# M\n\n"}, "# a\n"},
		"two titles":         {"# A\n\n\n# B\n \t\n", []string{"# A\n\n\n", "# B\n \t\n"}, ""},
		"no line end":        {"# A\n\n# B", []string{"# A\n\n"}, "# B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r merge.Remarks
			nodes, own := r.Cut(c.lines)
			var alone []string
			for _, n := range nodes {
				alone = append(alone, n.Text())
			}
			if d := cmp.Diff(c.alone, alone); d != "" || own != c.own {
				t.Errorf("own %q, want %q\n%s", own, c.own, d)
			}
		})
	}
}

func TestRemarksAreKnownByWhatTheySay(t *testing.T) {
	t.Parallel()
	var r merge.Remarks
	one, _ := r.CutEnd("# a\n\n# b\n")
	two, _ := r.CutEnd("\n # a \r\n\n# b")
	if one[0].Key == two[0].Key || one[1].Key == two[1].Key {
		t.Error("a repeated remark is not told from the first")
	}
	var again merge.Remarks
	if same, _ := again.CutEnd("\n # a \r\n\n# b"); same[0].Key != one[0].Key || same[1].Key != one[1].Key {
		t.Error("spaces make a remark another")
	}
}

func TestRemarksSayNothing(t *testing.T) {
	t.Parallel()
	base := "a=1\n\n# A\n\nb=1\n"
	for _, c := range []struct{ mine, theirs, want string }{
		// A remark that stood twice and stands once is another first.
		{"a=1\n\n# A\n\nb=1\n\n# A\n\nc=1\n", "a=1\nb=2\n", "a=1\nb=2\n\n# A\n\nc=1\n"},
		{"a=1\n\n# A\n\n# B\n\nb=1\n", "# C\n\na=1\n\n# A\n\nb=2\n", "# C\n\na=1\n\n# A\n\n# B\n\nb=2\n"},
	} {
		got, err := merge.Merge(merge.Sides{Base: []byte(base), Mine: []byte(c.mine), Theirs: []byte(c.theirs)}, properties.Format{})
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Merged) != c.want || got.How != "by key (properties)" {
			t.Errorf("merged %s: %q, want %q", got.How, got.Merged, c.want)
		}
	}
}

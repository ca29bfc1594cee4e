package reconcile

import (
	"slices"
	"testing"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// inside merges everything, and finds alike what is listed: "removed added".
type inside []string

func (inside) Merge(_ *manifest.Entry, mine, _ manifest.Entry) (plan.Merged, bool) {
	return plan.Merged{How: "by line", Mine: release.Ref{Sum: mine.Sum, Size: mine.Size}}, true
}

func (i inside) Alike(removed, added manifest.Entry) bool {
	return slices.Contains(i, removed.Path+" "+added.Path)
}

// An edit follows the vendor's renaming only where it is clear which file that is.
func TestHeirs(t *testing.T) {
	t.Parallel()
	g := func(path, content string) manifest.Entry { return file(path, content, 0o644) }
	for _, e := range []example{
		{
			"the same content",
			entries{g("a", "1")},
			entries{g("a", "m")},
			entries{g("b", "1")},
			Rules{Inside: inside{}},
			[]string{"a remove/renamed", "b add/renamed"},
		},
		{
			"no content tells nothing",
			entries{g("a", "")},
			entries{g("a", "m")},
			entries{g("b", "")},
			Rules{Inside: inside{}},
			[]string{"a conflict/customised", "b add"},
		},
		{
			"of several with the content the one of a like name",
			entries{g("z1", "1")},
			entries{g("z1", "m")},
			entries{g("a", "1"), g("z2", "1")},
			Rules{Inside: inside{}},
			[]string{"a add", "z1 remove/renamed", "z2 add/renamed"},
		},
		{
			"several with the content, none of a like name",
			entries{g("z", "1")},
			entries{g("z", "m")},
			entries{g("a", "1"), g("b", "1")},
			Rules{Inside: inside{}},
			[]string{"a add", "b add", "z conflict/customised"},
		},
		{
			"several that are alike",
			entries{g("z", "1")},
			entries{g("z", "m")},
			entries{g("z1", "2"), g("z2", "3")},
			Rules{Inside: inside{"z z1", "z z2"}},
			[]string{"z conflict/customised", "z1 add", "z2 add"},
		},
		{
			"the content of one is no likeness of another",
			entries{g("z1", "1"), g("z2", "2")},
			entries{g("z1", "m"), g("z2", "n")},
			entries{g("z3", "2"), g("z4", "3")},
			Rules{Inside: inside{"z1 z3", "z1 z4"}},
			[]string{"z1 remove/renamed", "z2 remove/renamed", "z3 add/renamed", "z4 add/renamed"},
		},
	} {
		t.Run(e.name, e.run)
	}
}

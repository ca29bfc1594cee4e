// Package mergetest holds formats to what merging by key needs of them.
package mergetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"uplevel/internal/merge"
)

// Case is one merge and what comes out.
type Case struct {
	Name               string
	Base, Mine, Theirs string
	Want               string   // with mine at conflicts
	WantTheirs         string   // with theirs at conflicts
	Conflicts          []string // "key: base | mine | theirs"; "—" is nothing
	How                string   // "by key" unless told
}

// Run merges all cases.
func Run(t *testing.T, f merge.Format, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := merge.Merge(merge.Sides{Base: []byte(c.Base), Mine: []byte(c.Mine), Theirs: []byte(c.Theirs)}, f)
			if err != nil {
				t.Fatal(err)
			}
			if how := cmp.Or(c.How, "by key"); !strings.HasPrefix(got.How, how) {
				t.Errorf("merged %s, want %s", got.How, how)
			}
			if d := gocmp.Diff(c.Want, string(got.Merged)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if d := gocmp.Diff(c.WantTheirs, string(got.Theirs)); d != "" {
				t.Errorf("theirs: -want +got:\n%s", d)
			}
			if d := gocmp.Diff(c.Conflicts, conflicts(got)); d != "" {
				t.Errorf("conflicts: -want +got:\n%s", d)
			}
		})
	}
}

func conflicts(r merge.Result) []string {
	var all []string
	tell := func(v merge.Value) string {
		if !v.Present {
			return "—"
		}
		return v.Text
	}
	for _, c := range r.Conflicts {
		all = append(all, fmt.Sprintf("%s: %s | %s | %s", c.Key, tell(c.Base), tell(c.Mine), tell(c.Theirs)))
	}
	return all
}

// Whole sees that the pieces of any text give it back, and that a format which finds keys
// in a text does not refuse it.
func Whole(t rapid.TB, f merge.Format, text string) {
	t.Helper()
	checked := f.Check(text)
	n, err := f.Parse(text)
	if err != nil {
		return
	}
	if checked != nil {
		t.Errorf("finds keys in what it refuses: %v\n%q", checked, text)
	}
	if got := n.Text(); got != text {
		t.Errorf("the pieces give %q\nwant %q", got, text)
	}
	unique(t, n)
}

func unique(t rapid.TB, n *merge.Node) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range n.Children {
		if n.Kind == merge.Map && seen[c.Key] {
			t.Errorf("%q stands twice in %q", c.Key, n.Key)
		}
		seen[c.Key] = true
		unique(t, c)
	}
}

// Entry is an entry of a made-up file.
type Entry struct {
	Section, Key string
	Value        string // a word or digits
	Remark       string // a comment before it; empty: none
	Apart        bool   // a blank line stands between both
}

// Sides draws three versions of a made-up file, each in order of its sections and without
// a key twice. Where sections is false, all is in one.
func Sides(t *rapid.T, sections bool) (base, mine, theirs []Entry) {
	base = edited(t, nil, sections, 12, "base")
	return base, edited(t, base, sections, 4, "mine"), edited(t, base, sections, 4, "theirs")
}

func edited(t *rapid.T, from []Entry, sections bool, most int, side string) []Entry {
	all := slices.Clone(from)
	for range rapid.IntRange(0, most).Draw(t, side+" edits") {
		at := rapid.IntRange(0, len(all)).Draw(t, "at")
		e := entry(t, sections)
		switch kind := rapid.IntRange(0, 5).Draw(t, "edit"); {
		case at == len(all) || kind < 3:
			all = slices.Insert(all, at, e)
		case kind == 3:
			all = slices.Delete(all, at, at+1)
		case kind == 4:
			all[at].Value = e.Value
		default:
			all[at].Remark, all[at].Apart = e.Remark, e.Apart
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(a.Section, b.Section) })
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(all, func(e Entry) bool {
		id := [2]string{e.Section, e.Key}
		twice := seen[id]
		seen[id] = true
		return twice
	})
}

func entry(t *rapid.T, sections bool) Entry {
	e := Entry{
		Key:    rapid.StringMatching(`[a-f]{1,2}`).Draw(t, "key"),
		Value:  rapid.SampledFrom([]string{"x", "y", "z", "1", "22"}).Draw(t, "value"),
		Remark: rapid.SampledFrom([]string{"", "", "note", "other note"}).Draw(t, "remark"),
		Apart:  rapid.Bool().Draw(t, "apart"),
	}
	if sections {
		e.Section = rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "section")
	}
	return e
}

// Decided merges three texts, and sees that what comes out is of the format and says at
// every key what the sides say: that it is decided as the design has it.
func Decided(t *rapid.T, f merge.Format, base, mine, theirs string) {
	got, err := merge.Merge(merge.Sides{Base: []byte(base), Mine: []byte(mine), Theirs: []byte(theirs)}, f)
	if err != nil {
		t.Fatal(err)
	}
	if got.How == "unchanged" {
		return
	}
	story := fmt.Sprintf("--- base\n%s--- mine\n%s--- theirs\n%s--- got\n%s--- conflicts %q", base, mine, theirs, got.Merged, conflicts(got))
	if !strings.HasPrefix(got.How, "by key") {
		t.Fatalf("merged %s\n%s", got.How, story)
	}
	b, m, h, r := values(t, f, base), values(t, f, mine), values(t, f, theirs), values(t, f, string(got.Merged))
	all := map[string]bool{}
	for _, side := range []map[string]string{b, m, h, r} {
		for key := range side {
			all[key] = true
		}
	}
	for key := range all {
		want, clash := m[key], m[key] != h[key] && b[key] != h[key] && b[key] != m[key]
		if m[key] != h[key] && b[key] == m[key] {
			want = h[key]
		}
		exact := slices.ContainsFunc(got.Conflicts, func(c merge.Conflict) bool { return c.Key == key })
		named := slices.ContainsFunc(got.Conflicts, func(c merge.Conflict) bool { return within(key, c.Key) })
		// A table that one side removed, or a list in another order, is a conflict as a whole.
		if clash && !named || exact && !clash {
			t.Errorf("%s: conflict told: %t, want %t\n%s", key, named, clash, story)
		}
		if r[key] != want && !named {
			t.Errorf("%s: %q, want %q\n%s", key, r[key], want, story)
		}
	}
}

// within reports whether a key is another or lies in it.
func within(key, in string) bool {
	rest, ok := strings.CutPrefix(key, in)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// values are what a text says, by key; of a list as a whole.
func values(t *rapid.T, f merge.Format, text string) map[string]string {
	n, err := f.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := map[string]string{}
	for _, c := range n.Children {
		gather(all, c.Key, c)
	}
	return all
}

func gather(all map[string]string, path string, n *merge.Node) {
	switch {
	case n.Remark:
	case n.Kind == merge.Scalar:
		all[path] = "=" + n.Value
	case n.Kind == merge.List && !identified(n):
		all[path] = strings.Join(strings.Fields(n.Text()), " ")
	case n.Kind == merge.List:
		for _, c := range n.Children {
			gather(all, path+c.Identity, c)
		}
	default:
		for _, c := range n.Children {
			key := path + "." + c.Key
			if path == "" || strings.HasPrefix(c.Key, "[") {
				key = path + c.Key
			}
			gather(all, key, c)
		}
	}
}

// Many writes a line for every number below n.
func Many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	return b.String()
}

// Hard sees that texts which are hard to work through are checked, parsed and merged.
// Work that grows beyond all bounds with them runs into the time limit of the tests.
func Hard(t *testing.T, f merge.Format, texts map[string]string) {
	t.Helper()
	for _, text := range texts {
		Whole(t, f, text)
		_, _ = merge.Merge(merge.Sides{Base: []byte(text), Mine: []byte(text + "\n"), Theirs: []byte("\n" + text)}, f)
	}
}

func identified(n *merge.Node) bool {
	seen := map[string]bool{"": true}
	for _, c := range n.Children {
		if seen[c.Identity] {
			return false
		}
		seen[c.Identity] = true
	}
	return true
}

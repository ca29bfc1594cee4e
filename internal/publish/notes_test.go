package publish

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

func TestNotesAreReadStrictly(t *testing.T) {
	t.Parallel()
	n, err := ParseNotes([]byte(notes1))
	if err != nil {
		t.Fatal(err)
	}
	want := release.Notes{Title: "November fixes", Updates: []release.Update{
		{ID: 4711, Type: release.Security, Description: "The start script no longer trusts its environment.", Files: []string{"bin/**"}},
		{ID: 4712, Type: release.Regular, Description: "Green by default.", BugFixes: map[string]string{"SHP-1": "Wrong colour"}},
	}}
	if d := cmp.Diff(want, n); d != "" {
		t.Error(d)
	}
	if n, err := ParseNotes(nil); err != nil || n.Updates == nil {
		t.Errorf("empty: %+v, %v", n, err)
	}
	for what, text := range map[string]string{
		"unknown key":   "updates: []\nheadline: x",
		"computed key":  "accepted: {windows-name: x}",
		"key twice":     "title: a\ntitle: b",
		"two documents": "title: a\n---\ntitle: b",
		"no id":         "updates: [{type: regular}]",
		"id twice":      "updates: [{id: 1, type: regular}, {id: 1, type: regular}]",
		"type":          "updates: [{id: 1, type: urgent}]",
		"not a mapping": "[1, 2]",
		"no YAML":       "a: [",
		"bad glob":      `updates: [{id: 1, type: regular, files: ["[z-a]"]}]`,
	} {
		if n, err := ParseNotes([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", what, n)
		}
	}
	if _, err := ParseNotes(make([]byte, release.MaxNotes+1)); err == nil {
		t.Error("endless notes were accepted")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	r, err := ParseRules([]byte("data: [\"config/local-*.yml\"]\ngenerated: [\"logs/**\"]\n"))
	if err != nil || len(r.Data) != 1 || len(r.Generated) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"keep: [x]", `data: ["[z-a]"]`} {
		if _, err := ParseRules([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestAttribution(t *testing.T) {
	t.Parallel()
	update := func(id int, globs ...string) release.Update {
		return release.Update{ID: id, Type: release.Regular, Files: globs}
	}
	changes := release.Changes{Added: []string{"lib/b.jar"}, Modified: []string{"bin/a"}, Removed: []string{"doc/c"}}
	for what, c := range map[string]struct {
		updates []release.Update
		want    map[string]int
		without []string
	}{
		"first match":     {[]release.Update{update(1, "lib/*"), update(2, "**")}, map[string]int{"lib/b.jar": 1, "bin/a": 2, "doc/c": 2}, nil},
		"rest to the one": {[]release.Update{update(1, "lib/*"), update(2)}, map[string]int{"lib/b.jar": 1, "bin/a": 2, "doc/c": 2}, nil},
		"as a whole":      {[]release.Update{update(1, "lib/*"), update(2), update(3)}, map[string]int{"lib/b.jar": 1}, nil},
		"unattributed":    {[]release.Update{update(1, "lib/*")}, map[string]int{"lib/b.jar": 1}, []string{"bin/a", "doc/c"}},
	} {
		n := release.Notes{Updates: c.updates, Changes: changes}
		if err := attribute(&n); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, n.Attribution); d != "" {
			t.Errorf("%s: %s", what, d)
		}
		if d := cmp.Diff(c.without, n.Unattributed); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
}

// TestChangesTellEverything: former with the changes applied has the files of tree, and
// nothing unchanged is named.
func TestChangesTellEverything(t *testing.T) {
	t.Parallel()
	draw := func(t *rapid.T, label string) manifest.Tree {
		var entries []manifest.Entry
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]`), 0, 6, rapid.ID[string]).Draw(t, label) {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				entries = append(entries, manifest.Entry{Path: name, Kind: manifest.Dir, Mode: 0o755})
			case 1:
				entries = append(entries, manifest.Entry{Path: name, Kind: manifest.Link, Target: "x"})
			default:
				mode := rapid.SampledFrom([]uint32{0o644, 0o755}).Draw(t, "mode")
				sum := digest.Of([]byte{byte(rapid.IntRange(0, 2).Draw(t, "content"))})
				entries = append(entries, manifest.Entry{Path: name, Kind: manifest.File, Mode: mode, Size: 1, Sum: sum})
			}
		}
		tree, err := manifest.NewTree(entries)
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	rapid.Check(t, func(t *rapid.T) {
		former, tree := draw(t, "former"), draw(t, "tree")
		c := changesOf(former, tree)
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			was, before := former.Lookup(name)
			is, after := tree.Lookup(name)
			before, after = before && was.Kind != manifest.Dir, after && is.Kind != manifest.Dir
			want := [3]bool{after && !before, after && before && !was.Same(is), before && !after}
			got := [3]bool{slices.Contains(c.Added, name), slices.Contains(c.Modified, name), slices.Contains(c.Removed, name)}
			if got != want {
				t.Fatalf("%s: %v, want %v", name, got, want)
			}
		}
	})
}

func FuzzParseNotes(f *testing.F) {
	f.Add([]byte(notes1))
	f.Add([]byte("updates:\n  - {id: 1, type: security, description: x, advisories: [UPL-1], files: ['**']}\nrestart: false\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseNotes(text)
		if err != nil {
			return
		}
		data, err := n.Bytes()
		if err != nil {
			return // too long as JSON
		}
		again, err := release.ParseNotes(data)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.Bytes()
		if err != nil || string(twice) != string(data) {
			t.Fatalf("notes do not read back: %v\n%s\n%s", err, data, twice)
		}
	})
}

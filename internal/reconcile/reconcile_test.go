package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

func file(path, content string, mode uint32) manifest.Entry {
	return manifest.Entry{
		Path: path, Kind: manifest.File, Mode: mode,
		Size: int64(len(content)), Sum: digest.Of([]byte(content)),
	}
}

func dir(path string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.Dir, Mode: 0o755}
}

func link(path, target string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.Link, Target: target}
}

func f(content string) manifest.Entry { return file("f", content, 0o644) }

func tree(t testing.TB, entries ...manifest.Entry) manifest.Tree {
	t.Helper()
	made, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

type entries []manifest.Entry

// brief writes outcomes as "path action[/why][=mode]".
func brief(outcomes []plan.Outcome) []string {
	lines := []string{}
	for _, o := range outcomes {
		line := o.Path + " " + string(o.Action)
		if o.Why != "" {
			line += "/" + o.Why
		}
		lines = append(lines, line)
	}
	return lines
}

type example struct {
	name             string
	base, disk, want entries
	rules            Rules
	expect           []string
}

func (e example) run(t *testing.T) {
	t.Parallel()
	got := Update(tree(t, e.base...), tree(t, e.disk...), tree(t, e.want...), e.rules)
	if d := cmp.Diff(e.expect, brief(got)); d != "" {
		t.Error(d)
	}
	if _, err := plan.Make(plan.Plan{
		Kind: plan.Update, Product: "p", Version: "1",
		To: plan.Point{Channel: "full"}, Outcomes: got,
	}); err != nil {
		t.Errorf("the outcomes make no plan: %v", err)
	}
}

func globs(t testing.TB, patterns ...string) release.Globs {
	t.Helper()
	g, err := release.CompileGlobs(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOneFile(t *testing.T) {
	t.Parallel()
	mine, theirs := Rules{OnConflict: Mine}, Rules{OnConflict: Theirs}
	restore := Rules{RestoreRemoved: true}
	generated, data := Rules{Generated: globs(t, "f")}, Rules{Data: globs(t, "f")}
	for _, e := range []example{
		{"nothing changed", entries{f("1")}, entries{f("1")}, entries{f("1")}, Rules{}, []string{}},
		{"vendor changed", entries{f("1")}, entries{f("1")}, entries{f("2")}, Rules{}, []string{"f replace"}},
		{"vendor removed", entries{f("1")}, entries{f("1")}, nil, Rules{}, []string{"f remove"}},
		{"vendor added", nil, nil, entries{f("1")}, Rules{}, []string{"f add"}},
		{"customised, vendor unchanged", entries{f("1")}, entries{f("m")}, entries{f("1")}, Rules{}, []string{"f kept/customised"}},
		{"customised to what comes", entries{f("1")}, entries{f("2")}, entries{f("2")}, Rules{}, []string{"f adopt"}},
		{"customised, vendor changed", entries{f("1")}, entries{f("m")}, entries{f("2")}, Rules{}, []string{"f conflict/customised"}},
		{"… mine", entries{f("1")}, entries{f("m")}, entries{f("2")}, mine, []string{"f kept/customised"}},
		{"… theirs", entries{f("1")}, entries{f("m")}, entries{f("2")}, theirs, []string{"f replace/customised"}},
		{"customised, vendor removed", entries{f("1")}, entries{f("m")}, nil, Rules{}, []string{"f conflict/customised"}},
		{"… mine", entries{f("1")}, entries{f("m")}, nil, mine, []string{"f kept/customised"}},
		{"… theirs", entries{f("1")}, entries{f("m")}, nil, theirs, []string{"f remove/customised"}},
		{"operator removed", entries{f("1")}, nil, entries{f("1")}, Rules{}, []string{"f absent/removed"}},
		{"operator removed, vendor changed", entries{f("1")}, nil, entries{f("2")}, Rules{}, []string{"f absent/removed"}},
		{"… restored", entries{f("1")}, nil, entries{f("2")}, restore, []string{"f add/restored"}},
		{"both removed", entries{f("1")}, nil, nil, Rules{}, []string{}},
		{"foreign equal", nil, entries{f("1")}, entries{f("1")}, Rules{}, []string{"f adopt"}},
		{"foreign different", nil, entries{f("x")}, entries{f("1")}, Rules{}, []string{"f conflict/foreign"}},
		{"generated, vendor changed", entries{f("1")}, entries{f("g")}, entries{f("2")}, generated, []string{"f kept/generated"}},
		{"generated, vendor removed", entries{f("1")}, entries{f("g")}, nil, generated, []string{"f kept/generated"}},
		{"generated, first shipped", nil, nil, entries{f("1")}, generated, []string{"f add"}},
		{"generated, written before it was shipped", nil, entries{f("g")}, entries{f("1")}, generated, []string{"f kept/generated"}},
		{"generated, not there", entries{f("1")}, nil, entries{f("2")}, generated, []string{}},
		{"data, pristine, vendor changed", entries{f("1")}, entries{f("1")}, entries{f("2")}, data, []string{"f kept/data"}},
		{"data, pristine, vendor removed", entries{f("1")}, entries{f("1")}, nil, data, []string{"f kept/data"}},
		{"data, first shipped", nil, nil, entries{f("1")}, data, []string{"f add"}},
		{"data, removed", entries{f("1")}, nil, entries{f("2")}, data, []string{"f absent/removed"}},
	} {
		t.Run(e.name, e.run)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	m := func(content string, mode uint32) manifest.Entry { return file("f", content, mode) }
	for _, c := range []struct {
		name             string
		base, disk, want manifest.Entry
		expect           plan.Action
		mode             uint32
	}{
		{"vendor's is taken", m("1", 0o644), m("1", 0o644), m("1", 0o755), plan.Mode, 0o755},
		{"mine stays", m("1", 0o644), m("1", 0o600), m("1", 0o755), "", 0},
		{"mine stays on new content", m("1", 0o644), m("1", 0o600), m("2", 0o755), plan.Replace, 0o600},
		{"vendor's with new content", m("1", 0o644), m("1", 0o644), m("2", 0o755), plan.Replace, 0o755},
		{"vendor's on a customised file", m("1", 0o644), m("m", 0o644), m("1", 0o755), plan.Mode, 0o755},
		{"mine stays on a customised file", m("1", 0o644), m("m", 0o600), m("1", 0o755), plan.Kept, 0o600},
		{"vendor's on an adopted file", m("1", 0o644), m("2", 0o644), m("2", 0o755), plan.Mode, 0o755},
		{"both alike", m("1", 0o644), m("1", 0o755), m("1", 0o755), "", 0},
		{"mode alone is no customisation: removed", m("1", 0o644), m("1", 0o600), manifest.Entry{}, plan.Remove, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var want entries
			if c.want.Path != "" {
				want = entries{c.want}
			}
			got := Update(tree(t, c.base), tree(t, c.disk), tree(t, want...), Rules{})
			if c.expect == "" {
				if len(got) != 0 {
					t.Errorf("got %v, want nothing", brief(got))
				}
				return
			}
			if len(got) != 1 || got[0].Action != c.expect {
				t.Fatalf("got %v, want %s", brief(got), c.expect)
			}
			if r := got[0].Result; r != nil && r.Mode != c.mode {
				t.Errorf("mode %o, want %o", r.Mode, c.mode)
			}
		})
	}
}

func TestFoldersLinksAndKinds(t *testing.T) {
	t.Parallel()
	d, da, db := dir("d"), file("d/a", "1", 0o644), file("d/b", "1", 0o644)
	da2 := file("d/a", "2", 0o644)
	dl := link("d", "elsewhere")
	df := file("d", "x", 0o644)
	occupied := Rules{Occupied: func(string) bool { return true }}
	theirs := Rules{OnConflict: Theirs}
	for _, e := range []example{
		{"folder added", nil, nil, entries{d, da}, Rules{}, []string{"d add", "d/a add"}},
		{"folder adopted", nil, entries{d}, entries{d, da}, Rules{}, []string{"d adopt", "d/a add"}},
		{"folder removed", entries{d, da}, entries{d, da}, nil, Rules{}, []string{"d remove", "d/a remove"}},
		{"folder with foreign files stays", entries{d, da}, entries{d, da}, nil, occupied, []string{"d kept/not-empty", "d/a remove"}},
		{
			"folder with data stays",
			entries{d, da, db},
			entries{d, da, db},
			nil,
			Rules{Data: globs(t, "d/b")},
			[]string{"d kept/not-empty", "d/a remove", "d/b kept/data"},
		},
		{"file in the way of a folder", nil, entries{df}, entries{d, da}, Rules{}, []string{"d conflict/foreign"}},
		{"link in the way of a folder", nil, entries{dl}, entries{d, da}, Rules{}, []string{"d conflict/foreign"}},
		{"… theirs", nil, entries{dl}, entries{d, da}, theirs, []string{"d replace/foreign", "d/a add"}},
		{"folder in the way of a file", nil, entries{d}, entries{df}, Rules{}, []string{"d conflict/foreign"}},
		{
			"folder with foreign files in the way: not even by theirs", nil,
			entries{d},
			entries{df},
			Rules{OnConflict: Theirs, Occupied: occupied.Occupied},
			[]string{"d conflict/foreign"},
		},
		{"folder made a link by the operator, nothing new below", entries{d, da}, entries{dl, da}, entries{d, da}, Rules{}, []string{"d kept/customised"}},
		{"… something new below", entries{d, da}, entries{dl, da}, entries{d, da2}, Rules{}, []string{"d conflict/customised"}},
		{"… theirs", entries{d, da}, entries{dl, da}, entries{d, da2}, theirs, []string{"d replace/customised", "d/a add"}},
		{"… removed by the vendor", entries{d, da}, entries{dl, da}, nil, Rules{}, []string{"d conflict/customised"}},
		{"link changed", entries{link("l", "a")}, entries{link("l", "a")}, entries{link("l", "b")}, Rules{}, []string{"l replace"}},
		{"link customised", entries{link("l", "a")}, entries{link("l", "x")}, entries{link("l", "b")}, Rules{}, []string{"l conflict/customised"}},
		{"link kept", entries{link("l", "a")}, entries{link("l", "x")}, entries{link("l", "a")}, Rules{}, []string{"l kept/customised"}},
		{"file becomes folder", entries{df}, entries{df}, entries{d, da}, Rules{}, []string{"d replace", "d/a add"}},
		{"link becomes folder", entries{dl}, entries{dl, da}, entries{d, da}, Rules{}, []string{"d replace", "d/a add"}},
		{"folder becomes file", entries{d, da}, entries{d, da}, entries{df}, Rules{}, []string{"d replace", "d/a remove"}},
		{"folder with foreign files becomes file", entries{d, da}, entries{d, da}, entries{df}, occupied, []string{"d conflict/not-empty"}},
		{"folder with a customised file becomes file", entries{d, da}, entries{d, da2}, entries{df}, Rules{}, []string{"d conflict/not-empty"}},
		{"… theirs", entries{d, da}, entries{d, da2}, entries{df}, theirs, []string{"d replace", "d/a remove/customised"}},
		{
			"folder removed by the operator: nothing new goes there",
			entries{d, da},
			nil,
			entries{d, da, db},
			Rules{},
			[]string{"d absent/removed", "d/a absent/removed", "d/b absent/removed"},
		},
		{
			"empty folder lost: comes back with its first file",
			entries{d},
			nil,
			entries{d, da},
			Rules{},
			[]string{"d add", "d/a add"},
		},
		{"empty folder lost: stays away without", entries{d}, nil, entries{d}, Rules{}, []string{"d absent/removed"}},
		{
			"device in the way", nil,
			entries{{Path: "d", Kind: manifest.Other}},
			entries{df},
			theirs,
			[]string{"d conflict/foreign"},
		},
	} {
		t.Run(e.name, e.run)
	}
}

func TestRevertTakesBackExactlyWhatWasCommitted(t *testing.T) {
	t.Parallel()
	committed := tree(t, file("a", "new", 0o644), file("c", "new", 0o644), file("d", "new", 0o644))
	former := tree(t, file("a", "old", 0o644), file("b", "old", 0o644), file("c", "old", 0o644))
	disk := tree(t, file("a", "new", 0o644), file("c", "edited", 0o600), file("d", "new", 0o644))
	want := []string{"a replace", "b add", "c conflict/customised", "d remove"}
	if d := cmp.Diff(want, brief(Revert(committed, disk, former, Rules{}, false))); d != "" {
		t.Error(d)
	}
	got := Revert(committed, disk, former, Rules{}, true)
	if d := cmp.Diff([]string{"a replace", "b add", "c replace", "d remove"}, brief(got)); d != "" {
		t.Error(d)
	}
	if got[2].Result.Mode != 0o644 {
		t.Errorf("mode %o after discarding edits, want the former 644", got[2].Result.Mode)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Policy{"": Stop, "stop": Stop, "mine": Mine, "theirs": Theirs} {
		if got, err := ParsePolicy(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ParsePolicy("both"); err == nil {
		t.Error("an unknown policy is accepted")
	}
}

package validate

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// level is a tree with contents.
type level map[string]string

func (l level) tree(t *testing.T) manifest.Tree {
	t.Helper()
	var entries []manifest.Entry
	for name, content := range l {
		entries = append(entries, manifest.Entry{Path: name, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))})
	}
	tree, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func (l level) read(e manifest.Entry) ([]byte, error) {
	if content, ok := l[e.Path]; ok {
		return []byte(content), nil
	}
	return nil, fs.ErrNotExist
}

func good() release.Notes {
	return release.Notes{Updates: []release.Update{{ID: 1, Type: release.Regular, Description: "Reports load twice as fast."}}}
}

// check returns the findings about now against before, LICENSE given.
func check(t *testing.T, before, now level, change ...func(*Input)) []Finding {
	t.Helper()
	now["LICENSE"] = "x"
	in := Input{Tree: now.tree(t), Former: before.tree(t), Notes: good(), New: now.read, Old: before.read}
	for _, c := range change {
		c(&in)
	}
	found, err := Check(in)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func rules(found []Finding) []string {
	names := []string{}
	for _, f := range found {
		names = append(names, f.Rule)
	}
	return names
}

func one(t *testing.T, found []Finding, rule string, paths ...string) {
	t.Helper()
	if len(found) != 1 || found[0].Rule != rule {
		t.Errorf("want %s, got %v", rule, found)
		return
	}
	if d := cmp.Diff(paths, found[0].Paths); d != "" {
		t.Errorf("%s: %s", rule, d)
	}
}

func TestSeveritiesAreAsPromised(t *testing.T) {
	t.Parallel()
	want := []Rule{
		{"windows-name", Error},
		{"case-collision", Error},
		{"link-outside", Error},
		{"set-user-id", Error},
		{"missing-description", Error},
		{"default-description", Warning},
		{"unexplained-files", Warning},
		{"duplicate-library", Warning},
		{"bundle-list", Warning},
		{"world-writable", Warning},
		{"missing-license", Warning},
		{"content-returns", Warning},
		{"config-keys-removed", Warning},
		{"oversized-file", Warning},
	}
	if d := cmp.Diff(want, Rules()); d != "" {
		t.Error(d)
	}
}

func TestNothingToSay(t *testing.T) {
	t.Parallel()
	if found := check(t, level{}, level{"bin/a": "1", "conf/größe.properties": "a=1", "lib/log4j-1.2-api-2.17.1.jar": "x", "lib/log4j-api-2.17.1.jar": "y"}); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestNamesOnWindows(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"CON", "a/nul.txt", "com1", "LPT9.log", "com¹.x", "aux .txt", "dir./x", "name ", "a:b", "a?b", `q"`, "a|b", "a<b", "CONIN$"} {
		now := level{bad: "x"}
		if strings.Contains(bad, "/") {
			up, _, _ := strings.Cut(bad, "/")
			found := check(t, level{}, now, func(in *Input) { in.Tree = withDir(t, in.Tree, up) })
			if !slices.Contains(rules(found), WindowsName) {
				t.Errorf("%q was not named", bad)
			}
			continue
		}
		one(t, check(t, level{}, now), WindowsName, bad)
		if found := check(t, level{}, level{bad: "x"}, func(in *Input) { in.Platform = release.Unix }); len(found) > 0 {
			t.Errorf("platform unix: %v", found)
		}
	}
	for _, fine := range []string{"console", "com10", "nulls.txt", ".hidden", "a b", "auxiliary.txt"} {
		if found := check(t, level{}, level{fine: "x"}); len(found) > 0 {
			t.Errorf("%q: %v", fine, found)
		}
	}
}

func withDir(t *testing.T, tree manifest.Tree, dir string) manifest.Tree {
	t.Helper()
	tree, err := manifest.NewTree(append(slices.Clone(tree.Entries()), manifest.Entry{Path: dir, Kind: manifest.Dir, Mode: 0o755}))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestCollisions(t *testing.T) {
	t.Parallel()
	one(t, check(t, level{}, level{"a/README": "x", "a/readme": "y"}), CaseCollision, "a/README", "a/readme")
	one(t, check(t, level{}, level{"gr\u00f6\u00dfe": "x", "gro\u0308\u00dfe": "y"}), CaseCollision, "gro\u0308\u00dfe", "gr\u00f6\u00dfe")
	one(t, check(t, level{}, level{"STRASSE": "x", "stra\u00dfe": "y"}), CaseCollision, "STRASSE", "stra\u00dfe")
}

func TestFilesOfOtherKinds(t *testing.T) {
	t.Parallel()
	one(t, check(t, level{}, level{"a": "x"}, func(in *Input) { in.SetID = []string{"a"} }), SetUserID, "a")
	one(t, check(t, level{}, level{"a": "x"}, func(in *Input) {
		in.Outward = []manifest.Entry{{Path: "l", Kind: manifest.Link, Target: "../x"}}
	}), LinkOutside, "l -> ../x")
	odd := func(change func(*manifest.Entry)) func(*Input) {
		return func(in *Input) {
			entries := slices.Clone(in.Tree.Entries())
			change(&entries[1])
			in.Tree, _ = manifest.NewTree(entries)
		}
	}
	one(t, check(t, level{}, level{"a": "x"}, odd(func(e *manifest.Entry) { e.Mode = 0o666 })), WorldWritable, "a")
	one(t, check(t, level{}, level{"a": "x"}, odd(func(e *manifest.Entry) { e.Size = MaxFile + 1 })), OversizedFile, "a")
	one(t, check(t, level{}, level{"a": "x"}, func(in *Input) { in.Tree = level{"doc/LICENSE": "x"}.tree(t) }), MissingLicense, "LICENSE")
}

func TestLibraries(t *testing.T) {
	t.Parallel()
	one(t, check(t, level{}, level{"lib/mysql-8.0.33.jar": "a", "drivers/mysql-8.1.0.jar": "b", "lib/h2-2.2.jar": "c"}),
		DuplicateLibrary, "drivers/mysql-8.1.0.jar", "lib/mysql-8.0.33.jar")
	one(t, check(t, level{}, level{"p/org.foo_1.2.3.v2020.jar": "a", "p/org.foo_1.2.4.v2021.jar": "b"}),
		DuplicateLibrary, "p/org.foo_1.2.3.v2020.jar", "p/org.foo_1.2.4.v2021.jar")
	one(t, check(t, level{}, level{"netty-4.1.0.Final-linux-x86_64.jar": "a", "netty-4.2.0.Final-linux-x86_64.jar": "b"}),
		DuplicateLibrary, "netty-4.1.0.Final-linux-x86_64.jar", "netty-4.2.0.Final-linux-x86_64.jar")
	if found := check(t, level{}, level{"a/x-1.0.jar": "a", "b/x-1.0.jar": "b", "b/x-1.0-linux.jar": "c", "x-api-2.0.jar": "d"}); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestBundles(t *testing.T) {
	t.Parallel()
	list := "#version=1\na,1.0,../plugins/a_1.0.jar,4,true\nb,1.0,../plugins/b_1.0.jar,4,true\n"
	one(t, check(t, level{}, level{"conf/bundles.info": list, "plugins/a_1.0.jar": "a", "plugins/c_1.0.jar": "c"}), BundleList,
		"conf/bundles.info lists b_1.0.jar, which is not there", "plugins/c_1.0.jar is in no bundles.info")
	if found := check(t, level{}, level{"conf/bundles.info": list, "plugins/a_1.0.jar": "a", "plugins/b_1.0.jar": "b", "lib/z.jar": "z"}); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestContentThatReturns(t *testing.T) {
	t.Parallel()
	older := func(in *Input) {
		in.Older = []Older{{Level: 1, Tree: level{"a": "one", "b": "same"}.tree(t)}, {Level: 0, Tree: level{"a": "zero"}.tree(t)}}
	}
	one(t, check(t, level{"a": "two", "b": "same"}, level{"a": "zero", "b": "same"}, older), ContentReturns, "a (as in level 0)")
	if found := check(t, level{"a": "two"}, level{"a": "three", "b": "new"}, older); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestKeysThatWentAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, now string
		gone        []string
	}{
		"a.properties": {"# c=1\na=1\nb : 2\nc\\ d=3\nlong=x\\\n  y=z\n!no=1\n\ne 5\n", "a=2\nlong=y\n", []string{"a.properties b", `a.properties c\ d`, "a.properties e"}},
		"a.ini":        {"top=1\n[s]\na=1\nb=2\n; x=1\n", "[s]\na=3\n", []string{"a.ini [s] b", "a.ini top"}},
		"a.json":       {`{"a": {"b": 1, "c": [1]}, "d": null}`, `{"a": {"b": 2}}`, []string{"a.json a.c", "a.json d"}},
		"a.yaml":       {"a: {b: 1}\n---\n2: x\n", "a: {}\n", []string{"a.yaml 2", "a.yaml a.b"}},
	} {
		one(t, check(t, level{name: c.before}, level{name: c.now}), ConfigKeysRemoved, c.gone...)
	}
	for name, c := range map[string][2]string{
		"a.json": {`{"a": 1}`, "not JSON"}, "a.yml": {"a: [", "b: 1"}, "a.properties": {"a=1\n", "a = 2\nb=3\n"}, "a.txt": {"a=1", "b=1"},
	} {
		if found := check(t, level{name: c[0]}, level{name: c[1]}); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	describe := func(text string) func(*Input) {
		return func(in *Input) { in.Notes.Updates[0].Description = text }
	}
	for _, empty := range []string{"", " \n"} {
		one(t, check(t, level{}, level{}, describe(empty)), MissingDescription)
	}
	one(t, check(t, level{}, level{}, func(in *Input) { in.Notes.Updates = nil }), MissingDescription)
	for _, lazy := range []string{"TODO", "tbd.", "Description", "Bug fixes", "update", "n/a", "...", "Add your description here", "various fixes"} {
		one(t, check(t, level{}, level{}, describe(lazy)), DefaultDescription)
	}
	for _, fine := range []string{"Fixes the total of reports.", "Updated driver 8.1.", "Todo lists keep their order."} {
		if found := check(t, level{}, level{}, describe(fine)); len(found) > 0 {
			t.Errorf("%q: %v", fine, found)
		}
	}
	one(t, check(t, level{}, level{}, func(in *Input) { in.Notes.Unattributed = []string{"a", "b"} }), UnexplainedFiles, "a", "b")
	if found := check(t, level{}, level{}, func(in *Input) { in.First, in.Notes = true, release.Notes{} }); len(found) > 0 {
		t.Errorf("level 0 has no notes: %v", found)
	}
}

func TestAcceptance(t *testing.T) {
	t.Parallel()
	accepted, err := ParseAccept([]string{"windows-name=Linux only", "duplicate-library=two drivers = on purpose"})
	if err != nil || accepted[DuplicateLibrary] != "two drivers = on purpose" {
		t.Fatal(accepted, err)
	}
	for _, bad := range []string{"windows-name", "windows-name=", "windows-name= ", "no-rule=x", "=x"} {
		if _, err := ParseAccept([]string{bad}); problem.KindOf(err) != problem.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	found := []Finding{{Rule: WindowsName, Severity: Error}, {Rule: SetUserID, Severity: Error}, {Rule: OversizedFile, Severity: Warning}}
	refusing, used := Judge(slices.Clone(found), accepted, false)
	if d := cmp.Diff([]string{SetUserID}, rules(refusing)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{WindowsName: "Linux only"}, used); d != "" {
		t.Errorf("only what was used is recorded: %s", d)
	}
	refusing, _ = Judge(slices.Clone(found), accepted, true)
	if d := cmp.Diff([]string{SetUserID, OversizedFile}, rules(refusing)); d != "" {
		t.Errorf("strict: %s", d)
	}
}

func TestFindingAsALine(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 7 {
		many = append(many, fmt.Sprint(i))
	}
	got := Finding{Rule: "r", Severity: Warning, Text: "things", Paths: many, Accepted: "why"}.Line()
	if got != "warning r: things: 0, 1, 2, 3, 4 and 2 more (accepted: why)" {
		t.Error(got)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("a.properties", "a=1\\\nb")
	f.Add("a.yaml", "a: &x {b: *x}")
	f.Add("a.json", `{"a":{"b":[]}}`)
	f.Add("a.ini", "[s]\nk=v")
	f.Fuzz(func(t *testing.T, name, text string) {
		if !isConfig(name) || len(text) > maxConfig {
			return
		}
		keys, ok := keysOf(name, []byte(text))
		if ok && !slices.IsSorted(keys) {
			t.Fatal("keys are not sorted")
		}
	})
}

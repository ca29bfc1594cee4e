package hotfix_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

func file(path, content string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))}
}

func folder(path string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.Dir, Mode: 0o755}
}

func tree(t testing.TB, entries ...manifest.Entry) manifest.Tree {
	t.Helper()
	made, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func level2(t testing.TB) manifest.Tree {
	t.Helper()
	return tree(t, folder("bin"), file("bin/shop", "two"), file("gone", "gone"), file("same", "same"),
		manifest.Entry{Path: "current", Kind: manifest.Link, Target: "bin"})
}

func fixed(t testing.TB) manifest.Tree {
	t.Helper()
	return tree(t, folder("bin"), file("bin/shop", "fixed"), file("same", "same"), folder("lib"), file("lib/new.jar", "new"),
		manifest.Entry{Path: "current", Kind: manifest.Link, Target: "lib"})
}

func record(t testing.TB) hotfix.Record {
	t.Helper()
	return hotfix.Record{
		Format: 1, Name: "ACME-hf2", Product: "shop", Version: "1.0", Channel: "full", Levels: []int{2, 4}, Sequence: 2,
		Needs: []string{"ACME-hf1"}, Organisation: "org_abc", For: "ACME", Files: hotfix.Difference(level2(t), fixed(t)),
		Update:  release.Update{ID: 7, Type: release.Security, Description: "No <b>more</b> holes.", BugFixes: map[string]string{"S-1": "hole"}},
		Created: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	}
}

func TestRecordReadsBack(t *testing.T) {
	t.Parallel()
	r := record(t)
	data, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := hotfix.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, back); d != "" {
		t.Error(d)
	}
	if r.FileName() != "shop-1.0-ACME-hf2.zip" || r.StateName(2) != "1.0.2-ACME-hf2" || !r.NeedsRestart() {
		t.Error(r.FileName(), r.StateName(2))
	}
	want, base := r.Contents()
	if len(want) != 2 || len(base) != 2 {
		t.Errorf("contents %v and %v", want, base)
	}
	later := r
	later.Created = r.Created.Add(time.Hour)
	other := r
	other.Description = "other"
	if !r.Same(later) || r.Same(other) {
		t.Error("the time alone does not tell hotfixes apart")
	}
}

func TestOnlyCanonicalTextIsRead(t *testing.T) {
	t.Parallel()
	data, err := record(t).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for what, bad := range map[string]string{
		"space":          text + " ",
		"unknown field":  strings.Replace(text, `{"format":1,`, `{"format":1,"colour":"blue",`, 1),
		"twice":          strings.Replace(text, `{"format":1,`, `{"format":1,"format":1,`, 1),
		"other case":     strings.Replace(text, `"product"`, `"Product"`, 1),
		"cut":            text[:len(text)-2],
		"two":            text + text,
		"empty list":     strings.Replace(text, `"restart"`, `"needs":[],"restart"`, 1) + ",",
		"null":           "null",
		"other time":     strings.Replace(text, "2026-11-24T12:00:00Z", "2026-11-24T12:00:00+00:00", 1),
		"too large":      strings.Repeat(" ", hotfix.MaxBytes+1),
		"another format": strings.Replace(text, `"format":1`, `"format":2`, 1),
	} {
		if bad == text {
			t.Errorf("%s: nothing was changed", what)
		}
		if _, err := hotfix.Parse([]byte(bad)); err == nil {
			t.Errorf("%s is read", what)
		}
	}
}

func TestRecordsThatContradict(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(r *hotfix.Record){
		"name":              func(r *hotfix.Record) { r.Name = "ACME-hf3" },
		"organisation":      func(r *hotfix.Record) { r.For, r.Name = "A-B", "A-B-hf2" },
		"no id":             func(r *hotfix.Record) { r.Organisation = "" },
		"version":           func(r *hotfix.Record) { r.Version = "x" },
		"sequence":          func(r *hotfix.Record) { r.Sequence, r.Name = 0, "ACME-hf0" },
		"no level":          func(r *hotfix.Record) { r.Levels = nil },
		"levels":            func(r *hotfix.Record) { r.Levels = []int{4, 2} },
		"level":             func(r *hotfix.Record) { r.Levels = []int{-1} },
		"level twice":       func(r *hotfix.Record) { r.Levels = []int{2, 2} },
		"needs itself":      func(r *hotfix.Record) { r.Needs = []string{"ACME-hf2"} },
		"needs another's":   func(r *hotfix.Record) { r.Needs = []string{"Other-hf1"} },
		"needs no hotfix":   func(r *hotfix.Record) { r.Needs = []string{"ACME-hf-1"} },
		"needs out of line": func(r *hotfix.Record) { r.Sequence, r.Name, r.Needs = 4, "ACME-hf4", []string{"ACME-hf2", "ACME-hf1"} },
		"no file":           func(r *hotfix.Record) { r.Files = nil },
		"no order":          func(r *hotfix.Record) { slices.Reverse(r.Files) },
		"no change":         func(r *hotfix.Record) { r.Files[0].Want = r.Files[0].Base },
		"nothing":           func(r *hotfix.Record) { r.Files[0].Want, r.Files[0].Base = nil, nil },
		"path":              func(r *hotfix.Record) { r.Files[0].Path = "../bin/shop" },
		"the tool's":        func(r *hotfix.Record) { r.Files[len(r.Files)-1].Path = "updates/state.json" },
		"link":              func(r *hotfix.Record) { r.Files[1].Want.Target = "/etc" },
		"device":            func(r *hotfix.Record) { r.Files[0].Want.Kind = manifest.Other },
		"more than it has":  func(r *hotfix.Record) { r.Files[0].Want.Target = "x" },
		"two sizes": func(r *hotfix.Record) {
			r.Files[0].Want.Sum, r.Files[0].Want.Size = r.Files[0].Base.Sum, r.Files[0].Base.Size+1
		},
		"globs":    func(r *hotfix.Record) { r.Update.Files = []string{"*"} },
		"no id 0":  func(r *hotfix.Record) { r.ID = 0 },
		"type":     func(r *hotfix.Record) { r.Type = release.Mixed },
		"no time":  func(r *hotfix.Record) { r.Created = time.Time{} },
		"time":     func(r *hotfix.Record) { r.Created = r.Created.Add(1) },
		"too many": func(r *hotfix.Record) { r.Files = make([]hotfix.File, hotfix.MaxFiles+1) },
	} {
		r := record(t)
		spoil(&r)
		if _, err := r.Bytes(); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	r := record(t)
	got, err := r.Overlay(level2(t))
	if err != nil || !bytes.Equal(got.Bytes(), fixed(t).Bytes()) {
		t.Fatalf("%v\n%s", err, got.Bytes())
	}
	for what, under := range map[string]manifest.Tree{
		"applied already":   fixed(t),
		"edited":            tree(t, folder("bin"), file("bin/shop", "other"), file("gone", "gone"), manifest.Entry{Path: "current", Kind: manifest.Link, Target: "bin"}),
		"empty":             {},
		"something in way":  tree(t, append(slices.Clone(level2(t).Entries()), file("lib", "no folder"))...),
		"another file mode": tree(t, folder("bin"), manifest.Entry{Path: "bin/shop", Kind: manifest.File, Mode: 0o755, Size: 3, Sum: digest.Of([]byte("two"))}, file("gone", "gone")),
	} {
		if _, err := r.Overlay(under); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.Files = []hotfix.File{{Path: "bin", Base: new(hotfix.EntryOf(folder("bin")))}}
	if _, err := r.Overlay(level2(t)); problem.KindOf(err) != problem.Verification {
		t.Errorf("a folder goes, its file stays: %v", err)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	r := record(t)
	if err := r.Fits(r.Line(), 4); err != nil {
		t.Error(err)
	}
	other := r.Line()
	other.Channel = "hot"
	if err := r.Fits(other, 4); problem.KindOf(err) != problem.Verification {
		t.Errorf("%v", err)
	}
	if err := r.Fits(r.Line(), 3); problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), "1.0.2, 1.0.4") {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]hotfix.Named{
		"wso2is-7.1.0-ACME-hf1.zip":              {Product: "wso2is", Version: "7.1.0", For: "ACME", Sequence: 1},
		"/tmp/wso2is-7.1.0-ACME-hf-12.zip":       {Product: "wso2is", Version: "7.1.0", For: "ACME", Sequence: 12},
		"a-1-b-2.0-Big_Bank.com-hf3.zip":         {Product: "a-1-b", Version: "2.0", For: "Big_Bank.com", Sequence: 3},
		"shop-1.0-3.5-hf1.zip":                   {Product: "shop", Version: "1.0", For: "3.5", Sequence: 1},
		"shop-hf-1.0-hf-1-2.0-hf1-hf-2.zip":      {Product: "shop-hf-1.0-hf-1", Version: "2.0", For: "hf1", Sequence: 2},
		"wso2is-7.1.0-ACME-hf01.zip":             {},
		"wso2is-7.1.0-ACME-hf0.zip":              {},
		"wso2is-7.1.0-AC-ME-hf1.zip":             {},
		"wso2is-7.1.0-hf1.zip":                   {},
		"wso2is-7.1.0-ACME-hf1":                  {},
		"wso2is-7.1.0-ACME-hf1.zip.zip":          {},
		"wso2is-7..0-ACME-hf1.zip":               {},
		"wso2mi-4.1.0.0-4.1.0.20.zip":            {},
		"wso2is-7.1.0-ACME-hf99999.zip":          {},
		"wso2is-7.1.0-ACME-hf1.zip\n":            {},
		"Wso2is-7.1.0-ACME-hf1.zip":              {},
		"wso2is-7.1.0.1.2-ACME-hf1.zip":          {},
		"wso2is-7.1.0-ACME-hf1 (1).zip":          {},
		strings.Repeat("a", 65) + "-1-A-hf1.zip": {},
	} {
		got, err := hotfix.ParseFileName(name)
		if want.Product == "shop-hf-1.0-hf-1" { // a product's name has no dot
			want = hotfix.Named{}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if want.Sequence == 0 && (problem.KindOf(err) != problem.Failed || !strings.HasPrefix(err.Error(), "Invalid hotfix name")) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && got.Name() != hotfix.Name(want.For, want.Sequence) {
			t.Error(got.Name())
		}
	}
	if got, err := hotfix.ParseName(" ACME-hf-3"); err != nil || got != "ACME-hf3" {
		t.Error(got, err)
	}
	for name, want := range map[string]string{"ACME": "ACME", " Example Bank, Inc. ": "Example_Bank_Inc.", "Å-B": "B", "株式会社": "", "a--b": "a_b"} {
		if got := hotfix.ShortName(name); got != want {
			t.Errorf("%q is shortened to %q", name, got)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	r := record(t)
	if missing, already := r.Next(nil); already || !slices.Equal(missing, []string{"ACME-hf1"}) {
		t.Error(missing, already)
	}
	if missing, already := r.Next([]string{"ACME-hf1"}); already || missing != nil {
		t.Error(missing, already)
	}
	if missing, already := r.Next([]string{"ACME-hf1", "ACME-hf2"}); !already || missing != nil {
		t.Error(missing, already)
	}
}

func TestAbsorb(t *testing.T) {
	t.Parallel()
	applied := []string{"A-hf1", "A-hf2", "A-hf3", "A-hf4", "A-hf5"}
	got := hotfix.Absorb(applied,
		[]release.Notes{{AbsorbsHotfixes: []string{"A-hf2", "B-hf4"}, KeepsHotfixes: []string{"A-hf5"}}},
		release.Notes{AbsorbsHotfixes: []string{"A-hf-1"}, KeepsHotfixes: []string{"A-hf3", "A-hf2", "nonsense"}})
	want := hotfix.Fate{Absorbed: []string{"A-hf1", "A-hf2"}, Kept: []string{"A-hf3"}, Refused: []string{"A-hf4", "A-hf5"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := hotfix.Absorb(nil, nil, release.Notes{}); cmp.Diff(hotfix.Fate{}, got) != "" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	data, err := record(f).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1}`))
	f.Add(bytes.Replace(data, []byte(`"base"`), []byte(`"want"`), 1))
	under := level2(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := hotfix.Parse(data)
		if err != nil {
			return
		}
		again, err := r.Bytes()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%v\n%s", err, again)
		}
		named, err := hotfix.ParseFileName(r.FileName())
		if err != nil || named.Name() != r.Name {
			t.Fatalf("%s is read as %+v, %v", r.FileName(), named, err)
		}
		over, err := r.Overlay(under)
		if err != nil {
			return
		}
		if err := over.Check(); err != nil {
			t.Fatal(err)
		}
		if d := hotfix.Difference(under, over); cmp.Diff(r.Files, d) != "" {
			t.Fatal(cmp.Diff(r.Files, d))
		}
	})
}

// TestARecordOfCountlessFilesIsNotRead: 4 MB of empty files took 150 MB before their number
// was looked at.
func TestARecordOfCountlessFilesIsNotRead(t *testing.T) {
	t.Parallel()
	text := `{"format":1,"files":[` + strings.Repeat("{},", 1<<20) + "{}]}"
	if _, err := hotfix.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "values") {
		t.Error(err)
	}
}

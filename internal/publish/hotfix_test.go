package publish

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/refresh"
)

func (s *service) Organisation(_ context.Context, name string) (o api.Organisation, err error) {
	leave, err := s.enter("organisation")
	if err != nil {
		return o, err
	}
	defer leave(&err)
	if name != "Example Bank" && name != "株式会社" {
		return o, problem.New(problem.Failed, "", "There is no such thing here")
	}
	return api.Organisation{ID: "org_bank", Name: name, Short: hotfix.ShortName(name)}, nil
}

func (s *service) Hotfixes(context.Context, release.Line) (all []api.Hotfix, err error) {
	leave, err := s.enter("hotfixes")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for _, name := range slices.Sorted(maps.Keys(s.hotfixes)) {
		zip := s.hotfixes[name]
		all = append(all, api.Hotfix{Name: name, Product: "shop", Version: "1.0", Size: int64(len(zip)), SHA256: digest.Of(zip)})
	}
	return all, nil
}

func (s *service) HotfixZip(_ context.Context, _, _, name string, _ int64) (body io.ReadCloser, size int64, err error) {
	leave, err := s.enter("zip")
	if err != nil {
		return nil, 0, err
	}
	defer leave(&err)
	return io.NopCloser(bytes.NewReader(s.hotfixes[name])), int64(len(s.hotfixes[name])), nil
}

func (s *service) RegisterHotfix(_ context.Context, zip io.ReadSeeker, _ int64) (a api.HotfixAnswer, err error) {
	leave, err := s.enter("register")
	if err != nil {
		return a, err
	}
	defer leave(&err)
	data, err := io.ReadAll(zip)
	if err != nil {
		return a, err
	}
	b, err := bundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return a, err
	}
	name := b.Claimed().Name
	if was, there := s.hotfixes[name]; there && !bytes.Equal(was, data) {
		return a, problem.New(problem.Refused, "x", "registered already")
	}
	s.hotfixes[name] = data
	return api.HotfixAnswer{Already: false}, nil
}

const hotfixNotes = "updates:\n  - {id: 9, type: security, description: Orders are counted once., bug_fixes: {SHP-9: Counted twice}, instructions: Be quick.}\nrestart: false\n"

// withLevel is a desk with levels 0 and 1 published.
func withLevel(t *testing.T) (*desk, map[string]string) {
	t.Helper()
	d := ready(t)
	add(t, d, release0())
	files := with(release0(), map[string]string{"bin/shop": "#!/bin/sh\necho 1.0.1\n"})
	level(t, d, files, notes1)
	return d, files
}

func (d *desk) hotfix(t *testing.T, files map[string]string, change ...func(*HotfixRequest)) (HotfixOutcome, error) {
	t.Helper()
	req := HotfixRequest{Line: shop, For: "Example Bank", Level: 1, Dist: build(t, files), Notes: []byte(hotfixNotes), Out: t.TempDir()}
	for _, c := range change {
		c(&req)
	}
	d.tick()
	return d.Hotfix(t.Context(), req)
}

func fixedFiles(files map[string]string) map[string]string {
	return with(files, map[string]string{"bin/shop": "#!/bin/sh\necho fixed\n", "lib/fix/new.jar": "PK new", "lib/shop-1.0.jar": ""})
}

// asCustomer reads a zip as an installation does that knows only the vendor's first root.
func (d *desk) asCustomer(t *testing.T, file string) (hotfix.Record, *bundle.Bundle) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	client, err := refresh.New(refresh.Config{Dir: t.TempDir(), Root: d.service.files["1.root.json"], Now: func() time.Time { return d.clock.AddDate(3, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	view, err := client.Carried(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := view.Hotfix(b.Envelope())
	if err != nil {
		t.Fatal(err)
	}
	record, err := hotfix.Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return record, b
}

func TestHotfixOfALevel(t *testing.T) {
	t.Parallel()
	d, files := withLevel(t)
	out, err := d.hotfix(t, fixedFiles(files))
	if err != nil || out.Already {
		t.Fatal(out.Already, err)
	}
	if filepath.Base(out.File) != "shop-1.0-Example_Bank-hf1.zip" {
		t.Error(out.File)
	}
	record, b := d.asCustomer(t, out.File)
	if record.For != "Example_Bank" || record.Organisation != "org_bank" || record.Sequence != 1 || record.NeedsRestart() || record.Description != "Orders are counted once." ||
		record.Type != release.Security || !slices.Equal(record.Levels, []int{1}) || record.Instructions != "Be quick." {
		t.Errorf("%+v", record)
	}
	var paths []string
	for _, f := range record.Files {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"bin/shop", "lib/fix", "lib/fix/new.jar", "lib/shop-1.0.jar"}, paths); diff != "" {
		t.Error(diff)
	}
	want, base := record.Contents()
	for _, ref := range slices.Concat(want, base) {
		if !b.Has(ref.Sum) {
			t.Errorf("the zip lacks %s", ref.Sum)
		}
	}
	again, err := d.hotfix(t, fixedFiles(files))
	if err != nil || !again.Already || !again.Record.Created.Equal(out.Record.Created) {
		t.Errorf("%+v, %v", again, err)
	}
	first, _ := os.ReadFile(out.File)
	second, _ := os.ReadFile(again.File)
	if !bytes.Equal(first, second) || len(first) == 0 || int64(len(first)) != again.Size {
		t.Error("published again it is another zip")
	}
	_, err = d.hotfix(t, with(fixedFiles(files), map[string]string{"bin/shop": "other"}))
	wantKind(t, err, problem.Refused, "registered already")
}

func TestHotfixesInSequence(t *testing.T) {
	t.Parallel()
	d, files := withLevel(t)
	one := fixedFiles(files)
	first, err := d.hotfix(t, one)
	if err != nil {
		t.Fatal(err)
	}
	level(t, d, with(files, map[string]string{"conf/other.ini": "a=1\n"}), strings.ReplaceAll(notes1, "471", "571"))
	two := with(one, map[string]string{"lib/fix/new.jar": "PK newer", "conf/shop.properties": "port=8081\ncolour=blue\n"})
	after := func(r *HotfixRequest) { r.After = []string{first.File} }
	second, err := d.hotfix(t, two, after, func(r *HotfixRequest) { r.AlsoLevels = []int{1} })
	if err != nil {
		t.Fatal(err)
	}
	record, b := d.asCustomer(t, second.File)
	if record.Name != "Example_Bank-hf2" || !slices.Equal(record.Needs, []string{"Example_Bank-hf1"}) || len(record.Files) != 2 {
		t.Errorf("%+v", record)
	}
	if !b.Has(digest.Of([]byte("PK new"))) {
		t.Error("what the first one brought does not travel as a base")
	}
	third, err := d.hotfix(t, with(two, map[string]string{"bin/shop": "three"}), func(r *HotfixRequest) {
		r.After, r.Sequence = []string{first.File, second.File}, 7
	})
	if err != nil || third.Record.Name != "Example_Bank-hf7" || len(third.Record.Needs) != 2 {
		t.Errorf("%+v, %v", third.Record, err)
	}
	for what, c := range map[string]struct {
		kind   problem.Kind
		text   string
		change func(*HotfixRequest)
	}{
		"one left out":      {problem.Refused, "out of sequence", func(r *HotfixRequest) { r.After = []string{second.File} }},
		"another order":     {problem.Refused, "out of sequence", func(r *HotfixRequest) { r.After = []string{second.File, first.File} }},
		"twice":             {problem.Refused, "out of sequence", func(r *HotfixRequest) { r.After = []string{first.File, first.File} }},
		"no zip":            {problem.Failed, "nowhere", func(r *HotfixRequest) { r.After = []string{"nowhere"} }},
		"not a zip":         {problem.Verification, "zip of the hotfix", func(r *HotfixRequest) { r.After = []string{filepath.Join(r.Dist, "LICENSE")} }},
		"sequence":          {problem.Usage, "--sequence 1", func(r *HotfixRequest) { r.After, r.Sequence = []string{first.File}, 1 }},
		"another's":         {problem.Refused, "Example_Bank", func(r *HotfixRequest) { r.After, r.OrganisationID, r.For = []string{first.File}, "org_other", "Other" }},
		"no such level":     {problem.Failed, "Invalid update level", func(r *HotfixRequest) { r.Level = 9 }},
		"no level beside":   {problem.Failed, "Invalid update level", func(r *HotfixRequest) { r.AlsoLevels = []int{9} }},
		"a level unlike it": {problem.Refused, "1.0.0 is another", func(r *HotfixRequest) { r.AlsoLevels = []int{0} }},
	} {
		_, err := d.hotfix(t, with(two, map[string]string{"bin/shop": what}), c.change)
		if err == nil || problem.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHotfixRefusals(t *testing.T) {
	t.Parallel()
	d, files := withLevel(t)
	fixed := fixedFiles(files)
	for what, c := range map[string]struct {
		kind   problem.Kind
		text   string
		files  map[string]string
		change func(*HotfixRequest)
	}{
		"nobody":         {problem.Refused, "no organisation", fixed, func(r *HotfixRequest) { r.For = "Nobody" }},
		"no name of it":  {problem.Usage, "no name of a hotfix", fixed, func(r *HotfixRequest) { r.For = "株式会社" }},
		"no change":      {problem.Refused, "changes nothing", files, func(*HotfixRequest) {}},
		"two updates":    {problem.Failed, "one update", fixed, func(r *HotfixRequest) { r.Notes = []byte(notes1) }},
		"absorbing":      {problem.Failed, "absorbs none", fixed, func(r *HotfixRequest) { r.Notes = append(r.Notes, "absorbs_hotfixes: [A-hf1]\n"...) }},
		"another build":  {problem.Refused, "shop-2.0", with(fixed, map[string]string{"updates/product.txt": "shop-2.0"}), func(*HotfixRequest) {}},
		"no description": {problem.Refused, "Hotfix Example_Bank-hf1", fixed, func(r *HotfixRequest) { r.Notes = []byte("updates: [{id: 1, type: regular}]") }},
		"strict":         {problem.Refused, "config-keys-removed", with(fixed, map[string]string{"conf/shop.properties": "port=1\n"}), func(r *HotfixRequest) { r.Strict = true }},
		"another product": {problem.Failed, "publishes no levels", with(fixed, map[string]string{"updates/product.txt": ""}), func(r *HotfixRequest) {
			r.Line.Version = "2.0"
		}},
	} {
		_, err := d.hotfix(t, c.files, c.change)
		if err == nil || problem.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(d.service.hotfixes) != 0 {
		t.Error("something was registered")
	}
	out, err := d.hotfix(t, with(fixed, map[string]string{"conf/shop.properties": "port=1\n"}), func(r *HotfixRequest) {
		r.Strict, r.Accept = true, []string{"config-keys-removed=It was never read."}
	})
	if err != nil || out.Record.Accepted["config-keys-removed"] == "" {
		t.Errorf("%+v, %v", out.Record.Accepted, err)
	}
	d.service.hotfixes = map[string][]byte{}
	out, err = d.hotfix(t, fixed, func(r *HotfixRequest) { r.OrganisationID, r.For = "org_x", "No_Body" })
	if err != nil || out.Record.Organisation != "org_x" {
		t.Errorf("%+v, %v", out.Record, err)
	}
	if err := os.Remove(filepath.Join(d.Signer.Folder.Dir, "hotfix.key")); err != nil {
		t.Fatal(err)
	}
	_, err = d.hotfix(t, with(fixed, map[string]string{"a": "b"}), func(r *HotfixRequest) { r.Sequence = 2 })
	wantKind(t, err, problem.Refused, "hotfix.key")
}

// TestHotfixContinuesAfterFailureAnywhere fails at the n-th call, before or after it is
// done, for every n until none is left, and publishes again each time.
func TestHotfixContinuesAfterFailureAnywhere(t *testing.T) {
	t.Parallel()
	down := problem.New(problem.Unreachable, "", "down")
	for _, late := range []bool{false, true} {
		for n, failed := 1, true; failed; n++ {
			d, files := withLevel(t)
			d.Cache = t.TempDir() // nothing is at hand
			calls := 0
			failed = false
			fail := func(string) error {
				if calls++; calls == n {
					failed = true
					return down
				}
				return nil
			}
			if late {
				d.service.lose = fail
			} else {
				d.service.broken = fail
			}
			_, err := d.hotfix(t, fixedFiles(files))
			if failed != (err != nil) {
				t.Fatalf("call %d, late %v: %v", n, late, err)
			}
			d.service.lose, d.service.broken = nil, nil
			out, err := d.hotfix(t, fixedFiles(files))
			if err != nil {
				t.Fatalf("after call %d, late %v: %v", n, late, err)
			}
			data, _ := os.ReadFile(out.File)
			if !bytes.Equal(data, d.service.hotfixes["Example_Bank-hf1"]) || len(d.service.hotfixes) != 1 || len(data) == 0 {
				t.Fatalf("after call %d, late %v: another zip is registered", n, late)
			}
			left, _ := filepath.Glob(filepath.Join(d.Cache, "hotfix-*"))
			if len(left) > 0 {
				t.Errorf("left %v", left)
			}
		}
	}
}

func TestHotfixOutThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	d, files := withLevel(t)
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.hotfix(t, fixedFiles(files), func(r *HotfixRequest) { r.Out = blocked })
	wantKind(t, err, problem.Failed, blocked)
	out, err := d.hotfix(t, fixedFiles(files))
	if err != nil || !out.Already || out.File == "" {
		t.Errorf("%+v, %v", out, err)
	}
}

// Another publisher on the same folder is in the middle of a refresh when a hotfix
// gathers what proves it: the snapshot kept there is not the one that its timestamp lists.
func TestTheProofOfAHotfixFitsTogether(t *testing.T) {
	d, files := withLevel(t)
	kept := filepath.Join(d.Signer.Folder.MetadataDir(), "snapshot.json")
	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	level(t, d, with(files, map[string]string{"bin/shop": "#!/bin/sh\necho 1.0.2\n"}), strings.ReplaceAll(notes1, "471", "472"))
	d.Registry = midway{d.service, func() error { return os.WriteFile(kept, before, 0o600) }}
	out, err := d.hotfix(t, fixedFiles(files))
	if err != nil {
		t.Fatal(err)
	}
	d.asCustomer(t, out.File)
}

// midway is a registry that something happens behind while it is asked.
type midway struct {
	*service
	happens func() error
}

func (m midway) Hotfixes(ctx context.Context, line release.Line) ([]api.Hotfix, error) {
	if err := m.happens(); err != nil {
		return nil, err
	}
	return m.service.Hotfixes(ctx, line)
}

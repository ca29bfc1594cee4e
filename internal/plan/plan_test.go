package plan

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

func file(path, content string) *manifest.Entry {
	return &manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))}
}

func sample() Plan {
	return Plan{
		Kind: Update, Product: "p", Version: "1", From: Point{Channel: "full"}, To: Point{Channel: "full", Level: 1},
		Outcomes: []Outcome{
			{Path: "z", Action: Add, Result: file("z", "z"), Source: FromObject},
			{Path: "a", Action: Conflict, Base: file("a", "1"), Disk: file("a", "2"), Want: file("a", "3")},
			{Path: "m", Action: Replace, Disk: file("m", "1"), Result: file("m", "z"), Source: FromObject},
			{Path: "k", Action: Kept, Disk: file("k", "9")},
		},
	}
}

func TestPlanIsOrderedAndReadsBack(t *testing.T) {
	t.Parallel()
	p, err := Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "k", "m", "z"}, p.Paths(Add, Replace, Kept, Conflict)); d != "" {
		t.Error(d)
	}
	data, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, again); d != "" {
		t.Error(d)
	}
	if twice, _ := again.Bytes(); !bytes.Equal(twice, data) {
		t.Error("printing what was parsed gives other bytes")
	}
}

func TestWantedNamesEachObjectOnce(t *testing.T) {
	t.Parallel()
	p, err := Make(sample())
	if err != nil {
		t.Fatal(err)
	}
	got := map[digest.Digest]bool{}
	for _, ref := range p.Wanted() {
		if got[ref.Sum] {
			t.Errorf("%s asked for twice", ref.Sum)
		}
		got[ref.Sum] = true
	}
	want := map[digest.Digest]bool{digest.Of([]byte("1")): true, digest.Of([]byte("3")): true, digest.Of([]byte("z")): true}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestContradictoryPlansAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Outcome{
		"climbs":             {Path: "../x", Action: Add, Result: file("../x", "")},
		"the tool's own":     {Path: "updates/state.json", Action: Add, Result: file("updates/state.json", "")},
		"add of nothing":     {Path: "x", Action: Add},
		"result elsewhere":   {Path: "x", Action: Replace, Result: file("y", "")},
		"remove of nothing":  {Path: "x", Action: Remove},
		"mode of nothing":    {Path: "x", Action: Mode, Result: file("x", "")},
		"remove with result": {Path: "x", Action: Remove, Disk: file("x", ""), Result: file("x", "")},
		"unknown action":     {Path: "x", Action: "explode"},
		"link leaves":        {Path: "x", Action: Add, Result: &manifest.Entry{Path: "x", Kind: manifest.Link, Target: "../../etc"}},
	} {
		p := sample()
		p.Outcomes = []Outcome{o}
		if _, err := Make(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	p := sample()
	p.Outcomes = append(p.Outcomes, p.Outcomes[0])
	if _, err := Make(p); err == nil {
		t.Error("one path twice: accepted")
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	p := sample()
	p.To, p.Outcomes = p.From, []Outcome{{Path: "k", Action: Kept}}
	if made, err := Make(p); err != nil || !made.Empty() {
		t.Errorf("nothing to do is not empty: %v", err)
	}
	p.To = Point{Channel: "full", Level: 1, Record: release.Ref{Size: 1}}
	if made, err := Make(p); err != nil || made.Empty() {
		t.Errorf("another level is empty: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	p, err := Make(sample())
	if err != nil {
		f.Fatal(err)
	}
	data, err := p.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		text, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, text)
		}
		if twice, err := again.Bytes(); err != nil || !bytes.Equal(twice, text) {
			t.Fatalf("%s\nbecomes\n%s\n%v", text, twice, err)
		}
	})
}

// TestARevertBringsBackTheOperatorsLink: it may lead anywhere; one of the vendor's may not.
func TestARevertBringsBackTheOperatorsLink(t *testing.T) {
	t.Parallel()
	link := manifest.Entry{Path: "conf/a", Kind: manifest.Link, Target: "/etc/shop/a"}
	for kind, allowed := range map[Kind]bool{Revert: true, Update: false} {
		_, err := Make(Plan{
			Kind: kind, Product: "shop", Version: "1.0", From: Point{Channel: "full"}, To: Point{Channel: "full", Level: 1},
			Outcomes: []Outcome{{Path: link.Path, Action: Add, Result: &link}},
		})
		if (err == nil) != allowed {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryMeasurementWorks runs the short form: every measurement is made, no figure
// is judged.
func TestEveryMeasurementWorks(t *testing.T) {
	t.Chdir("../..") // as make bench runs it
	if err := measure(t.Context(), true, ""); err != nil {
		t.Fatal(err)
	}
}

// TestAskingIsCompared runs the comparison on the manual's cases, without the network.
func TestAskingIsCompared(t *testing.T) {
	t.Chdir("../..")
	if err := compareAsking(t.Context(), true, ""); err != nil {
		t.Fatal(err)
	}
}

// TestJudgeSeesDamage shows that the judge of merges fails what is wrong.
func TestJudgeSeesDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, base, mine, theirs, merged, want string }{
		{"a.json", `{"a":1}`, `{"a":1,"b":2}`, `{"a":1,"c":3}`, `{"a":1,"b":2,"c":3}`, ""},
		{"a.json", `{"a":1}`, `{"a":1,"b":2}`, `{"a":1,"c":3}`, `{"a":1,"b":2 "c":3}`, unparsed},
		{"a.json", `{"a":1}`, `{"a":1,"b":2}`, `{"b":2,"a":1}`, `{"b":2,"a":1,"b":2}`, unparsed},
		{"a.yaml", "a: 1\nb: 2\n", "a: 3\nb: 2\n", "a: 1\nb: 4\n", "a: 3\nb: 2\n", `/b is "=2", not "=4"`},
		{"a.toml", "a = 1\n", "a = 2\n", "a = 3\n", "a = 2\n", `/a is "=2", where both changed it`},
		{"a.xml", `<a x="1"/>`, `<a x="2"/>`, `<a x="1"/>`, `<a x="1"/>`, `/:a@:x is "=1", not "=2"`},
		{"a.ini", "[s]\na=1\n", "[s]\na=1\nb=1\n", "[s]\na=1\n[t]\nc=1\n", "[s]\na=1\n[t]\nc=1\nb=1\n", `[s]b is "", not "=1"`},
		{"bundles.info", "a,1,x,4,true\n", "a,1,x,2,true\n", "a,2,y,4,true\n", "a,2,y,2,true\n", ""},
	} {
		j, err := newJudge(c.name, []byte(c.base), []byte(c.mine), []byte(c.theirs))
		if err != nil {
			t.Fatal(err)
		}
		if got := j.damage([]byte(c.merged)); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.name, c.merged, got, c.want)
		}
	}
}

// TestPartsHaveNames shows that a part that there is not is no benchmark that passes.
func TestPartsHaveNames(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), "delta", true, ""); err == nil {
		t.Error("there is no part delta")
	}
}

// TestDeltasAreWritten runs the short form of the deltas' part and shows that its tables and
// its plot come to where they belong.
func TestDeltasAreWritten(t *testing.T) {
	t.Chdir("../..")
	out := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(out, []byte("before\n<!-- deltas -->\nold\n<!-- /deltas -->\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), "deltas", true, out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	plot, err := os.ReadFile(filepath.Join(filepath.Dir(out), "deltas.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n", "| made up |", "after\n"} {
		if !strings.Contains(string(text), want) || strings.Contains(string(text), "old\n") {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if err := xml.Unmarshal(plot, new(struct{})); err != nil {
		t.Error(err)
	}
}

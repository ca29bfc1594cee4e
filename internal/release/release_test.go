package release

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
)

func TestProductVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Line{
		"wso2is-7.1.0":             {"wso2is", "7.1.0", "full"},
		"wso2is-7.1.0\n":           {"wso2is", "7.1.0", "full"},
		"identity-server-km-5.9.0": {"identity-server-km", "5.9.0", "full"},
		"a_b-1":                    {"a_b", "1", "full"},
	} {
		got, err := ParseProductVersion(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "wso2is", "Wso2is-7.1.0", "wso2is-7.1.0.1.2", "wso2is-7.x", "-1.0", "../x-1", "a-1..2", "a-"} {
		if got, err := ParseProductVersion(bad); err == nil {
			t.Errorf("%q accepted as %+v", bad, got)
		}
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	line := Line{"wso2am", "3.1.0", "full"}
	for text, want := range map[string]int{"": 0, "0": 0, "4": 4, "3.1.0.4": 4, " 8 ": 8, "3.1.0.0": 0} {
		if got, err := line.ParseLevel(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"x", "-1", "3.2.0.4", "3.1.0.", "+4", "4x", "99999999999", "3.1.4", "1e3", "0x4"} {
		if got, err := line.ParseLevel(bad); !errors.Is(err, ErrLevel) {
			t.Errorf("%q: %d, %v", bad, got, err)
		}
	}
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	for glob, paths := range map[string]struct{ yes, no []string }{
		"lib/report-*.jar":     {[]string{"lib/report-1.jar"}, []string{"lib/x/report-1.jar", "lib/report-1.jar.bak", "xlib/report-1.jar"}},
		"conf/**":              {[]string{"conf/a", "conf/a/b"}, []string{"conf", "xconf/a"}},
		"**/*.log":             {[]string{"a.log", "x/y/a.log"}, []string{"a.logs"}},
		"data/db[0-9].h2":      {[]string{"data/db1.h2"}, []string{"data/dbx.h2", "data/db10.h2"}},
		"größe?.txt":           {[]string{"größe1.txt", "größeé.txt"}, []string{"größe.txt", "größe12.txt"}},
		"a.b":                  {[]string{"a.b"}, []string{"axb"}},
		"[unclosed":            {[]string{"[unclosed"}, []string{"u"}},
		"repository/(x)/+.txt": {[]string{"repository/(x)/+.txt"}, []string{"repository/x/t"}},
	} {
		g, err := CompileGlobs([]string{glob})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths.yes {
			if !g.Match(p) {
				t.Errorf("%q does not match %q", glob, p)
			}
		}
		for _, p := range paths.no {
			if g.Match(p) {
				t.Errorf("%q matches %q", glob, p)
			}
		}
	}
}

func sampleRecord() Record {
	return Record{
		Format: 1, Product: "wso2is", Version: "7.1.0", Channel: "full", Level: 8,
		Manifest: Ref{digest.Of([]byte("m")), 1}, Notes: Ref{digest.Of([]byte("n")), 1},
		Created: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
}

func TestRecordIsBoundToItsLevel(t *testing.T) {
	t.Parallel()
	want := sampleRecord()
	data, err := want.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRecord(data, want.Line(), 8)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	other := want.Line()
	other.Product = "wso2am"
	if _, err := ParseRecord(data, other, 8); err == nil {
		t.Error("accepted for another product")
	}
	if _, err := ParseRecord(data, want.Line(), 9); err == nil {
		t.Error("accepted for another level")
	}
	if _, err := ParseRecord(append(data, '{', '}'), want.Line(), 8); err == nil {
		t.Error("accepted with something behind it")
	}
	if _, err := ParseRecord(bytes.Replace(data, []byte(`"format":1`), []byte(`"format":2`), 1), want.Line(), 8); err == nil {
		t.Error("accepted with a format of the future")
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	n := Notes{Updates: []Update{{ID: 1, Type: Regular, Description: "One\nmore"}, {ID: 2, Type: Security, Description: "Two"}}}
	data, err := n.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseNotes(data)
	if err != nil || got.Type() != Mixed || got.Updates[0].Headline() != "One" {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, bad := range map[string]Notes{
		"no id":    {Updates: []Update{{Type: Regular}}},
		"id twice": {Updates: []Update{{ID: 1, Type: Regular}, {ID: 1, Type: Regular}}},
		"type":     {Updates: []Update{{ID: 1, Type: "urgent"}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseLevel(f *testing.F) {
	for _, s := range []string{"8", "7.1.0.8", "", "0", "7.1.0."} {
		f.Add(s)
	}
	line := Line{"wso2is", "7.1.0", "full"}
	f.Fuzz(func(t *testing.T, text string) {
		level, err := line.ParseLevel(text)
		if err != nil {
			return
		}
		if again, err := line.ParseLevel(line.LevelName(level)); err != nil || again != level {
			t.Fatalf("%q is level %d, which reads back as %d, %v", text, level, again, err)
		}
	})
}

func FuzzParseProductVersion(f *testing.F) {
	f.Add("wso2is-7.1.0\n")
	f.Add("a-b-1")
	f.Fuzz(func(t *testing.T, text string) {
		line, err := ParseProductVersion(text)
		if err != nil {
			return
		}
		if again, err := ParseProductVersion(line.ProductVersion()); err != nil || again != line {
			t.Fatalf("%q is %+v, which reads back as %+v, %v", text, line, again, err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	data, err := sampleRecord().Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data, sampleRecord().Line(), 8)
		if err != nil {
			return
		}
		if _, err := r.Bytes(); err != nil {
			t.Fatal(err)
		}
	})
}

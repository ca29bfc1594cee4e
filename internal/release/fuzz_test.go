package release

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzParseNotesText reads the notes of a level as the service gives them.
func FuzzParseNotesText(f *testing.F) {
	n := Notes{Updates: []Update{{ID: 7, Type: Security, Description: "Fixes a hole\nin the door", Files: []string{"lib/**"}}, {ID: 8, Type: Regular, Description: "x"}}}
	data, err := n.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"updates":[{"id":1,"type":"regular"},{"id":1,"type":"regular"}]}`))
	f.Add([]byte(`{"updates":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNotes(data)
		if err != nil {
			return
		}
		regular, security := n.Counts()
		if regular+security != len(n.Updates) {
			t.Fatalf("%d and %d of %d updates", regular, security, len(n.Updates))
		}
		for _, u := range n.Updates {
			if strings.Contains(u.Headline(), "\n") {
				t.Fatalf("%q is more than a line", u.Headline())
			}
		}
		text, err := n.Bytes()
		if err != nil {
			return // longer as it is written canonically
		}
		again, err := ParseNotes(text)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Bytes(); err != nil || !bytes.Equal(twice, text) {
			t.Fatalf("%s\nbecomes\n%s\n%v", text, twice, err)
		}
	})
}

// FuzzListings reads the custom fields of signed targets, of levels and of the tool.
func FuzzListings(f *testing.F) {
	line := Line{"shop", "1.0", "full"}
	level, err := json.Marshal(Listing{Product: "shop", Version: "1.0", Channel: "full", Level: 3, State: Live, Type: Mixed, RegularN: 1, Published: time.Unix(1, 0).UTC(), SupportEnds: "2027-01-01"})
	if err != nil {
		f.Fatal(err)
	}
	tool, err := json.Marshal(ToolListing{Version: "1.2.3", System: "linux/amd64", Released: time.Unix(1, 0).UTC(), Minimum: "1.0.0-rc.1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(level)
	f.Add(tool)
	f.Add([]byte(`{"product":"shop","version":"1.0","channel":"full","level":3,"state":"gone"}`))
	f.Add([]byte(`{"version":"9999999999999999999999.0.0","system":"linux/amd64","released":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := ParseListing(data, line, 3); err == nil {
			if l.Line() != line || l.Level != 3 {
				t.Fatalf("%+v is of another level", l)
			}
			if _, err := ParseState(string(l.State)); err != nil {
				t.Fatal(err)
			}
		}
		var said ToolListing
		if json.Unmarshal(data, &said) != nil {
			return
		}
		l, err := ParseToolListing(data, ToolPath(said.Version, said.System))
		if err != nil {
			return
		}
		if l.Minimum != "" && CompareTools(l.Minimum, l.Version) > 0 {
			t.Fatalf("%s is demanded by %s", l.Minimum, l.Version)
		}
		if strings.Count(ToolPath(l.Version, l.System), "/") != 2 || strings.Contains(l.Version+l.System, "..") {
			t.Fatalf("%q leaves its place", ToolPath(l.Version, l.System))
		}
		if name := ToolFileName("uplevel", l.System); strings.ContainsAny(name, `/\:`) {
			t.Fatalf("%q is no file name", name)
		}
	})
}

// FuzzCompareTools compares versions of the tool: it is an order.
func FuzzCompareTools(f *testing.F) {
	for _, s := range [][3]string{{"1.0.0", "1.0.0-rc.1", "1.0.0-rc.2"}, {"1.10.0", "1.9.0", "2.0.0"}, {"1.0.0-a", "1.0.0-a.1", "1.0.0-1"}, {"01.0.0", "1.0.0", "1.0.0+b"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, v := range []string{a, b, c} {
			if CheckToolVersion(v) != nil {
				return
			}
		}
		if CompareTools(a, b) != -CompareTools(b, a) || CompareTools(a, a) != 0 {
			t.Fatalf("%s and %s have no order", a, b)
		}
		if CompareTools(a, b) <= 0 && CompareTools(b, c) <= 0 && CompareTools(a, c) > 0 {
			t.Fatalf("%s ≤ %s ≤ %s, but not the first and the last", a, b, c)
		}
	})
}

// FuzzGlobs matches paths with the globs of notes and rules.
func FuzzGlobs(f *testing.F) {
	for _, g := range []string{"**", "lib/**/*.jar", "conf/?.xml", "{a,b}/c", "[a-z]*", "[", "a/../b", "\\*", "**/**/**/**/**/x"} {
		f.Add(g, "lib/a/b.jar")
	}
	f.Fuzz(func(t *testing.T, glob, path string) {
		one, err := CompileGlobs([]string{glob})
		if err != nil || len(path) > 4096 {
			return
		}
		all, err := CompileGlobs([]string{glob, "**"})
		if err != nil {
			t.Fatal(err)
		}
		if one.Match(path) && !all.Match(path) {
			t.Fatalf("%q matches %q, but not with more globs", glob, path)
		}
		if slices.Contains([]string{"**"}, glob) && path != "" && !strings.ContainsAny(path, "\x00") && !one.Match(path) && !strings.HasPrefix(path, "/") {
			t.Fatalf("** does not match %q", path)
		}
	})
}

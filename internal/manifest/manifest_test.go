package manifest

import (
	"bytes"
	"strings"
	"testing"

	"uplevel/internal/digest"
)

func sample(t testing.TB) Tree {
	t.Helper()
	tree, err := NewTree([]Entry{
		{Path: "bin", Kind: Dir, Mode: 0o755},
		{Path: "bin/start", Kind: File, Mode: 0o755, Size: 5, Sum: digest.Of([]byte("start"))},
		{Path: "lib", Kind: Dir, Mode: 0o755},
		{Path: "lib/current", Kind: Link, Target: "../bin/start"},
		{Path: "lib/größe – 大.jar", Kind: File, Mode: 0o644, Sum: digest.Of(nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestParsePrintsBack(t *testing.T) {
	t.Parallel()
	text := sample(t).Bytes()
	tree, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(tree.Bytes(), text) {
		t.Fatal("printing what was parsed gives other bytes")
	}
	if e, ok := tree.Lookup("lib/current"); !ok || e.Target != "../bin/start" {
		t.Fatalf("Lookup: %+v, %v", e, ok)
	}
}

func TestHostileManifestsAreRefused(t *testing.T) {
	t.Parallel()
	sum := digest.Of(nil).String()
	file := func(path string) string { return "file\t0644\t0\t" + sum + "\t" + path + "\n" }
	for name, body := range map[string]string{
		"climbs":              file("../etc/passwd"),
		"climbs inside":       "dir\t0755\ta\n" + file("a/../b"),
		"absolute":            file("/etc/passwd"),
		"empty part":          "dir\t0755\ta\n" + file("a//b"),
		"backslash":           file(`a\b`),
		"control":             file("a\x01b"),
		"not UTF-8":           file("a\xffb"),
		"no folder listed":    file("a/b"),
		"below a file":        file("a") + file("a/b"),
		"below a link":        "link\ta\tb\n" + file("a/b") + "dir\t0755\tb\n",
		"twice":               file("a") + file("a"),
		"out of order":        file("b") + file("a"),
		"set-user-id":         "file\t4755\t0\t" + sum + "\ta\n",
		"link leaves":         "link\ta\t../x\n",
		"link leaves by root": "link\ta\t/etc\n",
		"the tool's":          "dir\t0755\tupdates\n",
		"the tool":            "dir\t0755\tbin\n" + file("bin/uplevel"),
		"unknown kind":        "fifo\ta\n",
		"negative size":       "file\t0644\t-1\t" + sum + "\ta\n",
		"leading zero":        "file\t0644\t00\t" + sum + "\ta\n",
		"no newline":          strings.TrimSuffix(file("a"), "\n"),
		"huge path":           file(strings.Repeat("a", MaxPath+1)),
	} {
		if _, err := Parse([]byte(Header + "\n" + body)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, head := range []string{"", "uplevel-manifest/2\n", "uplevel-manifest/1"} {
		if _, err := Parse([]byte(head)); err == nil {
			t.Errorf("header %q: accepted", head)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f).Bytes())
	f.Add([]byte(Header + "\nlink\ta\tb\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := Parse(text)
		if err != nil {
			if tree.Len() != 0 {
				t.Fatal("a value together with an error")
			}
			return
		}
		if !bytes.Equal(tree.Bytes(), text) {
			t.Fatal("printing what was parsed gives other bytes")
		}
	})
}

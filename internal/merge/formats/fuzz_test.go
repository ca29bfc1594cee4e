package formats_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/internal/merge"
	"uplevel/internal/merge/formats"
)

// shipped is a configuration file as two releases of a product ship it.
type shipped struct{ name, old, new string }

func realFiles(t testing.TB) []shipped {
	t.Helper()
	names, err := filepath.Glob("testdata/real/*.old")
	if err != nil || len(names) < 7 {
		t.Fatalf("only %d real files found (%v)", len(names), err)
	}
	var all []shipped
	for _, name := range names {
		base := strings.TrimSuffix(name, ".old")
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		later, err := os.ReadFile(base + ".new")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, shipped{filepath.Base(base), string(old), string(later)})
	}
	return all
}

// FuzzMergeOfRealFiles merges the vendor's real change of a real file with an operator's
// edit of it: the mutated text itself, and edits drawn from it.
func FuzzMergeOfRealFiles(f *testing.F) {
	files := realFiles(f)
	for i, r := range files {
		f.Add(i, uint64(i), r.old+"\n")
		f.Add(i, uint64(i+100), r.new)
		f.Add(i, uint64(i+200), edited(r.old, uint64(i)))
	}
	f.Fuzz(func(t *testing.T, which int, seed uint64, mine string) {
		r := files[uint(which)%uint(len(files))]
		holds(t, r, mine)
		holds(t, r, edited(r.old, seed))
	})
}

// edited is a text with a few of its lines changed, doubled, dropped or moved, as an
// operator might.
func edited(text string, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 0))
	lines := strings.SplitAfter(text, "\n")
	for range 1 + random.IntN(4) {
		i, j := random.IntN(len(lines)), random.IntN(len(lines))
		switch random.IntN(6) {
		case 0:
			lines[i] = strings.Replace(lines[i], "true", "false", 1)
		case 1:
			lines[i] = strings.Map(func(c rune) rune {
				if c >= '0' && c <= '8' {
					return c + 1
				}
				return c
			}, lines[i])
		case 2:
			lines[i] = strings.TrimPrefix(strings.TrimPrefix(lines[i], "#"), ";")
		case 3:
			lines[i] = ""
		case 4:
			lines[i] += lines[j]
		default:
			lines[i], lines[j] = lines[j], lines[i]
		}
	}
	return strings.Join(lines, "")
}

// holds judges one merge: it must end, keep both sides where only one spoke, parse where
// all sides do, and be the same whoever is called mine where nothing is asked.
func holds(t *testing.T, r shipped, mine string) {
	t.Helper()
	format := formats.For(r.name)
	for name, c := range map[string]struct{ base, mine, theirs, want string }{
		"merge(b, x, b) = x": {r.old, mine, r.old, mine},
		"merge(b, b, y) = y": {r.old, r.old, mine, mine},
		"merge(b, x, x) = x": {r.old, mine, mine, mine},
	} {
		got, err := merge.Merge(merge.Sides{Base: []byte(c.base), Mine: []byte(c.mine), Theirs: []byte(c.theirs)}, format)
		if err != nil || string(got.Merged) != c.want || len(got.Conflicts) > 0 {
			t.Fatalf("%s: %s: %v, %d conflicts", r.name, name, err, len(got.Conflicts))
		}
	}
	one, err := merge.Merge(merge.Sides{Base: []byte(r.old), Mine: []byte(mine), Theirs: []byte(r.new)}, format)
	other, otherErr := merge.Merge(merge.Sides{Base: []byte(r.old), Mine: []byte(r.new), Theirs: []byte(mine)}, format)
	if err != nil || otherErr != nil {
		if !errors.Is(errors.Join(err, otherErr), merge.ErrWhole) {
			t.Fatalf("%s: %v, %v", r.name, err, otherErr)
		}
		return
	}
	if format.Check(mine) == nil {
		for _, text := range [][]byte{one.Merged, one.Theirs, other.Merged, other.Theirs} {
			if len(text) > 0 && format.Check(plain(text)) != nil {
				t.Fatalf("%s: what is merged does not parse:\n%s", r.name, text)
			}
		}
	}
	// Where one way round only the lines are left, asking is the careful answer.
	if one.How == other.How && (len(one.Conflicts) == 0) != (len(other.Conflicts) == 0) {
		t.Fatalf("%s: %d conflicts one way round, %d the other", r.name, len(one.Conflicts), len(other.Conflicts))
	}
}

func plain(text []byte) string { return string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) }

// TestRealEdits runs many edits of every real file, with the seeds that show each.
func TestRealEdits(t *testing.T) {
	t.Parallel()
	for _, r := range realFiles(t) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				mine := edited(r.old, seed)
				holds(t, r, mine)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func TestFormatsByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"conf/a.properties": "properties", "A.XML": "XML", "x/bundles.info": "bundles.info", "deployment.toml": "TOML",
		"a.yml": "YAML", "a.json": "JSON", "a.ini": "INI", "deployment.toml.j2": "", "a.xml.vm": "", "a.txt": "", "bin/start.sh": "",
	} {
		got := ""
		if f := formats.For(name); f != nil {
			got = f.Name()
		}
		if got != want {
			t.Errorf("%s is merged as %q, want %q", name, got, want)
		}
	}
}

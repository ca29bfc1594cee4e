package merging

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var write = flag.Bool("write", false, "write docs/merging.md, and what comes out into cases that do not tell it")

const manual = "../../docs/merging.md"

// read reads all cases, by folder. A folder without one is a mistake, and so is one that
// the page does not have.
func read(t *testing.T) map[string][]*Case {
	t.Helper()
	all := map[string][]*Case{}
	for _, ch := range chapters() {
		files, err := filepath.Glob(filepath.Join("testdata", ch.folder, "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Errorf("testdata/%s has no case", ch.folder)
		}
		for _, file := range files {
			c, err := Read("testdata", filepath.Join(ch.folder, filepath.Base(file)))
			if err != nil {
				t.Fatal(err)
			}
			all[ch.folder] = append(all[ch.folder], c)
		}
		// What needs no answer comes first: it is what happens most.
		slices.SortStableFunc(all[ch.folder], func(a, b *Case) int {
			return cmp.Compare(min(1, len(a.texts[conflicts])), min(1, len(b.texts[conflicts])))
		})
	}
	found, err := filepath.Glob("testdata/*/*")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, cases := range all {
		known += len(cases)
	}
	if known != len(found) {
		t.Errorf("testdata has %d files, %d are on the page", len(found), known)
	}
	return all
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, cases := range read(t) {
		for _, c := range cases {
			t.Run(filepath.ToSlash(c.Path), func(t *testing.T) {
				t.Parallel()
				if err := c.Judge(c.Run()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// It is not parallel: what it fills in is there when the others read it.
func TestPageIsMadeFromCases(t *testing.T) {
	if *write {
		fillAll(t)
	}
	page := Page(read(t))
	if *write {
		if err := os.WriteFile(manual, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(string(have), page); d != "" {
		t.Errorf("docs/merging.md is not what the cases say: run make merging\n%s", d)
	}
}

// A case must be able to fail: one that tells another outcome does.
func TestJudgeSeesWhatDiffers(t *testing.T) {
	t.Parallel()
	for _, section := range []string{result, vendors, conflicts} {
		c, err := Read("testdata", "toml/both-change-one-value.txt")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(c.order, section) {
			t.Fatalf("the case has no section %s", section)
		}
		c.texts[section] += "x\n"
		c.bytes[section] = append(c.bytes[section], 'x')
		if c.Judge(c.Run()) == nil {
			t.Errorf("another %s is not seen", section)
		}
	}
}

package trouble

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/test/lab"
)

// TestOddTexts updates a product whose files are large, deep, hostile or badly written,
// all of them changed by both sides. The operator's change is in every result; the
// vendor's is, too, or the file is the operator's as it was; going back brings every byte.
func TestOddTexts(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	texts := lab.OddTexts(20_000)
	for dir, version := range map[string]func(lab.OddText) string{
		"old": func(o lab.OddText) string { return o.Base }, "new": func(o lab.OddText) string { return o.Theirs },
	} {
		if err := lab.WriteTexts(l.Path(dir, "conf"), texts, version); err != nil {
			t.Fatal(err)
		}
	}
	home, _, err := l.PublishTwo(t.Context(), "odd", l.Path("old"), l.Path("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.WriteTexts(filepath.Join(home, "conf"), texts, func(o lab.OddText) string { return o.Mine }); err != nil {
		t.Fatal(err)
	}
	r, err := l.Do(t.Context(), home, "uplevel", "update", "--on-conflict", "mine", "--progress", "none")
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for _, o := range texts {
		got := content(t, filepath.Join(home, "conf", o.Path))
		if got == o.Mine {
			whole = append(whole, o.Path)
			continue
		}
		plain := strings.ReplaceAll(got, "\x00", "")
		if !strings.Contains(plain, "mine") || !strings.Contains(plain, "theirs") {
			t.Errorf("%s is neither the operator's nor merged: %.300q\n%s", o.Path, got, r.Output)
		}
	}
	if got := strings.Join(whole, " "); got != "deep.json nul.conf" {
		t.Errorf("taken as wholes: %s", got)
	}
	entries, err := os.ReadDir(filepath.Join(home, "conf"))
	if err != nil || len(entries) != len(texts) {
		t.Errorf("%d files in the folder, want %d: %v", len(entries), len(texts), err)
	}
	if _, err := l.Do(t.Context(), home, "uplevel", "revert", "--progress", "none"); err != nil {
		t.Fatal(err)
	}
	for _, o := range texts {
		if content(t, filepath.Join(home, "conf", o.Path)) != o.Mine {
			t.Errorf("%s is not as it was before", o.Path)
		}
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

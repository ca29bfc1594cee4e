package deltas

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryToolMakesTheNewTree runs the short form: what every installed tool makes of a
// made-up product is the new tree, and Uplevel's delta is smaller than what any tool makes
// that does not open archives. No time is judged.
func TestEveryToolMakesTheNewTree(t *testing.T) {
	t.Parallel()
	pairs, err := MadeUp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	report, err := Measure(t.Context(), "../../..", pairs, func(said string) { t.Log(said) })
	if err != nil {
		t.Fatal(err)
	}
	// zip is among what the tests install; the others may be missing.
	if !slices.Contains(report.Tools, "changed files zipped") {
		if os.Getenv("CI") != "" {
			t.Fatal("zip or unzip is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED, and nothing was compared: zip or unzip is missing: run scripts/install-deps")
	}
	if len(report.Rows) != len(pairs) {
		t.Fatalf("%d of %d pairs were measured", len(report.Rows), len(pairs))
	}
	for _, row := range report.Rows {
		if ours := row.Results[0].Bytes; ours == 0 || ours >= row.best() {
			t.Errorf("%s: Uplevel's delta has %d bytes, the smallest other %d", row.Name, ours, row.best())
		}
		if row.Changed != 5 {
			t.Errorf("%s: %d files changed", row.Name, row.Changed)
		}
	}
	tables := report.Tables()
	for _, name := range append(report.Tools, report.Missing...) {
		if !strings.Contains(tables, name) || slices.Contains(report.Tools, name) && !strings.Contains(string(report.Plot()), name) {
			t.Errorf("tables or plot do not have %s:\n%s", name, tables)
		}
	}
}

// TestATreeThatDiffersIsSeen shows that the comparison of applied trees fails what is wrong.
func TestATreeThatDiffersIsSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"nothing": {func(string) error { return nil }, ""},
		"a bit": {func(dir string) error {
			file := filepath.Join(dir, "bin", "native")
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			content[99_999] ^= 1
			return os.WriteFile(file, content, 0o755)
		}, "another content"},
		"a mode": {func(dir string) error { return os.Chmod(filepath.Join(dir, "bin", "start"), 0o644) }, "bin/start is"},
		"a link": {func(dir string) error {
			link := filepath.Join(dir, "lib", "current")
			if err := os.Remove(link); err != nil {
				return err
			}
			return os.Symlink("app.jar", link)
		}, "lib/current is"},
		"a folder less": {func(dir string) error { return os.Remove(filepath.Join(dir, "data")) }, "data is"},
		"a file more":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "doc", "gone.txt"), nil, 0o644) }, "too much"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := filepath.Join(t.TempDir(), "want"), filepath.Join(t.TempDir(), "got")
			for _, dir := range []string{want, got} {
				if err := madeUp(dir, 1); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.spoil(got); err != nil {
				t.Fatal(err)
			}
			err := same(want, got)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 13_477_635: "13,477,635"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for _, c := range []struct {
		ours, theirs int64
		want         string
	}{{28_000, 960_000, "0.029"}, {1, 2, "0.50"}, {3, 2, "1.50"}, {57_203, 100, "572"}, {1, 0, "–"}} {
		if got := ratio(c.ours, c.theirs); got != c.want {
			t.Errorf("%d to %d is %s, want %s", c.ours, c.theirs, got, c.want)
		}
	}
}

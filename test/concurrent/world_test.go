// Package concurrent runs the real programs against one another: tools on one home, a tool
// beside a product that runs, publishers of one level, services on one data folder. Of each
// pair one wins, the other says so and names what to do, nothing is lost, and what is left
// is whole. No run depends on luck: one program is held at a system call until the other is
// done. The programs are built with the race detector.
//
// What is held where is told in docs/design/concurrency.md. `-sweep` tries every pair and
// lets the storms go on for longer.
package concurrent

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"uplevel/internal/fsck"
	"uplevel/test/lab"
)

var (
	sweep = flag.Bool("sweep", false, "try every pair, and longer storms")
	seed  = flag.Uint64("seed", 1, "seed of the storms")
)

// built is the lab of all tests here; the first one that wants it makes it.
var built = sync.OnceValues(makeLab)

var made *lab.Lab // by built, to be closed

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if made != nil {
		if err := made.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the service did not end well:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// makeLab publishes levels 0, 1 and 2 of shop-1.0, a hotfix on level 0, and an offline update.
func makeLab() (*lab.Lab, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	l, err := lab.NewRacing(ctx, root)
	if err != nil {
		return nil, err
	}
	made = l
	for name, tree := range map[string]map[string]string{"old": oldTree(), "new": newTree(), "newer": newerTree(), "fixed": fixedTree()} {
		if err := writeTree(l.Path(name), tree); err != nil {
			return nil, err
		}
	}
	home, _, err := l.PublishTwo(ctx, "shop", l.Path("old"), l.Path("new"))
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"uplevel-publish", "level", "shop", "1", "--dist", l.Path("newer"), "--notes", l.Path("notes.yaml")},
		{"uplevel-publish", "hotfix", "shop", "1", "--for", "Lab", "--level", "0", "--dist", l.Path("fixed"), "--notes", l.Path("notes.yaml"), "--out", l.Path("hotfixes")},
		{"uplevel", "--dir", home, "create-update", "--end-level", "1"},
	} {
		if _, err := l.Do(ctx, l.Dir, args[0], args[1:]...); err != nil {
			return nil, err
		}
	}
	l.Set("UPLEVEL_LEVEL", "1") // where a command names no level
	return l, nil
}

func oldTree() map[string]string {
	return map[string]string{
		"bin/start": "start 0", "conf/a.properties": "a=0\n", "conf/conflict.txt": "vendor 0", "lib/x-1.jar": "x1",
		"lib/gone/deep/file": "deep", "turns": "a file", "LICENSE": "free", "ünı/größe.txt": "0",
	}
}

func newTree() map[string]string {
	return map[string]string{
		"bin/start": "start 1", "conf/a.properties": "a=1\n", "conf/conflict.txt": "vendor 1", "lib/x-2.jar": "x2",
		"fresh/deep/one": "1", "turns/into": "a folder", "LICENSE": "free", "ünı/größe.txt": "1",
	}
}

func newerTree() map[string]string {
	newer := newTree()
	newer["bin/start"] = "start 2"
	return newer
}

func fixedTree() map[string]string {
	fixed := oldTree()
	fixed["bin/start"], fixed["hot/one"] = "start fixed", "1"
	return fixed
}

func writeTree(dir string, tree map[string]string) error {
	for p, content := range tree {
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// theLab returns the lab, or ends the test.
func theLab(t *testing.T) *lab.Lab {
	t.Helper()
	for _, program := range []string{"strace"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: scripts/install-deps installs it", program)
			}
			t.Skipf("SKIPPED, and nothing was tried: %s is missing: run scripts/install-deps", program)
		}
	}
	l, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fresh is a home at level 0 with a customised file, a log and a foreign file, brought to
// where a command begins by lines for the shell.
func fresh(t *testing.T, l *lab.Lab, before ...step) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	if said, err := exec.Command("cp", "-a", l.Path("shop-home"), home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := writeTree(home, map[string]string{"conf/conflict.txt": "customised", "logs/server.log": "log", "lib/gone/foreign": "foreign"}); err != nil {
		t.Fatal(err)
	}
	for _, s := range before {
		expect(t, l, home, s.exit, nil, "sh", "-c", s.line)
	}
	return home
}

type step struct {
	exit int
	line string
}

// expect runs a program that must end so and say all of that.
func expect(t *testing.T, l *lab.Lab, dir string, exit int, says []string, name string, args ...string) string {
	t.Helper()
	r, err := l.Do(t.Context(), dir, name, args...)
	if r.Exit != exit {
		t.Fatalf("%s %q: exit %d, want %d: %v", name, args, r.Exit, exit, err)
	}
	mustSay(t, r.Output, says...)
	return r.Output
}

// mustSay looks for words, whatever lines they were folded into.
func mustSay(t *testing.T, output string, words ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(output), " ")
	for _, w := range words {
		if !strings.Contains(flat, w) {
			t.Errorf("%q is not said:\n%s", w, output)
		}
	}
}

// freed ends a finding for each path that cannot be brought back any more.
const freed = ": its way back is freed"

// either is a level of a home that may stand at 0 or at 1.
const either = -1

// isWhole has package fsck judge a home, and the operator's files looked at. Findings that
// end so are expected.
func isWhole(t *testing.T, home string, level int, expected ...string) {
	t.Helper()
	report, err := fsck.Home(home)
	if err != nil {
		t.Fatal(err)
	}
	findings := slices.Clone(report.Findings)
	for _, path := range report.Lost {
		findings = append(findings, path+freed)
	}
	for _, end := range expected {
		n := len(findings)
		findings = slices.DeleteFunc(findings, func(f string) bool { return strings.HasSuffix(f, end) })
		if len(findings) == n {
			t.Errorf("nothing %s", end)
		}
	}
	if len(findings) > 0 {
		t.Errorf("%s: %v", home, findings)
	}
	if level == either {
		level = report.Level
	}
	if report.Level != level {
		t.Errorf("the level is %d, want %d", report.Level, level)
	}
	wanted := oldTree()
	if level == 1 {
		wanted = newTree()
	}
	delete(wanted, "conf/conflict.txt")
	maps.Copy(wanted, map[string]string{"logs/server.log": "log", "lib/gone/foreign": "foreign"})
	for _, p := range slices.Sorted(maps.Keys(wanted)) {
		if p == "bin/start" || p == "conf/a.properties" {
			continue // of a hotfix, or written by a test
		}
		if got, err := os.ReadFile(filepath.Join(home, p)); err != nil || string(got) != wanted[p] {
			t.Errorf("%s is %q (%v), want %q", p, got, err, wanted[p])
		}
	}
}

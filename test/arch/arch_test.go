// Package arch holds the project to its architecture: floors, walls, budgets and
// forbidden calls, as docs/architecture.md draws them. Each rule is shown failing on a
// small made-up project.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// floors from the ground up. A package imports lower floors only; siblings do not know
// one another.
func floors() [][]string {
	return [][]string{
		{"digest", "problem", "durable", "plain", "bounded", "template"},
		{"manifest"},
		{"release", "advisory"},
		{"entitlement", "fleet", "hotfix", "policy", "statefile"},
		{"entitlement/access"},
		{"object", "blob", "plan", "trust", "merge", "archive/anatomy", "archive/deflater", "delta/rangecode", "proxy", "copytree"},
		{"archive", "archive/layout", "delta/lz", "delta/edit", "merge/formats", "merge/unified", "blob/dir", "blob/mem", "blob/blobtest", "trust/refresh", "trust/sign", "trust/online", "trust/trusttest", "proxy/proxytest", "api", "bundle"},
		{"delta"},
		{"fetch", "reconcile", "install", "selfupdate", "fsck", "publish", "support"},
		{"update", "offline", "server", "sqlstore", "doctor"},
	}
}

// private returns whether one path is a private part of the other: those may know one
// another in either direction on their own floor.
func private(from, to string) bool {
	return strings.HasPrefix(from, to+"/") || strings.HasPrefix(to, from+"/")
}

// walls: what a program must never link.
func walls() map[string][]string {
	return map[string][]string{
		"cmd/uplevel":         {"trust/sign", "trust/online", "publish", "server", "sqlstore", "portal", "worker"},
		"cmd/upleveld":        {"trust/sign", "install", "update", "publish"},
		"cmd/uplevel-publish": {"server", "sqlstore", "install", "update", "trust/online"},
	}
}

// outside: modules that a program must never link.
func outside() map[string][]string {
	return map[string][]string{
		"cmd/uplevel": {"modernc.org/sqlite", "github.com/danielgtaylor/huma", "github.com/pressly/goose", "testing"},
	}
}

const maxChain = 7

// pkg is a package as `go list` tells it, over all systems that it was asked for.
type pkg struct {
	ImportPath     string
	Imports        []string
	Deps           []string
	GoFiles        []string
	IgnoredGoFiles []string
	Dir            string
	Doc            string
}

// files are a package's files for every system, tests left out.
func (p pkg) files() []string {
	files := slices.DeleteFunc(slices.Concat(p.GoFiles, p.IgnoredGoFiles), func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	slices.Sort(files)
	return slices.Compact(files)
}

// entrance reports whether a package may use everything: a program, or a developer's.
func entrance(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return top == "cmd" || top == "test" || top == "demo"
}

// systems are those that the tool is built for.
func systems() []string { return []string{"linux", "darwin", "windows"} }

// load lists the packages of the project at dir, whose module is named uplevel, as they
// are built for any of the systems.
func load(t testing.TB, dir string, systems ...string) map[string]pkg {
	t.Helper()
	all := map[string]pkg{}
	for _, system := range systems {
		for _, p := range list(t, dir, system) {
			path := short(p.ImportPath)
			if have, ok := all[path]; ok {
				p.Imports = append(p.Imports, have.Imports...)
				p.Deps = append(p.Deps, have.Deps...)
				p.GoFiles = append(p.GoFiles, have.GoFiles...)
			}
			slices.Sort(p.Imports)
			slices.Sort(p.Deps)
			p.Imports, p.Deps = slices.Compact(p.Imports), slices.Compact(p.Deps)
			all[path] = p
		}
	}
	if len(all) == 0 {
		t.Fatal("no package found")
	}
	return all
}

func list(t testing.TB, dir, system string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,GoFiles,IgnoredGoFiles,Dir,Doc", "./...")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// short is a package's path within the project: "plan", "cmd/uplevel".
func short(path string) string {
	path = strings.TrimPrefix(path, "uplevel/")
	return strings.TrimPrefix(path, "internal/")
}

func floorOf(path string) (int, bool) {
	for n, names := range floors() {
		if slices.Contains(names, path) {
			return n, true
		}
	}
	// A private part stands on the floor of what it is part of.
	if i := strings.LastIndexByte(path, '/'); i > 0 && !entrance(path) {
		return floorOf(path[:i])
	}
	return 0, false
}

// checkFloors returns every import that goes up or to a sibling, and every package
// without a floor.
func checkFloors(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if entrance(path) {
			continue
		}
		floor, known := floorOf(path)
		if !known {
			broken = append(broken, path+" stands on no floor: add it to docs/architecture.md and this test")
			continue
		}
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, "uplevel/") {
				continue
			}
			to := short(imported)
			below, ok := floorOf(to)
			switch {
			case !ok:
				broken = append(broken, fmt.Sprintf("%s imports %s, which stands on no floor", path, to))
			case below > floor:
				broken = append(broken, fmt.Sprintf("%s imports %s, which stands above it", path, to))
			case below == floor && !private(path, to):
				broken = append(broken, fmt.Sprintf("%s imports its sibling %s", path, to))
			}
		}
	}
	return broken
}

func checkWalls(all map[string]pkg) []string {
	var broken []string
	for program, forbidden := range walls() {
		p, ok := all[program]
		if !ok {
			continue
		}
		for _, dep := range p.Deps {
			for _, f := range forbidden {
				if s := short(dep); s != dep && (s == f || strings.HasPrefix(s, f+"/")) {
					broken = append(broken, program+" links "+s)
				}
			}
			for _, f := range outside()[program] {
				if dep == f || strings.HasPrefix(dep, f+"/") {
					broken = append(broken, program+" links "+dep)
				}
			}
		}
	}
	return broken
}

// chain returns the longest chain of imports inside the project that begins at path.
func chain(all map[string]pkg, path string, seen map[string]int) int {
	if n, ok := seen[path]; ok {
		return n
	}
	longest := 0
	for _, imported := range all[path].Imports {
		if strings.HasPrefix(imported, "uplevel/") {
			longest = max(longest, chain(all, short(imported), seen))
		}
	}
	seen[path] = longest + 1
	return longest + 1
}

func checkChains(all map[string]pkg) []string {
	var broken []string
	seen := map[string]int{}
	for path := range all {
		if n := chain(all, path, seen); n > maxChain {
			broken = append(broken, fmt.Sprintf("chain %s has %d packages, the budget is %d", path, n, maxChain))
		}
	}
	return broken
}

func checkDocs(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if p.Doc == "" && len(p.files()) > 0 {
			broken = append(broken, path+" has no package comment")
		}
	}
	return broken
}

// rules are all checks by name.
func rules() map[string]func(map[string]pkg) []string {
	return map[string]func(map[string]pkg) []string{
		"floors": checkFloors, "walls": checkWalls, "chains": checkChains, "docs": checkDocs, "budgets": checkBudgets, "calls": checkCalls,
	}
}

// breaches returns every breach of every rule, sorted.
func breaches(all map[string]pkg) []string {
	var broken []string
	for _, check := range rules() {
		broken = append(broken, check(all)...)
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

// TestProjectKeepsItsRules checks this project: what is broken needs a reason, and a
// reason needs something that is broken.
func TestProjectKeepsItsRules(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	for _, b := range breaches(load(t, root, systems()...)) {
		if what, ok := reasoned(b); ok {
			needed[what] = true
			continue
		}
		t.Error(b)
	}
	for what := range over() {
		if !needed[what] {
			t.Errorf("%s keeps within its budget by now: take its reason away", what)
		}
	}
}

// TestEveryRuleCanFail checks made-up projects, each of which breaks the rule that it
// is named for.
func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	for name, check := range rules() {
		dir := filepath.Join("testdata", name)
		if broken := check(load(t, dir, "linux")); len(broken) == 0 {
			t.Errorf("%s: the made-up project in %s passes", name, dir)
		}
	}
}

// TestEveryBreachIsNamed checks made-up projects: each breaks what it is named for, and
// nothing else.
func TestEveryBreachIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range madeUp() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.files["go.mod"] = "module uplevel\n\ngo 1.26.0\n"
			for p, text := range c.files {
				full := filepath.Join(dir, filepath.FromSlash(p))
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(c.broken, breaches(load(t, dir, "linux"))); d != "" {
				t.Errorf("breaches (-want +got):\n%s", d)
			}
		})
	}
}

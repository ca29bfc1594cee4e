// Package arch holds the project to its architecture: floors, walls, budgets and
// forbidden calls, as docs/architecture.md draws them. Each rule is shown failing on a
// small made-up project.
package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors from the ground up. A package imports lower floors only; siblings do not know
// one another.
func floors() [][]string {
	return [][]string{
		{"digest", "problem", "durable"},
		{"manifest"},
		{"release", "advisory"},
		{"entitlement", "fleet", "hotfix"},
		{"entitlement/access"},
		{"object", "blob", "plan", "trust", "merge", "archive", "delta"},
		{"blob/dir", "blob/mem", "blob/blobtest", "trust/refresh", "trust/sign", "trust/online", "trust/trusttest", "api"},
		{"fetch", "reconcile", "install", "fsck", "publish"},
		{"update", "server", "sqlstore"},
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

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	GoFiles    []string
	Dir        string
	Doc        string
}

// load lists the packages of the project at dir, whose module is named uplevel.
func load(t testing.TB, dir string) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,GoFiles,Dir,Doc", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all[short(p.ImportPath)] = p
	}
	if len(all) == 0 {
		t.Fatal("no package found")
	}
	return all
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
	if up, _, ok := cutLast(path); ok && !strings.HasPrefix(path, "cmd/") && !strings.HasPrefix(path, "test/") {
		return floorOf(up)
	}
	return 0, false
}

func cutLast(path string) (string, string, bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// checkFloors returns every import that goes up or to a sibling, and every package
// without a floor.
func checkFloors(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "test/") || path == "demo" || strings.HasPrefix(path, "demo/") {
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
		if _, reasoned := over()["chain "+path]; reasoned {
			continue
		}
		if n := chain(all, path, seen); n > maxChain {
			broken = append(broken, fmt.Sprintf("%s stands on a chain of %d imports, the limit is %d", path, n, maxChain))
		}
	}
	return broken
}

func checkDocs(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if p.Doc == "" && len(p.GoFiles) > 0 {
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

// TestProjectKeepsItsRules checks this project.
func TestProjectKeepsItsRules(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all := load(t, root)
	for name, check := range rules() {
		for _, b := range check(all) {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// TestEveryRuleCanFail checks made-up projects, each of which breaks the rule that it
// is named for.
func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	for name, check := range rules() {
		dir := filepath.Join("testdata", name)
		if broken := check(load(t, dir)); len(broken) == 0 {
			t.Errorf("%s: the made-up project in %s passes", name, dir)
		}
	}
}

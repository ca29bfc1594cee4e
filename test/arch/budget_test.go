package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The budgets, tests left out.
const (
	maxFunction  = 60
	maxFile      = 400
	maxPackage   = 1200
	maxInterface = 5
)

// over are broken budgets, each with its reason in one line; a reason that is not needed
// any more is an error, too.
func over() map[string]string {
	return map[string]string{
		"chain cmd/uplevel-publish": "wiring adds one to the seven of publish, which verifies what it reads before it signs",
		"package delta":             "one format with both its directions: whoever reads a step finds beside it who writes it",
		"package api":               "one language and its client, which tells apart whatever a network does to an answer",
		"package update":            "one use case with ten commands; its parts share one value and splitting would only move it",
		"package server":            "a handler a route over one value; what it decides lies below it",
		"package sqlstore":          "a file a table over one set of helpers, so that the SQL text of all engines is in one place",
		"package merge":             "pieces, their matching, the decisions and the proof of them must be read together",
		"package bundle":            "two kinds of zip over one strict layout, which neither may loosen for itself",
		"package install":           "stage, journal and recovery must be read together",
		"package publish/signing":   "rotating, waiting for signatures and renewing are one flow over one folder of keys",
		"package publish":           "publishing, publishing again and healing are one flow over one draft",
		"package fsck":              "two judges that share no code with what they judge",
		"package cmd/uplevel":       "a file a command; words and wiring only",
		"package cmd/upleveld":      "a file a command; words and wiring only",

		"package cmd/uplevel-publish": "a file a command; words and wiring only",
		"package trust/sign":          "keys, documents and the folder that holds both: who may sign is decided over all three",
		"package trust":               "what is trusted is decided in one place, a file a kind of role",
		"package trust/online":        "what a publication must be is judged in one place, a file a kind of role",
	}
}

// reasoned returns what a breach is of, when there is a reason for it.
func reasoned(breach string) (string, bool) {
	for what := range over() {
		if strings.HasPrefix(breach, what+" has ") {
			return what, true
		}
	}
	return "", false
}

func checkBudgets(all map[string]pkg) []string {
	var broken []string
	tell := func(what string, n, budget int, unit string) {
		if n > budget {
			broken = append(broken, fmt.Sprintf("%s has %d %s, the budget is %d", what, n, unit, budget))
		}
	}
	for path, p := range all {
		total := 0
		for _, name := range p.files() {
			text, tree, fset, err := read(p, name)
			if err != nil {
				return []string{err.Error()}
			}
			lines := bytes.Count(text, []byte("\n"))
			total += lines
			tell("file "+path+"/"+name, lines, maxFile, "lines")
			eachBudget(fset, tree, func(name string, n, budget int, unit string) { tell(path+"."+name, n, budget, unit) })
		}
		// Those that only developers run may be as many files as there are things to try.
		if !strings.HasPrefix(path, "test/") && path != "demo" {
			tell("package "+path, total, maxPackage, "lines")
		}
	}
	return broken
}

func read(p pkg, name string) ([]byte, *ast.File, *token.FileSet, error) {
	file := filepath.Join(p.Dir, name)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, nil, err
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	return text, tree, fset, err
}

func eachBudget(fset *token.FileSet, tree *ast.File, tell func(name string, n, budget int, unit string)) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			tell(n.Name.Name, fset.Position(n.End()).Line-fset.Position(n.Pos()).Line+1, maxFunction, "lines")
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				tell(n.Name.Name, i.Methods.NumFields(), maxInterface, "methods")
			}
		}
		return true
	})
}

// forbidden are the names that only programs may use, and the packages given.
func forbidden() map[string][]string {
	return map[string][]string{
		"time.Now":               {},
		"os.Exit":                {},
		"net/http.Get":           {},
		"net/http.Post":          {},
		"net/http.DefaultClient": {},
		"os.Rename":              {"durable", "fetch"}, // fetch: within the cache, which may be lost
		"os.WriteFile":           {"durable"},
		"os.Create":              {"durable"},
	}
}

func checkCalls(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if entrance(path) || strings.HasSuffix(path, "test") {
			continue
		}
		for _, name := range p.files() {
			_, tree, _, err := read(p, name)
			if err != nil {
				return []string{err.Error()}
			}
			for _, used := range uses(tree) {
				if allowed, is := forbidden()[used]; is && !slices.Contains(allowed, path) {
					broken = append(broken, path+"/"+name+" uses "+used)
				}
			}
		}
	}
	return broken
}

// uses returns every name of another package that a file uses, whatever it calls that.
func uses(tree *ast.File) []string {
	imported := map[string]string{}
	for _, i := range tree.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		local := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			local = i.Name.Name
		}
		imported[local] = path
	}
	var used []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && imported[x.Name] != "" {
				used = append(used, imported[x.Name]+"."+s.Sel.Name)
			}
		}
		return true
	})
	return used
}

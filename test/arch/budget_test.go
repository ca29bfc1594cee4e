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

// over are broken budgets, each with its reason in one line.
func over() map[string]string {
	return map[string]string{
		"chain cmd/uplevel-publish":   "wiring adds one to the seven of publish, which verifies what it reads before it signs",
		"package update":              "one use case with ten commands; its parts share one value and splitting would only move it",
		"package install":             "stage, journal and recovery must be read together",
		"package cmd/uplevel":         "a file a command; words and wiring only",
		"package cmd/upleveld":        "a file a command; words and wiring only",
		"package cmd/uplevel-publish": "a file a command; words and wiring only",
		"package publish":             "validation rules, a short function each",
		"package trust":               "TUF's roles and rules in one place",
		"package sqlstore":            "every Store on one SQL text",
		"package fsck":                "two judges that share no code with what they judge",
	}
}

func checkBudgets(all map[string]pkg) []string {
	var broken []string
	tell := func(what, text string) {
		if _, reasoned := over()[what]; !reasoned {
			broken = append(broken, what+" "+text)
		}
	}
	for path, p := range all {
		total := 0
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(file)
			if err != nil {
				return []string{err.Error()}
			}
			lines := bytes.Count(text, []byte("\n"))
			total += lines
			if lines > maxFile {
				tell("file "+path+"/"+name, fmt.Sprintf("has %d lines, the budget is %d", lines, maxFile))
			}
			fset := token.NewFileSet()
			tree, err := parser.ParseFile(fset, file, text, 0)
			if err != nil {
				return []string{err.Error()}
			}
			eachBudget(fset, tree, func(name, text string) { tell(path+"."+name, text) })
		}
		if total > maxPackage && !strings.HasPrefix(path, "test/") && path != "demo" {
			tell("package "+path, fmt.Sprintf("has %d lines, the budget is %d", total, maxPackage))
		}
	}
	return broken
}

func eachBudget(fset *token.FileSet, tree *ast.File, tell func(name, text string)) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1; lines > maxFunction {
				tell(n.Name.Name, fmt.Sprintf("has %d lines, the budget is %d", lines, maxFunction))
			}
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterface {
				tell(n.Name.Name, fmt.Sprintf("has %d methods, the budget is %d", i.Methods.NumFields(), maxInterface))
			}
		}
		return true
	})
}

// forbidden are calls that only cmd, or the packages named, may make.
func forbidden() map[string][]string {
	return map[string][]string{
		"time.Now":     {},
		"os.Exit":      {},
		"http.Get":     {},
		"http.Post":    {},
		"os.Rename":    {"durable", "fetch"},
		"os.WriteFile": {"durable"},
		"os.Create":    {"durable"},
	}
}

func checkCalls(all map[string]pkg) []string {
	var broken []string
	for path, p := range all {
		if strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "test/") || path == "demo" || strings.HasSuffix(path, "test") {
			continue
		}
		for _, name := range p.GoFiles {
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				return []string{err.Error()}
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil {
					call := x.Name + "." + s.Sel.Name
					if allowed, is := forbidden()[call]; is && !contains(allowed, path) {
						broken = append(broken, path+"/"+name+" uses "+call)
					}
				}
				return true
			})
		}
	}
	return broken
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

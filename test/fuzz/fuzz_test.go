// Package fuzz holds the fuzz targets to their form: docs/design/fuzz.md.
package fuzz

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// target is a fuzz target: its folder, its name, and how many seeds its code adds.
type target struct {
	folder, name string
	adds         int
}

// targets finds every fuzz target of the repository.
func targets(t *testing.T) []target {
	t.Helper()
	var all []target
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "build" || (strings.HasPrefix(d.Name(), ".") && name != root)) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				all = append(all, target{filepath.ToSlash(folder), f.Name.Name, adds(f)})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Fatalf("only %d targets found", len(all))
	}
	return all
}

// adds counts the calls of f.Add in a target, those with nothing but empty literals left
// out: an empty seed teaches nothing.
func adds(f *ast.FuncDecl) int {
	n := 0
	ast.Inspect(f.Body, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || method.Sel.Name != "Add" {
			return true
		}
		if of, ok := method.X.(*ast.Ident); ok && of.Name == "f" && !empty(call.Args) {
			n++
		}
		return true
	})
	return n
}

func empty(args []ast.Expr) bool {
	for _, a := range args {
		switch a := a.(type) {
		case *ast.BasicLit:
			if a.Value != `""` && a.Value != "``" {
				return false
			}
		case *ast.CompositeLit:
			if len(a.Elts) > 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// TestEveryTargetHasSeeds: without one a run begins at nothing and finds nothing.
func TestEveryTargetHasSeeds(t *testing.T) {
	t.Parallel()
	for _, one := range targets(t) {
		if one.adds == 0 {
			t.Errorf("%s in %s has no seed: add a real one with f.Add", one.name, one.folder)
		}
	}
}

// TestFoundInputsBelongToATarget: what a run found is kept, and is run by the target that
// found it; of a target that was renamed nobody would run it.
func TestFoundInputsBelongToATarget(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, one := range targets(t) {
		known[one.folder+"/testdata/fuzz/"+one.name] = true
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.ToSlash(name), "/testdata/fuzz/") {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !known[filepath.ToSlash(folder)] || info.Size() == 0 {
			t.Errorf("%s is of no target, or empty", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryTargetIsReported: docs/reliability.md has a row for each, and for no other.
func TestEveryTargetIsReported(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Fuzzing\n")
	if !ok {
		t.Fatal("docs/reliability.md has no section Fuzzing")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]bool{}
	for line := range strings.Lines(section) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.Contains(cell, " Fuzz") {
			rows[cell] = true
		}
	}
	for _, one := range targets(t) {
		row := one.folder + " " + one.name
		if !rows[row] {
			t.Errorf("docs/reliability.md has no row for %s", row)
		}
		delete(rows, row)
	}
	for row := range rows {
		t.Errorf("docs/reliability.md has a row for %s, which is no target", row)
	}
}

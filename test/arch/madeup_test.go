package arch

import (
	"fmt"
	"strings"
)

// project is a made-up one: its files, and what is broken in it.
type project struct {
	files  map[string]string
	broken []string
}

// file is the text of a file of a package that imports others, used or not.
func file(name string, imports ...string) string {
	text := "// Package " + name + " is made up.\npackage " + name + "\n"
	for _, i := range imports {
		text += "\nimport _ \"" + i + "\"\n"
	}
	return text
}

// body is a package with one function around lines.
func body(imported, line string) string {
	return file("plan") + "\nimport " + imported + "\n\n// F is made up.\nfunc F() { " + line + " }\n"
}

// madeUp is a project for every way to break a rule, and one that keeps them.
func madeUp() map[string]project {
	projects := map[string]project{
		"sound": {files: map[string]string{
			"cmd/uplevel/main.go": file("main", "uplevel/internal/install", "uplevel/internal/trust/refresh") +
				"\nimport \"os\"\n\nfunc main() { os.Exit(0) }\n",
			"internal/install/i.go":       file("install", "uplevel/internal/plan", "uplevel/internal/digest"),
			"internal/install/mac/m.go":   file("mac", "uplevel/internal/install"), // a private part
			"internal/plan/p.go":          file("plan"),
			"internal/digest/d.go":        file("digest"),
			"internal/trust/t.go":         file("trust"),
			"internal/trust/refresh/r.go": file("refresh", "uplevel/internal/trust"),
		}},
		"upwards": {
			map[string]string{"internal/digest/d.go": file("digest", "uplevel/internal/plan"), "internal/plan/p.go": file("plan")},
			[]string{"digest imports plan, which stands above it"},
		},
		"sibling": {
			map[string]string{"internal/fetch/f.go": file("fetch", "uplevel/internal/install"), "internal/install/i.go": file("install")},
			[]string{"fetch imports its sibling install"},
		},
		"no floor": {
			map[string]string{"internal/fetch/f.go": file("fetch", "uplevel/internal/util"), "internal/util/u.go": file("util")},
			[]string{"fetch imports util, which stands on no floor", "util stands on no floor: add it to docs/architecture.md and this test"},
		},
		"wall through another": {
			map[string]string{
				"cmd/uplevel/main.go":  file("main", "uplevel/internal/update") + "\nfunc main() {}\n",
				"internal/update/u.go": file("update", "uplevel/internal/trust/sign"), "internal/trust/sign/s.go": file("sign"),
			},
			[]string{"cmd/uplevel links trust/sign"},
		},
		"wall of the service": {
			map[string]string{"cmd/upleveld/main.go": file("main", "uplevel/internal/install") + "\nfunc main() {}\n", "internal/install/i.go": file("install")},
			[]string{"cmd/upleveld links install"},
		},
		"wall of the publisher": {
			map[string]string{"cmd/uplevel-publish/main.go": file("main", "uplevel/internal/sqlstore") + "\nfunc main() {}\n", "internal/sqlstore/s.go": file("sqlstore")},
			[]string{"cmd/uplevel-publish links sqlstore"},
		},
		"test code in the tool": {
			map[string]string{"cmd/uplevel/main.go": file("main", "testing") + "\nfunc main() {}\n"},
			[]string{"cmd/uplevel links testing"},
		},
		"no package comment": {
			map[string]string{"internal/digest/d.go": "package digest\n"},
			[]string{"digest has no package comment"},
		},
		"long function": {
			map[string]string{"internal/plan/p.go": body(`_ "fmt"`, strings.Repeat("\n", maxFunction))},
			[]string{fmt.Sprintf("plan.F has %d lines, the budget is %d", maxFunction+1, maxFunction)},
		},
		"long file": {
			map[string]string{"internal/plan/p.go": file("plan") + strings.Repeat("\n", maxFile-1)},
			[]string{fmt.Sprintf("file plan/p.go has %d lines, the budget is %d", maxFile+1, maxFile)},
		},
		"long package, one file for another system": {
			map[string]string{
				"internal/plan/p.go": file("plan") + strings.Repeat("\n", maxFile-2), "internal/plan/q.go": "package plan\n" + strings.Repeat("\n", maxFile-1),
				"internal/plan/r.go": "package plan\n" + strings.Repeat("\n", maxFile-1), "internal/plan/s_windows.go": "package plan\n",
			},
			[]string{fmt.Sprintf("package plan has %d lines, the budget is %d", maxPackage+1, maxPackage)},
		},
		"wide interface": {
			map[string]string{"internal/plan/p.go": file("plan") + "\n// I is wide.\ntype I interface{ A(); B(); C(); D(); E(); F() }\n"},
			[]string{fmt.Sprintf("plan.I has %d methods, the budget is %d", maxInterface+1, maxInterface)},
		},
		"clock under another name": {
			map[string]string{"internal/plan/p.go": body(`clock "time"`, "clock.Now()")},
			[]string{"plan/p.go uses time.Now"},
		},
		"exit on another system": {
			map[string]string{"internal/plan/p.go": file("plan"), "internal/plan/p_windows.go": body(`"os"`, "os.Exit(1)")},
			[]string{"plan/p_windows.go uses os.Exit"},
		},
		"chain": chained(),
	}
	for name, call := range map[string]string{
		"os.Rename": `os.Rename("a", "b")`, "os.WriteFile": `os.WriteFile("a", nil, 0)`, "os.Create": `os.Create("a")`,
		"net/http.Get": `http.Get("")`, "net/http.Post": `http.Post("", "", nil)`, "net/http.DefaultClient": `http.DefaultClient.CloseIdleConnections()`,
	} {
		imported := name[:strings.LastIndexByte(name, '.')]
		projects["call of "+imported+" "+call[:strings.IndexAny(call, "(")]] = project{
			map[string]string{"internal/plan/p.go": body(`"`+imported+`"`, call)}, []string{"plan/p.go uses " + name},
		}
	}
	return projects
}

// chained is a chain of packages one too long, within one package's private parts.
func chained() project {
	files := map[string]string{}
	for n := range maxChain {
		files[fmt.Sprintf("internal/digest/d%d/d.go", n)] = file(fmt.Sprintf("d%d", n), fmt.Sprintf("uplevel/internal/digest/d%d", n+1))
	}
	files[fmt.Sprintf("internal/digest/d%d/d.go", maxChain)] = file(fmt.Sprintf("d%d", maxChain))
	// Siblings within a private part are caught, too: only the chain is of interest here.
	p := project{files: files, broken: []string{fmt.Sprintf("chain digest/d0 has %d packages, the budget is %d", maxChain+1, maxChain)}}
	for n := range maxChain {
		p.broken = append(p.broken, fmt.Sprintf("digest/d%d imports its sibling digest/d%d", n, n+1))
	}
	return p
}

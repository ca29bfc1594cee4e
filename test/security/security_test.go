// Package security holds the security pages to what the tree has: every requirement of
// the checklist is answered once, and every test that a page names is there. It also
// shows that the scanners find what they are for.
package security

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// How a requirement may be answered.
const (
	byTest   = "test"
	byPage   = "page"
	none     = "not applicable"
	accounts = "with the accounts"
	portal   = "with the portal"
	open     = "open"
)

// answer is one row of the checklist.
type answer struct{ number, level, what, kind, why string }

// answers reads the rows of the page.
func answers(page string) []answer {
	var all []answer
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| 5.0.0-") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 5 {
			cells = append(cells, "", "", "", "", "")
		}
		all = append(all, answer{strings.TrimPrefix(cells[0], "5.0.0-"), cells[1], cells[2], cells[3], cells[4]})
	}
	return all
}

// judge returns what is wrong with the checklist, against the list of requirements
// (NUMBER LEVEL in each line) and what exists.
func judge(rows []answer, list string, exists func(test string) bool, leads func(link string) bool) []string {
	var wrong []string
	tell := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	times := map[string]int{}
	for _, r := range rows {
		times[r.number+" "+r.level]++
		tests, links := testsIn(r.why), linksIn(r.why)
		if len(r.what) < 10 {
			tell("%s says not what is required", r.number)
		}
		switch r.kind {
		case byTest:
			if len(tests) == 0 {
				tell("%s names no test", r.number)
			}
		case byPage:
			if len(links) == 0 {
				tell("%s leads to no page", r.number)
			}
		case none, open:
			if len(r.why) < 15 {
				tell("%s gives no reason", r.number)
			}
		case accounts, portal:
		default:
			tell("%s is answered with %q", r.number, r.kind)
		}
		for _, test := range tests {
			if !exists(test) {
				tell("%s names the test %s, which is not there", r.number, test)
			}
		}
		for _, link := range links {
			if !leads(link) {
				tell("%s leads to %s, which is not there", r.number, link)
			}
		}
	}
	for line := range strings.Lines(list) {
		if n := times[strings.TrimSpace(line)]; n != 1 {
			tell("%s is answered %d times", strings.TrimSpace(line), n)
		}
		delete(times, strings.TrimSpace(line))
	}
	for number := range times {
		tell("%s is no requirement", number)
	}
	return wrong
}

// testsIn returns the tests that a text names, `path/to/package.TestName`.
func testsIn(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`((?:internal|cmd|test)/[a-z0-9_/-]+\\.(?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func linksIn(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// exists reports whether a test stands in the tree.
func exists(test string) bool {
	folder, name, _ := strings.Cut(test, ".")
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && regexp.MustCompile(`(?m)^func `+name+`\(`).Match(text)
	})
}

// leadsFrom returns whether a link of a page leads to a file, and to a heading of it when
// it names one.
func leadsFrom(page string) func(link string) bool {
	return func(link string) bool {
		if strings.HasPrefix(link, "https://") {
			return true
		}
		file, anchor, _ := strings.Cut(link, "#")
		if file = path.Join(path.Dir(page), file); link[0] == '#' {
			file = page
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return false
		}
		return anchor == "" || slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "#") && slug(strings.TrimLeft(line, "# ")) == anchor
		})
	}
}

// slug is how a heading is linked to.
func slug(heading string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(heading))
}

// figures is the sentence that tells how the requirements are answered.
func figures(rows []answer) string {
	n := map[string]int{}
	for _, r := range rows {
		n[r.kind]++
	}
	return fmt.Sprintf("%d requirements: %d by tests, %d by pages, %d not applicable, %d with the accounts, %d with the portal, %d open",
		len(rows), n[byTest], n[byPage], n[none], n[accounts], n[portal], n[open])
}

// TestEveryRequirementIsAnsweredOnce judges docs/security.md.
func TestEveryRequirementIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/security.md")
	rows := answers(page)
	for _, wrong := range judge(rows, read(t, "test/security/testdata/asvs-5.0.0.txt"), exists, leadsFrom("docs/security.md")) {
		t.Error(wrong)
	}
	for _, name := range []string{"docs/security.md", "docs/reliability.md"} {
		if flat := strings.Join(strings.Fields(read(t, name)), " "); !strings.Contains(flat, figures(rows)) {
			t.Errorf("%s does not say: %s", name, figures(rows))
		}
	}
}

// TestAHoleInTheChecklistIsSeen shows the judge failing.
func TestAHoleInTheChecklistIsSeen(t *testing.T) {
	t.Parallel()
	good := answer{"1.1.1", "2", "decoded only once", byTest, "`internal/x.TestA`"}
	with := func(change func(*answer)) []answer { r := good; change(&r); return []answer{r} }
	there := func(name string) bool { return name == "internal/x.TestA" || name == "a.md" }
	for what, rows := range map[string][]answer{
		"nothing":          nil,
		"twice":            {good, good},
		"another level":    with(func(r *answer) { r.level = "1" }),
		"no such number":   {good, {"9.9.9", "1", "not in the list", none, "a reason that is long"}},
		"no test":          with(func(r *answer) { r.why = "it is tested" }),
		"a lost test":      with(func(r *answer) { r.why = "`internal/x.TestB`" }),
		"a lost page":      with(func(r *answer) { r.kind, r.why = byPage, "[b](b.md)" }),
		"no page":          with(func(r *answer) { r.kind = byPage }),
		"no reason":        with(func(r *answer) { r.kind, r.why = none, "no" }),
		"no kind":          with(func(r *answer) { r.kind = "yes" }),
		"says not what is": with(func(r *answer) { r.what = "" }),
	} {
		if len(judge(rows, "1.1.1 2\n", there, there)) == 0 {
			t.Errorf("%s: nothing is wrong", what)
		}
	}
	if wrong := judge([]answer{good}, "1.1.1 2\n", there, there); len(wrong) > 0 {
		t.Error(wrong)
	}
	if rows := answers("| 5.0.0-1.1.1 | 2 | decoded only once | test | `internal/x.TestA` |\n"); len(rows) != 1 || rows[0] != good {
		t.Errorf("%+v", rows)
	}
	if exists("test/security.TestNothingOfTheKind") || !exists("test/security.TestAHoleInTheChecklistIsSeen") {
		t.Error("it is not known which tests exist")
	}
}

// named are the tests that a text speaks of in any form: with its folder, with its
// package, or alone; a subtest counts as its test.
func named(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`([a-zA-Z0-9_/-]+\\.)?((?:Test|Fuzz)[A-Z]\\w+)[^`]*`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// everyTest are the tests of the tree, with their folder, with their package, and alone.
func everyTest(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, top := range []string{"cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
				dir, err := filepath.Rel(root, filepath.Dir(file))
				if err != nil {
					return err
				}
				whole := filepath.ToSlash(dir) + "." + string(m[1])
				there[whole], there[path.Base(whole)], there[string(m[1])] = true, true, true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return there
}

// TestNoPageNamesALostTest judges the pages that say what shows a promise.
func TestNoPageNamesALostTest(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "design", "*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	there := everyTest(t)
	for _, page := range append(pages, filepath.Join(root, "docs", "reliability.md"), filepath.Join(root, "docs", "security.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range named(string(text)) {
			if !there[test] {
				t.Errorf("%s names the test %s, which is not there", page, test)
			}
		}
	}
	got := named("`TestNothingOfTheKind` `security.TestEveryThreatHasItsTest` `TestEveryThreatHasItsTest/x`")
	if len(got) != 3 || there[got[0]] || !there[got[1]] || !there[got[2]] {
		t.Errorf("it is not seen which of these are there: %v", got)
	}
}

// TestEveryThreatHasItsTest judges docs/design/threat-model.md: threats are numbered, each
// names a test that is there, or says that it is a rest risk.
func TestEveryThreatHasItsTest(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/design/threat-model.md")
	for _, test := range testsIn(page) {
		if !exists(test) {
			t.Errorf("the test %s is not there", test)
		}
	}
	if all, full := named(page), testsIn(page); len(all) != len(full) {
		t.Errorf("%d tests are named without their folder", len(all)-len(full))
	}
	for _, link := range linksIn(page) {
		if !leadsFrom("docs/design/threat-model.md")(link) {
			t.Errorf("%s is not there", link)
		}
	}
	n := 0
	for line := range strings.Lines(page) {
		if !regexp.MustCompile(`^\| T\d+ \|`).MatchString(line) {
			continue
		}
		if n++; !strings.HasPrefix(line, fmt.Sprintf("| T%d |", n)) {
			t.Errorf("threat %d is numbered %.8s", n, line)
		}
		if len(testsIn(line)) == 0 && !strings.Contains(line, "**rest risk**") {
			t.Errorf("neither a test nor a rest risk: %s", line)
		}
	}
	if n < 20 {
		t.Errorf("%d threats are found in the page", n)
	}
}

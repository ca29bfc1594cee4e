package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"uplevel/internal/merge"
	"uplevel/internal/merge/formats"
	"uplevel/test/merging"
)

// editSeed makes every run edit alike; another gives other operators.
const editSeed = 7

// pair is a configuration file at two releases that the vendor changed between them.
type pair struct {
	name      string
	old, next []byte
}

// shipped is a product at two releases.
type shipped struct {
	name  string
	files []pair
}

// count is what came of the merges of one product.
type count struct {
	files, cases, must       int
	ours, git, ucf           int // cases in which something is asked
	ourPlaces, gitPlaces     int
	ourClean, gitClean       int
	ourDamage, gitDamage     int
	ourUnparsed, gitUnparsed int
	byLine, whole, ucfRun    int
	gitNeedless, ourNeedless int      // cases asked in which no key was changed by both
	damaged                  []string // what was wrong, told while it runs
}

func (c *count) add(o count) {
	c.files, c.cases, c.must = c.files+o.files, c.cases+o.cases, c.must+o.must
	c.ours, c.git, c.ucf = c.ours+o.ours, c.git+o.git, c.ucf+o.ucf
	c.ourPlaces, c.gitPlaces = c.ourPlaces+o.ourPlaces, c.gitPlaces+o.gitPlaces
	c.ourClean, c.gitClean = c.ourClean+o.ourClean, c.gitClean+o.gitClean
	c.ourDamage, c.gitDamage = c.ourDamage+o.ourDamage, c.gitDamage+o.gitDamage
	c.ourUnparsed, c.gitUnparsed = c.ourUnparsed+o.ourUnparsed, c.gitUnparsed+o.gitUnparsed
	c.byLine, c.whole, c.ucfRun = c.byLine+o.byLine, c.whole+o.whole, c.ucfRun+o.ucfRun
	c.gitNeedless, c.ourNeedless = c.gitNeedless+o.gitNeedless, c.ourNeedless+o.ourNeedless
}

// compareAsking compares how often a merge asks: on real products or, in the short form,
// without the network, on the cases of the manual.
func compareAsking(ctx context.Context, short bool, out string) error {
	dir, err := os.MkdirTemp("", "uplevel-asking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	operators := 40
	get := func() ([]shipped, error) { return fetch(ctx, filepath.Join("build", "bench-cache")) }
	if short {
		operators, get = 1, fromManual
	}
	products, err := get()
	if err != nil {
		return err
	}
	table, err := asking(ctx, products, operators, dir)
	if err != nil {
		return err
	}
	fmt.Println(table)
	if out == "" {
		return nil
	}
	return write(out, "asking", table)
}

// fromManual takes the vendor's two sides of the cases in the manual of merges.
func fromManual() ([]shipped, error) {
	dir := filepath.Join("test", "merging", "testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err != nil {
		return nil, err
	}
	s := shipped{name: "the manual's cases"}
	for _, file := range files {
		c, err := merging.Read(dir, strings.TrimPrefix(file, dir))
		if err != nil {
			return nil, err
		}
		base, theirs := c.Vendor()
		if _, err := newJudge(c.File, base, base, theirs); err == nil && formats.For(c.File) != nil {
			s.files = append(s.files, pair{c.File, base, theirs})
		}
	}
	return []shipped{s}, nil
}

// asking compares how often merging asks, over products and operators, and tells it as a
// table.
func asking(ctx context.Context, products []shipped, operators int, dir string) (string, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return "", errors.New("git is missing: run scripts/install-deps")
	}
	edits := map[string]int{}
	var all []count
	for _, p := range products {
		c := count{files: len(p.files)}
		for i, f := range p.files {
			for n := range operators {
				// Each case has its own source: one more file leaves the others as they are.
				e := editor{Rand: rand.New(rand.NewPCG(editSeed, uint64(i)<<32|uint64(n))), style: styleOf(f.name), done: edits}
				mine, ok := e.customise(f.name, f.old)
				if !ok {
					continue
				}
				if err := c.try(ctx, dir, f, mine, n == 0 && i < 3); err != nil {
					return "", fmt.Errorf("%s: %s: %w", p.name, f.name, err)
				}
			}
		}
		if c.cases == 0 {
			return "", fmt.Errorf("%s: no case was made of it", p.name)
		}
		all = append(all, c)
		for _, said := range c.damaged {
			fmt.Println(said)
		}
	}
	return tableOfAsking(products, all, edits), nil
}

// try merges one case in all ways; ucf is slow, and only run where it is wanted.
func (c *count) try(ctx context.Context, dir string, f pair, mine []byte, runUCF bool) error {
	if bytes.Equal(mine, f.old) || bytes.Equal(f.old, f.next) {
		return nil
	}
	j, err := newJudge(f.name, f.old, mine, f.next)
	if err != nil {
		return err
	}
	c.cases++
	if j.must() {
		c.must++
	}
	c.tryOurs(f, mine, j)
	if err := c.tryGit(ctx, dir, f, mine, j); err != nil {
		return err
	}
	// Its rule: both changed the file, so it asks, unless both made the same of it.
	asks := !bytes.Equal(mine, f.next)
	if asks {
		c.ucf++
	}
	if !runUCF {
		return nil
	}
	asked, err := ucfAsks(ctx, dir, mine)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil
	case err == nil && asked != asks:
		err = fmt.Errorf("ucf asks: %t, by its rule: %t", asked, asks)
	case err == nil:
		c.ucfRun++
	}
	return err
}

func (c *count) tryOurs(f pair, mine []byte, j judge) {
	r, err := merge.Merge(merge.Sides{Base: f.old, Mine: mine, Theirs: f.next}, formats.For(f.name))
	switch {
	case err != nil:
		c.ours, c.ourPlaces, c.whole = c.ours+1, c.ourPlaces+1, c.whole+1
	case len(r.Conflicts) > 0:
		c.ours, c.ourPlaces = c.ours+1, c.ourPlaces+len(r.Conflicts)
	default:
		c.ourClean++
		switch said := j.damage(r.Merged); {
		case said == unparsed:
			c.ourUnparsed++
		case said != "":
			c.ourDamage++
			c.damaged = append(c.damaged, "uplevel: "+f.name+": "+said)
		}
		return
	}
	if r.How == "by line" {
		c.byLine++
	}
	if !j.must() {
		c.ourNeedless++
	}
}

func (c *count) tryGit(ctx context.Context, dir string, f pair, mine []byte, j judge) error {
	merged, places, err := gitMerge(ctx, dir, f, mine)
	if err != nil {
		return err
	}
	if places > 0 {
		c.git, c.gitPlaces = c.git+1, c.gitPlaces+places
		if !j.must() {
			c.gitNeedless++
		}
		return nil
	}
	c.gitClean++
	switch said := j.damage(merged); {
	case said == unparsed:
		c.gitUnparsed++
	case said != "":
		c.gitDamage++
		c.damaged = append(c.damaged, "git: "+f.name+": "+said)
	}
	return nil
}

// gitMerge returns what git merge-file makes of a case, and how many conflicts it leaves.
func gitMerge(ctx context.Context, dir string, f pair, mine []byte) ([]byte, int, error) {
	args := []string{"merge-file", "-p", "-q"}
	for _, side := range []struct {
		name string
		text []byte
	}{{"mine", mine}, {"base", f.old}, {"theirs", f.next}} {
		if err := os.WriteFile(filepath.Join(dir, side.name), side.text, 0o644); err != nil {
			return nil, 0, err
		}
		args = append(args, side.name)
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 && exit.ExitCode() < 128 {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

// ucfAsks reports whether Debian's ucf asks: without a terminal it leaves the vendor's file
// beside the operator's instead. Base and theirs lie in dir. It only works for root.
func ucfAsks(ctx context.Context, dir string, mine []byte) (bool, error) {
	program, err := exec.LookPath("ucf")
	if err != nil || os.Geteuid() != 0 {
		return false, exec.ErrNotFound
	}
	state, target := filepath.Join(dir, "ucf"), filepath.Join(dir, "installed")
	for _, old := range []string{state, target, target + ".ucf-dist", target + ".ucf-old"} {
		if err := os.RemoveAll(old); err != nil {
			return false, err
		}
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return false, err
	}
	for _, step := range []struct {
		from string
		edit bool
	}{{"base", false}, {"theirs", true}} {
		if step.edit {
			if err := os.WriteFile(target, mine, 0o644); err != nil {
				return false, err
			}
		}
		cmd := exec.CommandContext(ctx, program, "--three-way", "--state-dir", state, filepath.Join(dir, step.from), target)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFMISS=")
		if said, err := cmd.CombinedOutput(); err != nil {
			return false, fmt.Errorf("ucf: %w\n%s", err, said)
		}
	}
	_, err = os.Stat(target + ".ucf-dist")
	return err == nil, nil
}

func tableOfAsking(products []shipped, all []count, edits map[string]int) string {
	var b strings.Builder
	var kinds []string
	for kind, n := range edits {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	fmt.Fprintf(&b, "Edits, seed %d: %s.\n\n", editSeed, strings.Join(kinds, ", "))
	b.WriteString("| product: changed files | cases | a key changed by both | Uplevel asks in (places) | `git merge-file` (places) | `ucf --three-way` | git's clean merges: broken + wrong | Uplevel's |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	var sum count
	for i, c := range all {
		sum.add(c)
		line(&b, products[i].name, c)
	}
	line(&b, "**all**", sum)
	fmt.Fprintf(&b, "\nUplevel asks in %s of the cases in which git asks, at %s of its places, and in %s of those in which ucf asks. ",
		share(sum.ours, sum.git), share(sum.ourPlaces, sum.gitPlaces), share(sum.ours, sum.ucf))
	fmt.Fprintf(&b, "Asked although no key was changed by both: git %d, Uplevel %d (merged by line %d, whole files %d). ",
		sum.gitNeedless, sum.ourNeedless, sum.byLine, sum.whole)
	fmt.Fprintf(&b, "Clean merges that are broken or say something else: git %s, Uplevel %s.\n",
		share(sum.gitUnparsed+sum.gitDamage, sum.gitClean), share(sum.ourUnparsed+sum.ourDamage, sum.ourClean))
	fmt.Fprintf(&b, "ucf was run on %d of the cases and asked as its rule says (for every file that both changed); the others are by the rule.\n", sum.ucfRun)
	return b.String()
}

func line(b *strings.Builder, name string, c count) {
	fmt.Fprintf(b, "| %s: %d | %d | %d | %d (%d) | %d (%d) | %d | %d + %d of %d | %d + %d of %d |\n", name, c.files, c.cases, c.must,
		c.ours, c.ourPlaces, c.git, c.gitPlaces, c.ucf, c.gitUnparsed, c.gitDamage, c.gitClean, c.ourUnparsed, c.ourDamage, c.ourClean)
}

func share(part, whole int) string {
	if whole == 0 {
		return fmt.Sprintf("%d of 0", part)
	}
	return fmt.Sprintf("%.1f %% (%d of %d)", 100*float64(part)/float64(whole), part, whole)
}

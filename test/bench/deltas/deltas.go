// Package deltas measures Uplevel's deltas beside other tools on pairs of releases: what has
// to travel, and what making and applying it costs. Every tree that a tool makes is compared
// with the one that it must be, byte for byte.
package deltas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"uplevel/test/lab"
)

// Pair is a product at two releases.
type Pair struct {
	Name     string
	Old, New string // folders
	Goal     string // for the bytes; may be empty
	Marks    []Mark
}

// Mark is what a tool that cannot be had from a registry came to on the same pair, once.
type Mark struct {
	Tool        string
	Bytes       int64
	Make, Apply time.Duration // of the processors
	PeakMB      int64         // of applying
}

// Cost is what processes took: time in all, and the most memory that one of them held.
type Cost struct {
	Wall, CPU time.Duration
	PeakKB    int64 // 0 where the system does not say
}

func (c *Cost) add(r lab.Run) {
	c.Wall, c.CPU, c.PeakKB = c.Wall+r.Wall, c.CPU+r.CPU, max(c.PeakKB, r.PeakKB)
}

// Result is what one tool came to on one pair.
type Result struct {
	Bytes       int64 // that travel
	Make, Apply Cost
}

// Row is what the tools of a report came to on one pair, in their order.
type Row struct {
	Pair
	Changed int // files of the new release whose content is not that of the old one's at that path
	Results []Result
}

// Report is what was measured.
type Report struct {
	Tools   []string // the first is Uplevel
	Missing []string // tools that are not installed
	Rows    []Row
}

// Measure measures every tool on every pair and says what it does. root is the repository's
// folder; what tools need beside it lies in a temporary one.
func Measure(ctx context.Context, root string, pairs []Pair, say func(string)) (Report, error) {
	dir, err := os.MkdirTemp("", "uplevel-deltas-")
	if err != nil {
		return Report{}, err
	}
	l := &lab.Lab{Dir: dir, Env: append(os.Environ(), "LC_ALL=C")}
	report, err := measure(ctx, l, root, pairs, say)
	return report, errors.Join(err, l.Close())
}

func measure(ctx context.Context, l *lab.Lab, root string, pairs []Pair, say func(string)) (Report, error) {
	var report Report
	if err := programs(ctx, l, root); err != nil {
		return report, err
	}
	installed := slices.DeleteFunc(tools(), func(t tool) bool {
		if missing := t.missing(l); missing != "" {
			report.Missing = append(report.Missing, t.name)
			say(fmt.Sprintf("MISSING: %s is not measured, there is no %s: run scripts/install-peers", t.name, missing))
			return true
		}
		report.Tools = append(report.Tools, t.name)
		return false
	})
	for _, p := range pairs {
		changed, err := differing(p.Old, p.New)
		if err != nil {
			return report, err
		}
		row := Row{Pair: p, Changed: len(changed)}
		for _, t := range installed {
			result, err := try(ctx, l, t, p, changed)
			if err != nil {
				return report, fmt.Errorf("%s on %s: %w", t.name, p.Name, err)
			}
			say(fmt.Sprintf("%s, %s: %s bytes; make %s; apply %s", p.Name, t.name, thousands(result.Bytes), result.Make, result.Apply))
			row.Results = append(row.Results, result)
		}
		report.Rows = append(report.Rows, row)
	}
	return report, nil
}

// programs puts into the lab what no package installs: Uplevel's program, and wharf's where
// scripts/install-peers built it.
func programs(ctx context.Context, l *lab.Lab, root string) error {
	if err := os.Mkdir(l.Path("bin"), 0o755); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.Path("bin", "uplevel-delta"), "./cmd/uplevel-delta")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building uplevel-delta: %w\n%s", err, said)
	}
	wharf, err := filepath.Abs(filepath.Join(root, "build", "peers", "wharf"))
	if err != nil || !lab.Exists(wharf) {
		return err
	}
	return os.Symlink(wharf, l.Path("bin", "wharf"))
}

// try measures one tool on one pair.
func try(ctx context.Context, l *lab.Lab, t tool, p Pair, changed []change) (Result, error) {
	var result Result
	work, err := os.MkdirTemp(l.Dir, "trial-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(work)
	r := &trial{lab: l, old: p.Old, next: p.New, changed: changed, patch: filepath.Join(work, "patch"), out: filepath.Join(work, "out"), work: work}
	if err := os.Mkdir(r.patch, 0o755); err != nil {
		return result, err
	}
	if err := t.create(ctx, r); err != nil {
		return result, err
	}
	result.Make, r.spent = r.spent, Cost{}
	if result.Bytes, err = size(r.patch); err != nil {
		return result, err
	}
	if !t.whole {
		if err := lay(p.Old, p.New, r.out, changed); err != nil {
			return result, err
		}
	}
	if err := t.apply(ctx, r); err != nil {
		return result, err
	}
	result.Apply = r.spent
	if !t.whole {
		if err := setModes(p.New, r.out); err != nil {
			return result, err
		}
	}
	return result, same(p.New, r.out)
}

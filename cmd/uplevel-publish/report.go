package main

import (
	"fmt"

	"uplevel/internal/publish"
)

// maxListed bounds how many paths of one kind are listed.
const maxListed = 100

// told prints what a publishing command did, also when it was refused.
func (p *program) told(out publish.Outcome, err error) error {
	if out.Report.Line != out.Line || out.Line.Product == "" {
		return err
	}
	level := out.Line.LevelName(out.Level)
	if out.Already {
		if err == nil {
			fmt.Fprintf(p.stdout, "Level %s of %s is published already, and %s.\n", level, out.Line, out.State)
		}
		return err
	}
	p.printReport(out.Report)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Published level %s of %s, %s: %d objects, %s sent.\n", level, out.Line, out.State, out.Stored, bytesText(out.Sent))
	return nil
}

func (p *program) printReport(r publish.Report) {
	c := r.Changes
	fmt.Fprintf(p.stdout, "%s: %d files added, %d modified, %d removed\n", r.What(),
		len(c.Added), len(c.Modified), len(c.Removed))
	if r.Level > 0 || r.Hotfix != "" {
		p.printPaths("+", c.Added, r.Notes.Attribution)
		p.printPaths("~", c.Modified, r.Notes.Attribution)
		p.printPaths("-", c.Removed, r.Notes.Attribution)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(p.stdout, f.Line())
	}
}

func (p *program) printPaths(sign string, paths []string, by map[string]int) {
	for _, path := range paths[:min(len(paths), maxListed)] {
		if id, ok := by[path]; ok {
			fmt.Fprintf(p.stdout, "  %s %s (%d)\n", sign, path, id)
		} else {
			fmt.Fprintf(p.stdout, "  %s %s\n", sign, path)
		}
	}
	if more := len(paths) - maxListed; more > 0 {
		fmt.Fprintf(p.stdout, "  %s and %d more\n", sign, more)
	}
}

// bytesText returns a number of bytes as people read it.
func bytesText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

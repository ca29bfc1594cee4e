package main

import (
	"fmt"
	"slices"
	"strings"

	"uplevel/internal/plan"
	"uplevel/internal/update"
)

// tellMerges lists the files that hold both sides' changes, and how that came about.
func (t *tool) tellMerges(r *update.Result) {
	t.mergeList("Merged (yours and the vendor's changes)", r, r.Files.Merged)
	t.mergeList("Decided as before", r, r.Files.Resolved)
}

func (t *tool) mergeList(title string, r *update.Result, paths []string) {
	if len(paths) == 0 {
		return
	}
	t.sayf("%s:\n", title)
	for _, p := range paths {
		m := mergeOf(r, p)
		t.sayf("  %s (%s)\n", p, describe(m))
		t.sayDiff(m.Diff)
	}
}

func mergeOf(r *update.Result, path string) update.MergeInfo {
	i := slices.IndexFunc(r.Merges, func(m update.MergeInfo) bool { return m.Path == path })
	if i < 0 {
		return update.MergeInfo{Path: path, How: "as decided"}
	}
	return r.Merges[i]
}

func describe(m update.MergeInfo) string {
	text := m.How
	if text == "unchanged" {
		text = "your edit goes with it"
	}
	if m.RenamedFrom != "" {
		text = "renamed by the vendor from " + m.RenamedFrom + "; " + text
	}
	if n := len(m.Disputes); n > 0 {
		text += fmt.Sprintf("; %s decided by --on-conflict", plural(n, "place"))
	}
	return text
}

// tellOpen lists the conflicts of a change, each with what is asked for.
func (t *tool) tellOpen(r *update.Result) {
	if len(r.Files.Conflicts) == 0 {
		return
	}
	t.sayf("Conflicts (changed here and by the vendor):\n")
	for _, p := range r.Files.Conflicts {
		t.sayf("  %s\n", p)
		if m := mergeOf(r, p); len(m.Disputes) > 0 {
			t.tellDisputes(m.How, m.Disputes)
			t.sayDiff(m.Diff)
		}
	}
}

// tellDisputes says what both sides have where they differ.
func (t *tool) tellDisputes(how string, disputes []plan.Dispute) {
	const most = 10
	t.sayf("    merged %s but for %s:\n", how, plural(len(disputes), "place"))
	for i, d := range disputes {
		if i == most && !t.options.verbose {
			t.sayf("    … and %d more (--verbose lists them)\n", len(disputes)-most)
			return
		}
		t.sayf("    %s\n", orText(d.Key, "the whole"))
		t.sayf("      was     %s\n      yours   %s\n      vendor  %s\n", side(d.Base), side(d.Mine), side(d.Theirs))
	}
}

// side is one side of a dispute on one line.
func side(text *string) string {
	if text == nil {
		return "(nothing)"
	}
	const most = 100
	line := strings.ReplaceAll(strings.TrimRight(*text, "\r\n"), "\n", "⏎ ")
	if runes := []rune(line); len(runes) > most {
		line = string(runes[:most]) + "…"
	}
	return line
}

// sayDiff prints a difference, indented, with colours on a terminal.
func (t *tool) sayDiff(diff string) {
	for line := range strings.Lines(diff) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "+"):
			line = t.green(line)
		case strings.HasPrefix(line, "-"):
			line = t.red(line)
		}
		t.sayf("    %s\n", line)
	}
}

func (t *tool) tellConflicts(r update.ConflictsResult) {
	if len(r.Conflicts) == 0 {
		t.sayf("No conflicts wait. %s-%s is at level %s.\n", r.Product, r.Version, r.From.Name)
		return
	}
	t.sayf("%s on the way from level %s to %s, %d not decided yet:\n", plural(len(r.Conflicts), "conflict"), r.From.Name, r.To.Name, r.Unresolved)
	for _, c := range r.Conflicts {
		t.tellConflict(c)
	}
	if r.Unresolved > 0 {
		t.sayf("Decide each with %s resolve PATH --mine|--theirs|--file F|--edit, or write PATH.final;\nthen go on with %s --continue.\n", t.typed(), t.typed())
		return
	}
	t.sayf("All are decided: go on with %s --continue.\n", t.typed())
}

func (t *tool) tellConflict(c update.ConflictInfo) {
	state := "not decided"
	if c.Resolved != "" {
		state = "decided: " + c.Resolved
	}
	t.sayf("  %s (%s)\n", c.Path, state)
	switch {
	case len(c.Disputes) > 0:
		t.tellDisputes(c.How, c.Disputes)
	case c.New == "":
		t.sayf("    changed here, removed by the vendor\n")
	case c.Why == "foreign":
		t.sayf("    added here and by the vendor, and different\n")
	default:
		t.sayf("    changed here and by the vendor; it can only be taken as a whole\n")
	}
	for _, side := range []string{c.Original, c.New} {
		if side != "" {
			t.sayf("    %s\n", side)
		}
	}
	t.sayDiff(c.Diff)
}

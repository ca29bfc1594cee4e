// Package reconcile sets the operator's changes against the vendor's and gives what
// shall happen at each path as a value. It decides by the three trees; looking inside
// files that both sides changed is handed in. Pure; no I/O. The rules are described in
// docs/design/reconcile.md.
package reconcile

import (
	"fmt"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// Inside looks inside files. Errors are its own affair: what cannot be looked at is
// false, and the file is taken as a whole.
type Inside interface {
	// Merge merges a file that both sides changed. base is nil where both added it.
	// mine may stand at another path than theirs: the vendor renamed the file.
	Merge(base *manifest.Entry, mine, theirs manifest.Entry) (plan.Merged, bool)
	// Alike reports whether a file that the vendor removed lives on in one that the
	// vendor added.
	Alike(removed, added manifest.Entry) bool
}

// Policy decides what was changed by both sides and differs.
type Policy string

// The policies. The zero value stops.
const (
	Stop   Policy = ""       // a conflict, for the operator to resolve
	Mine   Policy = "mine"   // the operator's stays
	Theirs Policy = "theirs" // the vendor's is taken
)

// ParsePolicy reads stop, mine or theirs; empty text is stop.
func ParsePolicy(text string) (Policy, error) {
	switch p := Policy(text); p {
	case "stop", Stop:
		return Stop, nil
	case Mine, Theirs:
		return p, nil
	}
	return Stop, fmt.Errorf("conflict policy %.40q: want stop, mine or theirs", text)
}

// Why an outcome is as it is.
const (
	Customised = "customised" // the operator changed it
	Foreign    = "foreign"    // it stood there and no manifest listed it
	Generated  = "generated"  // the product writes it, by the vendor's rule
	Data       = "data"       // shipped once, then the operator's, by the vendor's rule
	Removed    = "removed"    // the operator removed it, or the folder that would hold it
	Restored   = "restored"   // the operator removed it and asked for it back
	Merging    = "merged"     // both sides changed it; both changes are in the result
	Resolved   = "resolved"   // both sides changed it; decided as it was once before
	Renamed    = "renamed"    // the vendor renamed it; the operator's edit went with it
	NotEmpty   = "not-empty"  // a folder that holds what must stay
	OnlyMode   = "mode"       // the content is as wanted, the permission bits were not
)

// Rules are what is said about the files of a change. The zero value stops at
// conflicts and knows no special file.
type Rules struct {
	Generated      release.Globs
	Data           release.Globs
	RestoreRemoved bool // what the operator removed comes back
	OnConflict     Policy
	WholeFiles     bool   // with [Mine]: of a file with disputes nothing of the vendor's is taken
	Inside         Inside // nil: files are taken as wholes
	// Occupied reports whether a directory on disk holds something that no tree
	// lists, at any depth. Nil: none does.
	Occupied func(dir string) bool
}

// CompileRules joins what the vendor says at both ends of a change: a file that either
// level calls generated or data is treated so.
func CompileRules(from, to release.Rules) (Rules, error) {
	generated, err := release.CompileGlobs(append(append([]string{}, from.Generated...), to.Generated...))
	if err != nil {
		return Rules{}, err
	}
	data, err := release.CompileGlobs(append(append([]string{}, from.Data...), to.Data...))
	return Rules{Generated: generated, Data: data}, err
}

// Update returns what a change of level does at each path where something happens or
// must be said, in order of path. base is the manifest of the installed level, want
// that of the wanted one, disk what stands at the paths of both; other paths of disk
// do not matter.
func Update(base, disk, want manifest.Tree, rules Rules) []plan.Outcome {
	r := survey(base, disk, want, rules)
	for _, p := range r.places {
		r.decide(p)
	}
	r.bequeath()
	r.settle()
	return r.outcomes()
}

// Revert returns what brings back former where committed stands. Where the operator
// edited since, base is committed, mine what is there now, theirs former. With
// discardEdits former comes back whatever stands there. Both trees list only paths that
// the reverted changes touched, and the folders above these.
func Revert(committed, disk, former manifest.Tree, rules Rules, discardEdits bool) []plan.Outcome {
	if discardEdits {
		// What is there counts as what was committed: then nothing was edited.
		committed = restrict(disk, committed, former)
		rules.RestoreRemoved = true
	}
	return Update(committed, disk, former, rules)
}

// restrict returns the entries of tree at the paths of a and b.
func restrict(tree, a, b manifest.Tree) manifest.Tree {
	var entries []manifest.Entry
	for _, e := range tree.Entries() {
		_, inA := a.Lookup(e.Path)
		_, inB := b.Lookup(e.Path)
		if (inA || inB) && e.Kind != manifest.Other {
			entries = append(entries, e)
		}
	}
	kept, err := manifest.NewTree(entries)
	if err != nil {
		panic("reconcile: entries of one tree repeat: " + err.Error())
	}
	return kept
}

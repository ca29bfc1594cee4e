package hotfix

import (
	"slices"
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Fits refuses, with [problem.Verification], a line or level that the hotfix is not for.
func (r Record) Fits(line release.Line, level int) error {
	if r.Line() == line && slices.Contains(r.Levels, level) {
		return nil
	}
	names := make([]string, len(r.Levels))
	for i, l := range r.Levels {
		names[i] = r.Line().LevelName(l)
	}
	return problem.New(problem.Verification, "Ask the vendor's support for a hotfix of what is installed here.",
		"Hotfix %s is for %s level %s; this is %s level %s", r.Name, r.Line(), strings.Join(names, ", "), line, line.LevelName(level))
}

// Overlay returns the tree with the hotfix on it. A path that is not as its base says is
// refused with [problem.Verification]: the hotfix does not fit.
func (r Record) Overlay(tree manifest.Tree) (manifest.Tree, error) {
	changed := make(map[string]*Entry, len(r.Files))
	for _, f := range r.Files {
		now, there := tree.Lookup(f.Path)
		if there != (f.Base != nil) || there && !now.Same(f.Base.At(f.Path)) {
			return manifest.Tree{}, r.misfit("%s is not what it changes", f.Path)
		}
		changed[f.Path] = f.Want
	}
	entries := make([]manifest.Entry, 0, tree.Len()+len(r.Files))
	for _, e := range tree.Entries() {
		if _, is := changed[e.Path]; !is {
			entries = append(entries, e)
		}
	}
	for _, f := range r.Files {
		if f.Want != nil {
			entries = append(entries, f.Want.At(f.Path))
		}
	}
	over, err := manifest.NewTree(entries)
	if err == nil {
		err = over.Check()
	}
	if err != nil {
		return manifest.Tree{}, r.misfit("%w", err)
	}
	return over, nil
}

func (r Record) misfit(format string, args ...any) error {
	return problem.New(problem.Verification, "Ask the vendor's support for a hotfix of this level.",
		"Hotfix %s does not fit: "+format, append([]any{r.Name}, args...)...)
}

// Difference returns the files of a hotfix that makes the tree want of the tree base.
func Difference(base, want manifest.Tree) []File {
	var files []File
	for _, b := range base.Entries() {
		w, there := want.Lookup(b.Path)
		if there && w.Same(b) {
			continue
		}
		f := File{Path: b.Path, Base: new(EntryOf(b))}
		if there {
			f.Want = new(EntryOf(w))
		}
		files = append(files, f)
	}
	for _, w := range want.Entries() {
		if _, there := base.Lookup(w.Path); !there {
			files = append(files, File{Path: w.Path, Want: new(EntryOf(w))})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// Next tells how the hotfix stands to those that are applied, by name and in order: it is
// applied already, or some that it needs are missing.
func (r Record) Next(applied []string) (missing []string, already bool) {
	if slices.Contains(applied, r.Name) {
		return nil, true
	}
	for _, need := range r.Needs {
		if !slices.Contains(applied, need) {
			missing = append(missing, need)
		}
	}
	return missing, false
}

// Fate is what becomes of the applied hotfixes at an update; each list keeps their order.
type Fate struct {
	Absorbed []string // a level on the way contains them: dropped from the ledger
	Kept     []string // laid over the new level, which they must fit
	Refused  []string // neither: the update is refused, naming them
}

// Absorb decides about applied hotfixes, by name, at an update over levels with the notes
// way to the one with the notes wanted. What a level contains is absorbed, whatever the
// wanted one keeps.
func Absorb(applied []string, way []release.Notes, wanted release.Notes) Fate {
	var fate Fate
	for _, name := range applied {
		absorbs := func(n release.Notes) bool { return names(n.AbsorbsHotfixes, name) }
		switch {
		case absorbs(wanted) || slices.ContainsFunc(way, absorbs):
			fate.Absorbed = append(fate.Absorbed, name)
		case names(wanted.KeepsHotfixes, name):
			fate.Kept = append(fate.Kept, name)
		default:
			fate.Refused = append(fate.Refused, name)
		}
	}
	return fate
}

// names reports whether a list of notes names a hotfix, as ORG-hfN or ORG-hf-N.
func names(list []string, name string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		got, err := ParseName(l)
		return err == nil && got == name
	})
}

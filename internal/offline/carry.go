package offline

import (
	"io"
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
)

// edited is how large a text may be that people are expected to edit, unless the vendor
// says which files those are.
const edited = 1 << 20

// level is one level with what the vendor signed for it.
type level struct {
	listed release.Listed
	record release.Record
	tree   manifest.Tree
}

func (l level) line() release.Line { return l.record.Line() }

// start is a level that the update may begin at, and the installations there.
type start struct {
	level

	states []statefile.State
}

// contents are refs without repetition.
type contents map[digest.Digest]release.Ref

func (c contents) add(e manifest.Entry) {
	if e.Kind == manifest.File {
		c[e.Sum] = release.Ref{Sum: e.Sum, Size: e.Size}
	}
}

// list returns them by digest, but for those that are among others.
func (c contents) list(others contents) []release.Ref {
	var refs []release.Ref
	for sum, ref := range c {
		if _, there := others[sum]; !there {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b release.Ref) int { return a.Sum.Compare(b.Sum) })
	return refs
}

// wanted returns the contents of the wanted level that going there from a start may put
// in place: where the start has something else, and where an installation does.
func wanted(from start, to level) contents {
	c := contents{}
	for _, e := range to.tree.Entries() {
		if before, there := from.tree.Lookup(e.Path); !there || !before.SameContent(e) {
			c.add(e)
		}
	}
	for _, s := range from.states {
		for _, path := range s.Differs(from.tree) {
			if e, there := to.tree.Lookup(path); there {
				c.add(e)
			}
		}
	}
	return c
}

// former returns the contents of a start level that an installation differs from: the
// bases of what is merged there.
func former(from start) contents {
	c := contents{}
	for _, s := range from.states {
		for _, path := range s.Differs(from.tree) {
			if e, there := from.tree.Lookup(path); there {
				c.add(e)
			}
		}
	}
	return c
}

// edits returns the files of a start level that people edit and the way to the wanted
// level changes or removes. Where only their content tells, sure is false.
func edits(from start, to level) (files []manifest.Entry, sure bool, err error) {
	globs := slices.Concat(from.record.Rules.KeepPristine, to.record.Rules.KeepPristine)
	named, err := release.CompileGlobs(globs)
	if err != nil {
		return nil, false, err
	}
	for _, e := range from.tree.Entries() {
		after, there := to.tree.Lookup(e.Path)
		if e.Kind != manifest.File || there && after.SameContent(e) {
			continue
		}
		if len(globs) > 0 && named.Match(e.Path) || len(globs) == 0 && e.Size <= edited {
			files = append(files, e)
		}
	}
	return files, len(globs) > 0, nil
}

// isText reports whether content looks like text: no NUL in its first 8 KiB, as an
// installation judges it when it keeps pristine copies.
func isText(r io.Reader) (bool, error) {
	head, err := io.ReadAll(io.LimitReader(r, 8<<10))
	return !strings.Contains(string(head), "\x00"), err
}

package publish

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v4"

	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// ParseNotes reads the notes of a level as the release engineer writes them: YAML
// without unknown or repeated keys. Missing descriptions are left to validation.
func ParseNotes(text []byte) (release.Notes, error) {
	var n release.Notes
	if err := strictYAML(text, &n); err != nil {
		return release.Notes{}, problem.New(problem.Failed, "Look at the example in the guide for release engineers.",
			"Unable to read the notes: %w", err)
	}
	if n.Updates == nil {
		n.Updates = []release.Update{}
	}
	if err := n.Check(); err != nil {
		return release.Notes{}, problem.New(problem.Failed, "Give every update an id of its own and a type.",
			"Unable to use the notes: %w", err)
	}
	for _, u := range n.Updates {
		if _, err := release.CompileGlobs(u.Files); err != nil {
			return release.Notes{}, problem.New(problem.Failed, "Correct the glob.", "Update %d of the notes: %w", u.ID, err)
		}
	}
	return n, nil
}

// ParseRules reads the file of --rules.
func ParseRules(text []byte) (release.Rules, error) {
	var r release.Rules
	err := strictYAML(text, &r)
	for _, globs := range [][]string{r.Generated, r.Data, r.KeepPristine} {
		if err == nil {
			_, err = release.CompileGlobs(globs)
		}
	}
	if err != nil {
		return release.Rules{}, problem.New(problem.Failed, "It may hold lists of globs named generated, data and keep_pristine.",
			"Unable to read the rules: %w", err)
	}
	return r, nil
}

// strictYAML reads one document without unknown keys; an empty text is an empty value.
func strictYAML(text []byte, into any) error {
	if len(text) > release.MaxNotes {
		return fmt.Errorf("%d bytes, the limit is %d", len(text), release.MaxNotes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err := dec.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// changesOf compares two trees: files and links that appear, differ in anything, or go.
func changesOf(former, tree manifest.Tree) release.Changes {
	var c release.Changes
	for _, e := range tree.Entries() {
		old, there := former.Lookup(e.Path)
		switch {
		case e.Kind == manifest.Dir:
		case !there || old.Kind == manifest.Dir:
			c.Added = append(c.Added, e.Path)
		case !old.Same(e):
			c.Modified = append(c.Modified, e.Path)
		}
	}
	for _, old := range former.Entries() {
		now, there := tree.Lookup(old.Path)
		if old.Kind != manifest.Dir && (!there || now.Kind == manifest.Dir) {
			c.Removed = append(c.Removed, old.Path)
		}
	}
	return c
}

// attribute says which update explains each changed path: the first whose globs match;
// else the only one without globs. With several of those the rest belongs to the level
// as a whole. What remains is unattributed.
func attribute(n *release.Notes) error {
	type rule struct {
		id    int
		globs release.Globs
	}
	var rules []rule
	var whole []int
	for _, u := range n.Updates {
		if len(u.Files) == 0 {
			whole = append(whole, u.ID)
			continue
		}
		globs, err := release.CompileGlobs(u.Files)
		if err != nil {
			return err
		}
		rules = append(rules, rule{u.ID, globs})
	}
	n.Attribution, n.Unattributed = map[string]int{}, nil
	for _, path := range slices.SortedFunc(slices.Values(allChanged(n.Changes)), cmp.Compare[string]) {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.globs.Match(path) })
		switch {
		case i >= 0:
			n.Attribution[path] = rules[i].id
		case len(whole) == 1:
			n.Attribution[path] = whole[0]
		case len(whole) == 0:
			n.Unattributed = append(n.Unattributed, path)
		}
	}
	return nil
}

func allChanged(c release.Changes) []string { return slices.Concat(c.Added, c.Modified, c.Removed) }

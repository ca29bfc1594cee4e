package archive

import (
	"context"
	"path"
	"strings"

	"uplevel/internal/archive/anatomy"
)

// act is what happens to one member.
type act int

const (
	drop          act = iota // gone
	takeMine                 // mine's record
	takeTheirs               // theirs' record
	mergeBoth                // both changed it
	mineRemoved              // a conflict: gone in mine
	theirsRemoved            // a conflict: gone in theirs
)

// choice is one member in the three archives, nil where it is not, and what happens.
type choice struct {
	base, mine, theirs *anatomy.Member

	act   act
	alike bool // mine and theirs have the same content
}

// choices are those of all members of mine and theirs, by path.
type choices map[string]*choice

// choose decides about every member of mine and theirs.
func (m *merger) choose(ctx context.Context, f frames) (choices, error) {
	all := make(choices, len(f.mine.Members))
	for _, side := range []*anatomy.Archive{f.mine, f.theirs} {
		for _, one := range side.Members {
			p := one.Path()
			if all[p] != nil {
				continue
			}
			c := &choice{base: f.base.Lookup(p), mine: f.mine.Lookup(p), theirs: f.theirs.Lookup(p)}
			if err := m.decide(ctx, f, c); err != nil {
				return nil, err
			}
			all[p] = c
		}
	}
	// What each side has in order may still not go together: a file of one side where
	// the other has a folder.
	isFile := func(p string) bool { c := all[p]; return c != nil && m.stays(c) != nil && !m.stays(c).Folder() }
	for p, c := range all {
		if above, ok := anatomy.FileAbove(p, isFile); ok && m.stays(c) != nil {
			return nil, whole("%.200q is a file in one archive and a folder in the other", above)
		}
	}
	return all, nil
}

// decide is the table of three versions.
func (m *merger) decide(ctx context.Context, f frames, c *choice) error {
	var sameMine, sameTheirs bool // as the base has it
	var err error
	if c.mine != nil && c.theirs != nil {
		c.alike, err = m.same(ctx, f.mine, c.mine, f.theirs, c.theirs)
	}
	if err == nil && c.base != nil && c.mine != nil && !c.alike {
		sameMine, err = m.same(ctx, f.base, c.base, f.mine, c.mine)
	}
	if err == nil && c.base != nil && c.theirs != nil && !c.alike && !sameMine {
		sameTheirs, err = m.same(ctx, f.base, c.base, f.theirs, c.theirs)
	}
	if err != nil {
		return err
	}
	switch {
	case c.alike:
		c.act = takeMine
	case c.mine != nil && c.theirs != nil:
		c.act = pick(sameMine, sameTheirs, mergeBoth)
	case c.base == nil && c.mine != nil:
		c.act = takeMine
	case c.base == nil:
		c.act = takeTheirs
	case sameMine || sameTheirs:
		c.act = drop
	case c.mine == nil:
		c.act = mineRemoved
	default:
		c.act = theirsRemoved
	}
	return nil
}

// pick takes the side that changed something, else what is for both.
func pick(sameMine, sameTheirs bool, both act) act {
	switch {
	case sameMine:
		return takeTheirs
	case sameTheirs:
		return takeMine
	}
	return both
}

// stays returns the record whose place the result has, nil if the member is gone.
func (m *merger) stays(c *choice) *anatomy.Member {
	switch c.act {
	case drop:
		return nil
	case takeMine:
		return c.mine
	case takeTheirs:
		return c.theirs
	case mergeBoth, mineRemoved, theirsRemoved:
		if m.preferTheirs {
			return c.theirs
		}
		return c.mine
	}
	return nil
}

// order returns what stays in mine's order, and what only theirs has after the member
// that it follows there. The manifest stays first.
func (m *merger) order(all choices, mine, theirs []*anatomy.Member) []*choice {
	after := map[string][]*choice{}
	anchor := "" // nothing before
	for _, t := range theirs {
		c := all[t.Path()]
		switch {
		case m.stays(c) == nil:
		case c.mine == nil:
			after[anchor] = append(after[anchor], c)
		default:
			anchor = t.Path()
		}
	}
	var ordered []*choice
	held, leading := after[""], true
	for _, one := range mine {
		c := all[one.Path()]
		if m.stays(c) == nil {
			continue
		}
		leading = leading && (one.Name == "META-INF/" || one.Name == "META-INF/MANIFEST.MF")
		if !leading {
			ordered, held = append(ordered, held...), nil
		}
		ordered, held = append(ordered, c), append(held, after[one.Path()]...)
	}
	return append(ordered, held...)
}

// breaksSignature reports whether a side is signed and the result would have the files of
// neither.
func breaksSignature(f frames, all choices) bool {
	if signedBy(f.mine).Gone && signedBy(f.theirs).Gone {
		return false
	}
	isMine, isTheirs := true, true
	for _, c := range all {
		if (c.mine == nil || c.mine.Folder()) && (c.theirs == nil || c.theirs.Folder()) {
			continue
		}
		switch c.act {
		case drop:
			isMine, isTheirs = isMine && c.mine == nil, isTheirs && c.theirs == nil
		case takeMine:
			isTheirs = isTheirs && c.alike
		case takeTheirs:
			isMine = false
		case mergeBoth, mineRemoved, theirsRemoved:
			return true
		}
	}
	return !isMine && !isTheirs
}

// signedBy names the signatures of an archive.
func signedBy(f *anatomy.Archive) Value {
	var names []string
	for _, m := range f.Members {
		dir, name := path.Split(strings.ToUpper(m.Name))
		if dir == "META-INF/" && strings.HasSuffix(name, ".SF") {
			names = append(names, m.Name)
		}
	}
	return Value{Text: strings.Join(names, " "), Gone: len(names) == 0}
}

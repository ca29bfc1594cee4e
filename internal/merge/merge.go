// Package merge merges three versions of one file: what the vendor shipped, what the
// operator made of it, and what the vendor ships now. By key where a format is known,
// by line otherwise. Pure; the text is spliced from the sides, never written anew.
// Described in docs/design/merge.md.
package merge

import (
	"bytes"
	"errors"
	"fmt"
)

// The bounds of one side.
const (
	MaxKeyed = 2 << 20 // bytes that are merged by key; larger texts are merged by line
	MaxText  = 4 << 20 // bytes that are merged at all
	MaxNodes = 15_000
	MaxDepth = 100
	maxLines = 100_000
)

// ErrBound says that a text is too large for its format to be looked into: whether it is of
// the format is not known, nor would it be of what is merged.
var ErrBound = errors.New("too large to be looked into")

// ErrWhole says that the file can only be taken as a whole: it is no text, too large,
// or merging it would damage it. The text around it says why.
var ErrWhole = errors.New("only as a whole file")

// Sides are the three versions of one file.
type Sides struct {
	Base   []byte // as the vendor shipped it; empty where both sides added the file
	Mine   []byte // what the operator made of it
	Theirs []byte // as the vendor ships it now
}

// Format finds the keys of a text. The texts given to it are UTF-8 where they have a
// known encoding; lines may end in LF or CR LF.
type Format interface {
	// Name is what people are told: "TOML".
	Name() string
	// Check refuses a text that is not of the format.
	Check(text string) error
	// Parse returns the text in pieces, or an error where it is not of the format or
	// holds what cannot be merged by key, such as a key that is given twice.
	Parse(text string) (*Node, error)
}

// Conflict is one place that both sides changed and left different.
type Conflict struct {
	Key                string // "server.port", or "lines 10–12"
	Base, Mine, Theirs Value
}

// Value is what one side has at a place.
type Value struct {
	Text    string
	Present bool // false: the side has nothing there
}

// Result is a merged file.
type Result struct {
	How       string // "by key (TOML)", "by line"; "unchanged" where one side did not change it
	ByLine    bool
	Merged    []byte // with the operator's side at every conflict
	Theirs    []byte // with the vendor's side at every conflict; nil without conflicts
	Conflicts []Conflict
}

// Merge merges three versions of a file; f is nil where only lines are known of it. An
// error is [ErrWhole].
func Merge(s Sides, f Format) (Result, error) {
	switch {
	case bytes.Equal(s.Theirs, s.Base), bytes.Equal(s.Theirs, s.Mine):
		return Result{How: "unchanged", Merged: s.Mine}, nil
	case bytes.Equal(s.Mine, s.Base):
		return Result{How: "unchanged", Merged: s.Theirs}, nil
	}
	d, err := decode(s)
	if err != nil {
		return Result{}, err
	}
	if f != nil {
		if m, ok := d.byKey(f); ok {
			return d.result("by key ("+f.Name()+")", m)
		}
	}
	m, err := lines(d.base, d.mine, d.theirs)
	if err != nil {
		return Result{}, err
	}
	if f != nil {
		if err := errors.Join(d.stillParses(f, m), d.repeatsNone(f, m)); err != nil {
			return Result{}, err
		}
	}
	r, err := d.result("by line", m)
	r.ByLine = true
	return r, err
}

// merged is a merge of decoded texts.
type merged struct {
	mine, theirs string // with the one or the other side at conflicts
	conflicts    []Conflict
}

func (d decoded) byKey(f Format) (merged, bool) {
	if max(len(d.base), len(d.mine), len(d.theirs)) > MaxKeyed {
		return merged{}, false
	}
	m, err := keys(f, d.base, d.mine, d.theirs)
	return m, err == nil
}

// stillParses refuses a merge by line that breaks what every side has.
func (d decoded) stillParses(f Format, m merged) error {
	for _, side := range []string{d.base, d.mine, d.theirs} {
		switch err := f.Check(side); {
		case errors.Is(err, ErrBound):
			return fmt.Errorf("%w: %w", ErrWhole, err)
		case err != nil:
			return nil //nolint:nilerr // there is nothing to break
		}
	}
	if f.Check(m.mine) != nil || len(m.conflicts) > 0 && f.Check(m.theirs) != nil {
		return fmt.Errorf("%w: merged by line it would be no %s any more", ErrWhole, f.Name())
	}
	return nil
}

// repeater is a format in which a key may be given again, and one of them counts.
type repeater interface {
	// Repeats returns the keys that a text gives again, and how often.
	Repeats(text string) map[string]int
}

// repeatsNone refuses a merge by line that gives a key again where no side does: each side
// put it in another place, and the one would count for nothing, unseen.
func (d decoded) repeatsNone(f Format, m merged) error {
	r, ok := f.(repeater)
	if !ok {
		return nil
	}
	for _, text := range []string{m.mine, m.theirs} {
		again := r.Repeats(text)
		if len(again) == 0 {
			continue
		}
		mine, theirs := r.Repeats(d.mine), r.Repeats(d.theirs)
		for key, n := range again {
			if n > max(mine[key], theirs[key]) {
				return fmt.Errorf("%w: merged by line it would have %.200s once more", ErrWhole, key)
			}
		}
	}
	return nil
}

func (d decoded) result(how string, m merged) (Result, error) {
	r := Result{How: how, Conflicts: m.conflicts}
	var err error
	if r.Merged, err = d.encode(m.mine); err != nil {
		return Result{}, err
	}
	if len(m.conflicts) > 0 {
		r.Theirs, err = d.encode(m.theirs)
	}
	return r, err
}

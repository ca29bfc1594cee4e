// Package diff3 compares sequences of numbers as git compares the lines of files: two of
// them, or two with what both came from.
package diff3

import "errors"

// ErrTooDifferent says that sequences differ in more places than are looked for.
var ErrTooDifferent = errors.New("too many differences")

// Span is a half-open range of elements.
type Span struct{ From, To int }

// Len is the number of elements.
func (s Span) Len() int { return s.To - s.From }

// Change says who changed a region.
type Change string

// Who changed a region.
const (
	Stable     Change = "stable"      // all three are alike
	MineOnly   Change = "mine only"   // theirs is as base
	TheirsOnly Change = "theirs only" // mine is as base
	Alike      Change = "alike"       // both changed it, to the same
	Clash      Change = "clash"       // both changed it and differ
)

// Region is a part of three sequences.
type Region struct {
	Change             Change
	Base, Mine, Theirs Span
}

// Regions aligns three sequences; the regions come in order and cover all of them. Changes
// that overlap or touch are one region, as for `git merge-file`: only an element that all
// three have alike sets them apart. Too many differences are [ErrTooDifferent].
func Regions(base, mine, theirs []int) ([]Region, error) {
	m, err := diff(base, mine, maxDifferences)
	if err != nil {
		return nil, err
	}
	t, err := diff(base, theirs, maxDifferences)
	if err != nil {
		return nil, err
	}
	w := weave{mine: mine, theirs: theirs}
	for len(m) > 0 || len(t) > 0 {
		var ours, vendors []hunk
		ours, m, vendors, t = block(m, t)
		w.add(ours, vendors)
	}
	w.keep(len(base) - w.at.base)
	return w.regions, nil
}

// block takes the first hunks that touch each other off both sides' changes.
func block(m, t []hunk) (mine, restMine, theirs, restTheirs []hunk) {
	i, j, end := 0, 0, never
	for _, side := range [][]hunk{m, t} {
		if len(side) > 0 {
			end = min(end, side[0].a.From)
		}
	}
	for {
		switch {
		case i < len(m) && m[i].a.From <= end:
			end, i = max(end, m[i].a.To), i+1
		case j < len(t) && t[j].a.From <= end:
			end, j = max(end, t[j].a.To), j+1
		default:
			return m[:i], m[i:], t[:j], t[j:]
		}
	}
}

// weave lays down regions.
type weave struct {
	mine, theirs []int
	at           struct{ base, mine, theirs int } // laid down so far
	regions      []Region
}

// take lays down the next elements of each side.
func (w *weave) take(c Change, base, mine, theirs int) {
	if base+mine+theirs == 0 {
		return
	}
	r := Region{
		Change: c,
		Base:   Span{w.at.base, w.at.base + base},
		Mine:   Span{w.at.mine, w.at.mine + mine},
		Theirs: Span{w.at.theirs, w.at.theirs + theirs},
	}
	w.at.base, w.at.mine, w.at.theirs = r.Base.To, r.Mine.To, r.Theirs.To
	w.regions = append(w.regions, r)
}

// keep lays down elements that all three have alike.
func (w *weave) keep(n int) { w.take(Stable, n, n, n) }

// add lays down one block of changes.
func (w *weave) add(m, t []hunk) {
	from, to := never, 0
	grownMine, grownTheirs := 0, 0
	for _, h := range m {
		from, to = min(from, h.a.From), max(to, h.a.To)
		grownMine += h.b.Len() - h.a.Len()
	}
	for _, h := range t {
		from, to = min(from, h.a.From), max(to, h.a.To)
		grownTheirs += h.b.Len() - h.a.Len()
	}
	w.keep(from - w.at.base)
	n := to - from
	switch {
	case len(t) == 0:
		w.take(MineOnly, n, n+grownMine, n)
	case len(m) == 0:
		w.take(TheirsOnly, n, n, n+grownTheirs)
	default:
		w.both(n, n+grownMine, n+grownTheirs)
	}
}

// both lays down what both sides changed. What they begin or end alike is no part of a
// clash; the base's elements stay with it, unless all three are equally long and so show
// what became of each.
func (w *weave) both(base, mine, theirs int) {
	m := w.mine[w.at.mine : w.at.mine+mine]
	t := w.theirs[w.at.theirs : w.at.theirs+theirs]
	inner := trim(m, t)
	head, tail := inner.a.From, mine-inner.a.To
	if head == mine && head == theirs {
		w.take(Alike, base, mine, theirs)
		return
	}
	inBase := func(n int) int {
		if base == mine && base == theirs {
			return n
		}
		return 0
	}
	w.take(Alike, inBase(head), head, head)
	w.take(Clash, base-inBase(head+tail), inner.a.Len(), inner.b.Len())
	w.take(Alike, inBase(tail), tail, tail)
}

package merge

// span is a half-open range of elements.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// change says who changed a region.
type change string

const (
	stable     change = "stable"      // all three are alike
	mineOnly   change = "mine only"   // theirs is as base
	theirsOnly change = "theirs only" // mine is as base
	alike      change = "alike"       // both changed it, to the same
	clash      change = "clash"       // both changed it and differ
)

// region is a part of three sequences. Regions come in order and cover all of them.
type region struct {
	change             change
	base, mine, theirs span
}

// diff3 aligns three sequences. Changes that overlap or touch are one region, as for `git
// merge-file`: only an element that all three have alike sets them apart.
func diff3(base, mine, theirs []int) ([]region, error) {
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
			end = min(end, side[0].a.from)
		}
	}
	for {
		switch {
		case i < len(m) && m[i].a.from <= end:
			end, i = max(end, m[i].a.to), i+1
		case j < len(t) && t[j].a.from <= end:
			end, j = max(end, t[j].a.to), j+1
		default:
			return m[:i], m[i:], t[:j], t[j:]
		}
	}
}

// weave lays down regions.
type weave struct {
	mine, theirs []int
	at           struct{ base, mine, theirs int } // laid down so far
	regions      []region
}

// take lays down the next elements of each side.
func (w *weave) take(c change, base, mine, theirs int) {
	if base+mine+theirs == 0 {
		return
	}
	r := region{
		change: c,
		base:   span{w.at.base, w.at.base + base},
		mine:   span{w.at.mine, w.at.mine + mine},
		theirs: span{w.at.theirs, w.at.theirs + theirs},
	}
	w.at.base, w.at.mine, w.at.theirs = r.base.to, r.mine.to, r.theirs.to
	w.regions = append(w.regions, r)
}

// keep lays down elements that all three have alike.
func (w *weave) keep(n int) { w.take(stable, n, n, n) }

// add lays down one block of changes.
func (w *weave) add(m, t []hunk) {
	from, to := never, 0
	grownMine, grownTheirs := 0, 0
	for _, h := range m {
		from, to = min(from, h.a.from), max(to, h.a.to)
		grownMine += h.b.len() - h.a.len()
	}
	for _, h := range t {
		from, to = min(from, h.a.from), max(to, h.a.to)
		grownTheirs += h.b.len() - h.a.len()
	}
	w.keep(from - w.at.base)
	n := to - from
	switch {
	case len(t) == 0:
		w.take(mineOnly, n, n+grownMine, n)
	case len(m) == 0:
		w.take(theirsOnly, n, n, n+grownTheirs)
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
	head, tail := inner.a.from, mine-inner.a.to
	if head == mine && head == theirs {
		w.take(alike, base, mine, theirs)
		return
	}
	inBase := func(n int) int {
		if base == mine && base == theirs {
			return n
		}
		return 0
	}
	w.take(alike, inBase(head), head, head)
	w.take(clash, base-inBase(head+tail), inner.a.len(), inner.b.len())
	w.take(alike, inBase(tail), tail, tail)
}

package update

import (
	"errors"
	"io"
	"io/fs"

	"uplevel/internal/merge/unified"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// diffs adds to the result what would change in files that both sides changed: from
// what is there to what would be; at a conflict to the vendor's choice.
func (u *Updater) diffs(res *Result, src Source) error {
	for i := range res.Merges {
		m := &res.Merges[i]
		o, ok := outcomeAt(res.Plan, m.Path)
		if !ok {
			continue
		}
		from, to := m.Path, resultOf(o)
		if m.RenamedFrom != "" {
			from = m.RenamedFrom
		}
		a, err := small(u.Home.OpenFile(from))
		if err != nil {
			return err
		}
		b, err := small(src.Open(to))
		if errors.Is(err, fs.ErrNotExist) {
			continue // an earlier decision for the operator's own
		}
		if err != nil {
			return err
		}
		m.Diff = unified.Diff("here/"+from, "updated/"+m.Path, a, b)
	}
	return nil
}

func resultOf(o plan.Outcome) release.Ref {
	if o.Action == plan.Conflict {
		return *o.Inside.Theirs
	}
	return release.Ref{Sum: o.Result.Sum, Size: o.Result.Size}
}

// small reads no more than can be compared.
func small(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, unified.MaxSize+1))
}

// conflictDiffs adds to each conflict what the vendor changed.
func (u *Updater) conflictDiffs(res *ConflictsResult) {
	for i := range res.Conflicts {
		c := &res.Conflicts[i]
		from := c.Original
		if from == "" {
			from = c.Path
		}
		a, err := small(u.Home.OpenFile(from))
		if err != nil {
			a = nil // the operator put something else there
		}
		var b []byte
		if c.New != "" {
			if b, err = small(u.Home.OpenFile(c.New)); err != nil {
				continue
			}
		}
		c.Diff = unified.Diff(from, c.Path+".new", a, b)
	}
}

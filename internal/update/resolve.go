package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// Resolve decides one conflict of the pending change; it may be decided again until the
// change is committed. path is relative to the product home.
func (u *Updater) Resolve(ctx context.Context, path string, choice Resolution) (ConflictsResult, error) {
	if err := choice.check(); err != nil {
		return ConflictsResult{}, problem.New(problem.Usage, "Name one of --mine, --theirs and --file F.", "resolve %s: %w", path, err)
	}
	err := u.exclusive(ctx, false, func() error {
		pending, err := u.Home.Pending()
		if errors.Is(err, fs.ErrNotExist) {
			return problem.New(problem.Failed, "Run update first.", "There is no change whose conflicts wait")
		}
		if err != nil {
			return err
		}
		if err := resolvable(pending.Plan, path, choice); err != nil {
			return err
		}
		return u.Home.Resolve(path, choice)
	})
	if err != nil {
		return ConflictsResult{}, err
	}
	return u.Conflicts(ctx)
}

// resolvable refuses what is no conflict, and to put something in a folder's place or a
// folder in something's place: with it go paths that the plan does not speak of.
func resolvable(p *plan.Plan, path string, choice Resolution) error {
	i := slices.IndexFunc(p.Outcomes, func(o plan.Outcome) bool { return o.Path == path && o.Action == plan.Conflict })
	if i < 0 {
		return problem.New(problem.Failed, "See the conflicts with conflicts.", "%s is no conflict of the pending change", path)
	}
	if o := p.Outcomes[i]; !choice.Mine && (isDir(o.Disk) || isDir(o.Want)) {
		return problem.New(problem.Refused, "Keep it with --mine, or move it away yourself and run update again.",
			"%s cannot be replaced: on one side it is a folder", path)
	}
	return nil
}

package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"uplevel/internal/merge/unified"
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
	return u.Conflicts(ctx, false)
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

// Both returns the two choices on a conflict of the pending change in one text, with
// marks where they differ, for an editor.
func (u *Updater) Both(ctx context.Context, path string) ([]byte, error) {
	if err := u.ready(ctx); err != nil {
		return nil, err
	}
	pending, err := u.Home.Pending()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Failed, "Run update first.", "There is no change whose conflicts wait")
	}
	if err != nil {
		return nil, err
	}
	if err := resolvable(pending.Plan, path, Resolution{File: path}); err != nil {
		return nil, err
	}
	mine, err := small(u.Home.OpenChoice(path, false))
	if err != nil {
		return nil, err
	}
	theirs, err := small(u.Home.OpenChoice(path, true))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, ok := unified.Marked("as it is here", mine, "the vendor's", theirs)
	if !ok {
		return nil, problem.New(problem.Refused, "Use --mine, --theirs or --file F.", "%s is no text that can be edited with both sides", path)
	}
	return text, nil
}

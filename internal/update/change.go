package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Update brings the product to the wanted level. Conflicts end with a prepared change
// and an error of kind [problem.Conflicts]; the result is filled then too. With DryRun
// nothing is written, and result and error are those of the real run.
func (u *Updater) Update(ctx context.Context, opts Options) (*Result, error) {
	return u.change(ctx, "update", opts, (*job).update)
}

// Prepare does everything but the commit, while the product runs.
func (u *Updater) Prepare(ctx context.Context, opts Options) (*Result, error) {
	return u.change(ctx, "prepare", opts, (*job).prepareOnly)
}

// Plan works out what [Updater.Update] would do. Conflicts are listed and no error.
func (u *Updater) Plan(ctx context.Context, opts Options) (*Result, error) {
	opts.DryRun = true
	return u.change(ctx, "plan", opts, (*job).planOnly)
}

// change runs do on a job, with the home locked and recovered, and reports.
func (u *Updater) change(ctx context.Context, operation string, opts Options, do func(*job, context.Context) error) (*Result, error) {
	var res *Result
	err := u.exclusive(ctx, opts.DryRun, func() error {
		j, err := u.start(operation, opts)
		if err != nil {
			return err
		}
		defer j.close()
		res = j.res
		if done, err := j.already(); err != nil || done {
			res.Outcome = Nothing
			return err
		}
		return do(j, ctx)
	})
	if res == nil {
		res = u.newResult(operation, u.Home.State())
	}
	u.reportFailure(ctx, res, err, opts.silent() || operation == "prepare")
	return res, err
}

func (j *job) planOnly(ctx context.Context) error {
	if above, err := j.choose(ctx); err != nil || !above {
		return err
	}
	if err := j.work(ctx); err != nil {
		return err
	}
	j.res.Outcome = Planned
	if j.opts.Diffs {
		return j.u.diffs(j.res, made{j.inside, bytesOf{j.u}})
	}
	return nil
}

func (j *job) prepareOnly(ctx context.Context) error {
	if staged, err := j.stage(ctx); err != nil || !staged {
		return err
	}
	j.res.Outcome = Prepared
	return j.stopAtConflicts()
}

func (j *job) update(ctx context.Context) error {
	if staged, err := j.stage(ctx); err != nil || !staged {
		return err
	}
	return j.finish(ctx)
}

// finish commits what was staged, unless it waits for the operator.
func (j *job) finish(ctx context.Context) error {
	if err := j.stopAtConflicts(); err != nil {
		return err
	}
	return j.u.commit(ctx, j.res, j.opts.NoReport)
}

// stage does everything up to the prepared change; false when there is nothing to do or
// nothing may be written.
func (j *job) stage(ctx context.Context) (bool, error) {
	if above, err := j.choose(ctx); err != nil || !above {
		return false, err
	}
	if err := j.work(ctx); err != nil {
		return false, err
	}
	return j.carry(ctx)
}

// carry fetches and prepares what was planned; a dry run ends before.
func (j *job) carry(ctx context.Context) (bool, error) {
	if !j.still {
		if err := j.u.noHotfixWaits(); err != nil {
			return false, err
		}
	}
	if err := j.u.lost(j.plan, j.to); err != nil {
		return false, err
	}
	if err := j.u.Home.Check(j.plan, j.extra); err != nil {
		return false, err
	}
	if j.opts.DryRun {
		j.res.Outcome = Planned
		return false, j.stopAtConflicts()
	}
	if err := j.u.withoutLostSides(ctx, j.plan, j.from, j.to); err != nil {
		return false, err
	}
	j.u.begin("stage", len(j.plan.Outcomes))
	defer j.u.end()
	j.extra.Hold = j.res.Operation == "prepare"
	return true, j.u.Home.Prepare(ctx, j.plan, made{j.inside, bytesOf{j.u}}, j.extra)
}

// stopAtConflicts ends a change that waits for the operator.
func (j *job) stopAtConflicts() error {
	if len(j.res.Files.Conflicts) == 0 {
		return nil
	}
	j.res.Outcome = Conflicts
	return conflictsError(j.res)
}

func conflictsError(r *Result) error {
	n := len(r.Files.Conflicts)
	what := "1 file was changed both here and by the vendor"
	if n != 1 {
		what = fmt.Sprintf("%d files were changed both here and by the vendor", n)
	}
	next := "See them with conflicts, decide each with resolve or by writing FILE.final, then run --continue."
	if r.DryRun {
		next = "Run " + r.command() + ": it writes both versions beside each file, for you to decide; or say --on-conflict mine or theirs."
	}
	return problem.New(problem.Conflicts, next, "%s: %s", what, shorten(r.Files.Conflicts)).
		Standing("The product is wholly at level " + r.From.Name + " and can run.")
}

func shorten(paths []string) string {
	const most = 5
	text := ""
	for i, p := range paths {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(paths)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += p
	}
	return text
}

// commit commits a prepared change and reports.
func (u *Updater) commit(ctx context.Context, res *Result, noReport bool) error {
	u.begin("commit", len(res.Plan.Outcomes))
	done, err := u.Home.Commit(ctx)
	u.end()
	if err != nil {
		return err
	}
	res.Outcome = Done
	res.CommitMillis = done.Duration.Milliseconds()
	res.History = done.ID
	res.Back = "revert"
	if res.Plan.Kind == plan.Hotfix {
		res.Back = "revert-hotfix"
	}
	res.Files.Rescued = append(res.Files.Rescued, done.Rescued...)
	res.Store, res.Backup, res.BackupBytes = done.Store, done.Backup, done.BackupBytes
	if !noReport {
		u.report(ctx, res)
	}
	return nil
}

// Apply carries out a plan that was made earlier. It plans again and refuses when the
// installation, or what the vendor signed about both levels, is not as it was.
func (u *Updater) Apply(ctx context.Context, given *plan.Plan, opts Options) (*Result, error) {
	opts.Channel, opts.Level = given.To.Channel, given.Line().LevelName(given.To.Level)
	return u.change(ctx, "apply", opts, func(j *job, ctx context.Context) error {
		if err := j.accepts(given); err != nil {
			return err
		}
		if above, err := j.choose(ctx); err != nil || !above {
			return err
		}
		if err := j.work(ctx); err != nil {
			return err
		}
		if err := sameBasis(given, j.plan); err != nil {
			return err
		}
		if staged, err := j.carry(ctx); err != nil || !staged {
			return err
		}
		return j.finish(ctx)
	})
}

// accepts refuses a plan of another product, kind or installed level.
func (j *job) accepts(given *plan.Plan) error {
	switch {
	case given.Product != j.state.Product || given.Version != j.state.Version:
		return stale("it is of %s-%s, this is %s", given.Product, given.Version, j.state.Line().ProductVersion())
	case given.Kind != plan.Update:
		return stale("it is a plan to %s", given.Kind)
	case given.From.Channel != j.state.Channel || given.From.Level != j.state.Level:
		return stale("it starts at level %d (%s), the product is at %d (%s)",
			given.From.Level, given.From.Channel, j.state.Level, j.state.Channel)
	}
	return nil
}

// sameBasis refuses unless today's plan rests on the same signed facts and does the same.
func sameBasis(given, today *plan.Plan) error {
	switch {
	case !given.From.Same(today.From) || !given.To.Same(today.To):
		return stale("what the vendor signed for its levels changed")
	case given.ToState != today.ToState:
		return stale("level %d was %s and is %s", given.To.Level, given.ToState, today.ToState)
	}
	if path, differs := firstDifference(given, today); differs {
		return stale("the installation changed at %s", path)
	}
	return nil
}

func stale(format string, args ...any) error {
	return problem.New(problem.Refused, "Make a new plan with plan -o FILE.",
		"The plan does not hold any more: %w", fmt.Errorf(format, args...))
}

// ApplyPrepared commits the change that [Updater.Prepare] left, without network.
func (u *Updater) ApplyPrepared(ctx context.Context, opts Options) (*Result, error) {
	return u.finish(ctx, "apply", opts)
}

// Continue commits a change whose conflicts are resolved, without network.
func (u *Updater) Continue(ctx context.Context, opts Options) (*Result, error) {
	return u.finish(ctx, "continue", opts)
}

func (u *Updater) finish(ctx context.Context, operation string, opts Options) (*Result, error) {
	res := u.newResult(operation, u.Home.State())
	err := u.exclusive(ctx, false, func() error {
		pending, err := u.Home.Pending()
		if errors.Is(err, fs.ErrNotExist) {
			if left := u.conflictsOfAnother(res); left != nil {
				return left
			}
			return problem.New(problem.Failed, "Run update, or prepare, first.", "There is no change to %s", operation)
		}
		if err != nil {
			return err
		}
		res = u.pendingResult(operation, pending)
		if err := u.stillAllowed(pending.Plan, res); err != nil {
			return err
		}
		if err := u.commit(ctx, res, opts.NoReport); err != nil {
			return err
		}
		res.decided(pending)
		return nil
	})
	u.reportFailure(ctx, res, err, opts.silent())
	return res, err
}

// stillAllowed refuses a prepared level whose withdrawal was seen meanwhile.
func (u *Updater) stillAllowed(p *plan.Plan, res *Result) error {
	if p.Kind != plan.Update || u.Trust == nil {
		return nil
	}
	view, err := u.Trust.Trusted(p.Line())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	res.Freshness = new(u.freshness(view, ""))
	l, err := view.Level(p.Line(), p.To.Level)
	switch {
	case err != nil:
		return err
	case l.State == release.Withdrawn:
		return withdrawn(p.Line(), l)
	case l.Record != p.To.Record:
		return problem.New(problem.Verification, "Discard it with prepare --discard and update again.",
			"The prepared level %s is not the one that the vendor signed", p.Line().LevelName(p.To.Level))
	}
	return nil
}

package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/reconcile/content"
	"uplevel/internal/release"
)

// Revert brings back what stood before the last change, or before the one that To
// names, from the local store; the service is asked only for pristine content that the
// store lacks. While a change is pending it is dropped instead, and nothing else happens,
// unless To says where to go: then the pending change gives way to the way there.
func (u *Updater) Revert(ctx context.Context, opts RevertOptions) (*Result, error) {
	res := u.newResult("revert", u.Home.State())
	res.DryRun = opts.DryRun
	err := u.exclusive(ctx, opts.DryRun, func() error {
		res = u.newResult("revert", u.Home.State())
		res.DryRun = opts.DryRun
		pending, err := u.Home.Pending()
		if err == nil && opts.To == "" {
			return u.drop(pending, res, opts.DryRun)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r := &reversal{u: u, opts: opts, res: res, kind: plan.Revert}
		defer r.close()
		return r.run(ctx)
	})
	u.reportFailure(ctx, res, err, opts.NoReport || opts.DryRun)
	return res, err
}

// drop discards a pending change.
func (u *Updater) drop(pending Pending, res *Result, dryRun bool) error {
	res.Outcome = Dropped
	res.show(pending.Plan, nil)
	if dryRun {
		return nil
	}
	return u.Home.Discard()
}

// reversal is one way back being worked out.
type reversal struct {
	u     *Updater
	opts  RevertOptions
	kind  plan.Kind
	res   *Result
	first Change // the oldest change that is undone
	to    level
	from  level
	plan  *plan.Plan
	extra Extra

	inside *content.Looker
}

func (r *reversal) run(ctx context.Context) error {
	history, err := r.u.Home.History()
	if err != nil {
		return err
	}
	if r.first, err = r.choose(history); err != nil {
		return err
	}
	return r.back(ctx, history)
}

// back goes back to what stood before the first change that is undone.
func (r *reversal) back(ctx context.Context, history []Change) error {
	line := r.lineOf(r.first.From)
	view, why := r.u.trusted(line)
	r.res.To = r.u.point(view, r.first.From)
	if view != nil {
		r.res.Freshness = new(r.u.freshness(view, why))
	}
	if r.res.To.State == release.Withdrawn {
		r.res.Messages = append(r.res.Messages, withdrawnTarget(r.res.To))
	}
	if err := r.work(ctx, undone(history, r.first.ID)); err != nil {
		return err
	}
	return r.carry(ctx)
}

// close lets go of what was merged.
func (r *reversal) close() {
	if r.inside == nil {
		return
	}
	if err := r.inside.Close(); err != nil {
		r.u.Log.Warn("merged content is not let go", "error", err)
	}
}

func (r *reversal) lineOf(p plan.Point) release.Line {
	line := r.u.Home.State().Line()
	line.Channel = p.Channel
	return line
}

// inForce returns the updates that were not taken back, the oldest first: an update
// lies on those before it, a revert takes all from one on.
func inForce(history []Change) []Change {
	var stack []Change
	for _, c := range history {
		if c.RevertTo == 0 {
			stack = append(stack, c)
			continue
		}
		stack = slices.DeleteFunc(stack, func(s Change) bool { return s.ID >= c.RevertTo })
	}
	return stack
}

// undone returns the changes from id on: what is put back is what stood before all of
// them, reverts in between included.
func undone(history []Change, id int) []Change {
	i := slices.IndexFunc(history, func(c Change) bool { return c.ID >= id })
	return history[i:]
}

// choose finds the oldest change to undo.
func (r *reversal) choose(history []Change) (Change, error) {
	stack := inForce(history)
	if len(stack) == 0 {
		return Change{}, nothingToTakeBack(r.u.Home.State())
	}
	if r.opts.To == "" {
		return stack[len(stack)-1], nil
	}
	if text, isID := strings.CutPrefix(r.opts.To, "#"); isID {
		return changeByID(stack, text)
	}
	return r.changeByLevel(stack)
}

func changeByID(stack []Change, text string) (Change, error) {
	id, err := strconv.Atoi(text)
	if err != nil {
		return Change{}, problem.New(problem.Usage, "See the changes with history.", "Change #%.20s: want a number", text)
	}
	for _, c := range stack {
		if c.ID == id {
			return c, nil
		}
	}
	return Change{}, problem.New(problem.Failed, "See the changes with history.",
		"Change #%d is not one that can be undone", id)
}

func (r *reversal) changeByLevel(stack []Change) (Change, error) {
	line := r.u.Home.State().Line()
	text := r.opts.To
	for _, c := range slices.Backward(stack) { // 7.1.0.2-ACME-hf1, as the history has it
		if len(c.From.Hotfixes) > 0 && c.From.Name(line) == text {
			return c, nil
		}
	}
	number, err := line.ParseLevel(text)
	if err != nil {
		return Change{}, problem.New(problem.Failed, "See the changes with history.", "%w", err)
	}
	for _, c := range slices.Backward(stack) {
		if c.From.Level == number {
			return c, nil
		}
	}
	if number >= r.u.Home.State().Level {
		return Change{}, problem.New(problem.Failed, "To go up, run update --level "+line.LevelName(number)+".",
			"%w %s: it is not below the installed level", release.ErrLevel, line.LevelName(number))
	}
	return Change{}, noBackups(fmt.Errorf("no update here started at level %s", line.LevelName(number)))
}

func noBackups(err error) *problem.Error {
	return problem.New(problem.Failed, "See the changes with history.",
		"Unable to revert as backups could not be found: %w", err)
}

func withdrawnTarget(p Place) api.Message {
	text := "Level " + p.Name + ", to which this goes back, was withdrawn by the vendor"
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return api.Message{Code: "target-withdrawn", Text: text + "."}
}

// compose joins changes to what they put there and what stood there before: per path
// the first before and the last after. Damage does not come back with a level: what a
// repair replaced counts only where a repair is what is taken back. What could not be
// read, or cannot be made, never does.
func compose(changes []Change) (committed, former []manifest.Entry) {
	before, after := map[string]*manifest.Entry{}, map[string]*manifest.Entry{}
	for _, c := range changes {
		passed := c.Kind == plan.Repair && changes[0].Kind != plan.Repair
		for _, f := range c.Files {
			if passed || gone(f.Before) {
				f.Before = f.After
			}
			if _, known := before[f.Path]; !known {
				before[f.Path] = f.Before
			}
			after[f.Path] = f.After
		}
	}
	return present(after), present(before)
}

// gone reports whether nobody has what an entry names.
func gone(e *manifest.Entry) bool {
	return e != nil && (e.Kind == manifest.Other || e.Kind == manifest.File && e.Sum.IsZero())
}

func present(entries map[string]*manifest.Entry) []manifest.Entry {
	var out []manifest.Entry
	for _, e := range entries {
		if e != nil {
			out = append(out, *e)
		}
	}
	return out
}

// work plans the way back.
func (r *reversal) work(ctx context.Context, changes []Change) (err error) {
	state := r.u.Home.State()
	if r.from, err = r.u.installed(ctx, nil); err != nil {
		return err
	}
	if r.to, err = r.u.level(ctx, r.lineOf(r.first.From), r.first.From.Level, r.first.From.Record); err != nil {
		return noBackups(err)
	}
	if r.to, err = r.u.laid(r.to, r.first.From.Hotfixes); err != nil {
		return noBackups(err)
	}
	committed, former, disk, err := r.trees(ctx, changes)
	if err != nil {
		return err
	}
	outcomes, err := r.reconcile(ctx, committed, disk, former)
	if err != nil {
		return err
	}
	r.plan, err = plan.Make(plan.Plan{
		Kind: r.kind, Product: state.Product, Version: state.Version,
		From: r.from.point(), To: r.to.point(), RevertTo: r.first.ID, Outcomes: outcomes,
	})
	if err != nil {
		return fmt.Errorf("planning: %w", err)
	}
	r.res.show(r.plan, nil)
	r.extra = r.u.extraOf(r.to, Options{Keep: r.opts.Keep})
	r.plan.DiskNeed, r.res.DiskFormula, err = r.u.Home.DiskNeed(r.plan, r.extra)
	r.res.DiskNeed = r.plan.DiskNeed
	return err
}

// reconcile decides about every path. An edit made since the changes is merged with what
// they took away: base is what they put there, theirs what stood there before.
func (r *reversal) reconcile(ctx context.Context, committed, disk, former manifest.Tree) ([]plan.Outcome, error) {
	r.u.begin("merge", 0)
	defer r.u.end()
	var err error
	if r.inside, err = r.u.looker(ctx, r.from, r.to, !r.opts.DecideAnew); err != nil {
		return nil, err
	}
	folders := &glance{home: r.u.Home.Dir(), trees: []manifest.Tree{committed, former, r.from.tree}}
	rules := reconcile.Rules{OnConflict: r.opts.OnConflict, WholeFiles: r.opts.WholeFiles, Occupied: folders.occupied, Inside: r.inside}
	outcomes, err := r.u.reconciled(ctx, r.from, r.to, rules, func(rules reconcile.Rules) []plan.Outcome {
		return reconcile.Revert(committed, disk, former, rules, r.opts.DiscardEdits)
	})
	return outcomes, errors.Join(err, folders.err, r.inside.Err())
}

// carry fetches what the store lacks, prepares and commits.
func (r *reversal) carry(ctx context.Context) error {
	if err := r.complete(ctx); err != nil {
		return err
	}
	if err := r.u.Home.Check(r.plan, r.extra); err != nil {
		return err
	}
	if r.opts.DryRun {
		r.res.Outcome = Planned
		return r.stopAtConflicts()
	}
	if err := r.u.Home.Prepare(ctx, r.plan, made{r.inside, bytesOf{r.u}}, r.extra); err != nil {
		return err
	}
	if err := r.stopAtConflicts(); err != nil {
		return err
	}
	return r.u.commit(ctx, r.res, r.opts.NoReport)
}

func (r *reversal) stopAtConflicts() error {
	if len(r.res.Files.Conflicts) == 0 {
		return nil
	}
	r.res.Outcome = Conflicts
	return conflictsError(r.res)
}

// complete gets former content that the store lacks (after --no-backup) from the
// service. Without it there is no way back. The published side of a conflict is shown
// only where it can be had.
func (r *reversal) complete(ctx context.Context) error {
	lost := r.u.missing(results(r.plan))
	published := sumsOf(r.to.published)
	for _, ref := range lost {
		if !published[ref.Sum] {
			return noBackups(fmt.Errorf("object %s is not in updates/store", ref.Sum))
		}
	}
	if len(lost) > 0 {
		if r.u.Fetch == nil {
			return noBackups(errors.New("the service is needed, but not to be used"))
		}
		if err := r.u.Fetch.Fetch(ctx, r.to.record.Line(), r.to.record.Level, lost); err != nil {
			failure := noBackups(err)
			failure.Kind = problem.KindOf(err)
			return failure
		}
	}
	return r.u.withoutLostSides(ctx, r.plan, r.from, r.to)
}

// results returns the objects that a plan puts in place.
func results(p *plan.Plan) []release.Ref {
	var refs []release.Ref
	for _, o := range p.Outcomes {
		if o.Action.Changes() && o.Source == plan.FromObject {
			refs = append(refs, release.Ref{Sum: o.Result.Sum, Size: o.Result.Size})
		}
	}
	return refs
}

// trees returns what the changes put there, what stood there before, and what stands
// there now, with the folders above. A folder that no change touched is in both.
func (r *reversal) trees(ctx context.Context, changes []Change) (committed, former, disk manifest.Tree, err error) {
	after, before := compose(changes)
	touched := map[string]bool{}
	var paths []string
	for _, c := range changes {
		for _, f := range c.Files {
			touched[f.Path] = true
			paths = append(paths, f.Path)
		}
	}
	paths = above(paths)
	if disk, err = r.u.look(ctx, paths, !r.opts.DryRun); err != nil {
		return committed, former, disk, err
	}
	for _, p := range paths {
		if touched[p] {
			continue
		}
		folder, ok := disk.Lookup(p)
		if !ok || folder.Kind != manifest.Dir {
			folder = manifest.Entry{Path: p, Kind: manifest.Dir, Mode: 0o755}
		}
		after, before = append(after, folder), append(before, folder)
	}
	if committed, err = manifest.NewTree(after); err != nil {
		return committed, former, disk, err
	}
	former, err = manifest.NewTree(before)
	return committed, former, disk, err
}

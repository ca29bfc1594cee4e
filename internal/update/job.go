package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/reconcile/content"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// job is one change of level being worked out, up to the point where something is
// written.
type job struct {
	u      *Updater
	opts   Options
	state  State
	line   release.Line // wanted
	view   *trust.View
	may    api.CheckAnswer
	wish   wish
	target release.Listed
	from   level
	to     level
	disk   manifest.Tree
	rules  reconcile.Rules
	inside *content.Looker
	plan   *plan.Plan
	extra  Extra
	res    *Result
	still  bool // the level stays: only hotfixes change
}

// start begins a job: the facts that need no network.
func (u *Updater) start(operation string, opts Options) (*job, error) {
	state := u.Home.State()
	line := state.Line()
	if opts.Channel != "" {
		line.Channel = opts.Channel
	}
	if err := line.Check(); err != nil {
		return nil, problem.New(problem.Usage, "Name a channel such as full or security.", "Unusable channel: %w", err)
	}
	j := &job{u: u, opts: opts, state: state, line: line, res: u.newResult(operation, state)}
	j.res.DryRun = opts.DryRun
	return j, nil
}

// already reports whether --at-least is satisfied, which needs no network.
func (j *job) already() (bool, error) {
	if !j.opts.AtLeast || j.line.Channel != j.state.Channel {
		return false, nil
	}
	number, err := j.line.ParseLevel(j.opts.Level)
	if err != nil {
		return false, problem.New(problem.Failed, "Name a level such as "+j.line.LevelName(8)+".", "%w", err)
	}
	return number > 0 && number <= j.state.Level, nil
}

// choose refreshes trust, judges the wish and asks the service what the caller may
// have. It returns false when there is nothing to do.
func (j *job) choose(ctx context.Context) (bool, error) {
	if err := j.refresh(ctx); err != nil {
		return false, err
	}
	levels, err := j.view.Levels(j.line)
	if err != nil {
		return false, err
	}
	at := plan.Point{Channel: j.state.Channel, Level: j.state.Level}
	if j.wish, err = makeWish(j.line, levels, at, j.opts); err != nil {
		return false, err
	}
	if err := j.u.renew(j.view); err != nil {
		return false, err
	}
	if err := j.ask(ctx); err != nil {
		return false, err
	}
	target, above, err := j.wish.grant(j.may)
	if err != nil {
		return false, err
	}
	if !above {
		j.res.Outcome = Nothing
		return false, nil
	}
	j.stopAtFloor(&target)
	j.target = target
	j.res.To = j.u.place(j.view, j.line, target.Level)
	return true, nil
}

func (j *job) refresh(ctx context.Context) error {
	j.u.begin("trust", 0)
	defer j.u.end()
	view, err := j.u.Trust.Refresh(ctx, lines(j.state.Line(), j.line)...)
	if err != nil {
		return err
	}
	j.view = view
	j.res.Freshness = new(j.u.freshness(view, ""))
	j.res.From = j.u.here(view)
	j.res.To = j.res.From
	return j.u.checkInstalled(view)
}

// lines returns both lines, or one when they are the same.
func lines(a, b release.Line) []release.Line {
	if a == b {
		return []release.Line{a}
	}
	return []release.Line{a, b}
}

// checkInstalled compares the installed level's record with the one that is signed. A
// home that came without a record (taken over) learns it here.
func (u *Updater) checkInstalled(view *trust.View) error {
	state := u.Home.State()
	if state.Record.Sum.IsZero() {
		return u.wasPublished(view)
	}
	listed, err := view.Level(state.Line(), state.Level)
	if err != nil || listed.Record == state.Record {
		return nil //nolint:nilerr // a level that is no longer listed keeps the record it was installed with
	}
	return problem.New(problem.Verification,
		"Compare with a fresh pack of that level; tell the vendor's support.",
		"The installed level %s is not the one that the vendor signed", state.Line().LevelName(state.Level))
}

// ask asks the service what the caller may have.
func (j *job) ask(ctx context.Context) error {
	j.u.begin("entitlement", 0)
	defer j.u.end()
	if j.opts.AcceptEULA && !j.opts.DryRun {
		if err := j.u.Service.AcceptEULA(ctx, ""); err != nil {
			return err
		}
	}
	may, err := j.u.Service.Check(ctx, j.u.checkRequest(j.line))
	if err != nil {
		return err
	}
	j.may = may
	j.u.learned(may, j.opts.DryRun)
	j.res.Messages = append(j.res.Messages, may.Messages...)
	return j.u.mayGoOn(j.view, may)
}

func (u *Updater) checkRequest(line release.Line) api.CheckRequest {
	return api.CheckRequest{
		Product: line.Product, Version: line.Version, Channel: line.Channel,
		Level: u.Home.State().Level, Tool: u.Tool,
	}
}

func (j *job) stopAtFloor(target *release.Listed) {
	if !j.opts.StopAtFloor {
		return
	}
	if floor, ok := j.wish.firstFloor(target.Level, j.may); ok {
		j.res.StoppedAt = &plan.Floor{Level: floor.Level, Reason: floor.Floor}
		*target = floor
	}
}

// work gathers both levels, looks at the disk and plans.
func (j *job) work(ctx context.Context) error {
	if err := j.gather(ctx); err != nil {
		return err
	}
	return j.decideUpdate(ctx)
}

func (j *job) decideUpdate(ctx context.Context) error {
	return j.decide(ctx, plan.Plan{
		Kind: plan.Update, Product: j.line.Product, Version: j.line.Version, ToState: j.target.State,
		Floors: floors(j.wish.between(j.target.Level)),
	})
}

// decide looks at the disk, decides about every path between the two trees and completes
// the plan.
func (j *job) decide(ctx context.Context, p plan.Plan) error {
	rules, err := reconcile.CompileRules(j.from.record.Rules, j.to.record.Rules)
	if err != nil {
		return notAsSigned(err)
	}
	rules.OnConflict, rules.WholeFiles, rules.RestoreRemoved = j.opts.OnConflict, j.opts.WholeFiles, j.opts.RestoreRemoved
	if j.disk, err = j.u.look(ctx, pathsOf(j.from.tree, j.to.tree), !j.opts.DryRun); err != nil {
		return err
	}
	p.From, p.To = j.from.point(), j.to.point()
	if p.Outcomes, err = j.reconcile(ctx, rules); err != nil {
		return err
	}
	if j.plan, err = plan.Make(p); err != nil {
		return fmt.Errorf("planning: %w", err)
	}
	return j.weigh(ctx)
}

// reconcile decides about every path, looking into files that both sides changed.
func (j *job) reconcile(ctx context.Context, rules reconcile.Rules) ([]plan.Outcome, error) {
	j.u.begin("merge", 0)
	defer j.u.end()
	var err error
	if j.inside, err = j.u.looker(ctx, j.from, j.to, !j.opts.DecideAnew); err != nil {
		return nil, err
	}
	folders := &glance{home: j.u.Home.Dir(), trees: []manifest.Tree{j.from.tree, j.to.tree}}
	rules.Occupied, rules.Inside = folders.occupied, j.inside
	j.rules = rules
	outcomes, err := j.u.reconciled(ctx, j.from, j.to, rules, func(r reconcile.Rules) []plan.Outcome {
		return reconcile.Update(j.from.tree, j.disk, j.to.tree, r)
	})
	return outcomes, errors.Join(err, folders.err, j.inside.Err())
}

// close lets go of what was merged.
func (j *job) close() {
	if j.inside == nil {
		return
	}
	if err := j.inside.Close(); err != nil {
		j.u.Log.Warn("merged content is not let go", "error", err)
	}
}

func (l level) point() plan.Point {
	p := plan.Point{Channel: l.record.Channel, Level: l.record.Level, Record: l.ref, Manifest: l.record.Manifest}
	for _, a := range l.hotfixes {
		p.Hotfixes = append(p.Hotfixes, a.Applied)
	}
	return p
}

// gather gets record and manifest of both levels and the notes on the way.
func (j *job) gather(ctx context.Context) (err error) {
	j.u.begin("metadata", 0)
	defer j.u.end()
	if j.from, err = j.u.installed(ctx, j.view); err != nil {
		return err
	}
	if j.to, err = j.u.level(ctx, j.line, j.target.Level, j.target.Record); err != nil {
		return err
	}
	var way []release.Notes
	if j.res.Gain, way, err = j.u.gain(ctx, j.wish.between(j.target.Level)); err != nil {
		return err
	}
	return j.carryOver(ctx, way)
}

// installed returns the installed level with the hotfixes on it. Its record is the one the installation names;
// a home without one takes what signed metadata list for its level.
func (u *Updater) installed(ctx context.Context, view *trust.View) (level, error) {
	state := u.Home.State()
	ref := state.Record
	if ref.Sum.IsZero() {
		if view == nil {
			return level{}, unknownBasis(state)
		}
		listed, err := view.Level(state.Line(), state.Level)
		if err != nil {
			return level{}, err
		}
		ref = listed.Record
		if _, err := u.stored(ref); u.Fetch == nil && errors.Is(err, fs.ErrNotExist) {
			return level{}, unknownBasis(state)
		}
	}
	l, err := u.level(ctx, state.Line(), state.Level, ref)
	if err != nil {
		return level{}, err
	}
	return u.laid(l, state.Hotfixes)
}

// weigh adds download and disk need to the plan, and fills the result from it.
func (j *job) weigh(ctx context.Context) (err error) {
	if j.plan.Download, err = j.u.sizes(ctx, j.plan, j.from, j.to); err != nil {
		return err
	}
	j.res.show(j.plan, customised(j.from.tree, j.disk, j.plan, j.rules))
	if j.extra, err = j.extras(ctx); err != nil {
		return err
	}
	j.plan.DiskNeed, j.res.DiskFormula, err = j.u.Home.DiskNeed(j.plan, j.extra)
	j.res.DiskNeed = j.plan.DiskNeed
	return err
}

// split sorts the objects that a plan needs and the store lacks into those of the
// wanted level and those that only the installed one has.
func (u *Updater) split(p *plan.Plan, to level) (wanted, former []release.Ref) {
	published := sumsOf(to.published)
	for _, ref := range u.missing(p.Wanted()) {
		if published[ref.Sum] {
			wanted = append(wanted, ref)
		} else {
			former = append(former, ref)
		}
	}
	return wanted, former
}

// sizes returns the bytes to fetch. Originals of conflicting files that cannot be had
// count nothing: see [Updater.withoutLostSides].
func (u *Updater) sizes(ctx context.Context, p *plan.Plan, from, to level) (int64, error) {
	wanted, former := u.split(p, to)
	total, err := u.partSize(ctx, to, wanted)
	if err != nil {
		return 0, err
	}
	more, err := u.partSize(ctx, from, former)
	if err != nil {
		u.Log.Info("size of originals is not known", "error", err)
		return total, ctx.Err()
	}
	return total + more, nil
}

func (u *Updater) partSize(ctx context.Context, l level, refs []release.Ref) (int64, error) {
	if len(refs) == 0 {
		return 0, nil
	}
	if u.Fetch == nil {
		return 0, errors.New("the network is not to be used")
	}
	return u.Fetch.Sizes(ctx, l.record.Line(), l.record.Level, refs)
}

// pathsOf joins trees to the list of paths that are looked at.
func pathsOf(trees ...manifest.Tree) []string {
	var paths []string
	for _, t := range trees {
		for _, e := range t.Entries() {
			paths = append(paths, e.Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// RepairOptions say what is restored, and from where. The zero value restores what is
// damaged or missing from the local store and the service.
type RepairOptions struct {
	Customised bool    // restore customised files and all permissions, too
	From       Carried // what was carried in; nil: nothing
	DryRun     bool
	NoReport   bool
	Keep       int // levels to keep for going back; 0 is 3

	// Agree is asked before anything is written, when there is something to do; an error
	// of it ends the repair. nil: nobody is asked.
	Agree func(VerifyResult) error
}

// RepairInfo says what a repair did, would do, or could not.
type RepairInfo struct {
	Outcome    Outcome    `json:"outcome"` // done, nothing, planned or failed
	DryRun     bool       `json:"dry_run,omitempty"`
	Restored   []Restored `json:"restored"`
	Unrestored []Damage   `json:"unrestored"` // what is not whole yet, and why
	Download   int64      `json:"download"`   // bytes to fetch, as stored
	History    int        `json:"history,omitempty"`
	Back       string     `json:"back,omitempty"` // command, without the program's name, that takes it back
}

// Restored is one thing that was brought back, or would be.
type Restored struct {
	What string `json:"what"`           // path relative to the home
	Was  string `json:"was"`            // missing, customised, merged, mode-kept, damaged, or a fault
	From string `json:"from,omitempty"` // store, zip, product, service, or removed; empty: nothing was needed
}

// Repair brings back what is damaged or missing, and nothing else, in one commit; what
// it is and what stands there afterwards is described in docs/design/repair.md. What
// could not be restored is an error of kind [problem.Verification] that comes with the
// filled result; all else is restored then.
func (u *Updater) Repair(ctx context.Context, opts RepairOptions) (VerifyResult, error) {
	own := *u
	own.brought = opts.From
	m := &mending{u: &own, opts: opts, res: own.newVerifyResult()}
	m.info = &RepairInfo{Outcome: Failed, DryRun: opts.DryRun, Restored: []Restored{}, Unrestored: []Damage{}}
	m.res.Repair = m.info
	err := own.exclusive(ctx, opts.DryRun, func() error { return m.run(ctx) })
	return m.res, err
}

// mending is one repair being worked out.
type mending struct {
	u    *Updater
	opts RepairOptions
	res  VerifyResult
	info *RepairInfo
	c    comparison
	todo []mend
	kept keptThings
}

// mend is one path that is restored.
type mend struct {
	plan.Outcome

	was  string
	from string
}

func (m mend) ref() (release.Ref, bool) {
	if m.Source != plan.FromObject {
		return release.Ref{}, false
	}
	return release.Ref{Sum: m.Result.Sum, Size: m.Result.Size}, true
}

func (m *mending) run(ctx context.Context) error {
	pending, err := m.u.Home.Pending()
	if err == nil {
		return m.u.waits(pending)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return problem.New(problem.Refused, "Drop it with prepare --discard.", "A prepared change waits, and is not usable: %w", err)
	}
	if err := m.look(ctx); err != nil {
		return err
	}
	if err := m.choose(); err != nil {
		return err
	}
	if m.kept, err = m.u.damagedThings(ctx, m.c); err != nil {
		return err
	}
	if err := m.find(ctx); err != nil {
		return err
	}
	if len(m.todo)+len(m.kept.damaged) == 0 {
		m.tell()
		m.info.Outcome = Nothing
		return m.judge()
	}
	if err := m.carry(ctx); err != nil {
		return err
	}
	if m.opts.DryRun {
		return m.judge()
	}
	return m.again(context.WithoutCancel(ctx)) // it is done, and said so: an interruption comes too late
}

// look compares the product with what is signed for it. Trusted metadata that are damaged
// are fetched anew first.
func (m *mending) look(ctx context.Context) error {
	line := m.u.Home.State().Line()
	view, why, err := m.u.basis(ctx)
	if err != nil {
		return err
	}
	if view == nil && m.u.Trust != nil && why != noMetadata {
		fetched := errors.New("the service is not known or not to be used")
		if m.u.Service != nil {
			view, _, fetched = m.u.refreshed(ctx, line)
		}
		if fetched != nil {
			m.lost("updates/trust", "the trusted metadata are not usable ("+why+"), and cannot be fetched anew: "+fetched.Error())
		} else {
			m.info.Restored = append(m.info.Restored, Restored{What: "updates/trust", Was: "damaged", From: fromService})
		}
	}
	if view != nil {
		m.res.Freshness = new(m.u.freshness(view, ""))
		m.res.At = m.u.here(view)
		if err := m.u.checkInstalled(view); err != nil {
			return err
		}
	}
	m.res.note(view, why)
	at, err := m.u.installed(ctx, view)
	if err != nil {
		if problem.KindOf(err) == problem.Verification || ctx.Err() != nil {
			return err
		}
		return problem.New(problem.Verification, "Run verify --repair with the service reachable.", "What the level must hold cannot be had: %w", err)
	}
	m.c, err = m.u.compare(ctx, at, &m.res, false)
	m.res.stand(m.c)
	return err
}

func (m *mending) lost(what, why string) {
	m.info.Unrestored = append(m.info.Unrestored, Damage{What: what, Why: why})
}

// choose decides which differences are restored to what.
func (m *mending) choose() error {
	lost := map[string]bool{}
	for _, f := range m.res.Faults {
		lost[f.Path] = f.Lost
	}
	g := ground{home: m.u.Home.Dir(), seen: m.c.seen.Tree}
	for _, d := range m.c.all {
		if !m.wanted(d) {
			continue
		}
		if why, err := g.closed(d); err != nil {
			return err
		} else if why != "" {
			m.lostUnlessMissing(d, why)
			continue
		}
		if lost[d.Path] && !m.opts.Customised {
			m.lost(d.Path, d.Why+m.lostWhy(d.Path))
			continue
		}
		m.todo = append(m.todo, m.outcome(d))
	}
	return nil
}

// lostWhy says why a damaged file is not the vendor's to replace.
func (m *mending) lostWhy(path string) string {
	if m.c.seen.Recorded[path].IsZero() {
		return "; whether it was customised is not known: if nothing of yours is in it, move it away, and it is restored as missing; or give --customised"
	}
	return "; it was customised before, and that content is gone: bring yours from a backup, or take the vendor's with --customised"
}

// lostUnlessMissing tells what cannot be restored; what lies behind the operator's own link
// or in another product is only noted.
func (m *mending) lostUnlessMissing(d Difference, why string) {
	if d.State == IsMissing {
		m.u.Log.Info("not restored", "path", d.Path, "why", why)
		return
	}
	m.lost(d.Path, why)
}

func (m *mending) wanted(d Difference) bool {
	switch d.State {
	case IsGenerated:
		return false
	case IsCustomised, IsMerged, IsMode:
		return m.opts.Customised
	}
	return true
}

// outcome is what restores one path.
func (m *mending) outcome(d Difference) mend {
	want := d.Want
	if made, ok := m.c.made[d.Path]; ok && !m.opts.Customised && m.u.whole(release.Ref{Sum: made.Sum, Size: made.Size}) {
		want = made
		want.Path = d.Path
	}
	o := plan.Outcome{Path: d.Path, Base: &d.Want, Disk: d.Have, Want: &want, Result: &want, Why: "repaired"}
	sameContent := d.Have != nil && d.Have.SameContent(want)
	switch {
	case d.Have == nil:
		o.Action = plan.Add
	case sameContent:
		o.Action = plan.Mode
	default:
		o.Action = plan.Replace
		if _, hurts := mode(want, *d.Have); d.Have.Kind == want.Kind && hurts == "" && !m.opts.Customised {
			want.Mode = d.Have.Mode // permissions that the operator chose stay
		}
	}
	if want.Kind == manifest.File && o.Action != plan.Mode {
		o.Source = plan.FromObject
	}
	return mend{Outcome: o, was: d.State}
}

// carry shows what would be done, asks, and does it.
func (m *mending) carry(ctx context.Context) error {
	p, err := m.plan()
	if err != nil {
		return err
	}
	x := m.extra()
	if err := m.u.Home.Check(p, x); err != nil {
		return err
	}
	m.tell()
	m.info.Outcome = Planned
	if m.opts.DryRun {
		return nil
	}
	if m.opts.Agree != nil {
		if err := m.opts.Agree(m.res); err != nil {
			return err
		}
	}
	m.info.Outcome = Failed
	if err := m.fetch(ctx); err != nil {
		return err
	}
	if p, err = m.plan(); err != nil {
		return err
	}
	return m.commit(ctx, p, m.extra())
}

func (m *mending) plan() (*plan.Plan, error) {
	state := m.u.Home.State()
	p := plan.Plan{Kind: plan.Repair, Product: state.Product, Version: state.Version, From: m.c.at.point(), To: m.c.at.point(), Download: m.info.Download}
	for _, t := range m.todo {
		p.Outcomes = append(p.Outcomes, t.Outcome)
	}
	made, err := plan.Make(p)
	if err != nil {
		return nil, fmt.Errorf("planning the repair: %w", err)
	}
	made.DiskNeed, _, err = m.u.Home.DiskNeed(made, Extra{})
	return made, err
}

// extra is what comes with the repair: the level's records, and what the store gets anew.
func (m *mending) extra() Extra {
	x := m.u.extraOf(m.c.at, Options{Keep: m.opts.Keep})
	if data, err := m.u.stored(m.c.at.record.Notes); err == nil { // else what is kept of them stays, or comes anew
		x.Notes = data
	}
	x.Damaged, x.Renew = m.kept.damaged, nil
	for _, w := range m.kept.wanted {
		x.Renew = append(x.Renew, w.ref)
	}
	return x
}

func (m *mending) commit(ctx context.Context, p *plan.Plan, x Extra) error {
	if len(p.Outcomes)+len(x.Damaged) == 0 {
		m.info.Outcome = Nothing
		return nil
	}
	m.u.begin("stage", len(p.Outcomes))
	err := m.u.Home.Prepare(ctx, p, m.kept.source(m.u), x)
	m.u.end()
	if err != nil {
		return err
	}
	res := m.u.newResult("repair", m.u.Home.State())
	res.show(p, m.res.Customised)
	if err := m.u.commit(ctx, res, m.opts.NoReport || m.info.Download == 0); err != nil {
		return err
	}
	m.info.Outcome, m.info.History, m.info.Back = Done, res.History, "revert"
	m.info.Unrestored = append(m.info.Unrestored, rescuedOf(res)...)
	return nil
}

// rescuedOf names what came in the way meanwhile and lies beside now.
func rescuedOf(res *Result) []Damage {
	var out []Damage
	for _, name := range res.Files.Rescued {
		out = append(out, Damage{What: name, Why: "it appeared while the repair was committed, and was put aside"})
	}
	return out
}

// again looks at everything once more: what is told is what stands.
func (m *mending) again(ctx context.Context) error {
	m.tell()
	now := m.u.newVerifyResult()
	now.At, now.Freshness, now.Messages, now.Repair = m.res.At, m.res.Freshness, m.res.Messages, m.info
	c, err := m.u.compare(ctx, m.c.at, &now, true)
	if err == nil {
		now.Damaged, err = m.u.Home.CheckStore(ctx)
	}
	if err != nil {
		// It is committed: no code may say that the product is as it was.
		return problem.New(problem.Broken, "Run verify.", "What stands now cannot be looked at: %w", err).Standing(m.stands())
	}
	now.stand(c)
	now.Standing.Before = m.res.Standing
	now.Damaged = append([]Damage{}, now.Damaged...)
	m.res = now
	return m.judge()
}

// tell lists what is restored; a thing that was told before is not again.
func (m *mending) tell() {
	m.info.Restored = slices.DeleteFunc(m.info.Restored, func(r Restored) bool { return r.What != "updates/trust" })
	for _, t := range m.todo {
		m.info.Restored = append(m.info.Restored, Restored{What: t.Path, Was: t.was, From: t.from})
	}
	m.info.Restored = append(m.info.Restored, m.kept.told()...)
}

// judge is whether all is whole, or why not.
func (m *mending) judge() error {
	if n := len(m.info.Unrestored); n > 0 {
		first := m.info.Unrestored[0]
		return problem.New(problem.Verification, "See what is named above; run verify --repair again with the service reachable, or --from a zip that holds it.",
			"%s could not be restored: %s: %s", counted(n, "thing"), first.What, first.Why).
			Standing(m.stands())
	}
	if m.opts.DryRun {
		return nil
	}
	return m.res.judge(VerifyOptions{})
}

func (m *mending) stands() string {
	if m.info.Outcome != Done {
		return "Nothing was changed: the product is as it was, at level " + m.res.At.Name + "."
	}
	return fmt.Sprintf("All else is restored, as change #%d; the product is at level %s.", m.info.History, m.res.At.Name)
}

package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// HotfixInfo is a hotfix as people are told of it.
type HotfixInfo struct {
	Name         string            `json:"name"` // ACME-hf1
	Type         release.Type      `json:"type"`
	For          string            `json:"for"`
	Headline     string            `json:"headline"`
	Instructions string            `json:"instructions,omitempty"`
	BugFixes     map[string]string `json:"bug_fixes,omitempty"`
	Advisories   []string          `json:"advisories,omitempty"`
	Needs        []string          `json:"needs,omitempty"` // must be applied before
	Restart      bool              `json:"restart"`         // the product must be restarted
	Created      time.Time         `json:"created"`
}

func infoOf(r hotfix.Record) *HotfixInfo {
	return &HotfixInfo{
		Name: r.Name, Type: r.Type, For: r.For, Headline: r.Headline(), Instructions: r.Instructions, BugFixes: r.BugFixes,
		Advisories: r.Advisories, Needs: r.Needs, Restart: r.NeedsRestart(), Created: r.Created,
	}
}

// available lists the hotfixes for the caller's organisation that fit what is installed
// and are not applied.
func (u *Updater) available(may api.CheckAnswer, line release.Line) []HotfixInfo {
	fit := []HotfixInfo{}
	state := u.Home.State()
	applied := plan.Names(state.Hotfixes)
	for _, h := range may.Hotfixes {
		if line != state.Line() || !slices.Contains(h.Levels, state.Level) || slices.Contains(applied, h.Name) {
			continue
		}
		headline, _, _ := strings.Cut(h.Description, "\n")
		fit = append(fit, HotfixInfo{
			Name: h.Name, Type: release.Type(h.Type), For: h.For, Headline: headline, Needs: h.Needs, Restart: h.Restart, Created: h.Created,
		})
	}
	return fit
}

// ApplyHotfix lays a hotfix over the installed level, from its zip alone: what the zip
// carries proves it, to whoever trusts the product's root. confirmed is the organisation
// that the operator says this is, for a home that does not know its own; or empty.
// Conflicts are as in [Updater.Update].
func (u *Updater) ApplyHotfix(ctx context.Context, zip *bundle.Bundle, confirmed string, opts Options) (*Result, error) {
	return u.overlay(ctx, "apply-hotfix", opts, func(j *job) error { return j.applyHotfix(ctx, zip, confirmed) })
}

// overlay runs do on a job that changes hotfixes only.
func (u *Updater) overlay(ctx context.Context, operation string, opts Options, do func(*job) error) (*Result, error) {
	own := *u // so that the zip is there for this change only
	res := own.newResult(operation, own.Home.State())
	err := own.exclusive(ctx, opts.DryRun, func() error {
		j, err := own.start(operation, opts)
		if err != nil {
			return err
		}
		defer j.close()
		j.still = true
		res = j.res
		return do(j)
	})
	own.reportFailure(ctx, res, err, opts.silent())
	return res, err
}

func (j *job) applyHotfix(ctx context.Context, zip *bundle.Bundle, confirmed string) error {
	if err := j.u.noOtherWaits(zip.Claimed().Name); err != nil {
		return err
	}
	payload, record, err := j.proved(ctx, zip)
	if err != nil {
		return err
	}
	j.res.Hotfix = infoOf(record)
	if err := record.Fits(j.state.Line(), j.state.Level); err != nil {
		return err
	}
	if len(j.state.Others) > 0 {
		return ofAnotherTool(j.state.Others)
	}
	view, _ := j.u.trusted(j.state.Line())
	if j.from, err = j.u.installed(ctx, view); err != nil {
		return err
	}
	owner, err := j.owner(ctx)
	if err != nil {
		return err
	}
	if err := isFor(record, owner, confirmed); err != nil {
		return err
	}
	a := plan.Applied{Name: record.Name, Record: release.Ref{Sum: digest.Of(payload), Size: int64(len(payload))}}
	if already, err := inSequence(record, a, j.state.Hotfixes); already || err != nil {
		j.res.Outcome = Nothing
		return err
	}
	if j.to, err = j.from.with(applied{a, payload, record}); err != nil {
		return err
	}
	j.u.brought = zip
	return j.changeHotfixes(ctx, plan.Hotfix)
}

// proved verifies a zip: its metadata, its signature, and every content in it.
func (j *job) proved(ctx context.Context, zip *bundle.Bundle) ([]byte, hotfix.Record, error) {
	var none hotfix.Record
	if j.u.Trust == nil {
		return nil, none, problem.New(problem.Verification, "Bring updates/root.json back from the vendor's pack, or name it with --root.",
			"No trusted root is known, so that no hotfix can be verified")
	}
	if j.u.Service != nil && !j.opts.Offline {
		if _, _, err := j.u.refreshed(ctx, j.state.Line()); err != nil {
			j.u.Log.Info("metadata could not be renewed; those in the zip count", "error", err)
		}
	}
	j.u.begin("verify", 0)
	defer j.u.end()
	view, err := j.u.Trust.Carried(ctx, zip)
	if err != nil {
		return nil, none, err
	}
	j.res.Freshness = new(j.u.freshness(view, ""))
	payload, record, err := signedHotfix(view, zip)
	if err != nil {
		return nil, none, err
	}
	return payload, record, zip.Check(ctx)
}

func signedHotfix(view *trust.View, zip *bundle.Bundle) ([]byte, hotfix.Record, error) {
	payload, err := view.Hotfix(zip.Envelope())
	if err != nil {
		return nil, hotfix.Record{}, err
	}
	record, err := hotfix.Parse(payload)
	if err != nil {
		return nil, hotfix.Record{}, notAsSigned(err)
	}
	return payload, record, nil
}

// owner returns whose the installation is; where nothing here tells, the service is asked
// if there are credentials for it.
func (j *job) owner(ctx context.Context) (Organisation, error) {
	o, err := j.u.owner(j.from)
	if err != nil || o.ID != "" || j.u.Service == nil || j.opts.Offline {
		return o, err
	}
	may, err := j.u.Service.Check(ctx, j.u.checkRequest(j.line))
	if err != nil {
		j.u.Log.Info("the organisation could not be asked for", "error", err)
		return o, nil // the operator can say it with --for
	}
	j.u.learned(may, j.opts.DryRun)
	return Organisation{ID: may.Organisation}, nil
}

// inSequence tells whether a hotfix is applied already, and refuses one that needs
// others which are not.
func inSequence(r hotfix.Record, a plan.Applied, ledger []plan.Applied) (already bool, err error) {
	missing, already := r.Next(plan.Names(ledger))
	switch {
	case already && !slices.Contains(ledger, a):
		return false, problem.New(problem.Verification, "Ask the vendor's support which is the right one.",
			"Hotfix %s is applied already, but as the vendor signed it another time", r.Name)
	case already:
		return true, nil
	case len(missing) > 0:
		return false, problem.New(problem.Refused, "Apply "+missing[0]+" first, with apply-hotfix.",
			"Hotfix %s comes after %s, not applied here", r.Name, strings.Join(missing, ", "))
	}
	return false, nil
}

// noOtherWaits refuses while a change waits that is not about the hotfix of that name:
// it would be dropped silently.
func (u *Updater) noOtherWaits(name string) error {
	pending, err := u.Home.Pending()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if p := pending.Plan; p.Kind == plan.Hotfix && slices.Contains(p.To.HotfixNames(), name) {
		return nil
	}
	return u.waits(pending)
}

// noHotfixWaits refuses an update while a hotfix waits for decisions, likewise.
func (u *Updater) noHotfixWaits() error {
	pending, err := u.Home.Pending()
	if err != nil || pending.Plan.Kind != plan.Hotfix {
		return nil //nolint:nilerr // what waits and cannot be read is for Prepare to judge
	}
	return u.waits(pending)
}

func (u *Updater) waits(pending Pending) error {
	return problem.New(problem.Refused, "Finish it with --continue or apply, or drop it with prepare --discard.",
		"Another change is prepared: %s to level %s", pending.Plan.Kind, u.point(nil, pending.Plan.To).Name)
}

// changeHotfixes plans and carries out a change from one set of hotfixes to another.
func (j *job) changeHotfixes(ctx context.Context, kind plan.Kind) error {
	j.res.From, j.res.To = j.u.point(nil, j.from.point()), j.u.point(nil, j.to.point())
	if err := j.decide(ctx, plan.Plan{Kind: kind, Product: j.line.Product, Version: j.line.Version}); err != nil {
		return err
	}
	if staged, err := j.carry(ctx); err != nil || !staged {
		return err
	}
	return j.finish(ctx)
}

// RevertHotfix takes the last hotfix away; name, if given, must be its name. Where its
// application was the last change, that is taken back: former bytes come back exactly.
// Otherwise the files become what the level and the hotfixes before have there, merged
// with what the operator changed. A hotfix that waits for decisions is dropped instead.
func (u *Updater) RevertHotfix(ctx context.Context, name string, opts RevertOptions) (*Result, error) {
	general := Options{
		OnConflict: opts.OnConflict, WholeFiles: opts.WholeFiles, DecideAnew: opts.DecideAnew,
		DryRun: opts.DryRun, NoReport: opts.NoReport, Keep: opts.Keep,
	}
	return u.overlay(ctx, "revert-hotfix", general, func(j *job) error { return j.revertHotfix(ctx, name, opts) })
}

func (j *job) revertHotfix(ctx context.Context, name string, opts RevertOptions) error {
	pending, err := j.u.Home.Pending()
	if err == nil && pending.Plan.Kind == plan.Hotfix {
		return j.u.drop(pending, j.res, opts.DryRun)
	}
	if err := j.u.noOtherWaits(""); err != nil {
		return err
	}
	if len(j.state.Hotfixes) == 0 && len(j.state.Others) > 0 {
		return problem.New(problem.Failed, "Take them back with that tool.",
			"Another tool applied the hotfixes here, and only it can take them back: %.400s", strings.Join(j.state.Others, ", "))
	}
	last, err := lastHotfix(j.state.Hotfixes, name)
	if err != nil {
		return err
	}
	view, _ := j.u.trusted(j.state.Line())
	if j.from, err = j.u.installed(ctx, view); err != nil {
		return err
	}
	j.res.Hotfix = infoOf(j.from.hotfixes[len(j.from.hotfixes)-1].record)
	history, err := j.u.Home.History()
	if err != nil {
		return err
	}
	stack := inForce(history)
	if n := len(stack); n > 0 && stack[n-1].Kind == plan.Hotfix && slices.Contains(stack[n-1].To.Hotfixes, last) && !slices.Contains(stack[n-1].From.Hotfixes, last) {
		r := &reversal{u: j.u, opts: opts, res: j.res, kind: plan.RevertHotfix, first: stack[n-1]}
		defer r.close()
		return r.back(ctx, history)
	}
	if j.to, err = j.u.level(ctx, j.state.Line(), j.state.Level, j.from.ref); err != nil {
		return err
	}
	if j.to, err = j.u.laid(j.to, j.state.Hotfixes[:len(j.state.Hotfixes)-1]); err != nil {
		return err
	}
	return j.changeHotfixes(ctx, plan.RevertHotfix)
}

// lastHotfix returns the hotfix that lies on all others; another that is named is refused.
func lastHotfix(ledger []plan.Applied, name string) (plan.Applied, error) {
	if len(ledger) == 0 {
		return plan.Applied{}, problem.New(problem.Failed, "To go back over an update, run revert.", "No hotfix is applied here")
	}
	last := ledger[len(ledger)-1]
	if name == "" {
		return last, nil
	}
	short, err := hotfix.ParseName(name)
	switch {
	case err != nil:
		return plan.Applied{}, err
	case short == last.Name:
		return last, nil
	case slices.Contains(plan.Names(ledger), short):
		return plan.Applied{}, problem.New(problem.Refused, "Take "+last.Name+" back first, with revert-hotfix.",
			"Hotfix %s is not the last: %s lies on it", short, last.Name)
	}
	return plan.Applied{}, problem.New(problem.Failed, "See what is applied with current-state.", "Hotfix %s is not applied here", short)
}

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
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Verify compares every file with the signed manifest of the installed level; every
// file is hashed, none is taken from the scan cache. Nothing is written. Damage to what
// the tool itself keeps is an error of kind [problem.Verification]; with Strict so is
// every customised or missing file and every other mode. The result is filled then too.
// What was seen while another tool changed the product counts for nothing.
func (u *Updater) Verify(ctx context.Context, opts VerifyOptions) (VerifyResult, error) {
	res := u.newVerifyResult()
	messages, err := u.readable(ctx)
	if err != nil {
		return res, err
	}
	res.Messages = messages
	err = u.unmoved(func() error { return u.verify(ctx, opts, &res) })
	return res, err
}

func (u *Updater) verify(ctx context.Context, opts VerifyOptions, res *VerifyResult) error {
	view, why, err := u.basis(ctx)
	if err != nil {
		return err
	}
	if view != nil {
		res.Freshness = new(u.freshness(view, why))
		res.At = u.here(view)
		if err := u.checkInstalled(view); err != nil {
			return err
		}
	}
	res.note(view, why)
	local := *u
	if !u.Home.State().Record.Sum.IsZero() {
		local.Fetch = nil
	}
	at, err := local.installed(ctx, view)
	if err != nil {
		return err
	}
	c, err := local.compare(ctx, at, res, false)
	if err != nil {
		return err
	}
	res.stand(c)
	damaged, err := local.Home.CheckStore(ctx)
	if err != nil {
		return err
	}
	res.Damaged = append(res.Damaged, damaged...)
	if view == nil && u.Trust != nil && why != noMetadata {
		res.Damaged = append(res.Damaged, Damage{What: "the trusted metadata", Why: why})
	}
	res.records = local.Home.CheckRecords()
	res.Damaged = append(res.Damaged, res.records...)
	res.Pending = local.pendingInfo()
	return res.judge(opts)
}

func (u *Updater) newVerifyResult() VerifyResult {
	state := u.Home.State()
	return VerifyResult{
		Home: u.Home.Dir(), Product: state.Product, Version: state.Version,
		At:       u.here(nil),
		Hotfixed: []string{}, Customised: []string{}, Merged: []string{}, Missing: []string{}, Generated: []string{}, Foreign: []string{},
		Modes: []ModeDifference{}, Faults: []Fault{}, Damaged: []Damage{}, Messages: []api.Message{},
	}
}

// note says what the metadata that are trusted make worth saying.
func (r *VerifyResult) note(view *trust.View, why string) {
	switch {
	case view == nil:
		r.Messages = append(r.Messages, api.Message{Code: "no-metadata", Text: "No signed metadata are stored yet (" + why + "); compared with the manifest that came with the product."})
	case view.Expired():
		r.Messages = append(r.Messages, expiredMessage(view))
	}
	if r.At.State == release.Withdrawn {
		r.Messages = append(r.Messages, withdrawnMessage(r.At))
	}
}

func expiredMessage(view *trust.View) api.Message {
	role, at := view.Expires()
	return api.Message{Code: "metadata-expired", Text: fmt.Sprintf(
		"The stored metadata (%s) expired on %s: new levels are accepted once they are renewed, with a connection or by the next offline update.", role, at.Format("2006-01-02"))}
}

func withdrawnMessage(p Place) api.Message {
	text := "The installed level " + p.Name + " was withdrawn by the vendor"
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return api.Message{Code: "installed-withdrawn", Text: text + "."}
}

// Difference is a path that is not as the vendor, or a hotfix of the vendor's, has it.
type Difference struct {
	Path  string
	State string          // customised, merged, missing, generated, mode, or a [Fault]'s
	Have  *manifest.Entry // nil: nothing
	Want  manifest.Entry  // as signed
	Why   string
}

// The states of a [Difference] that are no faults.
const (
	IsCustomised = "customised"
	IsMerged     = "merged"
	IsMissing    = "missing"
	IsGenerated  = "generated"
	IsMode       = "mode-kept" // other permission bits that hurt nobody
)

// comparison is the product set against what is signed for it.
type comparison struct {
	at    level
	rules reconcile.Rules
	seen  Inspection
	made  map[string]manifest.Entry // what merges and decisions put there
	all   []Difference
}

// compare sorts every path of the level and everything foreign into the result.
func (u *Updater) compare(ctx context.Context, at level, res *VerifyResult, remember bool) (c comparison, err error) {
	c.at = at
	if c.rules, err = reconcile.CompileRules(at.record.Rules, release.Rules{}); err != nil {
		return c, notAsSigned(err)
	}
	if c.seen, err = u.inspect(ctx, pathsOf(at.tree), remember); err != nil {
		return c, err
	}
	if c.made, err = u.merged(); err != nil {
		return c, err
	}
	fixed := at.hotfixed()
	for _, e := range at.tree.Entries() {
		have, there := c.seen.Tree.Lookup(e.Path)
		pristine := res.Pristine
		if err := u.sort(&c, e, have, there, res); err != nil {
			return c, err
		}
		if f := fixed[e.Path]; f != nil && there && have.SameContent(*f) && e.Kind != manifest.Dir {
			res.Hotfixed, res.Pristine = append(res.Hotfixed, e.Path), pristine
		}
	}
	for _, d := range c.all {
		res.count(d)
	}
	res.Foreign, err = u.foreign(ctx, at.tree)
	return c, err
}

func (u *Updater) inspect(ctx context.Context, paths []string, remember bool) (Inspection, error) {
	u.begin("verify", len(paths))
	defer u.end()
	seen, err := u.Home.Inspect(ctx, paths, remember)
	if errors.Is(err, fs.ErrPermission) {
		err = problem.New(problem.Refused, "Run it as the user who owns the product's folder.", "Not everything may be read: %w", err)
	}
	return seen, err
}

// merged returns what the changes in force made of files by merging: where that still
// stands, both sides' changes are in it and nobody touched it since.
func (u *Updater) merged() (map[string]manifest.Entry, error) {
	history, err := u.Home.History()
	if err != nil {
		return nil, err
	}
	made := map[string]manifest.Entry{}
	for _, c := range inForce(history) {
		for _, f := range c.Files { // by an update or a hotfix
			if m, ok := made[f.Path]; ok && c.Kind == plan.Repair && f.After != nil && f.After.SameContent(m) {
				continue // brought back
			}
			delete(made, f.Path)
			if f.After != nil && (f.Why == reconcile.Merging || f.Why == reconcile.Renamed) {
				made[f.Path] = *f.After
			}
		}
	}
	return made, nil
}

// sort notes a path in the comparison, unless it is as signed.
func (u *Updater) sort(c *comparison, want, have manifest.Entry, there bool, res *VerifyResult) error {
	d := Difference{Path: want.Path, Want: want}
	if there {
		d.Have = &have
	}
	same := there && have.SameContent(want)
	left := c.rules.Generated.Match(want.Path) || c.rules.Data.Match(want.Path)
	switch {
	case left && (!same || have.Mode != want.Mode):
		d.State = IsGenerated
	case !there:
		d.State = IsMissing
	default:
		f, damaged, err := examiner{u.Home, c.seen}.fault(want, have, c.made[want.Path])
		switch {
		case err != nil:
			return err
		case damaged:
			d.State, d.Why = f.Fault, f.Why
			res.Faults = append(res.Faults, f)
		case !same && have.SameContent(c.made[want.Path]):
			d.State = IsMerged
		case !same:
			d.State = IsCustomised
		case have.Mode != want.Mode:
			d.State = IsMode
		}
		if same && !damaged && want.Kind != manifest.Dir {
			res.Pristine++
		}
	}
	if d.State != "" {
		c.all = append(c.all, d)
	}
	return nil
}

// count lists a difference where people look for it.
func (r *VerifyResult) count(d Difference) {
	switch d.State {
	case IsGenerated:
		r.Generated = append(r.Generated, d.Path)
		return
	case IsMissing:
		r.Missing = append(r.Missing, d.Path)
		return
	case IsMerged:
		r.Merged = append(r.Merged, d.Path)
	case IsCustomised:
		r.Customised = append(r.Customised, d.Path)
	}
	r.mode(d.Want, *d.Have)
}

// mode notes permission bits that are not the listed ones.
func (r *VerifyResult) mode(want, have manifest.Entry) {
	if have.Kind == want.Kind && have.Mode != want.Mode {
		r.Modes = append(r.Modes, ModeDifference{
			Path: want.Path, Have: fmt.Sprintf("%04o", have.Mode), Want: fmt.Sprintf("%04o", want.Mode),
		})
	}
}

func (r *VerifyResult) judge(opts VerifyOptions) error {
	switch {
	case len(r.Faults) > 0:
		return problem.New(problem.Verification, "Run verify --repair: it restores what is damaged or missing, and nothing else."+r.meantSo(),
			"%s of the product %s damaged: %s: %s", counted(len(r.Faults), "file"), are(len(r.Faults)), r.Faults[0].Path, r.Faults[0].Why)
	case len(r.Damaged) > 0 && len(r.Damaged) == len(r.records):
		return problem.New(problem.Verification, "Correct "+r.records[0].What+", or bring it back from a backup: verify --repair fetches only what the vendor signed.",
			"%s is not what the tool wrote: %s", r.records[0].What, r.records[0].Why)
	case len(r.Damaged) > 0:
		return problem.New(problem.Verification, "Run verify --repair: it fetches anew what can be had.",
			"%d of the things that the tool keeps are damaged: %s: %s", len(r.Damaged), r.Damaged[0].What, r.Damaged[0].Why)
	case opts.Strict && len(r.Customised)+len(r.Merged)+len(r.Missing)+len(r.Modes) > 0:
		return problem.New(problem.Verification, "See what verify lists; run it without --strict to accept it.",
			"The product differs from level %s: %d customised, %d missing, %d with another mode",
			r.At.Name, len(r.Customised)+len(r.Merged), len(r.Missing), len(r.Modes))
	}
	return nil
}

// meantSo says how a file that looks damaged, and is meant so, comes to count as customised.
func (r *VerifyResult) meantSo() string {
	has := func(faults ...string) bool {
		return slices.ContainsFunc(r.Faults, func(f Fault) bool { return slices.Contains(faults, f.Fault) })
	}
	next := ""
	if has(Empty, Zeros) {
		next += " A file emptied on purpose counts as customised once it holds a blank line."
	}
	if has(BrokenArchive) {
		next += " An archive replaced on purpose counts as customised once it opens as one, if only an empty one."
	}
	return next
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// trusted returns a view of the stored metadata, or why there is none. Damaged metadata
// count as none here: the commands that use it need no metadata to do their work.
func (u *Updater) trusted(line release.Line) (*trust.View, string) {
	if u.Trust == nil {
		return nil, "no trusted root is known"
	}
	view, err := u.Trust.Trusted(line)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, noMetadata
	case err != nil:
		u.Log.Warn("stored metadata are not usable", "error", err)
		return nil, err.Error()
	}
	return view, ""
}

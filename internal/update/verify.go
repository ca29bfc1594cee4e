package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/api"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Verify compares every file with the signed manifest of the installed level; every
// file is hashed, none is taken from the scan cache. Nothing is written. Damage to what
// the tool itself keeps is an error of kind [problem.Verification]; with Strict so is
// every customised or missing file and every other mode. The result is filled then too.
func (u *Updater) Verify(ctx context.Context, opts VerifyOptions) (VerifyResult, error) {
	res := u.newVerifyResult()
	if err := u.ready(ctx); err != nil {
		return res, err
	}
	view, why := u.trusted(u.Home.State().Line())
	if view != nil {
		res.Freshness = new(freshness(view, why))
		res.At = u.here(view)
		if err := u.checkInstalled(view); err != nil {
			return res, err
		}
	}
	res.note(view, why)
	local := *u
	local.Fetch = nil
	at, err := local.installed(ctx, view)
	if err != nil {
		return res, err
	}
	if err := local.compare(ctx, at, &res); err != nil {
		return res, err
	}
	damaged, err := local.Home.CheckStore(ctx)
	if err != nil {
		return res, err
	}
	res.Damaged = append(res.Damaged, damaged...)
	res.Pending = local.pendingInfo()
	return res, res.judge(opts)
}

func (u *Updater) newVerifyResult() VerifyResult {
	state := u.Home.State()
	return VerifyResult{
		Home: u.Home.Dir(), Product: state.Product, Version: state.Version,
		At:       u.here(nil),
		Hotfixed: []string{}, Customised: []string{}, Merged: []string{}, Missing: []string{}, Generated: []string{}, Foreign: []string{},
		Modes: []ModeDifference{}, Damaged: []Damage{}, Messages: []api.Message{},
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
		"The stored metadata (%s) expired on %s: no new level is accepted until they are renewed.", role, at.Format("2006-01-02"))}
}

func withdrawnMessage(p Place) api.Message {
	text := "The installed level " + p.Name + " was withdrawn by the vendor"
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return api.Message{Code: "installed-withdrawn", Text: text + "."}
}

// compare sorts every path of the level and everything foreign into the result.
func (u *Updater) compare(ctx context.Context, at level, res *VerifyResult) error {
	rules, err := reconcile.CompileRules(at.record.Rules, release.Rules{})
	if err != nil {
		return notAsSigned(err)
	}
	disk, err := u.look(ctx, pathsOf(at.tree), false)
	if err != nil {
		return err
	}
	merged, err := u.merged()
	if err != nil {
		return err
	}
	fixed := at.hotfixed()
	for _, e := range at.tree.Entries() {
		have, there := disk.Lookup(e.Path)
		if f := fixed[e.Path]; f != nil && there && have.SameContent(*f) && e.Kind != manifest.Dir {
			res.Hotfixed = append(res.Hotfixed, e.Path)
			res.mode(e, have)
			continue
		}
		res.sort(e, have, there, rules, merged[e.Path])
	}
	res.Foreign, err = u.foreign(ctx, at.tree)
	return err
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
			delete(made, f.Path)
			if f.After != nil && (f.Why == reconcile.Merging || f.Why == reconcile.Renamed) {
				made[f.Path] = *f.After
			}
		}
	}
	return made, nil
}

func (r *VerifyResult) sort(want, have manifest.Entry, there bool, rules reconcile.Rules, merged manifest.Entry) {
	same := there && have.SameContent(want)
	switch {
	case !same && (rules.Generated.Match(want.Path) || rules.Data.Match(want.Path)):
		r.Generated = append(r.Generated, want.Path)
		return
	case !there:
		r.Missing = append(r.Missing, want.Path)
		return
	case !same && have.SameContent(merged):
		r.Merged = append(r.Merged, want.Path)
	case !same:
		r.Customised = append(r.Customised, want.Path)
	case want.Kind != manifest.Dir:
		r.Pristine++
	}
	r.mode(want, have)
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
	case len(r.Damaged) > 0:
		return problem.New(problem.Verification,
			"Run update with the service reachable, or compare with a fresh pack.",
			"%d of the things that the tool keeps are damaged: %s: %s", len(r.Damaged), r.Damaged[0].What, r.Damaged[0].Why)
	case opts.Strict && len(r.Customised)+len(r.Merged)+len(r.Missing)+len(r.Modes) > 0:
		return problem.New(problem.Verification, "See what verify lists; run it without --strict to accept it.",
			"The product differs from level %s: %d customised, %d missing, %d with another mode",
			r.At.Name, len(r.Customised)+len(r.Merged), len(r.Missing), len(r.Modes))
	}
	return nil
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
		return nil, "none were fetched"
	case err != nil:
		u.Log.Warn("stored metadata are not usable", "error", err)
		return nil, err.Error()
	}
	return view, ""
}

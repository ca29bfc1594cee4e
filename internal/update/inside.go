package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/reconcile/content"
	"uplevel/internal/release"
)

// sides are the contents of files between two levels.
type sides struct {
	u        *Updater
	from, to level
}

// Published opens content of either level, fetching it where it is not there yet.
func (s sides) Published(ctx context.Context, ref release.Ref) (io.ReadCloser, error) {
	r, err := bytesOf{s.u}.Open(ref)
	if err == nil || s.u.Fetch == nil {
		return r, err
	}
	for _, l := range []level{s.to, s.from} {
		if !slices.ContainsFunc(l.published.Entries(), func(e manifest.Entry) bool { return e.Sum == ref.Sum }) {
			continue
		}
		if err := s.u.fetchPart(ctx, l, []release.Ref{ref}); err != nil {
			return nil, err
		}
		return bytesOf{s.u}.Open(ref)
	}
	return nil, err
}

// Disk opens what lies in the product.
func (s sides) Disk(path string) (io.ReadCloser, error) { return s.u.Home.OpenFile(path) }

// looker returns what looks inside files for one plan. The caller closes it.
func (u *Updater) looker(ctx context.Context, from, to level, replay bool) (*content.Looker, error) {
	opts := content.Options{
		Sources: sides{u, from, to}, Format: u.Formats, Log: u.Log,
		Resolved: func(_ context.Context, ref release.Ref) (io.ReadCloser, error) { return u.Home.OpenObject(ref) },
	}
	if replay {
		decided, err := u.Home.Decided()
		if err != nil {
			return nil, err
		}
		opts.Decided = func(base, mine, theirs digest.Digest) (content.Decision, bool) {
			i := slices.IndexFunc(decided, func(d Decision) bool { return d.Base == base && d.Mine == mine && d.Theirs == theirs })
			if i < 0 {
				return content.Decision{}, false
			}
			return content.Decision{Result: decided[i].Result, Said: "as resolved on " + decided[i].Time.Format("2006-01-02")}, true
		}
	}
	return content.New(ctx, opts), nil
}

// reconciled decides about every path. Published sides of files that both sides changed
// are fetched in one go before any is looked into.
func (u *Updater) reconciled(ctx context.Context, from, to level, rules reconcile.Rules, decide func(reconcile.Rules) []plan.Outcome) ([]plan.Outcome, error) {
	inside, wholes := rules.Inside, rules
	wholes.Inside, wholes.OnConflict = nil, reconcile.Stop
	var both []plan.Outcome
	for _, o := range decide(wholes) {
		if o.Action == plan.Conflict && lookedInto(o) {
			both = append(both, o)
		}
	}
	if len(both) == 0 || inside == nil {
		return decide(rules), nil
	}
	if _, err := u.publishedSides(ctx, &plan.Plan{Outcomes: both}, from, to); err != nil {
		return nil, err
	}
	return decide(rules), nil
}

// lookedInto reports whether a conflict is of files that may be merged inside.
func lookedInto(o plan.Outcome) bool {
	for _, e := range []*manifest.Entry{o.Base, o.Disk, o.Want} {
		if e != nil && (e.Kind != manifest.File || e.Size > merge.MaxText && !content.Archive(o.Path)) {
			return false
		}
	}
	return o.Disk != nil && o.Want != nil
}

// publishedSides fetches the published sides of conflicts, and returns those of the
// installed level that cannot be had any more.
func (u *Updater) publishedSides(ctx context.Context, p *plan.Plan, from, to level) (lost []release.Ref, err error) {
	wanted, former := u.split(p, to)
	if err := u.fetchPart(ctx, to, wanted); err != nil {
		return nil, err
	}
	published := sumsOf(from.published)
	var ofLevel []release.Ref
	for _, ref := range former { // one that only a hotfix had would refuse the others, too
		if published[ref.Sum] {
			ofLevel = append(ofLevel, ref)
		} else {
			lost = append(lost, ref)
		}
	}
	err = u.fetchPart(ctx, from, ofLevel)
	if err == nil {
		return lost, nil
	}
	if kind := problem.KindOf(err); kind == problem.Verification || ctx.Err() != nil || errors.Is(err, errNotCarried) {
		return nil, err
	}
	u.Log.Warn("originals of conflicting files cannot be had", "error", err)
	return former, nil
}

// made opens content for staging: what was merged, or what was published.
type made struct {
	merged    *content.Looker // nil: nothing was
	published bytesOf
}

// Open returns verified content, or an error that is fs.ErrNotExist.
func (m made) Open(ref release.Ref) (io.ReadCloser, error) {
	if m.merged != nil {
		if r, err := m.merged.Open(ref); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	return m.published.Open(ref)
}

package update

import (
	"context"

	"uplevel/internal/api"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Check says what the product could be brought to. It may store newer trusted metadata
// and changes nothing else. With nothing to do it makes three requests: two for
// metadata, one for the entitlement. Expired metadata are said and no failure.
func (u *Updater) Check(ctx context.Context, opts CheckOptions) (CheckResult, error) {
	state := u.Home.State()
	line := state.Line()
	if opts.Channel != "" {
		line.Channel = opts.Channel
	}
	res := u.newCheckResult()
	if err := line.Check(); err != nil {
		return res, problem.New(problem.Usage, "Name a channel such as full or security.", "Unusable channel: %w", err)
	}
	if err := u.ready(ctx); err != nil {
		return res, err
	}
	view, why, err := u.refreshed(ctx, lines(state.Line(), line)...)
	if err != nil {
		return res, err
	}
	res.Freshness = u.freshness(view, why)
	if err := u.checkInstalled(view); err != nil {
		return res, err
	}
	levels, err := view.Levels(line)
	if err != nil {
		return res, err
	}
	if opts.AcceptEULA {
		if err := u.Service.AcceptEULA(ctx, ""); err != nil {
			return res, err
		}
	}
	may, err := u.Service.Check(ctx, u.checkRequest(line))
	if err != nil {
		return res, err
	}
	res.Available = u.available(may, line)
	res.Tool = u.toolInfo(view, may.MinimumTool)
	w := wish{line: line, levels: levels, at: plan.Point{Channel: state.Channel, Level: state.Level}, states: opts.States}
	return res, u.fillCheck(ctx, &res, view, w, may)
}

func (u *Updater) newCheckResult() CheckResult {
	state := u.Home.State()
	at := u.here(nil)
	return CheckResult{
		Home: u.Home.Dir(), Product: state.Product, Version: state.Version, From: at, Latest: at,
		Levels: []LevelInfo{}, Floors: []plan.Floor{}, Absorbed: []string{}, Messages: []api.Message{},
		Hotfixes: noFate(), Available: []HotfixInfo{},
	}
}

// refreshed returns a view of refreshed metadata. Where they cannot be renewed because
// they expired, it returns what was trusted before and why.
func (u *Updater) refreshed(ctx context.Context, lines ...release.Line) (*trust.View, string, error) {
	u.begin("trust", 0)
	defer u.end()
	view, err := u.Trust.Refresh(ctx, lines...)
	if err == nil || problem.KindOf(err) != problem.Verification {
		return view, "", err
	}
	view, trustedErr := u.Trust.Trusted(lines...)
	if trustedErr != nil || !view.Expired() {
		return nil, "", err
	}
	u.Log.Warn("metadata could not be renewed", "error", err)
	return view, err.Error(), nil
}

func (u *Updater) fillCheck(ctx context.Context, res *CheckResult, view *trust.View, w wish, may api.CheckAnswer) error {
	res.From = u.here(view)
	res.Latest = res.From
	res.Messages = append(res.Messages, may.Messages...)
	if res.From.State == release.Withdrawn {
		res.Withdrawn = &plan.Floor{Level: w.at.Level, Reason: res.From.Reason}
		res.Messages = append(res.Messages, withdrawnMessage(res.From))
	}
	if res.Freshness.Expired {
		res.Messages = append(res.Messages, expiredMessage(view))
	}
	res.Pending = u.pendingInfo()
	offered := w.offered(may)
	for _, l := range offered {
		res.Levels = append(res.Levels, LevelInfo{
			Level: l.Level, Name: w.line.LevelName(l.Level), State: l.State, Type: l.Type, Title: l.Title,
			Security: l.SecurityN, Regular: l.RegularN, Floor: l.Floor, Tested: l.Tested, Published: l.Published,
		})
	}
	if len(offered) == 0 {
		return nil
	}
	latest := offered[len(offered)-1]
	res.Latest = u.place(view, w.line, latest.Level)
	way := w.between(latest.Level)
	res.Regular, res.Security = counts(way)
	res.Floors = append(res.Floors, floors(way)...)
	if res.Freshness.Expired || res.Tool.TooOld {
		return nil // what they name is not to be fetched
	}
	return u.estimate(ctx, res, view, w, latest)
}

// estimate adds what needs records and notes: absorbed hotfixes and the download, taken
// as what the manifests differ in; plan looks at the disk and knows exactly.
func (u *Updater) estimate(ctx context.Context, res *CheckResult, view *trust.View, w wish, latest release.Listed) error {
	g, way, err := u.gain(ctx, w.between(latest.Level))
	if err != nil {
		return err
	}
	res.Absorbed = g.Absorbed
	if res.Hotfixes, err = u.fate(ctx, latest, way); err != nil {
		return err
	}
	from, err := u.installed(ctx, view)
	if err != nil {
		return err
	}
	to, err := u.level(ctx, w.line, latest.Level, latest.Record)
	if err != nil {
		return err
	}
	if _, err := u.carried(to, res.Hotfixes); err != nil { // the update is refused likewise
		res.Messages = append(res.Messages, api.Message{Code: "hotfix-does-not-fit", Text: err.Error() + "."})
	}
	have := sumsOf(from.tree)
	seen := map[release.Ref]bool{}
	var refs []release.Ref
	for _, e := range to.published.Entries() {
		ref := release.Ref{Sum: e.Sum, Size: e.Size}
		if e.Sum.IsZero() || have[e.Sum] || seen[ref] || u.has(ref) {
			continue
		}
		seen[ref] = true
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return nil
	}
	res.Download, err = u.Fetch.Sizes(ctx, w.line, latest.Level, refs)
	return err
}

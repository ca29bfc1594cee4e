package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/validate"
	"uplevel/internal/release"
)

// ProductRequest asks for level 0 of a product version.
type ProductRequest struct {
	Line           release.Line
	Dist           string // folder or zip of the first release
	Rules          release.Rules
	Platform       string // release.Unix, or empty
	SupportedUntil string // YYYY-MM-DD, or empty
	Strict         bool
	Accept         []string
}

// AddProduct publishes level 0 of a product version from its first release. It needs
// the targets key for a product that is new, and makes the product's own.
func (p *Publisher) AddProduct(ctx context.Context, req ProductRequest) (Outcome, error) {
	req.Line.Channel = release.DefaultChannel
	if err := checkProduct(req); err != nil {
		return Outcome{}, err
	}
	view, err := p.Signer.Refresh(ctx, req.Line)
	if err != nil {
		return Outcome{}, err
	}
	d, err := p.draftFirst(ctx, req)
	if err != nil {
		return Outcome{}, err
	}
	defer d.build.Close()
	out := Outcome{Line: req.Line, State: release.Live, Report: d.Report}
	if slices.Contains(view.Lines(req.Line.Product), req.Line) {
		zero, err := view.Level(req.Line, 0)
		if err != nil {
			return out, err
		}
		return p.alreadyAdded(ctx, d, req, zero, out)
	}
	if err := d.Error(); err != nil {
		return out, err
	}
	record := release.Record{
		Format: 1, Product: req.Line.Product, Version: req.Line.Version, Channel: req.Line.Channel,
		Rules: req.Rules, Platform: req.Platform, Created: p.Now().UTC(),
	}
	b, err := makePublication(record, release.Listing{State: release.Live, SupportEnds: req.SupportedUntil}, d.manifest, d.Notes)
	if err != nil {
		return out, err
	}
	docs, err := p.signProduct(b)
	if err != nil {
		return out, err
	}
	all := slices.Concat(filesOf(d.build.Tree, manifest.Tree{}, d.build.Open), b.uploads())
	if err := p.store(ctx, all, &out); err != nil {
		return out, err
	}
	b.keep(p)
	return out, p.Signer.Submit(ctx, docs, req.Line)
}

func checkProduct(req ProductRequest) error {
	if strings.HasPrefix(req.Line.Product, "uplevel-") {
		return problem.New(problem.Usage, "Choose another name.", "Product names that begin with uplevel- are reserved")
	}
	if req.Platform != "" && req.Platform != release.Unix {
		return problem.New(problem.Usage, "Use any or unix.", "Platform %.40q is not known", req.Platform)
	}
	if _, err := time.Parse(time.DateOnly, req.SupportedUntil); err != nil && req.SupportedUntil != "" {
		return problem.New(problem.Usage, "Write the date as YYYY-MM-DD.", "--supported-until: %.40q is no date", req.SupportedUntil)
	}
	return nil
}

// alreadyAdded accepts the very same level 0 and refuses another one.
func (p *Publisher) alreadyAdded(ctx context.Context, d *draft, req ProductRequest, zero release.Listed, out Outcome) (Outcome, error) {
	level, err := p.load(ctx, zero)
	if err != nil {
		return out, err
	}
	r := level.record
	if r.Manifest.Sum != digest.Of(d.manifest) {
		return out, problem.New(problem.Refused,
			fmt.Sprintf("Publish this build as a level: level %s %s --dist … --notes FILE.", d.Line.Product, d.Line.Version),
			"%s is published already, from another first release", d.Line)
	}
	if !sameRules(r.Rules, req.Rules) || r.Platform != req.Platform || zero.SupportEnds != req.SupportedUntil {
		return out, problem.New(problem.Refused, "Give those that it was published with: they stand signed in every level since.",
			"%s is published already, with other rules, platform or end of support", d.Line)
	}
	out.Already, out.State = true, zero.State
	return out, p.offer(ctx, d, level, &out)
}

func sameRules(a, b release.Rules) bool {
	return slices.Equal(a.Generated, b.Generated) && slices.Equal(a.Data, b.Data) && slices.Equal(a.KeepPristine, b.KeepPristine)
}

// draftFirst scans and judges a build as level 0.
func (p *Publisher) draftFirst(ctx context.Context, req ProductRequest) (*draft, error) {
	accepted, err := validate.ParseAccept(req.Accept)
	if err != nil {
		return nil, err
	}
	d := &draft{}
	d.Line, d.Notes = req.Line, release.Notes{Title: "First release", Updates: []release.Update{}}
	if d.build, err = p.scan(ctx, req.Line, req.Dist); err != nil {
		return nil, err
	}
	d.manifest = d.build.Tree.Bytes()
	d.Changes = changesOf(manifest.Tree{}, d.build.Tree)
	err = d.check(validate.Input{
		Tree: d.build.Tree, Outward: d.build.Outward, SetID: d.build.SetID, First: true, Platform: req.Platform,
		Notes: d.Notes, New: d.read,
	}, accepted, req.Strict)
	if err != nil {
		_ = d.build.Close()
		return nil, err
	}
	return d, nil
}

// StateRequest asks for another state of a published level.
type StateRequest struct {
	Line   release.Line
	Level  int
	State  release.State
	Reason string // of a withdrawal; required for one
	Tested string // text or URL shown with the level
}

// SetState changes the signed state of a level: upwards, or to withdrawn for good. Only the
// product's key is needed.
func (p *Publisher) SetState(ctx context.Context, req StateRequest) (Outcome, error) {
	if req.State == release.Withdrawn && strings.TrimSpace(req.Reason) == "" {
		return Outcome{}, problem.New(problem.Usage, "Say why with --reason: customers are told.", "A withdrawal needs a reason")
	}
	view, err := p.Signer.Refresh(ctx, req.Line)
	if err != nil {
		return Outcome{}, err
	}
	level, err := view.Level(req.Line, req.Level)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Line: req.Line, Level: req.Level, State: req.State}
	changed := level
	changed.State, changed.Reason = req.State, req.Reason
	if req.Tested != "" {
		changed.Tested = req.Tested
	}
	if changed.Listing == level.Listing {
		out.Already = true
		return out, nil
	}
	if err := mayMove(level, req.State); err != nil {
		return out, err
	}
	judged, err := view.Levels(req.Line)
	if err != nil {
		return out, err
	}
	docs, err := p.signLevels([]publication{{listed: changed}}, judged, false)
	if err != nil {
		return out, err
	}
	return out, p.Signer.Submit(ctx, docs, req.Line)
}

// mayMove refuses what the service would refuse, too: a withdrawal taken back, and a level
// taken from those who have it.
func mayMove(level release.Listed, to release.State) error {
	name := level.Line().LevelName(level.Level)
	switch {
	case level.State.CanBecome(to):
		return nil
	case level.State == release.Withdrawn:
		return problem.New(problem.Refused, fmt.Sprintf("Publish what is mended as the next level: level %s %s --dist … --notes FILE.", level.Product, level.Version),
			"Level %s was withdrawn and stays so: %s", name, level.Reason)
	}
	return problem.New(problem.Refused, fmt.Sprintf("Leave it, or withdraw it: withdraw %s %s %d --reason TEXT.", level.Product, level.Version, level.Level),
		"Level %s is %s and cannot become %s: some may have it", name, level.State, to)
}

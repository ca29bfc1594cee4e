package publish

import (
	"context"
	"io"

	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/pack"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// PackRequest asks for what a customer starts from.
type PackRequest struct {
	Line   release.Line
	Level  int
	Out    string // X.zip, or a folder that is not there or empty
	Vendor pack.Vendor
	Tools  []pack.Tool
}

// Pack writes a pack of a published level, verified with the publisher's own root. A
// withdrawn level is refused.
func (p *Publisher) Pack(ctx context.Context, req PackRequest) (Outcome, error) {
	view, err := p.Signer.Refresh(ctx, req.Line)
	if err != nil {
		return Outcome{}, err
	}
	listed, err := view.Level(req.Line, req.Level)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Line: req.Line, Level: req.Level, State: listed.State}
	if listed.State == release.Withdrawn {
		return out, problem.New(problem.Refused, "Pack another level.",
			"Level %s is withdrawn: %s", req.Line.LevelName(req.Level), listed.Reason)
	}
	spec, err := p.packSpec(ctx, listed)
	if err != nil {
		return out, err
	}
	spec.Vendor, spec.Tools = req.Vendor, req.Tools
	return out, pack.Write(ctx, spec, req.Out)
}

// packSpec gathers a level's objects, verified and at hand.
func (p *Publisher) packSpec(ctx context.Context, listed release.Listed) (pack.Spec, error) {
	line := listed.Line()
	level, err := p.load(ctx, listed)
	if err != nil {
		return pack.Spec{}, err
	}
	spec := pack.Spec{Record: level.record, Manifest: level.manifest, Open: p.Objects.Open}
	if spec.Bytes, err = p.content(ctx, line, listed.Level, listed.Record, release.MaxRecord); err != nil {
		return pack.Spec{}, err
	}
	if spec.Notes, err = p.content(ctx, line, listed.Level, level.record.Notes, release.MaxNotes); err != nil {
		return pack.Spec{}, err
	}
	if spec.Root, err = p.Signer.Folder.Document(trust.RoleRoot); err != nil {
		return pack.Spec{}, err
	}
	tree, err := manifest.Parse(level.manifest)
	if err != nil {
		return pack.Spec{}, problem.New(problem.Verification, "", "Level %s: %w", line.LevelName(listed.Level), err)
	}
	var refs []release.Ref
	for _, u := range filesOf(tree, manifest.Tree{}, func(string) (io.ReadCloser, error) { return nil, io.EOF }) {
		refs = append(refs, u.Ref)
	}
	p.say("Fetching %d objects of level %s.", len(refs), line.LevelName(listed.Level))
	return spec, p.Objects.Fetch(ctx, line, listed.Level, refs)
}

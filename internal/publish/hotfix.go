package publish

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/validate"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Registry is where hotfixes are registered, and who they may be for.
type Registry interface {
	Organisation(ctx context.Context, name string) (api.Organisation, error)
	Hotfixes(ctx context.Context, line release.Line) ([]api.Hotfix, error)
	HotfixZip(ctx context.Context, product, version, name string, offset int64) (io.ReadCloser, int64, error)
	RegisterHotfix(ctx context.Context, zip io.ReadSeeker, size int64) (api.HotfixAnswer, error)
}

// HotfixRequest asks for a hotfix: what a build changes against a level.
type HotfixRequest struct {
	Line           release.Line
	For            string // organisation, by the name that the service knows
	OrganisationID string // opaque; empty: asked of the service by For
	Level          int
	AlsoLevels     []int    // others that it fits: the same stands there where it changes something
	Dist           string   // folder or zip of the build: level, hotfixes before it, and the fix
	Notes          []byte   // YAML, as a level's, with one update
	After          []string // zips of the hotfixes that must be applied before, in order
	Sequence       int      // 0: one more than the last of After, else 1
	Out            string   // folder for the zip; empty: the current one
	Strict         bool
	Accept         []string
}

// HotfixOutcome is what was made and registered.
type HotfixOutcome struct {
	Report  Report
	Record  hotfix.Record
	Already bool   // the same hotfix was registered before
	File    string // the zip; empty: not written
	Size    int64  // its bytes
}

// hotfixDraft is a hotfix on its way.
type hotfixDraft struct {
	draft
	view   *trust.View
	req    HotfixRequest
	after  []earlier
	record hotfix.Record
}

// Hotfix makes a hotfix, registers it with the service, and puts its zip into the folder
// Out, last: what lies there is what the service has. One that is registered already, the
// same but for its time, is given from there, with Already set.
func (p *Publisher) Hotfix(ctx context.Context, req HotfixRequest) (HotfixOutcome, error) {
	d, err := p.draftHotfix(ctx, req)
	if err != nil {
		return HotfixOutcome{}, err
	}
	defer d.close()
	out := HotfixOutcome{Report: d.Report, Record: d.record}
	there, err := p.registered(ctx, d.record)
	if err != nil {
		return out, err
	}
	if there != nil {
		out.Already = true
		return p.againHotfix(ctx, d, *there, out)
	}
	if err := d.Error(); err != nil {
		return out, err
	}
	return p.makeHotfix(ctx, d, out)
}

func (d *hotfixDraft) close() {
	for _, a := range d.after {
		_ = a.file.Close()
	}
	if d.build != nil {
		_ = d.build.Close()
	}
}

// draftHotfix reads and judges everything that a hotfix is made of.
func (p *Publisher) draftHotfix(ctx context.Context, req HotfixRequest) (*hotfixDraft, error) {
	accepted, err := validate.ParseAccept(req.Accept)
	if err != nil {
		return nil, err
	}
	notes, err := parseHotfixNotes(req.Notes)
	if err != nil {
		return nil, err
	}
	d := &hotfixDraft{req: req}
	d.Line, d.Level, d.Notes = req.Line, req.Level, notes
	if err := p.gather(ctx, d, accepted); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// gather opens what the draft is made of; the caller closes it.
func (p *Publisher) gather(ctx context.Context, d *hotfixDraft, accepted map[string]string) error {
	var err error
	if d.view, err = p.Signer.Refresh(ctx, d.Line); err != nil {
		return err
	}
	who, err := p.whom(ctx, d.req)
	if err != nil {
		return err
	}
	if err := d.openAfter(ctx, who); err != nil {
		return err
	}
	if d.build, err = p.scan(ctx, d.Line, d.req.Dist); err != nil {
		return err
	}
	if err := p.fill(ctx, d, who); err != nil {
		return err
	}
	return p.judgeHotfix(ctx, d, accepted)
}

// parseHotfixNotes reads notes as of a level, with one update and nothing about hotfixes.
func parseHotfixNotes(text []byte) (release.Notes, error) {
	notes, err := ParseNotes(text)
	if err != nil {
		return notes, err
	}
	if len(notes.Updates) != 1 || len(notes.AbsorbsHotfixes)+len(notes.KeepsHotfixes) > 0 {
		return notes, problem.New(problem.Failed, "Describe the hotfix as one update; absorbs_hotfixes and keeps_hotfixes are for levels.",
			"Unable to use the notes: a hotfix has one update and absorbs none, these have %d", len(notes.Updates))
	}
	return notes, nil
}

// whom says who a hotfix is for: by the service's word, or by what the person gave.
func (p *Publisher) whom(ctx context.Context, req HotfixRequest) (api.Organisation, error) {
	o := api.Organisation{ID: req.OrganisationID, Name: req.For, Short: hotfix.ShortName(req.For)}
	if o.ID == "" {
		var err error
		if o, err = p.Registry.Organisation(ctx, req.For); err != nil {
			if problem.KindOf(err) == problem.Failed {
				return o, problem.New(problem.Refused, "Write the name as the service has it, or give its id with --organisation-id.",
					"The service knows no organisation %q: %w", req.For, err)
			}
			return o, err
		}
	}
	if err := hotfix.CheckOrganisation(o.Short); err != nil {
		return o, problem.New(problem.Usage, "Give its id with --organisation-id, and with --for a name of letters, digits, dots and underscores.",
			"Of %q no name of a hotfix can be made: %w", o.Name, err)
	}
	return o, nil
}

// fill makes the record: what the build changes against the level under the hotfixes
// before it, for every level that it shall fit.
func (p *Publisher) fill(ctx context.Context, d *hotfixDraft, who api.Organisation) error {
	levels := slices.Compact(slices.Sorted(slices.Values(append([]int{d.req.Level}, d.req.AlsoLevels...))))
	under := map[int]manifest.Tree{}
	for _, level := range levels {
		tree, err := p.underHotfixes(ctx, d, level)
		if err != nil {
			return err
		}
		under[level] = tree
	}
	d.base = under[d.req.Level]
	d.Changes = changesOf(d.base, d.build.Tree)
	d.Notes.Changes = d.Changes
	sequence, err := d.sequence()
	if err != nil {
		return err
	}
	d.record = hotfix.Record{
		Format: hotfix.Format, Name: hotfix.Name(who.Short, sequence), Product: d.Line.Product, Version: d.Line.Version, Channel: d.Line.Channel,
		Levels: levels, Sequence: sequence, Organisation: who.ID, For: who.Short, Files: hotfix.Difference(d.base, d.build.Tree),
		Update: d.Notes.Updates[0], Restart: d.Notes.Restart,
	}
	d.record.Update.Files = nil
	for _, a := range d.after {
		d.record.Needs = append(d.record.Needs, a.record.Name)
	}
	d.Hotfix = d.record.Name
	if len(d.record.Files) == 0 {
		return problem.New(problem.Refused, "Name the build that holds the fix with --dist.",
			"The build changes nothing of level %s", d.Line.LevelName(d.req.Level))
	}
	for _, level := range levels {
		if _, err := d.record.Overlay(under[level]); err != nil {
			return problem.New(problem.Refused, "Make a hotfix of its own for that level, or leave --also-level out.",
				"Level %s is another where the hotfix changes something: %w", d.Line.LevelName(level), err)
		}
	}
	return nil
}

// underHotfixes returns the tree of a level with the hotfixes on it that come before.
func (p *Publisher) underHotfixes(ctx context.Context, d *hotfixDraft, level int) (manifest.Tree, error) {
	listed, err := d.view.Level(d.Line, level)
	if err != nil {
		return manifest.Tree{}, err
	}
	of, err := p.load(ctx, listed)
	if err != nil {
		return manifest.Tree{}, err
	}
	if level == d.req.Level {
		d.former = of
	}
	tree, err := manifest.Parse(of.manifest)
	if err != nil {
		return tree, problem.New(problem.Verification, "", "Level %s: %w", d.Line.LevelName(level), err)
	}
	for _, a := range d.after {
		if tree, err = a.record.Overlay(tree); err != nil {
			return tree, err
		}
	}
	return tree, nil
}

// sequence is the hotfix's place: as asked, else after the last of those before it.
func (d *hotfixDraft) sequence() (int, error) {
	last := 0
	if len(d.after) > 0 {
		last = d.after[len(d.after)-1].record.Sequence
	}
	n := d.req.Sequence
	if n == 0 {
		n = last + 1
	}
	if n <= last || n > hotfix.MaxSequence {
		return 0, problem.New(problem.Usage, fmt.Sprintf("Leave --sequence out; the next one is %d.", last+1),
			"--sequence %d: the last hotfix before it is %d", n, last)
	}
	return n, nil
}

// judgeHotfix applies the rules for levels to the build, against what it is made on.
func (p *Publisher) judgeHotfix(ctx context.Context, d *hotfixDraft, accepted map[string]string) error {
	if err := attribute(&d.Notes); err != nil {
		return err
	}
	in := validate.Input{
		Tree: d.build.Tree, Outward: d.build.Outward, SetID: d.build.SetID, Former: d.base, Platform: d.former.record.Platform,
		Notes: d.Notes, New: d.read,
		Old: func(e manifest.Entry) ([]byte, error) {
			ref := release.Ref{Sum: e.Sum, Size: e.Size}
			if r, err := d.fromAfter(ref); err == nil {
				defer r.Close()
				return io.ReadAll(r)
			}
			return p.content(ctx, d.Line, d.req.Level, ref, e.Size)
		},
	}
	if err := d.check(in, accepted, d.req.Strict); err != nil {
		return err
	}
	d.record.Accepted = maps.Clone(d.Notes.Accepted)
	return nil
}

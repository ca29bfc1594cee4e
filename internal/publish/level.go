package publish

import (
	"context"
	"fmt"
	"io"
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/dist"
	"uplevel/internal/publish/validate"
	"uplevel/internal/release"
)

// lookBack is how many earlier levels are searched for contents that return.
const lookBack = 20

// LevelRequest asks for the next level of a line.
type LevelRequest struct {
	Line   release.Line
	Dist   string        // folder or zip of the build
	Notes  []byte        // YAML
	Number int           // 0: the highest level plus one
	State  release.State // empty: live
	Floor  string        // reason why the level must not be passed over; empty: no floor
	Strict bool          // warnings refuse too
	Accept []string      // RULE=REASON
}

// Report is what a build is against the level before.
type Report struct {
	Line     release.Line
	Level    int
	Hotfix   string // name, when it is one on that level
	Changes  release.Changes
	Notes    release.Notes
	Findings []validate.Finding
	Refusing []validate.Finding // those that refuse publishing
}

// What names what was judged: Level 1.0.2 of shop-1.0, Hotfix ACME-hf1 of shop-1.0.
func (r Report) What() string {
	if r.Hotfix != "" {
		return fmt.Sprintf("Hotfix %s of %s", r.Hotfix, r.Line)
	}
	return fmt.Sprintf("Level %s of %s", r.Line.LevelName(r.Level), r.Line)
}

// Error returns the refusal of a level with findings that refuse, or nil.
func (r Report) Error() error {
	if len(r.Refusing) == 0 {
		return nil
	}
	return problem.New(problem.Refused,
		fmt.Sprintf("Correct the build or the notes, or accept in writing: --accept '%s=REASON'.", r.Refusing[0].Rule),
		"%s is refused by %d rules, %s first", r.What(), len(r.Refusing), r.Refusing[0].Rule)
}

// draft is a level on its way.
type draft struct {
	Report
	build    *dist.Build
	former   published // level before; the zero value for level 0
	base     manifest.Tree
	manifest []byte
	judged   []release.Listed // levels of the line, as the draft saw them
	first    bool             // of its channel: level 0 comes along
	already  *published
}

// Validate judges a build as the next level, or as level 0 of a product version that is
// not published yet, and publishes nothing. Platform is for the latter only.
func (p *Publisher) Validate(ctx context.Context, req LevelRequest, platform string) (Report, error) {
	view, err := p.Signer.Refresh(ctx, req.Line, req.Line.Default())
	if err != nil {
		return Report{}, err
	}
	if !slices.Contains(view.Lines(req.Line.Product), req.Line.Default()) {
		d, err := p.draftFirst(ctx, ProductRequest{Line: req.Line, Dist: req.Dist, Platform: platform, Strict: req.Strict, Accept: req.Accept})
		if err != nil {
			return Report{}, err
		}
		return d.Report, d.build.Close()
	}
	d, err := p.draft(ctx, req)
	if err != nil {
		return Report{}, err
	}
	return d.Report, d.build.Close()
}

// Level publishes the next level of a line. What is the newest level already, with the
// same manifest and notes, is an Outcome with Already set.
func (p *Publisher) Level(ctx context.Context, req LevelRequest) (Outcome, error) {
	if req.State == "" {
		req.State = release.Live
	}
	if req.State == release.Withdrawn {
		return Outcome{}, problem.New(problem.Usage, "Use testing, verifying or live.", "A level can not be published as withdrawn")
	}
	d, err := p.draft(ctx, req)
	if err != nil {
		return Outcome{}, err
	}
	defer d.build.Close()
	out := Outcome{Line: req.Line, Level: d.Level, State: req.State, Report: d.Report}
	if d.already != nil {
		out.Already, out.State = true, d.already.State
		return out, p.offer(ctx, d, *d.already, &out)
	}
	if err := d.Error(); err != nil {
		return out, err
	}
	record := release.Record{
		Format: 1, Product: req.Line.Product, Version: req.Line.Version, Channel: req.Line.Channel, Level: d.Level,
		Rules: d.former.record.Rules, Platform: d.former.record.Platform, Created: p.Now().UTC(),
	}
	listing := release.Listing{State: req.State, Floor: req.Floor, SupportEnds: d.former.SupportEnds}
	bundles := []publication{}
	if d.first {
		zero, err := p.sameStart(ctx, d)
		if err != nil {
			return out, err
		}
		bundles = append(bundles, zero)
	}
	level, err := makePublication(record, listing, d.manifest, d.Notes)
	if err != nil {
		return out, err
	}
	return p.release(ctx, d, append(bundles, level), out)
}

// draft scans and judges a build as the next level.
func (p *Publisher) draft(ctx context.Context, req LevelRequest) (*draft, error) {
	accepted, err := validate.ParseAccept(req.Accept)
	if err != nil {
		return nil, err
	}
	notes, err := ParseNotes(req.Notes)
	if err != nil {
		return nil, err
	}
	levels, first, err := p.levels(ctx, req.Line)
	if err != nil {
		return nil, err
	}
	d := &draft{first: first, judged: levels}
	d.Line, d.Notes = req.Line, notes
	if d.build, err = p.scan(ctx, req.Line, req.Dist); err != nil {
		return nil, err
	}
	d.manifest = d.build.Tree.Bytes()
	if err := p.compare(ctx, d, req, levels, accepted); err != nil {
		_ = d.build.Close()
		return nil, err
	}
	return d, nil
}

// compare judges the draft against the newest level; one that equals it is judged
// against the level before that, to see whether it is the very same.
func (p *Publisher) compare(ctx context.Context, d *draft, req LevelRequest, levels []release.Listed, accepted map[string]string) error {
	newest, err := p.load(ctx, levels[len(levels)-1])
	if err != nil {
		return err
	}
	sum := digest.Of(d.manifest)
	if newest.record.Manifest.Sum == sum && len(levels) > 1 && !d.first && (req.Number == 0 || req.Number == newest.Level) {
		before := levels[:len(levels)-1]
		again := *d
		if err := p.judge(ctx, &again, req, before, accepted); err != nil {
			return err
		}
		text, err := again.Notes.Bytes()
		if err != nil {
			return err
		}
		if digest.Of(text) == newest.record.Notes.Sum {
			*d = again
			d.Level, d.already = newest.Level, &newest
			return nil
		}
	}
	d.Level = newest.Level + 1
	if req.Number != 0 {
		d.Level = req.Number
	}
	if d.Level <= newest.Level || d.Level > release.MaxLevel {
		return problem.New(problem.Failed, fmt.Sprintf("Leave --number out; the next one is %d.", newest.Level+1),
			"%w %s: level %d is published already", release.ErrLevel, req.Line.LevelName(d.Level), newest.Level)
	}
	return p.judge(ctx, d, req, levels, accepted)
}

// judge fills in changes, attribution and findings against the last of levels.
func (p *Publisher) judge(ctx context.Context, d *draft, req LevelRequest, levels []release.Listed, accepted map[string]string) error {
	var err error
	last := len(levels) - 1
	if d.former, err = p.load(ctx, levels[last]); err != nil {
		return err
	}
	if d.base, err = manifest.Parse(d.former.manifest); err != nil {
		return problem.New(problem.Verification, "", "Level %s: %w", d.Line.LevelName(d.former.Level), err)
	}
	d.Changes = changesOf(d.base, d.build.Tree)
	d.Notes.Changes = d.Changes
	if err := attribute(&d.Notes); err != nil {
		return err
	}
	older, err := p.older(ctx, levels[max(0, last-lookBack):last])
	if err != nil {
		return err
	}
	in := validate.Input{
		Tree: d.build.Tree, Outward: d.build.Outward, SetID: d.build.SetID, Former: d.base, Older: older,
		Platform: d.former.record.Platform, Notes: d.Notes, New: d.read,
		Old: func(e manifest.Entry) ([]byte, error) {
			return p.content(ctx, d.former.Line(), d.former.Level, release.Ref{Sum: e.Sum, Size: e.Size}, e.Size)
		},
	}
	return d.check(in, accepted, req.Strict)
}

func (d *draft) check(in validate.Input, accepted map[string]string, strict bool) error {
	found, err := validate.Check(in)
	if err != nil {
		return err
	}
	refusing, used := validate.Judge(found, accepted, strict)
	d.Findings, d.Refusing = found, refusing
	if len(used) > 0 {
		d.Notes.Accepted = used
	}
	return nil
}

// read returns the content of a small file of the build.
func (d *draft) read(e manifest.Entry) ([]byte, error) {
	r, err := d.build.Open(e.Path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, e.Size))
}

func (p *Publisher) older(ctx context.Context, levels []release.Listed) ([]validate.Older, error) {
	older := make([]validate.Older, 0, len(levels))
	for _, l := range slices.Backward(levels) {
		level, err := p.load(ctx, l)
		if err != nil {
			return nil, err
		}
		tree, err := manifest.Parse(level.manifest)
		if err != nil {
			return nil, problem.New(problem.Verification, "", "Level %d: %w", l.Level, err)
		}
		older = append(older, validate.Older{Level: l.Level, Tree: tree})
	}
	return older, nil
}

// levels returns the levels before the next one of line; first reports that the line is
// not published yet, and level 0 of the default channel is what it starts from.
func (p *Publisher) levels(ctx context.Context, line release.Line) (levels []release.Listed, first bool, err error) {
	view, err := p.Signer.Refresh(ctx, line, line.Default())
	if err != nil {
		return nil, false, err
	}
	lines := view.Lines(line.Product)
	if slices.Contains(lines, line) {
		levels, err = view.Levels(line)
		return levels, false, err
	}
	if !slices.Contains(lines, line.Default()) {
		return nil, false, problem.New(problem.Failed,
			fmt.Sprintf("Publish its first release: product add %s %s --dist ZIP|DIR.", line.Product, line.Version),
			"%s is not published", line.ProductVersion())
	}
	zero, err := view.Level(line.Default(), 0)
	return []release.Listed{zero}, true, err
}

// scan reads the distribution and refuses one of another product.
func (p *Publisher) scan(ctx context.Context, line release.Line, name string) (*dist.Build, error) {
	build, err := dist.Open(ctx, name, dist.Options{CacheDir: p.Cache, Now: p.Now})
	if err != nil {
		return nil, err
	}
	p.say("Scanned %d entries, %d files read.", build.Tree.Len(), build.Read)
	if build.Product != "" && build.Product != line.ProductVersion() {
		_ = build.Close()
		return nil, problem.New(problem.Refused, "Name the right product and version, or the right build.",
			"%s of %s says %.100q, want %q", dist.ProductFile, name, build.Product, line.ProductVersion())
	}
	return build, nil
}

// sameStart makes level 0 of a channel that starts: the manifest, notes and rules of
// the default channel's level 0, with a record of its own.
func (p *Publisher) sameStart(ctx context.Context, d *draft) (publication, error) {
	from := d.former
	text, err := p.content(ctx, from.Line(), 0, from.record.Notes, release.MaxNotes)
	if err != nil {
		return publication{}, err
	}
	notes, err := release.ParseNotes(text)
	if err != nil {
		return publication{}, err
	}
	record := from.record
	record.Channel = d.Line.Channel
	return makePublication(record, from.Listing, from.manifest, notes)
}

// release uploads objects, signs, and submits the metadata last.
func (p *Publisher) release(ctx context.Context, d *draft, bundles []publication, out Outcome) (Outcome, error) {
	// Keys first: a wrong passphrase is told before anything travels.
	docs, err := p.signLevels(bundles, d.judged, d.first)
	if err != nil {
		return out, err
	}
	all := filesOf(d.build.Tree, d.base, d.build.Open)
	var made []upload
	for _, b := range bundles {
		made = append(made, b.uploads()...)
	}
	if err := p.store(ctx, slices.Concat(all, made), &out); err != nil {
		return out, err
	}
	for _, u := range bundles {
		u.keep(p)
	}
	err = p.Signer.Submit(ctx, docs, d.Line)
	if problem.KindOf(err) == problem.Refused && d.base.Len() > 0 {
		// The service may have lost an object of the level before: offer all.
		err = p.again(ctx, d, docs, err, &out)
	}
	return out, err
}

// again uploads files of the level before that the service lacks and submits once more.
func (p *Publisher) again(ctx context.Context, d *draft, docs []api.RoleMetadata, refused error, out *Outcome) error {
	before := out.Stored
	if err := p.store(ctx, filesOf(d.build.Tree, manifest.Tree{}, d.build.Open), out); err != nil {
		return err
	}
	if out.Stored == before {
		return refused
	}
	return p.Signer.Submit(ctx, docs, d.Line)
}

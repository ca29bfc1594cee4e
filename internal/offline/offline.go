// Package offline makes offline updates: it decides what travels, gets it, and has package
// bundle write it. It needs the service and no product home. Described in
// docs/design/offline.md.
package offline

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

// Service is what the maker asks of the update service.
type Service interface {
	Check(context.Context, api.CheckRequest) (api.CheckAnswer, error)
	AcceptEULA(ctx context.Context, version string) error
}

// Trust gives verified metadata together with the files they are.
type Trust interface {
	Carry(ctx context.Context, tool bool, lines ...release.Line) (*trust.View, []refresh.File, error)
}

// Fetcher gets objects of one level, verified.
type Fetcher interface {
	Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error
	// Open returns verified content that was fetched, Stored its stored form.
	Open(ref release.Ref) (io.ReadCloser, error)
	Stored(ref release.Ref) (io.ReadCloser, error)
}

// Maker makes offline updates. All but Tools are required.
type Maker struct {
	Service Service
	Trust   Trust
	Fetch   Fetcher
	Log     *slog.Logger
	Tool    string // version of this tool, told to the service
	// Tools gets the update tool for the systems named into what Fetch.Stored opens, and says
	// which they are; nil where none can be had.
	Tools func(ctx context.Context, view *trust.View, systems []string) ([]bundle.Tool, error)
}

// Options say what update is wanted.
type Options struct {
	Line       release.Line      // product version, and the channel wanted
	From       release.Line      // of Start; its zero value is Line
	Start      int               // level that the update begins at, unless there are States
	States     []statefile.State // installations it is for; they decide the levels it begins at
	End        string            // as typed: "" or "0" is the latest
	AskedFor   []release.State   // testing or verifying: levels asked for besides live ones
	AcceptEULA bool              // accept the terms in force for the organisation first
	Systems    []string          // systems whose update tool is to travel along; none: no tool does
}

// Draft is an offline update that is gathered and not written yet.
type Draft struct {
	Index    bundle.Index // without members
	View     *trust.View
	Messages []api.Message // of the service
	To       release.Listed
	Left     []string // levels to begin at that are the wanted one already
	Contents int      // objects that travel

	spec  bundle.OfflineSpec // without Stored
	fetch Fetcher
}

// Make gathers an update; nothing is written but what the fetcher keeps. Where nothing is
// below the wanted level, the draft is empty.
func (m *Maker) Make(ctx context.Context, opts Options) (*Draft, error) {
	w := &work{m: m, opts: opts, draft: &Draft{}}
	for _, step := range []func(context.Context) error{w.trust, w.ask, w.starts} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if len(w.from) == 0 {
		return w.draft, nil
	}
	for _, step := range []func(context.Context) error{w.way, w.contents, w.tools} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w.finish(), nil
}

// Empty reports that there is nothing to write.
func (d *Draft) Empty() bool { return len(d.Index.From) == 0 }

// Write writes the zip to w and returns its bytes. After an error what w got must be thrown
// away. An object that was damaged since it was fetched is read once more as content: the
// fetcher tells it then, and gets it anew the next time.
func (d *Draft) Write(w io.Writer) (int64, error) {
	var last release.Ref
	spec := d.spec
	spec.Stored = func(ref release.Ref) (io.ReadCloser, error) {
		last = ref
		return d.fetch.Stored(ref)
	}
	n, err := bundle.WriteOffline(w, spec)
	if !errors.Is(err, digest.ErrMismatch) {
		return n, err
	}
	r, damaged := d.fetch.Open(last)
	if damaged == nil {
		_, damaged = io.Copy(io.Discard, r)
		damaged = errors.Join(damaged, r.Close())
	}
	return n, cmp.Or(damaged, err)
}

// work is one update being gathered.
type work struct {
	m      *Maker
	opts   Options
	draft  *Draft
	view   *trust.View
	to     level
	from   []start
	refs   []release.Ref // that travel
	begins []begin
}

// begin is a level asked to begin at, and the installations there.
type begin struct {
	line   release.Line
	level  int
	states []statefile.State
}

// trust gets the metadata of all lines.
func (w *work) trust(ctx context.Context) error {
	if err := w.begin(); err != nil {
		return err
	}
	lines := []release.Line{w.opts.Line}
	for _, b := range w.begins {
		if !slices.Contains(lines, b.line) {
			lines = append(lines, b.line)
		}
	}
	view, files, err := w.m.Trust.Carry(ctx, len(w.opts.Systems) > 0, lines...)
	if err != nil {
		return err
	}
	w.view, w.draft.View = view, view
	for _, f := range files {
		w.draft.spec.Metadata = append(w.draft.spec.Metadata, bundle.File(f))
	}
	return nil
}

// begin joins the state files to levels.
func (w *work) begin() error {
	if len(w.opts.States) == 0 {
		from := w.opts.From
		if from == (release.Line{}) {
			from = w.opts.Line
		}
		w.begins = []begin{{line: from, level: w.opts.Start}}
		return nil
	}
	for _, s := range w.opts.States {
		if s.Product != w.opts.Line.Product || s.Version != w.opts.Line.Version {
			return problem.New(problem.Refused, "Make one offline update for each product version.",
				"A state file is of %s, this update is of %s", s.Line().ProductVersion(), w.opts.Line.ProductVersion())
		}
		i := slices.IndexFunc(w.begins, func(b begin) bool { return b.line == s.Line() && b.level == s.Level })
		if i < 0 {
			i = len(w.begins)
			w.begins = append(w.begins, begin{line: s.Line(), level: s.Level})
		}
		w.begins[i].states = append(w.begins[i].states, s)
	}
	return nil
}

// ask asks the service what the caller may have, and chooses the level.
func (w *work) ask(ctx context.Context) error {
	if w.opts.AcceptEULA {
		if err := w.m.Service.AcceptEULA(ctx, ""); err != nil {
			return err
		}
	}
	line := w.opts.Line
	may, err := w.m.Service.Check(ctx, api.CheckRequest{
		Product: line.Product, Version: line.Version, Channel: line.Channel, Level: w.begins[0].level, Tool: w.m.Tool,
	})
	if err != nil {
		return err
	}
	w.draft.Messages, w.draft.Index.Organisation = may.Messages, may.Organisation
	levels, err := w.view.Levels(line)
	if err != nil {
		return err
	}
	target, err := choose(line, levels, w.opts, may)
	if err != nil {
		return err
	}
	w.draft.To = target
	w.to, err = w.level(ctx, line, target)
	return err
}

// way gets the notes of the levels on every way. Those of levels that are not live may be
// closed to the caller.
func (w *work) way(ctx context.Context) error {
	levels, err := w.view.Levels(w.opts.Line)
	if err != nil {
		return err
	}
	for _, l := range levels {
		if l.Level > w.to.record.Level || l.State == release.Withdrawn || !w.passes(l.Level) {
			continue
		}
		record, err := w.record(ctx, w.opts.Line, l)
		if err == nil {
			err = w.m.Fetch.Fetch(ctx, w.opts.Line, l.Level, []release.Ref{record.Notes})
		}
		switch {
		case err == nil:
			w.refs = append(w.refs, l.Record, record.Notes)
		case l.State != release.Live && ctx.Err() == nil && problem.KindOf(err) == problem.NotEntitled:
			w.m.Log.Info("notes left out", "level", l.Level, "state", l.State, "error", err)
		default:
			return err
		}
	}
	return nil
}

// passes reports whether some way to the wanted level gains this one.
func (w *work) passes(number int) bool {
	return slices.ContainsFunc(w.from, func(s start) bool { return s.line() != w.opts.Line && number > 0 || number > s.record.Level })
}

// contents gets every content that travels.
func (w *work) contents(ctx context.Context) error {
	all := contents{}
	for _, s := range w.from {
		maps.Copy(all, wanted(s, w.to))
	}
	if err := w.get(ctx, w.to, all.list(nil)); err != nil {
		return err
	}
	for _, s := range w.from {
		mine := former(s)
		if err := w.addEdits(ctx, s, mine); err != nil {
			return err
		}
		if err := w.get(ctx, s.level, mine.list(all)); err != nil {
			return err
		}
		maps.Copy(all, mine)
	}
	w.refs = append(w.refs, all.list(nil)...)
	w.refs = append(w.refs, w.to.record.Manifest)
	for _, s := range w.from {
		w.refs = append(w.refs, s.record.Manifest)
	}
	return nil
}

// addEdits adds what a start level has of files that people edit.
func (w *work) addEdits(ctx context.Context, s start, into contents) error {
	files, sure, err := edits(s, w.to)
	if err != nil {
		return notAsSigned(err)
	}
	asked := contents{}
	for _, e := range files {
		after, there := w.to.tree.Lookup(e.Path)
		if !sure && there && after.Kind == manifest.File { // it is here already: a jar is not fetched to see that it is none to edit
			text, err := w.isText(release.Ref{Sum: after.Sum, Size: after.Size})
			if err != nil {
				return err
			}
			if !text {
				continue
			}
		}
		asked.add(e)
	}
	if err := w.get(ctx, s.level, asked.list(nil)); err != nil {
		return err
	}
	for _, ref := range asked.list(nil) {
		text := sure
		if !sure {
			if text, err = w.isText(ref); err != nil {
				return err
			}
		}
		if text {
			into[ref.Sum] = ref
		}
	}
	return nil
}

func (w *work) isText(ref release.Ref) (bool, error) {
	r, err := w.m.Fetch.Open(ref)
	if err != nil {
		return false, err
	}
	text, err := isText(r)
	return text, errors.Join(err, r.Close())
}

func (w *work) get(ctx context.Context, l level, refs []release.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	return w.m.Fetch.Fetch(ctx, l.line(), l.record.Level, refs)
}

func (w *work) tools(ctx context.Context) (err error) {
	if len(w.opts.Systems) == 0 || w.m.Tools == nil {
		return nil
	}
	w.draft.Index.Tools, err = w.m.Tools(ctx, w.view, w.opts.Systems)
	return err
}

// finish makes the draft of what was gathered.
func (w *work) finish() *Draft {
	d := w.draft
	x := &d.Index
	x.Format, x.Product, x.Version = 1, w.opts.Line.Product, w.opts.Line.Version
	x.Created = w.to.record.Created.UTC()
	x.To = pointOf(w.to)
	for _, s := range w.from {
		x.From = append(x.From, pointOf(s.level))
	}
	slices.SortFunc(w.refs, func(a, b release.Ref) int { return a.Sum.Compare(b.Sum) })
	d.spec.Index, d.spec.Objects, d.fetch = *x, slices.Compact(w.refs), w.m.Fetch
	d.Contents = len(d.spec.Objects)
	return d
}

func pointOf(l level) bundle.Point {
	return bundle.Point{Channel: l.record.Channel, Level: l.record.Level, Record: l.listed.Record}
}

// Systems returns the systems whose tool travels: of those who made the state files, and
// own, sorted.
func Systems(own string, states []statefile.State) []string {
	systems := []string{own}
	for _, s := range states {
		systems = append(systems, s.System)
	}
	slices.SortFunc(systems, strings.Compare)
	return slices.Compact(systems)
}

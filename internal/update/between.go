package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// BetweenOptions name two levels of one line.
type BetweenOptions struct {
	From, To string          // as typed; To "0" or "" is the latest
	Channel  string          // "" is the installation's own
	States   []release.State // levels that count besides live ones
	Files    bool            // compare the files of both levels, too
}

// BetweenResult is what lies between two levels, as the vendor signed it.
type BetweenResult struct {
	Product  string        `json:"product"`
	Version  string        `json:"version"`
	From     Place         `json:"from"`
	To       Place         `json:"to"`
	Gain     Gain          `json:"gain"`
	Added    []string      `json:"added"`
	Updated  []string      `json:"updated"` // content or permissions
	Removed  []string      `json:"removed"`
	Markdown string        `json:"markdown"`
	Messages []api.Message `json:"messages"`
}

// Between tells what the vendor changed between two levels, from signed metadata, notes
// and manifests: those of the store where they are, else the service's. The installed
// level does not matter, and nothing of the home is written but newer trusted metadata.
func (u *Updater) Between(ctx context.Context, opts BetweenOptions) (BetweenResult, error) {
	state := u.Home.State()
	res := BetweenResult{
		Product: state.Product, Version: state.Version, From: u.here(nil), To: u.here(nil), Messages: []api.Message{},
		Gain: Gain{Updates: []UpdateNote{}, Floors: []plan.Floor{}, Absorbed: []string{}}, Added: []string{}, Updated: []string{}, Removed: []string{},
	}
	line := state.Line()
	if opts.Channel != "" {
		line.Channel = opts.Channel
	}
	if err := line.Check(); err != nil {
		return res, problem.New(problem.Usage, "Name a channel such as full or security.", "Unusable channel: %w", err)
	}
	view, err := u.newest(ctx, &res, line)
	if err != nil {
		return res, err
	}
	levels, err := view.Levels(line)
	if err != nil {
		return res, err
	}
	from, to, err := ends(line, levels, opts)
	if err != nil {
		return res, err
	}
	res.From, res.To = u.place(view, line, from.Level), u.place(view, line, to.Level)
	way := wish{line: line, levels: levels, at: plan.Point{Channel: line.Channel, Level: from.Level}}.between(to.Level)
	way = slices.DeleteFunc(way, func(l release.Listed) bool { return !matters(l, opts.States) })
	if res.Gain, _, err = u.gain(ctx, way); err != nil {
		return res, err
	}
	return res, u.tellBetween(ctx, &res, from, to, opts.Files)
}

// newest returns refreshed metadata, or those that are trusted where the service cannot
// be asked: that is said.
func (u *Updater) newest(ctx context.Context, res *BetweenResult, line release.Line) (*trust.View, error) {
	why := errors.New("the address of the service is not known")
	if u.Trust == nil {
		return nil, problem.New(problem.Verification, "Bring updates/root.json back from the vendor's pack, or name it with --root.", "No trusted root is known")
	}
	if u.Service != nil {
		view, _, err := u.refreshed(ctx, line)
		if err == nil || problem.KindOf(err) != problem.Unreachable {
			return view, err
		}
		why = err
	}
	view, unknown := u.trusted(line)
	if view == nil {
		return nil, problem.New(problem.Unreachable, "Give --service, or run it where the service is reachable.",
			"No signed metadata are stored (%s), and none can be fetched: %w", unknown, why)
	}
	res.Messages = append(res.Messages, api.Message{Code: "metadata-stored", Text: "Told from what is stored; newer levels are not known: " + why.Error() + "."})
	return view, nil
}

// matters reports whether a level counts: it is live, or in a state that was asked for.
func matters(l release.Listed, states []release.State) bool {
	return l.State == release.Live || slices.Contains(states, l.State)
}

// ends finds both levels, and refuses what cannot be.
func ends(line release.Line, levels []release.Listed, opts BetweenOptions) (from, to release.Listed, err error) {
	const next = "Run check to see the levels there are."
	a, err := line.ParseLevel(opts.From)
	if err != nil {
		return from, to, problem.New(problem.Failed, next, "%w", err)
	}
	b, err := line.ParseLevel(opts.To)
	if err != nil {
		return from, to, problem.New(problem.Failed, next, "%w", err)
	}
	w := wish{line: line, levels: levels}
	if b == 0 {
		for _, l := range levels {
			if matters(l, opts.States) {
				b = l.Level
			}
		}
	}
	if a > b {
		return from, to, problem.New(problem.Failed, "Name the lower level first.", "%w %s: it is above %s", release.ErrLevel, line.LevelName(a), line.LevelName(b))
	}
	var ok bool
	for _, end := range []struct {
		level int
		into  *release.Listed
	}{{a, &from}, {b, &to}} {
		if *end.into, ok = w.find(end.level); !ok {
			return from, to, problem.New(problem.Failed, next, "%w %s: %s has no such level", release.ErrLevel, line.LevelName(end.level), line)
		}
	}
	return from, to, nil
}

// tellBetween writes the Markdown, of updates or of files and updates.
func (u *Updater) tellBetween(ctx context.Context, res *BetweenResult, from, to release.Listed, files bool) error {
	r := &Result{Product: res.Product, Version: res.Version, From: res.From, To: res.To, Gain: res.Gain, Files: noFiles()}
	if !files {
		res.Markdown = string(summary(r))
		return nil
	}
	a, err := u.level(ctx, from.Line(), from.Level, from.Record)
	if err != nil {
		return err
	}
	b, err := u.level(ctx, to.Line(), to.Level, to.Record)
	if err != nil {
		return err
	}
	res.Added, res.Updated, res.Removed = differing(a.published, b.published)
	r.Files.Added, r.Files.Modified, r.Files.Removed = res.Added, res.Updated, res.Removed
	res.Markdown = string(changelog(r)) + updatesList(res.Gain)
	return nil
}

// differing compares the files and links of two levels.
func differing(a, b manifest.Tree) (added, updated, removed []string) {
	added, updated, removed = []string{}, []string{}, []string{}
	for _, e := range b.Entries() {
		before, ok := a.Lookup(e.Path)
		switch {
		case e.Kind == manifest.Dir:
		case !ok || before.Kind == manifest.Dir:
			added = append(added, e.Path)
		case !e.Same(before):
			updated = append(updated, e.Path)
		}
	}
	for _, e := range a.Entries() {
		after, ok := b.Lookup(e.Path)
		if e.Kind != manifest.Dir && (!ok || after.Kind == manifest.Dir) {
			removed = append(removed, e.Path)
		}
	}
	return added, updated, removed
}

func updatesList(g Gain) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Updates (%d)\n\n", len(g.Updates))
	if len(g.Updates) == 0 {
		b.WriteString("_None_\n")
	}
	for _, n := range g.Updates {
		fmt.Fprintf(&b, "- %d (%s, level %d): %s\n", n.ID, n.Type, n.Level, n.Headline)
	}
	for _, f := range g.Floors {
		fmt.Fprintf(&b, "\n**Level %d must not be missed:** %s\n", f.Level, f.Reason)
	}
	return b.String()
}

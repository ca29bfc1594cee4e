// Package plan is what a change of an installation would do, as a plain value: it can
// be printed, written to a file, compared and carried out later. Pure; no I/O.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// Format is the version of a plan's form.
const Format = 1

// Kind is what a plan brings about.
type Kind string

// The kinds of plan.
const (
	Update       Kind = "update"
	Revert       Kind = "revert"
	Repair       Kind = "repair"
	Hotfix       Kind = "hotfix"        // a hotfix is laid over the level
	RevertHotfix Kind = "revert-hotfix" // the last hotfix is taken away
)

// Action is what happens, or pointedly does not happen, at one path.
type Action string

// The actions. The first group changes the disk.
const (
	Add     Action = "add"     // nothing there → result
	Replace Action = "replace" // something there → result with other content
	Remove  Action = "remove"  // something there → nothing
	Mode    Action = "mode"    // same content, other permission bits

	Adopt    Action = "adopt"    // what is there already equals what is wanted
	Kept     Action = "kept"     // the operator's stays, the vendor did not change it, or it is theirs by rule
	Absent   Action = "absent"   // the operator removed it; it stays removed
	Conflict Action = "conflict" // changed by both and different; nothing happens until resolved
)

// Changes reports whether the action alters the disk.
func (a Action) Changes() bool { return a == Add || a == Replace || a == Remove || a == Mode }

// Source tells where the bytes of a result come from.
type Source string

// The sources of a result's bytes.
const (
	FromObject Source = "object" // an object named by the result's digest: store, cache or service
	FromFile   Source = "file"   // bytes made while planning or resolving, in the staging folder by digest
)

// Outcome is the decision at one path. Base, Disk and Want are the three trees'
// entries there, nil where absent. Result is what will stand there, nil for nothing;
// for a conflict it is nil until resolved. A file that was merged inside (a result that
// is neither Disk nor Want) is Replace, or Add where the vendor renamed it, with FromFile.
type Outcome struct {
	Path   string          `json:"path"`
	Action Action          `json:"action"`
	Why    string          `json:"why,omitempty"` // customised, generated, data, foreign, resolved, …
	Base   *manifest.Entry `json:"base,omitempty"`
	Disk   *manifest.Entry `json:"disk,omitempty"`
	Want   *manifest.Entry `json:"want,omitempty"`
	Result *manifest.Entry `json:"result,omitempty"`
	Source Source          `json:"source,omitempty"`
	Inside *Inside         `json:"inside,omitempty"` // how the content was merged, or could be in part
}

// Point is one state of an installation: a level of a channel by its signed digests, and
// the hotfixes on it.
type Point struct {
	Channel  string      `json:"channel"`
	Level    int         `json:"level"`
	Record   release.Ref `json:"record"`
	Manifest release.Ref `json:"manifest"`
	Hotfixes []Applied   `json:"hotfixes,omitempty"` // in the order they were applied
}

// Floor is a level on the way whose instructions must not be missed.
type Floor struct {
	Level  int    `json:"level"`
	Reason string `json:"reason"`
}

// Plan is a whole change. Outcomes are sorted by path and hold every path at which
// something happens or must be said; paths where nothing does are left out.
type Plan struct {
	Format   int           `json:"format"`
	Kind     Kind          `json:"kind"`
	Product  string        `json:"product"`
	Version  string        `json:"version"`
	From     Point         `json:"from"`
	To       Point         `json:"to"`
	ToState  release.State `json:"to_state,omitempty"`  // signed state of the wanted level
	RevertTo int           `json:"revert_to,omitempty"` // history id a revert goes back before
	Outcomes []Outcome     `json:"outcomes"`
	Floors   []Floor       `json:"floors,omitempty"`
	Download int64         `json:"download"`  // bytes to fetch, as stored
	DiskNeed int64         `json:"disk_need"` // bytes that must be free; see DiskFormula
}

// Line returns the line the plan goes to.
func (p *Plan) Line() release.Line {
	return release.Line{Product: p.Product, Version: p.Version, Channel: p.To.Channel}
}

// Paths returns the paths with one of the actions, in order.
func (p *Plan) Paths(actions ...Action) []string {
	paths := []string{}
	for _, o := range p.Outcomes {
		if slices.Contains(actions, o.Action) {
			paths = append(paths, o.Path)
		}
	}
	return paths
}

// FilePaths is [Plan.Paths] without directories: what people and templates are shown.
func (p *Plan) FilePaths(actions ...Action) []string {
	paths := []string{}
	for _, o := range p.Outcomes {
		if slices.Contains(actions, o.Action) && !o.isDir() {
			paths = append(paths, o.Path)
		}
	}
	return paths
}

func (o Outcome) isDir() bool {
	for _, e := range []*manifest.Entry{o.Result, o.Disk, o.Want, o.Base} {
		if e != nil {
			return e.Kind == manifest.Dir
		}
	}
	return false
}

// Conflicts returns the paths of unresolved conflicts.
func (p *Plan) Conflicts() []string { return p.Paths(Conflict) }

// Empty reports whether the plan changes neither disk nor level nor hotfixes.
func (p *Plan) Empty() bool {
	if !p.From.Same(p.To) {
		return false
	}
	return !slices.ContainsFunc(p.Outcomes, func(o Outcome) bool {
		return o.Action.Changes() || o.Action == Conflict
	})
}

// Wanted returns the objects whose bytes the plan needs, each once, in order of
// digest: results from objects, and for conflicts both published sides.
func (p *Plan) Wanted() []release.Ref {
	seen := map[digest.Digest]int64{}
	need := func(e *manifest.Entry) {
		if e != nil && e.Kind == manifest.File {
			seen[e.Sum] = e.Size
		}
	}
	for _, o := range p.Outcomes {
		switch {
		case o.Action == Conflict:
			need(o.Base)
			need(o.Want)
		case (o.Action == Add || o.Action == Replace) && o.Source == FromObject:
			need(o.Result)
		}
	}
	refs := make([]release.Ref, 0, len(seen))
	for sum, size := range seen {
		refs = append(refs, release.Ref{Sum: sum, Size: size})
	}
	slices.SortFunc(refs, func(a, b release.Ref) int { return a.Sum.Compare(b.Sum) })
	return refs
}

// Make checks and orders outcomes into a plan.
func Make(p Plan) (*Plan, error) {
	p.Format = Format
	p.Outcomes = slices.Clone(p.Outcomes)
	slices.SortFunc(p.Outcomes, func(a, b Outcome) int { return strings.Compare(a.Path, b.Path) })
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// Check refuses a plan that contradicts itself.
func (p *Plan) Check() error {
	if p.Format != Format {
		return fmt.Errorf("plan has format %d, this tool knows %d", p.Format, Format)
	}
	if err := p.Line().Check(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	for i, o := range p.Outcomes {
		if err := o.check(p.Kind); err != nil {
			return fmt.Errorf("plan: %q: %w", o.Path, err)
		}
		if i > 0 && p.Outcomes[i-1].Path >= o.Path {
			return fmt.Errorf("plan: %q is out of order or given twice", o.Path)
		}
	}
	return nil
}

func (o Outcome) check(kind Kind) error {
	if err := manifest.CheckPath(o.Path); err != nil {
		return err
	}
	if manifest.Reserved(o.Path) {
		return errors.New("path belongs to the update tool")
	}
	switch o.Action {
	case Add, Replace, Mode:
		if o.Result == nil || o.Result.Path != o.Path {
			return fmt.Errorf("%s without a result", o.Action)
		}
		if o.Action == Mode && o.Disk == nil {
			return errors.New("mode of nothing")
		}
		// What a revert brings back may be the operator's own link, which may lead anywhere.
		if o.Result.Kind == manifest.Link && kind != Revert && kind != RevertHotfix {
			return manifest.CheckTarget(o.Path, o.Result.Target)
		}
	case Remove:
		if o.Result != nil || o.Disk == nil {
			return errors.New("remove of nothing, or with a result")
		}
	case Adopt, Kept, Absent, Conflict:
	default:
		return fmt.Errorf("unknown action %.40q", o.Action)
	}
	return nil
}

// Bytes returns the plan as indented JSON.
func (p *Plan) Bytes() ([]byte, error) {
	data, err := json.MarshalIndent(p, "", "  ")
	return append(data, '\n'), err
}

// Parse reads what [Plan.Bytes] wrote.
func Parse(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

package reconcile

import (
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
)

// place is one path with what the three trees say of it and what was decided.
type place struct {
	path             string
	base, disk, want *manifest.Entry
	above            *place // the nearest folder above that the trees list; nil: none
	action           plan.Action
	why              string
	result           *manifest.Entry
	source           plan.Source
	inside           *plan.Inside
	heir             *place // the file that the vendor renamed this one to

	shut      bool // something that is no folder stays here: nothing is proposed below
	gone      bool // the operator removed the folder with its content: nothing new goes below
	inherited bool // base lists something below
	changed   bool // base and want differ below
	fresh     bool // a folder that takes the place of something else, or lies in one
	foreign   bool // a device or the like stands here, or a folder that holds what no tree lists
}

type run struct {
	rules  Rules
	places []*place // in order of path, so that a folder comes before what it holds
	at     map[string]*place
}

func survey(base, disk, want manifest.Tree, rules Rules) *run {
	r := &run{rules: rules, at: make(map[string]*place, base.Len())}
	b, w := base.Entries(), want.Entries()
	for len(b) > 0 || len(w) > 0 {
		p := &place{}
		switch {
		case len(w) == 0 || len(b) > 0 && b[0].Path < w[0].Path:
			p.base, b = &b[0], b[1:]
		case len(b) == 0 || w[0].Path < b[0].Path:
			p.want, w = &w[0], w[1:]
		default:
			p.base, p.want, b, w = &b[0], &w[0], b[1:], w[1:]
		}
		r.add(p, disk)
	}
	r.findHeirs()
	return r
}

func (r *run) add(p *place, disk manifest.Tree) {
	p.path = either(p.base, p.want).Path
	if d, ok := disk.Lookup(p.path); ok {
		p.disk = &d
	}
	for dir := parent(p.path); dir != "" && p.above == nil; dir = parent(dir) {
		p.above = r.at[dir]
	}
	if p.above != nil && !isDir(p.above.disk) {
		p.disk = nil // whatever was seen through a link or below nothing is not in the product
	}
	p.foreign = p.disk != nil && (p.disk.Kind == manifest.Other || r.occupied(p))
	differs := (p.base == nil) != (p.want == nil) || p.base != nil && !p.base.Same(*p.want)
	for up := p.above; up != nil; up = up.above {
		up.inherited = up.inherited || p.base != nil
		up.changed = up.changed || differs
	}
	r.places = append(r.places, p)
	r.at[p.path] = p
}

func (r *run) occupied(p *place) bool {
	return isDir(p.disk) && !isDir(p.want) && r.rules.Occupied != nil && r.rules.Occupied(p.path)
}

func (r *run) outcomes() []plan.Outcome {
	out := []plan.Outcome{}
	for _, p := range r.places {
		if p.action == "" {
			continue
		}
		o := plan.Outcome{
			Path: p.path, Action: p.action, Why: p.why,
			Base: p.base, Disk: p.disk, Want: p.want, Result: p.result,
			Source: p.source, Inside: p.inside,
		}
		if o.Source == "" && (p.action == plan.Add || p.action == plan.Replace) && p.result.Kind == manifest.File {
			o.Source = plan.FromObject
		}
		out = append(out, o)
	}
	return out
}

func parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ""
	}
	return path[:i]
}

func either(a, b *manifest.Entry) *manifest.Entry {
	if a != nil {
		return a
	}
	return b
}

func isDir(e *manifest.Entry) bool { return e != nil && e.Kind == manifest.Dir }

// same reports whether both stand and hold the same, modes aside.
func same(a, b *manifest.Entry) bool { return a != nil && b != nil && a.SameContent(*b) }

func sameKind(a, b *manifest.Entry) bool { return a != nil && b != nil && a.Kind == b.Kind }

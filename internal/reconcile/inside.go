package reconcile

import (
	"path"
	"strings"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/release"
)

// merge looks inside a file that both sides changed; false where it can only be taken
// as a whole.
func (r *run) merge(p *place) bool {
	if r.rules.Inside == nil || !isFile(p.disk) || !isFile(p.want) || p.base != nil && !isFile(p.base) {
		return false
	}
	m, ok := r.rules.Inside.Merge(p.base, *p.disk, *p.want)
	if !ok || len(m.Disputes) > 0 && r.rules.OnConflict == Mine && r.rules.WholeFiles {
		return false
	}
	if len(m.Disputes) > 0 && r.rules.OnConflict == Stop {
		p.action, p.why = plan.Conflict, Customised
		p.inside = &plan.Inside{How: m.How, Mine: &m.Mine, Theirs: &m.Theirs, Disputes: m.Disputes}
		if p.base == nil {
			p.why = Foreign
		}
		return true
	}
	p.take(m, r.rules.OnConflict)
	return true
}

// take makes merged content the result.
func (p *place) take(m plan.Merged, policy Policy) {
	content, why := m.Mine, Merging
	if len(m.Disputes) > 0 && policy == Theirs {
		content = m.Theirs
	}
	if m.Resolved {
		why = Resolved
	}
	result := *p.want
	result.Sum, result.Size = content.Sum, content.Size
	if sameKind(p.base, p.disk) && sameKind(p.disk, p.want) {
		result.Mode = threeWay(p.base, p.disk, p.want)
	}
	p.inside = &plan.Inside{How: m.How, Disputes: m.Disputes}
	switch {
	case p.disk != nil && result.SameContent(*p.disk):
		p.keep(Customised)
		p.inside = nil
	case result.SameContent(*p.want):
		p.put(plan.Replace, why)
	default:
		p.action, p.why, p.result, p.source = plan.Replace, why, &result, plan.FromFile
	}
}

// bequeath decides about edited files that live on under another name.
func (r *run) bequeath() {
	for _, p := range r.places {
		if p.heir != nil && p.action == "" && !p.shut && !r.inherit(p) {
			r.clash(p, Customised)
		}
	}
}

// inherit lets the edit of a file follow the vendor's renaming of it: the file goes, and
// its heir comes with the edit. Where both sides changed the same, nothing is inherited
// and the file is a conflict of its own.
func (r *run) inherit(p *place) bool {
	heir := p.heir
	if heir.action != plan.Add {
		return false
	}
	m, ok := r.rules.Inside.Merge(p.base, *p.disk, *heir.want)
	if !ok || len(m.Disputes) > 0 && r.rules.OnConflict == Stop {
		return false
	}
	content := m.Mine
	if len(m.Disputes) > 0 && r.rules.OnConflict == Theirs {
		content = m.Theirs
	}
	result := *heir.want
	result.Sum, result.Size, result.Mode = content.Sum, content.Size, threeWay(p.base, p.disk, heir.want)
	heir.action, heir.why, heir.result, heir.source = plan.Add, Renamed, &result, plan.FromFile
	if result.SameContent(*heir.want) {
		heir.source = ""
	}
	heir.inside = &plan.Inside{How: m.How, RenamedFrom: p.path, Disputes: m.Disputes}
	p.action, p.why = plan.Remove, Renamed
	return true
}

// findHeirs finds, for each file that the operator edited and the vendor removed, the
// one that the vendor added in its place: the same content under another name or, when
// looked into, much of it under a like name. Where several could be meant none is: the
// edit must not go into a file that it does not belong to.
func (r *run) findHeirs() {
	if r.rules.Inside == nil {
		return
	}
	added := map[string][]*place{}
	bySum := map[release.Ref][]*place{}
	for _, q := range r.places {
		if q.base == nil && q.disk == nil && isFile(q.want) {
			key := likeName(q.path)
			added[key] = append(added[key], q)
			ref := release.Ref{Sum: q.want.Sum, Size: q.want.Size}
			bySum[ref] = append(bySum[ref], q)
		}
	}
	taken := map[*place]bool{}
	var left []*place
	for _, p := range r.places {
		if p.want != nil || !isFile(p.base) || !isFile(p.disk) || same(p.disk, p.base) || r.shield(p.path) != "" {
			continue
		}
		p.heir = ofSameContent(p, bySum[release.Ref{Sum: p.base.Sum, Size: p.base.Size}], taken)
		if p.heir == nil {
			left = append(left, p)
			continue
		}
		taken[p.heir] = true
	}
	for _, p := range left {
		if p.heir = r.alike(p, added[likeName(p.path)], taken); p.heir != nil {
			taken[p.heir] = true
		}
	}
}

// ofSameContent returns the file that has the content under a like name, else the only one
// that has it; no content tells nothing.
func ofSameContent(p *place, all []*place, taken map[*place]bool) *place {
	if p.base.Size == 0 {
		return nil
	}
	named := only(all, func(q *place) bool { return !taken[q] && likeName(q.path) == likeName(p.path) })
	if named != nil {
		return named
	}
	return only(all, func(q *place) bool { return !taken[q] })
}

// alike returns the only one of some files of like names that much of the content is in.
func (r *run) alike(p *place, like []*place, taken map[*place]bool) *place {
	const most = 8 // files of like names that are looked into
	if len(like) > most {
		return nil
	}
	return only(like, func(q *place) bool { return !taken[q] && r.rules.Inside.Alike(*p.base, *q.want) })
}

// only returns the one place that fits; nil: none or several do.
func only(all []*place, fits func(*place) bool) *place {
	var found *place
	for _, q := range all {
		if !fits(q) {
			continue
		}
		if found != nil {
			return nil
		}
		found = q
	}
	return found
}

// likeName is a file's name without folder, case and the digits of versions.
func likeName(p string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			return -1
		}
		return c
	}, strings.ToLower(path.Base(p)))
}

func isFile(e *manifest.Entry) bool { return e != nil && e.Kind == manifest.File }

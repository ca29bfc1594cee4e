package reconcile

import (
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
)

// decide chooses what happens at one place; the folders above are decided already.
func (r *run) decide(p *place) {
	if p.above != nil && p.above.shut {
		p.shut = true
		return
	}
	switch {
	case p.want == nil:
		r.vendorRemoved(p)
	case p.base == nil:
		r.vendorAdded(p)
	case p.disk == nil:
		r.operatorRemoved(p)
	default:
		r.allThree(p)
	}
}

func (r *run) vendorRemoved(p *place) {
	switch shield := r.shield(p.path); {
	case p.disk == nil:
	case shield != "":
		p.keep(shield)
	case same(p.disk, p.base):
		p.action = plan.Remove
	case p.heir != nil: // decided when it is known what becomes of the heir
	default:
		r.clash(p, Customised)
	}
}

func (r *run) vendorAdded(p *place) {
	switch shield := r.shield(p.path); {
	case p.above != nil && p.above.gone:
		p.absent()
	case p.disk == nil:
		p.put(plan.Add, "")
	case same(p.disk, p.want):
		p.action, p.result = plan.Adopt, p.disk
	case shield != "":
		p.keep(shield)
	default:
		r.clash(p, Foreign)
	}
}

func (r *run) operatorRemoved(p *place) {
	switch {
	case p.above != nil && p.above.fresh:
		p.put(plan.Add, "")
	case r.rules.Generated.Match(p.path):
		p.gone = isDir(p.want) && !r.rules.RestoreRemoved
	case r.rules.RestoreRemoved:
		p.put(plan.Add, Restored)
	default:
		p.absent()
	}
}

// absent leaves a place empty. An empty folder may have been lost on a way that
// carries no empty folders: it comes back when something new belongs into it. One that
// went with its content was removed on purpose, and nothing new is put there.
func (p *place) absent() {
	p.action, p.why = plan.Absent, Removed
	p.gone = p.base == nil || !isDir(p.base) || p.inherited
}

func (r *run) allThree(p *place) {
	shield := r.shield(p.path)
	switch {
	case shield != "":
		if !same(p.disk, p.want) && !same(p.base, p.want) {
			p.keep(shield)
		}
		p.shut = isDir(p.want) && !isDir(p.disk)
	case same(p.disk, p.base) && same(p.base, p.want):
		p.modeOnly("", OnlyMode)
	case same(p.disk, p.base):
		p.put(plan.Replace, "")
	case same(p.disk, p.want):
		p.modeOnly(plan.Adopt, OnlyMode)
	case same(p.base, p.want) && (!isDir(p.base) || !p.changed):
		p.modeOnly(plan.Kept, Customised)
		p.shut = isDir(p.want)
	default:
		r.clash(p, Customised)
	}
}

// clash is where both sides have a say and differ.
func (r *run) clash(p *place, why string) {
	switch {
	case r.merge(p):
	case r.rules.OnConflict == Mine:
		p.keep(why)
	case r.rules.OnConflict == Theirs && !p.foreign && p.want == nil:
		p.action, p.why = plan.Remove, why
	case r.rules.OnConflict == Theirs && !p.foreign:
		p.put(plan.Replace, why)
	default:
		p.action, p.why = plan.Conflict, why
		p.shut = !isDir(p.disk)
	}
}

func (p *place) keep(why string) {
	p.action, p.why, p.result = plan.Kept, why, p.disk
	p.shut = !isDir(p.disk)
}

// put brings the wanted entry, with the mode that the three sides agree on.
func (p *place) put(action plan.Action, why string) {
	result := *p.want
	if sameKind(p.base, p.disk) && sameKind(p.disk, p.want) {
		result.Mode = threeWay(p.base, p.disk, p.want)
	}
	p.action, p.why, p.result = action, why, &result
	p.fresh = isDir(p.want) && (action == plan.Replace || p.above != nil && p.above.fresh)
}

// modeOnly leaves the content that is there: only the permission bits may change;
// where they do not, the outcome is unchanged.
func (p *place) modeOnly(unchanged plan.Action, why string) {
	mode := p.disk.Mode
	if sameKind(p.base, p.disk) && sameKind(p.disk, p.want) {
		mode = threeWay(p.base, p.disk, p.want)
	}
	if mode == p.disk.Mode || p.disk.Kind == manifest.Link {
		if p.action = unchanged; unchanged != "" {
			p.result = p.disk
		}
		if unchanged == plan.Kept {
			p.why = why
		}
		return
	}
	result := *p.disk
	result.Mode = mode
	p.action, p.why, p.result = plan.Mode, why, &result
}

// threeWay returns mine if it is not the base, else want's.
func threeWay(base, disk, want *manifest.Entry) uint32 {
	if disk.Mode != base.Mode {
		return disk.Mode
	}
	return want.Mode
}

// shield returns which of the vendor's rules leaves path to the product or the operator.
func (r *run) shield(path string) string {
	switch {
	case r.rules.Generated.Match(path):
		return Generated
	case r.rules.Data.Match(path):
		return Data
	}
	return ""
}

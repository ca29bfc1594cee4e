package reconcile

import (
	"slices"
	"strings"

	"uplevel/internal/plan"
)

// below is what becomes of a folder's content.
type below struct {
	stays, undecided, added bool
}

// settle looks at the folders again, the deepest first, now that it is known what
// becomes of their content.
func (r *run) settle() {
	content := map[*place]below{}
	for i, p := range slices.Backward(r.places) {
		r.settleFolder(p, content[p], i)
		if up := p.above; up != nil {
			c := content[up]
			c.stays = c.stays || p.stands() || content[p].stays
			c.undecided = c.undecided || p.action == plan.Conflict
			c.added = c.added || p.action == plan.Add
			content[up] = c
		}
	}
}

func (r *run) settleFolder(p *place, content below, index int) {
	switch {
	case p.action == plan.Absent && content.added:
		p.put(plan.Add, "")
	case !isDir(p.disk):
	case p.action == plan.Remove && (content.stays && !content.undecided || p.foreign):
		p.keep(NotEmpty)
	case p.action == plan.Replace && !isDir(p.result) && (content.stays || p.foreign):
		// A file or link shall stand where a folder still holds what must not go.
		p.action, p.why, p.result = plan.Conflict, NotEmpty, nil
		if r.rules.OnConflict == Mine {
			p.keep(NotEmpty)
		}
		r.leaveBelow(p, index)
	}
}

// leaveBelow takes back what was decided below a folder that stays.
func (r *run) leaveBelow(p *place, index int) {
	for _, q := range r.places[index+1:] {
		if strings.HasPrefix(q.path, p.path+"/") {
			q.action, q.why, q.result = "", "", nil
		}
	}
}

// stands reports whether something will be at the place.
func (p *place) stands() bool {
	switch p.action {
	case plan.Remove, plan.Absent:
		return false
	case plan.Add, plan.Replace, plan.Mode, plan.Adopt, plan.Kept, plan.Conflict:
		return true
	default:
		return p.disk != nil
	}
}

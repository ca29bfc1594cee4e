package entitlement

import (
	"slices"
	"time"
)

// SeesHotfixesOf reports whether hotfixes of an organisation are the principal's to know
// of: its members' own, and those of all for who may publish them.
func (p Principal) SeesHotfixesOf(organisation string) bool {
	if p.IsStaff() {
		return p.publishes()
	}
	return organisation != "" && p.User.Organisation == organisation
}

// HotfixesOf returns the organisation whose hotfixes the principal may list. Who has none
// may list those of all, or nothing.
func (p Principal) HotfixesOf() (organisation string, all bool) {
	return p.User.Organisation, p.IsStaff() && p.publishes()
}

func (p Principal) publishes() bool { return slices.Contains(roleRights(p.User.Role), MayPublish) }

// Hotfix reports whether the grant includes a hotfix made at that instant: a lapsed
// subscription keeps those made before it ended.
func (g Grant) Hotfix(made time.Time) bool { return g.KeptBefore.IsZero() || made.Before(g.KeptBefore) }

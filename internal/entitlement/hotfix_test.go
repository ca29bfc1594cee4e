package entitlement

import (
	"testing"
	"time"
)

func TestWhoseHotfixes(t *testing.T) {
	t.Parallel()
	for role, want := range map[Role]struct {
		member, own, foreign, all bool
	}{
		Operator: {true, true, false, false}, SecurityOfficer: {true, true, false, false}, OrganisationAdmin: {true, true, false, false},
		ReleaseEngineer: {false, true, true, true}, Administrator: {false, true, true, true},
		Support: {}, SubscriptionManager: {},
	} {
		p := Principal{User: User{Role: role}}
		if want.member {
			p.User.Organisation = "own"
		}
		organisation, all := p.HotfixesOf()
		if p.SeesHotfixesOf("own") != want.own || p.SeesHotfixesOf("other") != want.foreign || all != want.all || (organisation == "own") != want.member {
			t.Errorf("%s: own %v, others %v, all %v", role, p.SeesHotfixesOf("own"), p.SeesHotfixesOf("other"), all)
		}
	}
	if (Principal{User: User{Role: Operator, Organisation: "own"}}).SeesHotfixesOf("") {
		t.Error("a hotfix of nobody is seen")
	}
}

func TestALapsedGrantKeepsHotfixesOfItsTime(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if g := (Grant{KeptBefore: end}); !g.Hotfix(end.Add(-1)) || g.Hotfix(end) {
		t.Error("the end is not where it is for levels")
	}
	if !(Grant{}).Hotfix(end) {
		t.Error("a running grant refuses a hotfix")
	}
}

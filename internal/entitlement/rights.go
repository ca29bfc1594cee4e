package entitlement

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uplevel/internal/problem"
)

// Role is what a user is to the organisation or to the vendor.
type Role string

// The roles: three of customers, four of the vendor's staff.
const (
	Operator            Role = "operator"
	SecurityOfficer     Role = "security"
	OrganisationAdmin   Role = "organisation-admin"
	ReleaseEngineer     Role = "release-engineer"
	SubscriptionManager Role = "subscription-manager"
	Support             Role = "support"
	Administrator       Role = "administrator"
)

// Right is one thing that a route needs.
type Right string

// The rights that routes ask for.
const (
	MayReport   Right = "send reports"
	MayCheck    Right = "see levels and entitlement"
	MayDownload Right = "download"
	MayAccept   Right = "accept the EULA"
	MayPublish  Right = "publish"
	MaySeeFleet Right = "see installations"
)

func roleRights(role Role) []Right {
	switch role {
	case Operator, OrganisationAdmin:
		return []Right{MayReport, MayCheck, MayDownload, MayAccept, MaySeeFleet}
	case SecurityOfficer:
		return []Right{MayCheck, MaySeeFleet}
	case SubscriptionManager:
		return []Right{MayCheck}
	case Support:
		return []Right{MayCheck, MayDownload}
	case ReleaseEngineer, Administrator:
		return []Right{MayReport, MayCheck, MayDownload, MayPublish, MaySeeFleet}
	}
	return nil
}

// scopeRights are what a scope leaves of a role's rights. Scopes have the names that
// package api documents.
func scopeRights(scope string) []Right {
	switch scope {
	case "update":
		return []Right{MayReport, MayCheck, MayDownload, MayAccept}
	case "report":
		return []Right{MayReport}
	case "publish":
		// A publisher compares a build with the level before, and makes packs.
		return []Right{MayPublish, MayCheck, MayDownload}
	}
	return nil
}

// CheckRole refuses an unknown role, and one that does not fit: customers' roles need
// an organisation, the vendor's must have none.
func CheckRole(role Role, inOrganisation bool) error {
	customers := []Role{Operator, SecurityOfficer, OrganisationAdmin}
	vendors := []Role{ReleaseEngineer, SubscriptionManager, Support, Administrator}
	switch {
	case inOrganisation && slices.Contains(customers, role), !inOrganisation && slices.Contains(vendors, role):
		return nil
	case slices.Contains(customers, role):
		return fmt.Errorf("role %s belongs to an organisation: name it with --organisation", role)
	case slices.Contains(vendors, role):
		return fmt.Errorf("role %s is for the vendor's staff, who have no organisation", role)
	}
	return fmt.Errorf("role %.40q: want operator, security, organisation-admin, release-engineer, subscription-manager, support or administrator", role)
}

// CheckScope refuses an unknown scope.
func CheckScope(scope string) error {
	if scopeRights(scope) == nil {
		return fmt.Errorf("scope %.40q: want update, report or publish", scope)
	}
	return nil
}

// Principal is who asks, as the token that came with the request says.
type Principal struct {
	User         User
	Organisation Organisation // the zero value for the vendor's staff
	Token        Token
}

// IsStaff reports whether the principal is one of the vendor's own people.
func (p Principal) IsStaff() bool { return p.User.Organisation == "" }

// Actor returns the principal as the audit log names it.
func (p Principal) Actor(address string) Actor { return Actor{Name: p.User.Email, Address: address} }

// May refuses, with a *problem.Error, a principal whose token, user or organisation is
// no longer good at that instant, or whose role or scopes do not include the right.
// Token and user give problem.Credentials, all else problem.NotEntitled.
func (p Principal) May(now time.Time, right Right) error {
	if err := p.Check(now); err != nil {
		return err
	}
	rights := roleRights(p.User.Role)
	if !slices.Contains(rights, right) {
		return problem.New(problem.NotEntitled, "ask an administrator of your organisation for another role",
			"the role %s may not %s", p.User.Role, right)
	}
	if len(p.Token.Scopes) == 0 {
		return nil
	}
	for _, scope := range p.Token.Scopes {
		if slices.Contains(scopeRights(scope), right) {
			return nil
		}
	}
	return problem.New(problem.NotEntitled, "use a token whose scope allows it",
		"a token with scope %s may not %s", strings.Join(p.Token.Scopes, ", "), right)
}

// Check refuses, with a *problem.Error, a principal whose token, user or organisation is
// no longer good at that instant.
func (p Principal) Check(now time.Time) error {
	switch {
	case p.User.ID == "" || p.Token.ID == "" || over(p.User.Revoked, now) || over(p.Token.Revoked, now):
		return problem.New(problem.Credentials, "log in again, or ask for another token", "Invalid credentials")
	case over(p.Token.Expires, now):
		return problem.New(problem.Credentials, "log in again, or ask for another token",
			"the token %s expired on %s", p.Token.Name, day(p.Token.Expires))
	case !p.IsStaff() && p.Organisation.ID != p.User.Organisation:
		return problem.New(problem.Credentials, "log in again", "Invalid credentials")
	case over(p.Organisation.Revoked, now):
		return problem.New(problem.NotEntitled, "ask your vendor's subscription manager",
			"the access of %s was ended on %s", p.Organisation.Name, day(p.Organisation.Revoked))
	}
	return nil
}

// over reports whether a set instant has come.
func over(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Package entitlement decides who may have what: one place that every route asks.
// The decision is a pure function of records and an instant; [Rules] reads the records
// through the [Store] that it owns. Described in docs/design/service.md.
package entitlement

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uplevel/internal/release"
)

// Spans of the rules.
const (
	TrialDays    = 90 // days of a trial, from registration
	GraceDays    = 14 // days that everything works after the end, unless set otherwise
	WarningDays  = 30 // days before the end from which answers say the date
	MaxGraceDays = 366
)

// Kind is what a subscription is.
type Kind string

// The kinds of subscription. Staff is what the vendor's own people have without one.
const (
	Trial Kind = "trial"
	Paid  Kind = "paid"
	Staff Kind = "staff"
)

// Policy is what the end of a subscription means.
type Policy string

// The policies: nothing any more, or what was released before the last day was over.
const (
	Stop Policy = "stop"
	Keep Policy = "keep"
)

// Organisation is a customer.
type Organisation struct {
	ID      string // opaque, made by the service
	Name    string // unique
	Created time.Time
	Revoked time.Time // zero: not revoked
}

// User is a person or a service account. Users without an organisation are the
// vendor's own staff.
type User struct {
	ID           string
	Organisation string // id; empty: the vendor's staff
	Email        string // lower case, unique
	Role         Role
	Created      time.Time
	Revoked      time.Time // zero: not revoked
}

// Token is a bearer token; its secret is stored only as a hash.
type Token struct {
	ID      string
	User    string
	Name    string
	Scopes  []string // empty: all that the user's role has
	Created time.Time
	Expires time.Time // zero: never
	LastUse time.Time // zero: never used; kept to the minute
	Revoked time.Time // zero: not revoked
}

// Subscription joins an organisation to a product, channels and dates.
type Subscription struct {
	ID           string
	Organisation string
	Product      string
	Version      string   // empty: every version
	Channels     []string // at least one
	Kind         Kind     // trial or paid
	Begins       time.Time
	Ends         time.Time       // first instant after the last day; zero: no end
	GraceDays    int             // days that everything works after Ends
	Expiry       Policy          // what remains after the grace period
	States       []release.State // level states besides live: testing, verifying
	Revoked      time.Time       // zero: not revoked
}

// EULA is one version of the licence text.
type EULA struct {
	Version      string
	Text         string
	RequiredFrom time.Time // zero: a reminder for ever
	Created      time.Time // orders the versions
}

// Acceptance records that an organisation accepted a text, once for all its users.
type Acceptance struct {
	Organisation string
	Version      string
	By           string // who, as recorded
	At           time.Time
	Address      string // of the request; empty when the vendor recorded it
}

// Actor is who changes something, for the audit log.
type Actor struct {
	Name    string // user's e-mail, or what acted
	Address string // network address; empty for a local command
}

// Change is one entry of the audit log. Entries are chained by hash.
type Change struct {
	Number  int64 // 1, 2, 3 …
	At      time.Time
	Actor   Actor
	Action  string // organisation.add, user.revoke, …
	Subject string // what was changed
	Before  string // JSON, empty when new
	After   string // JSON, empty when gone
	Hash    []byte // SHA-256 over the entry and the hash before it
}

// CheckEmail returns an address in the form that accounts are found by, or refuses it.
func CheckEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || domain == "" || len(email) > 254 || strings.ContainsFunc(email, notEmailRune) || strings.Contains(domain, "@") {
		return "", fmt.Errorf("e-mail address %.80q: want name@domain", email)
	}
	return email, nil
}

func notEmailRune(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>"(),;:\`, r) }

// Check refuses a subscription that says nothing or contradicts itself.
func (s Subscription) Check() error {
	switch {
	case release.CheckName(s.Product) != nil:
		return fmt.Errorf("subscription: %w", release.CheckName(s.Product))
	case s.Version != "" && release.CheckVersion(s.Version) != nil:
		return fmt.Errorf("subscription: %w", release.CheckVersion(s.Version))
	case len(s.Channels) == 0:
		return fmt.Errorf("subscription to %s covers no channel", s.Product)
	case s.Kind != Trial && s.Kind != Paid:
		return fmt.Errorf("subscription kind %.40q: want paid or trial", s.Kind)
	case s.Expiry != Stop && s.Expiry != Keep:
		return fmt.Errorf("subscription expiry %.40q: want stop or keep", s.Expiry)
	case s.GraceDays < 0 || s.GraceDays > MaxGraceDays:
		return fmt.Errorf("subscription grace of %d days: want 0 to %d", s.GraceDays, MaxGraceDays)
	case !s.Ends.IsZero() && !s.Ends.After(s.Begins):
		return fmt.Errorf("subscription to %s ends before it begins", s.Product)
	case s.Kind == Trial && s.Ends.IsZero():
		return fmt.Errorf("trial of %s has no end", s.Product)
	}
	for _, channel := range s.Channels {
		if err := release.CheckName(channel); err != nil {
			return fmt.Errorf("subscription: %w", err)
		}
	}
	for _, state := range s.States {
		if state != release.Testing && state != release.Verifying {
			return fmt.Errorf("subscription state %.40q: want testing or verifying", state)
		}
	}
	return nil
}

// Covers reports whether the subscription is for that line, whenever it runs.
func (s Subscription) Covers(line release.Line) bool {
	return s.Product == line.Product && (s.Version == "" || s.Version == line.Version) &&
		slices.Contains(s.Channels, line.Channel)
}

// LastDay returns the last day on which the subscription runs, grace aside; the zero
// time when it has no end.
func (s Subscription) LastDay() time.Time {
	if s.Ends.IsZero() {
		return time.Time{}
	}
	return s.Ends.Add(-time.Nanosecond).UTC().Truncate(24 * time.Hour)
}

// EndOfDay returns the first instant after a day written as 2006-01-02, in UTC.
func EndOfDay(day string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, fmt.Errorf("date %.40q: want YYYY-MM-DD", day)
	}
	return at.AddDate(0, 0, 1), nil
}

package entitlement

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Store is what the rules ask. Implementations answer from one consistent state.
type Store interface {
	// Subscriptions returns all of an organisation's subscriptions, whatever their state.
	Subscriptions(ctx context.Context, organisation string) ([]Subscription, error)
	// EULAs returns every text, oldest first.
	EULAs(ctx context.Context) ([]EULA, error)
	// Acceptances returns what an organisation accepted, oldest first.
	Acceptances(ctx context.Context, organisation string) ([]Acceptance, error)
	// AcceptEULA records an acceptance; the same again changes nothing.
	AcceptEULA(ctx context.Context, by Actor, a Acceptance) error
}

// Rules decides with what a store holds.
type Rules struct {
	Store Store
	Now   func() time.Time
}

// State is how a grant stands.
type State string

// The states of a grant: in its time, in the days of grace, or lapsed with what was
// released before.
const (
	Active State = "active"
	Grace  State = "grace"
	Kept   State = "kept"
)

// Message is one line for the operator.
type Message struct {
	Code string // expiring, grace, kept, eula-new
	Text string
}

// Grant is what a principal may have of one line.
type Grant struct {
	Kind       Kind
	State      State
	Until      time.Time       // last day; zero: no end
	KeptBefore time.Time       // only levels published before it; zero: all
	States     []release.State // level states that may be asked for, live first
	Messages   []Message
}

// For decides what a principal may have of a line. The error is a *problem.Error of
// kind Credentials or NotEntitled, or the store's own.
func (r Rules) For(ctx context.Context, p Principal, line release.Line) (Grant, error) {
	if p.IsStaff() {
		return Decide(r.Now(), p, nil, EULAState{}, line)
	}
	subscriptions, err := r.Store.Subscriptions(ctx, p.User.Organisation)
	if err != nil {
		return Grant{}, fmt.Errorf("reading subscriptions: %w", err)
	}
	eula, err := r.EULA(ctx, p)
	if err != nil {
		return Grant{}, err
	}
	return Decide(r.Now(), p, subscriptions, eula, line)
}

// Decide is the decision itself. It needs nothing but its arguments.
func Decide(now time.Time, p Principal, subscriptions []Subscription, eula EULAState, line release.Line) (Grant, error) {
	if err := p.May(now, MayCheck); err != nil {
		return Grant{}, err
	}
	if p.IsStaff() {
		return Grant{Kind: Staff, State: Active, States: []release.State{release.Live, release.Verifying, release.Testing}}, nil
	}
	standing := make([]standing, 0, len(subscriptions))
	for _, s := range subscriptions {
		standing = append(standing, judge(now, s, line))
	}
	grant, err := best(now, standing, p.Organisation, line)
	if err != nil {
		return Grant{}, err
	}
	if err := eula.refusal(); err != nil {
		return Grant{}, err
	}
	grant.Messages = append(grant.Messages, eula.reminder()...)
	return grant, nil
}

// rank orders what a subscription gives; higher is better.
type rank int

const (
	elsewhere rank = iota // another product, version or channel
	revoked
	future
	expired
	kept
	inGrace
	active
)

type standing struct {
	Subscription
	rank rank
}

func judge(now time.Time, s Subscription, line release.Line) standing {
	st := standing{Subscription: s}
	graceEnds := s.Ends.AddDate(0, 0, s.GraceDays)
	switch {
	case !s.Covers(line):
		st.rank = elsewhere
	case over(s.Revoked, now):
		st.rank = revoked
	case now.Before(s.Begins):
		st.rank = future
	case s.Ends.IsZero() || now.Before(s.Ends):
		st.rank = active
	case now.Before(graceEnds):
		st.rank = inGrace
	case s.Expiry == Keep:
		st.rank = kept
	default:
		st.rank = expired
	}
	return st
}

// best takes the highest rank and, within it, the latest end.
func best(now time.Time, all []standing, who Organisation, line release.Line) (Grant, error) {
	if len(all) == 0 {
		return Grant{}, notSubscribed(who, line)
	}
	top := slices.MaxFunc(all, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), compareEnds(a.Ends, b.Ends))
	})
	g := Grant{Kind: top.Kind, Until: top.LastDay(), States: []release.State{release.Live}}
	switch top.rank {
	case active:
		g.State = Active
		g.Messages = expiring(now, top.Subscription)
	case inGrace:
		g.State = Grace
		g.Messages = []Message{{"grace", fmt.Sprintf("The %s of %s ended on %s; everything works until %s. Renew it with your vendor.",
			noun(top.Kind), line.Product, day(top.LastDay()), day(top.Ends.AddDate(0, 0, top.GraceDays-1)))}}
	case kept:
		g.State, g.KeptBefore = Kept, top.Ends
		g.Messages = []Message{{"kept", fmt.Sprintf("The %s of %s ended on %s; levels published until then remain available. Renew it with your vendor for newer ones.",
			noun(top.Kind), line.Product, day(top.LastDay()))}}
	case elsewhere, revoked, future, expired:
		return Grant{}, refusal(top, who, line)
	}
	g.States = append(g.States, extraStates(all)...)
	return g, nil
}

// compareEnds orders ends; none is the latest.
func compareEnds(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

func extraStates(all []standing) []release.State {
	var states []release.State
	for _, want := range []release.State{release.Verifying, release.Testing} {
		for _, s := range all {
			if s.rank >= inGrace && slices.Contains(s.States, want) {
				states = append(states, want)
				break
			}
		}
	}
	return states
}

func noun(kind Kind) string {
	if kind == Trial {
		return "trial"
	}
	return "subscription"
}

func expiring(now time.Time, s Subscription) []Message {
	if s.Ends.IsZero() || now.Before(s.Ends.AddDate(0, 0, -WarningDays)) {
		return nil
	}
	left := int(s.Ends.Sub(now) / (24 * time.Hour))
	return []Message{{"expiring", fmt.Sprintf("The %s of %s ends on %s (%d days left).", noun(s.Kind), s.Product, day(s.LastDay()), left)}}
}

func notSubscribed(who Organisation, line release.Line) error {
	return problem.New(problem.NotEntitled, "ask your vendor for a subscription or a trial of "+line.Product,
		"%s has no subscription to %s", who.Name, line)
}

func refusal(s standing, who Organisation, line release.Line) error {
	const renew = "renew it with your vendor"
	switch s.rank {
	case expired:
		return problem.New(problem.NotEntitled, renew, "the %s of %s to %s ended on %s", noun(s.Kind), who.Name, line.Product, day(s.LastDay()))
	case future:
		return problem.New(problem.NotEntitled, "wait until then, or ask your vendor", "the %s of %s to %s begins on %s",
			noun(s.Kind), who.Name, line.Product, day(s.Begins))
	case revoked:
		return problem.New(problem.NotEntitled, "ask your vendor's subscription manager", "the %s of %s to %s was revoked on %s",
			noun(s.Kind), who.Name, line.Product, day(s.Revoked))
	case elsewhere, kept, inGrace, active:
	}
	return notSubscribed(who, line)
}

// Level refuses a level that the grant does not include: one in a state not entitled
// to, or one published after a lapsed subscription ended. A withdrawn level is given
// to who runs it (its pristine files are the base for leaving it); the tool refuses to
// install it by its signed state.
func (g Grant) Level(l release.Listing) error {
	name := l.Line().ProductVersion() + " level " + l.Line().LevelName(l.Level)
	if l.State != release.Withdrawn && !slices.Contains(g.States, l.State) {
		return problem.New(problem.NotEntitled, "ask your vendor for access to levels in that state",
			"%s is in state %s, which your subscription does not include", name, l.State)
	}
	if !g.KeptBefore.IsZero() && !l.Published.Before(g.KeptBefore) {
		return problem.New(problem.NotEntitled, "renew the subscription with your vendor, or choose an earlier level",
			"%s was published on %s, after your %s ended on %s", name, day(l.Published), noun(g.Kind), day(g.Until))
	}
	return nil
}

// MaxLevel returns the highest live level that the grant includes, and whether the
// grant limits levels at all; without a limit the number means nothing.
func (g Grant) MaxLevel(levels []release.Listing) (highest int, limited bool) {
	for _, l := range levels {
		if l.State == release.Live && g.Level(l) == nil {
			highest = max(highest, l.Level)
		}
	}
	return highest, !g.KeptBefore.IsZero()
}

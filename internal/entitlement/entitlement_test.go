package entitlement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

var (
	begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end   = begin.AddDate(0, 0, TrialDays)
	line  = release.Line{Product: "shop", Version: "1.0", Channel: "full"}
)

func customer() Principal {
	return Principal{
		User:         User{ID: "u", Organisation: "o", Email: "kim@bank.example", Role: Operator},
		Organisation: Organisation{ID: "o", Name: "Example Bank"},
		Token:        Token{ID: "t", User: "u", Name: "login", Scopes: []string{"update"}},
	}
}

func subscription(kind Kind, expiry Policy) Subscription {
	return Subscription{
		ID: "s", Organisation: "o", Product: "shop", Channels: []string{"full"}, Kind: kind,
		Begins: begin, Ends: end, GraceDays: GraceDays, Expiry: expiry,
	}
}

// TestDateEdges walks every kind and policy over every edge of its dates.
func TestDateEdges(t *testing.T) {
	t.Parallel()
	graceEnd := end.AddDate(0, 0, GraceDays)
	edges := []struct {
		name  string
		at    time.Time
		state map[Policy]State // absent: refused
	}{
		{"before it begins", begin.Add(-1), nil},
		{"first instant", begin, map[Policy]State{Stop: Active, Keep: Active}},
		{"last instant", end.Add(-1), map[Policy]State{Stop: Active, Keep: Active}},
		{"first of grace", end, map[Policy]State{Stop: Grace, Keep: Grace}},
		{"last of grace", graceEnd.Add(-1), map[Policy]State{Stop: Grace, Keep: Grace}},
		{"after grace", graceEnd, map[Policy]State{Keep: Kept}},
		{"years after", end.AddDate(10, 0, 0), map[Policy]State{Keep: Kept}},
	}
	for _, kind := range []Kind{Trial, Paid} {
		for _, policy := range []Policy{Stop, Keep} {
			for _, edge := range edges {
				t.Run(fmt.Sprintf("%s/%s/%s", kind, policy, edge.name), func(t *testing.T) {
					t.Parallel()
					got, err := Decide(edge.at, customer(), []Subscription{subscription(kind, policy)}, EULAState{}, line)
					want, allowed := edge.state[policy]
					if !allowed {
						wantProblem(t, err, problem.NotEntitled, "shop")
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if got.State != want || got.Kind != kind {
						t.Errorf("got %s %s, want %s %s", got.Kind, got.State, kind, want)
					}
					if (want == Kept) != got.KeptBefore.Equal(end) {
						t.Errorf("kept before %v in state %s", got.KeptBefore, got.State)
					}
				})
			}
		}
	}
}

func TestWarningBeginsThirtyDaysBefore(t *testing.T) {
	t.Parallel()
	edge := end.AddDate(0, 0, -WarningDays)
	for at, want := range map[time.Time]string{edge.Add(-1): "", edge: "expiring", end.Add(-1): "expiring", end: "grace", end.AddDate(0, 0, GraceDays): "kept"} {
		got, err := Decide(at, customer(), []Subscription{subscription(Paid, Keep)}, EULAState{}, line)
		if err != nil {
			t.Fatal(err)
		}
		code := ""
		if len(got.Messages) > 0 {
			code = got.Messages[0].Code
			if !strings.Contains(got.Messages[0].Text, "2026-03-31") {
				t.Errorf("%s: %q does not name the last day", at, got.Messages[0].Text)
			}
		}
		if code != want {
			t.Errorf("%s: message %q, want %q", at, code, want)
		}
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	with := func(change func(*Subscription)) Subscription {
		s := subscription(Paid, Stop)
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		sub  Subscription
		line release.Line
		ok   bool
	}{
		"every version":     {subscription(Paid, Stop), release.Line{Product: "shop", Version: "9.9", Channel: "full"}, true},
		"other product":     {subscription(Paid, Stop), release.Line{Product: "bank", Version: "1.0", Channel: "full"}, false},
		"other channel":     {subscription(Paid, Stop), release.Line{Product: "shop", Version: "1.0", Channel: "security"}, false},
		"named channel":     {with(func(s *Subscription) { s.Channels = []string{"full", "security"} }), release.Line{Product: "shop", Version: "1.0", Channel: "security"}, true},
		"only that version": {with(func(s *Subscription) { s.Version = "1.0" }), line, true},
		"not that version":  {with(func(s *Subscription) { s.Version = "1.1" }), line, false},
		"no end":            {with(func(s *Subscription) { s.Ends = time.Time{} }), line, true},
		"revoked":           {with(func(s *Subscription) { s.Revoked = begin }), line, false},
		"revoked later":     {with(func(s *Subscription) { s.Revoked = begin.AddDate(0, 0, 11) }), line, true},
		"no grace":          {with(func(s *Subscription) { s.Ends, s.GraceDays = begin.AddDate(0, 0, 10), 0 }), line, false},
		"longer grace":      {with(func(s *Subscription) { s.Ends, s.GraceDays = begin.AddDate(0, 0, 1), 20 }), line, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Decide(begin.AddDate(0, 0, 10), customer(), []Subscription{tc.sub}, EULAState{}, tc.line)
			if tc.ok && err != nil {
				t.Fatal(err)
			}
			if !tc.ok {
				wantProblem(t, err, problem.NotEntitled, tc.line.Product)
			}
		})
	}
}

func TestBestSubscriptionWins(t *testing.T) {
	t.Parallel()
	trial, paid := subscription(Trial, Stop), subscription(Paid, Keep)
	paid.Begins, paid.Ends = end, time.Time{}
	paid.States = []release.State{release.Testing}
	all := []Subscription{trial, paid}
	before, err := Decide(end.Add(-1), customer(), all, EULAState{}, line)
	if err != nil || before.Kind != Trial || slices.Contains(before.States, release.Testing) {
		t.Errorf("on the trial's last day: %+v, %v", before, err)
	}
	after, err := Decide(end, customer(), all, EULAState{}, line)
	if err != nil || after.Kind != Paid || !after.Until.IsZero() || len(after.Messages) > 0 {
		t.Errorf("once it is paid: %+v, %v", after, err)
	}
	if diff := cmp.Diff([]release.State{release.Live, release.Testing}, after.States); diff != "" {
		t.Error(diff)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	listing := func(level int, state release.State, published time.Time) release.Listing {
		return release.Listing{Product: "shop", Version: "1.0", Channel: "full", Level: level, State: state, Published: published}
	}
	live := Grant{Kind: Paid, State: Active, States: []release.State{release.Live}}
	tester := Grant{Kind: Paid, State: Active, States: []release.State{release.Live, release.Testing}}
	lapsed := Grant{Kind: Paid, State: Kept, States: []release.State{release.Live}, KeptBefore: end, Until: end.AddDate(0, 0, -1)}
	for _, tc := range []struct {
		name  string
		grant Grant
		level release.Listing
		ok    bool
	}{
		{"live", live, listing(1, release.Live, end), true},
		{"testing", live, listing(1, release.Testing, end), false},
		{"verifying", live, listing(1, release.Verifying, end), false},
		{"withdrawn, for who runs it", live, listing(1, release.Withdrawn, end), true},
		{"testing, entitled", tester, listing(1, release.Testing, end), true},
		{"verifying, entitled to testing only", tester, listing(1, release.Verifying, end), false},
		{"kept, last instant", lapsed, listing(1, release.Live, end.Add(-1)), true},
		{"kept, first instant after", lapsed, listing(1, release.Live, end), false},
		{"kept, withdrawn and new", lapsed, listing(1, release.Withdrawn, end), false},
	} {
		if err := tc.grant.Level(tc.level); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		} else if err != nil {
			wantProblem(t, err, problem.NotEntitled, "shop-1.0 level 1.0.1")
		}
	}
	levels := []release.Listing{listing(0, release.Live, begin), listing(1, release.Live, begin), listing(2, release.Withdrawn, begin), listing(3, release.Live, end)}
	if highest, limited := lapsed.MaxLevel(levels); highest != 1 || !limited {
		t.Errorf("lapsed: highest %d, limited %v", highest, limited)
	}
	if highest, limited := live.MaxLevel(levels); highest != 3 || limited {
		t.Errorf("active: highest %d, limited %v", highest, limited)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	now := begin.AddDate(0, 0, 5)
	for name, tc := range map[string]struct {
		change func(*Principal)
		kind   problem.Kind
	}{
		"user":                {func(p *Principal) { p.User.Revoked = now }, problem.Credentials},
		"token":               {func(p *Principal) { p.Token.Revoked = now }, problem.Credentials},
		"token expired":       {func(p *Principal) { p.Token.Expires = now }, problem.Credentials},
		"organisation":        {func(p *Principal) { p.Organisation.Revoked = now }, problem.NotEntitled},
		"no user":             {func(p *Principal) { p.User.ID = "" }, problem.Credentials},
		"other organisation":  {func(p *Principal) { p.Organisation.ID = "x" }, problem.Credentials},
		"report scope":        {func(p *Principal) { p.Token.Scopes = []string{"report"} }, problem.NotEntitled},
		"unknown role":        {func(p *Principal) { p.User.Role = "king" }, problem.NotEntitled},
		"customer as manager": {func(p *Principal) { p.Token.Scopes = []string{"publish"}; p.User.Role = "" }, problem.NotEntitled},
	} {
		p := customer()
		tc.change(&p)
		_, err := Decide(now, p, []Subscription{subscription(Paid, Stop)}, EULAState{}, line)
		if problem.KindOf(err) != tc.kind || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := customer()
	later.User.Revoked, later.Token.Expires, later.Organisation.Revoked = now.Add(1), now.Add(1), now.Add(1)
	if err := later.May(now, MayDownload); err != nil {
		t.Errorf("an instant before: %v", err)
	}
}

// TestRights is the table of every role × every scope × every right.
func TestRights(t *testing.T) {
	t.Parallel()
	all := []Right{MayReport, MayCheck, MayDownload, MayAccept, MayPublish, MaySeeFleet}
	want := map[Role]string{
		Operator: "1111-1", OrganisationAdmin: "1111-1", SecurityOfficer: "-1---1",
		SubscriptionManager: "-1----", Support: "-11---", ReleaseEngineer: "111-11", Administrator: "111-11",
	}
	scopes := map[string]string{"": "111111", "update": "1111--", "report": "1-----", "publish": "-11-1-"}
	for role, roleMay := range want {
		for scope, scopeMay := range scopes {
			p := customer()
			p.User.Role, p.Token.Scopes = role, nil
			if scope != "" {
				p.Token.Scopes = []string{scope}
			}
			for i, right := range all {
				err := p.May(begin, right)
				if may := roleMay[i] == '1' && scopeMay[i] == '1'; may != (err == nil) {
					t.Errorf("%s with scope %q may %s: %v", role, scope, right, err)
				}
			}
		}
		customers := role == Operator || role == OrganisationAdmin || role == SecurityOfficer
		if (CheckRole(role, true) == nil) != customers || (CheckRole(role, false) == nil) == customers {
			t.Errorf("%s: wrong place", role)
		}
	}
	if CheckRole("king", true) == nil || CheckScope("all") == nil || CheckScope("update") != nil {
		t.Error("unknown role or scope accepted")
	}
}

func TestStaffMayHaveEveryState(t *testing.T) {
	t.Parallel()
	p := Principal{User: User{ID: "u", Email: "rel@vendor.example", Role: ReleaseEngineer}, Token: Token{ID: "t"}}
	g, err := Rules{Now: func() time.Time { return begin }}.For(t.Context(), p, line)
	if err != nil || g.Kind != Staff {
		t.Fatalf("%+v, %v", g, err)
	}
	for _, state := range []release.State{release.Live, release.Testing, release.Verifying, release.Withdrawn} {
		if err := g.Level(release.Listing{Product: "shop", Version: "1.0", Channel: "full", State: state}); err != nil {
			t.Error(err)
		}
	}
}

// memory is the Store of these tests.
type memory struct {
	subscriptions []Subscription
	eulas         []EULA
	accepted      []Acceptance
	err           error
}

func (m *memory) Subscriptions(context.Context, string) ([]Subscription, error) {
	return m.subscriptions, m.err
}

func (m *memory) EULAs(context.Context) ([]EULA, error) { return m.eulas, m.err }

func (m *memory) Acceptances(context.Context, string) ([]Acceptance, error) { return m.accepted, m.err }

func (m *memory) AcceptEULA(_ context.Context, _ Actor, a Acceptance) error {
	m.accepted = append(m.accepted, a)
	return m.err
}

func TestEULA(t *testing.T) {
	t.Parallel()
	now := begin.AddDate(0, 0, 30)
	one, two := EULA{Version: "1"}, EULA{Version: "2"}
	twoFrom := func(at time.Time) EULA { return EULA{Version: "2", RequiredFrom: at} }
	for name, tc := range map[string]struct {
		texts    []EULA
		accepted string // versions, with spaces
		refused  bool
		message  bool
	}{
		"no text":                         {nil, "", false, false},
		"never accepted":                  {[]EULA{one}, "", true, false},
		"accepted":                        {[]EULA{one}, "1", false, false},
		"new text reminds":                {[]EULA{one, two}, "1", false, true},
		"new text accepted":               {[]EULA{one, two}, "2", false, false},
		"required tomorrow":               {[]EULA{one, twoFrom(now.Add(1))}, "1", false, true},
		"required now":                    {[]EULA{one, twoFrom(now)}, "1", true, false},
		"required and accepted":           {[]EULA{one, twoFrom(now)}, "1 2", false, false},
		"a later one counts for it":       {[]EULA{one, twoFrom(now), {Version: "3"}}, "3", false, false},
		"a newer one does not release it": {[]EULA{one, twoFrom(now), {Version: "3"}}, "1", true, false},
		"first text with a future date":   {[]EULA{twoFrom(now.Add(1))}, "", true, false},
		"acceptance of an unknown text":   {[]EULA{one}, "9", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memory{subscriptions: []Subscription{subscription(Paid, Stop)}, eulas: tc.texts}
			for version := range strings.FieldsSeq(tc.accepted) {
				store.accepted = append(store.accepted, Acceptance{Organisation: "o", Version: version})
			}
			rules := Rules{Store: store, Now: func() time.Time { return now }}
			g, err := rules.For(t.Context(), customer(), line)
			if tc.refused {
				wantProblem(t, err, problem.NotEntitled, "EULA")
				if err := rules.Accept(t.Context(), customer(), "", "192.0.2.1"); err != nil {
					t.Fatal(err)
				}
				g, err = rules.For(t.Context(), customer(), line)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.ContainsFunc(g.Messages, func(m Message) bool { return m.Code == "eula-new" }); got != tc.message {
				t.Errorf("messages %v", g.Messages)
			}
		})
	}
}

func TestAcceptRefusesUnknownVersion(t *testing.T) {
	t.Parallel()
	store := &memory{eulas: []EULA{{Version: "1"}}}
	rules := Rules{Store: store, Now: func() time.Time { return begin }}
	wantProblem(t, rules.Accept(t.Context(), customer(), "2", ""), problem.Usage, "2")
	reporter := customer()
	reporter.Token.Scopes = []string{"report"}
	wantProblem(t, rules.Accept(t.Context(), reporter, "1", ""), problem.NotEntitled, "report")
	if len(store.accepted) != 0 {
		t.Errorf("recorded %v", store.accepted)
	}
	store.eulas = nil
	if err := rules.Accept(t.Context(), customer(), "", ""); err != nil || len(store.accepted) != 0 {
		t.Errorf("no text: %v, %v", err, store.accepted)
	}
}

func TestStoreErrorIsNoDecision(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	rules := Rules{Store: &memory{err: broken}, Now: func() time.Time { return begin }}
	if _, err := rules.For(t.Context(), customer(), line); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestSubscriptionCheck(t *testing.T) {
	t.Parallel()
	good := subscription(Trial, Keep)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Subscription){
		"product":  func(s *Subscription) { s.Product = "Shop" },
		"version":  func(s *Subscription) { s.Version = "x" },
		"channels": func(s *Subscription) { s.Channels = nil },
		"channel":  func(s *Subscription) { s.Channels = []string{"a,b"} },
		"kind":     func(s *Subscription) { s.Kind = Staff },
		"expiry":   func(s *Subscription) { s.Expiry = "" },
		"grace":    func(s *Subscription) { s.GraceDays = -1 },
		"ends":     func(s *Subscription) { s.Ends = s.Begins },
		"no end":   func(s *Subscription) { s.Ends = time.Time{} },
		"state":    func(s *Subscription) { s.States = []release.State{release.Withdrawn} },
	} {
		s := subscription(Trial, Keep)
		change(&s)
		if s.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCheckEmail(t *testing.T) {
	t.Parallel()
	if got, err := CheckEmail(" Kim.Roe@Bank.Example\n"); err != nil || got != "kim.roe@bank.example" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "kim", "@bank", "kim@", "k im@bank", "kim@a@b", "<kim@bank>", strings.Repeat("k", 250) + "@bank"} {
		if _, err := CheckEmail(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	ends, err := EndOfDay("2026-03-31")
	if err != nil || !ends.Equal(end) {
		t.Fatalf("%v, %v", ends, err)
	}
	s := Subscription{Ends: ends}
	if got := day(s.LastDay()); got != "2026-03-31" {
		t.Errorf("last day %s", got)
	}
	if _, err := EndOfDay("31.3.2026"); err == nil {
		t.Error("accepted")
	}
}

func wantProblem(t *testing.T, err error, kind problem.Kind, names string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		t.Fatalf("got %v, want a problem of kind %s", err, kind)
	}
	if p.Kind != kind || p.Next == "" || !strings.Contains(p.Text, names) {
		t.Errorf("got %s %q (next %q), want %s naming %q", p.Kind, p.Text, p.Next, kind, names)
	}
}

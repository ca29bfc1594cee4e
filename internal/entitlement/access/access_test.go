package access

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
)

// memory is the accounts and tokens of these tests.
type memory struct {
	mu       sync.Mutex
	users    map[string]entitlement.User
	hashes   map[string]string
	failures map[string]Failures
	tokens   map[[32]byte]entitlement.Principal
	used     int
	full     error // what noting a use fails with
}

func (m *memory) UserByEmail(_ context.Context, email string) (entitlement.User, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[email]
	if !ok {
		return u, "", fs.ErrNotExist
	}
	return u, m.hashes[email], nil
}

func (m *memory) LoginFailures(_ context.Context, subjects []string) ([]Failures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Failures
	for _, s := range subjects {
		all = append(all, m.failures[s])
	}
	return all, nil
}

func (m *memory) LoginFailed(_ context.Context, subjects []string, at, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range subjects {
		m.failures[s] = Failures{Count: m.failures[s].Count + 1, Last: at}
	}
	return nil
}

func (m *memory) LoginSucceeded(_ context.Context, subject string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.failures, subject)
	return nil
}

func (m *memory) AddToken(_ context.Context, _ entitlement.Actor, t entitlement.Token, hash [32]byte) (entitlement.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.ID = fmt.Sprintf("t%d", len(m.tokens))
	m.tokens[hash] = entitlement.Principal{
		User:         entitlement.User{ID: t.User, Email: "kim@bank.example", Role: entitlement.Operator, Organisation: "o"},
		Organisation: entitlement.Organisation{ID: "o"}, Token: t,
	}
	return t, nil
}

func (m *memory) PrincipalByToken(_ context.Context, hash [32]byte) (entitlement.Principal, [32]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.tokens[hash]
	if !ok {
		return p, hash, fs.ErrNotExist
	}
	return p, hash, nil
}

func (m *memory) AddLogin(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte, password string) (entitlement.Token, error) {
	if m.hashes[by.Name] != password {
		return t, fs.ErrNotExist
	}
	return m.AddToken(ctx, by, t, hash)
}

func (m *memory) TokenUsed(context.Context, string, time.Time) error { m.used++; return m.full }

type clock struct{ now time.Time }

// newDoor has kim, whose password is "grüße $ \"'\\", and lee, who is revoked.
func newDoor(t *testing.T) (*Door, *memory, *clock, *atomic.Int64) {
	t.Helper()
	var hashed atomic.Int64
	h := NewHasher(2)
	derive := h.derive
	h.derive = func(password, salt []byte) []byte { hashed.Add(1); return derive(password, salt) }
	hash, err := h.Hash(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	hashed.Store(0)
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	m := &memory{
		users: map[string]entitlement.User{
			"kim@bank.example": {ID: "kim", Email: "kim@bank.example"},
			"lee@bank.example": {ID: "lee", Email: "lee@bank.example", Revoked: c.now}, "bot@bank.example": {ID: "bot", Email: "bot@bank.example"},
		},
		hashes:   map[string]string{"kim@bank.example": hash, "lee@bank.example": hash},
		failures: map[string]Failures{}, tokens: map[[32]byte]entitlement.Principal{},
	}
	return &Door{Accounts: m, Tokens: m, Hasher: h, Now: func() time.Time { return c.now }}, m, c, &hashed
}

const secret = "gr\u00fc\u00dfe $ \"'\\"

func TestLogin(t *testing.T) {
	t.Parallel()
	d, m, c, _ := newDoor(t)
	if DefaultLife != 2*time.Hour {
		t.Errorf("a login is good for %s, docs/security.md says 2 hours", DefaultLife)
	}
	given := map[string]bool{}
	for _, password := range []string{secret, "gru\u0308\u00dfe $ \"'\\"} {
		text, token, err := d.Login(t.Context(), "kim@bank.example", password, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "upl_") || len(text) != 47 || len(token.Scopes) != 1 || token.Scopes[0] != "update" || !token.Expires.Equal(c.now.Add(DefaultLife)) {
			t.Errorf("token %d bytes, %+v", len(text), token)
		}
		random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "upl_"))
		if err != nil || len(random) != 32 || given[text] {
			t.Errorf("a token of %d random bytes, given before: %v, %v", len(random), given[text], err)
		}
		given[text] = true
		p, err := d.Principal(t.Context(), text)
		if err != nil || p.User.ID != "kim" {
			t.Errorf("%+v, %v", p, err)
		}
		again, _, err := d.Login(t.Context(), "whoever@bank.example", text+"\n", "192.0.2.1")
		if err != nil || again != text {
			t.Errorf("token in place of a password: %v", err)
		}
	}
	if m.used == 0 {
		t.Error("last use was not noted")
	}
	for _, near := range []string{secret + " ", strings.ToUpper(secret), secret[:len(secret)-1]} {
		if _, _, err := d.Login(t.Context(), "kim@bank.example", near, "192.0.2.1"); problem.KindOf(err) != problem.Credentials {
			t.Errorf("%q lets in: %v", near, err)
		}
	}
}

// TestSameAnswerSameWork: whoever is guessed, the answer and the hashing are the same.
func TestSameAnswerSameWork(t *testing.T) {
	t.Parallel()
	d, _, c, hashed := newDoor(t)
	var answers []string
	for i, who := range []string{"kim@bank.example", "nobody@bank.example", "lee@bank.example", "bot@bank.example", "", "not an address"} {
		before := hashed.Load()
		_, _, err := d.Login(t.Context(), who, secret+"x", fmt.Sprintf("192.0.2.%d", i))
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Kind != problem.Credentials {
			t.Fatalf("%q: %v", who, err)
		}
		if n := hashed.Load() - before; n != 1 {
			t.Errorf("%q: hashed %d times, want 1", who, n)
		}
		answers = append(answers, p.Text+p.Next)
		c.now = c.now.Add(time.Second)
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			t.Errorf("answers differ: %q, %q", answers[0], a)
		}
	}
	if _, _, err := d.Login(t.Context(), "lee@bank.example", secret, "192.0.2.99"); problem.KindOf(err) != problem.Credentials {
		t.Errorf("a revoked user with the right password: %v", err)
	}
}

func TestFailuresSlowDownByAccount(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"kim@bank.example", "nobody@bank.example"} {
		d, _, c, hashed := newDoor(t)
		for i := range freeByAccount {
			_, _, err := d.Login(t.Context(), who, "wrong password", fmt.Sprintf("192.0.2.%d", i))
			if _, slowed := errors.AsType[*SlowedError](err); slowed || err == nil {
				t.Fatalf("%s, attempt %d: %v", who, i+1, err)
			}
		}
		before := hashed.Load()
		_, _, err := d.Login(t.Context(), who, secret, "192.0.2.200")
		slowed, ok := errors.AsType[*SlowedError](err)
		if !ok || problem.KindOf(err) != problem.Credentials || slowed.Wait != time.Second || hashed.Load() != before {
			t.Fatalf("%s: %v", who, err)
		}
		c.now = c.now.Add(time.Second)
		if _, _, err := d.Login(t.Context(), who, secret, "192.0.2.200"); (err == nil) != (who == "kim@bank.example") {
			t.Errorf("%s after the wait: %v", who, err)
		}
	}
}

func TestFailuresSlowDownByAddress(t *testing.T) {
	t.Parallel()
	d, _, c, _ := newDoor(t)
	for i := range freeByAddress {
		if _, _, err := d.Login(t.Context(), fmt.Sprintf("user%d@bank.example", i), "wrong password", fmt.Sprintf("2001:db8::%x", i)); err == nil {
			t.Fatal("let in")
		}
	}
	_, _, err := d.Login(t.Context(), "kim@bank.example", secret, "2001:db8::ffff")
	if _, slowed := errors.AsType[*SlowedError](err); !slowed {
		t.Errorf("same /64: %v", err)
	}
	if _, _, err := d.Login(t.Context(), "kim@bank.example", secret, "2001:db8:0:1::1"); err != nil {
		t.Errorf("another network: %v", err)
	}
	c.now = c.now.Add(forgetAfter + 1)
	if _, _, err := d.Login(t.Context(), "kim@bank.example", secret, "2001:db8::ffff"); err != nil {
		t.Errorf("when forgotten: %v", err)
	}
}

func TestWaitsGrowAndEnd(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	last := time.Duration(0)
	for n := freeByAccount; n < 100; n++ {
		wait := waitFor(now, Failures{Count: n, Last: now}, freeByAccount)
		if wait < last || wait > longestWait || wait <= 0 {
			t.Fatalf("after %d failures: %s after %s", n, wait, last)
		}
		last = wait
	}
	if last != longestWait {
		t.Errorf("the longest wait is %s", last)
	}
}

func TestHasherIsBounded(t *testing.T) {
	t.Parallel()
	h := NewHasher(2)
	var now, most atomic.Int64
	finish := make(chan struct{})
	h.derive = func(_, _ []byte) []byte {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-finish
		now.Add(-1)
		return make([]byte, hashBytes)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := h.Hash(context.Background(), "whatever it is"); err != nil {
				t.Error(err)
			}
		})
	}
	for range 10 {
		finish <- struct{}{}
	}
	all.Wait()
	if most.Load() > 2 {
		t.Errorf("%d at once, want 2 at most", most.Load())
	}
	h.slots <- struct{}{}
	h.slots <- struct{}{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ended, "whatever it is"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a slot: %v", err)
	}
}

func TestHashForm(t *testing.T) {
	t.Parallel()
	h := NewHasher(1)
	encoded, err := h.Hash(t.Context(), "correct horse 7")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q", encoded)
	}
	if !h.matches(encoded, "correct horse 7") || h.matches(encoded, "correct horse 8") || h.matches("", "") || h.matches(encoded[:len(encoded)-4], "correct horse 7") {
		t.Error("matching is wrong")
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"correct horse 7", "größer12", secret, strings.Repeat("ab", MaxPassword/2)} {
		if err := CheckPassword("kim@bank.example", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "short 7", "ÄÖÜäöüß", "Password1", "QWERTY123", "aaaaaaaaaa", "23456789", "zyxwvuts", "kim@bank.example", "Kim@Bank.Example",
		"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", strings.Repeat("ab", MaxPassword),
	} {
		if err := CheckPassword("kim@bank.example", bad); err == nil {
			t.Errorf("%.40q accepted", bad)
		}
	}
	listed := strings.Fields(common + " " + breached)
	if len(listed) < 5000 {
		t.Errorf("the lists of common passwords have %d words", len(listed))
	}
	for i := 0; i < len(listed); i += 37 {
		word := listed[i]
		if CheckPassword("kim@bank.example", word) == nil || CheckPassword("kim@bank.example", strings.ToUpper(word)) == nil {
			t.Fatalf("%q is listed and accepted", word)
		}
	}
}

func TestPrincipalRefuses(t *testing.T) {
	t.Parallel()
	d, m, c, _ := newDoor(t)
	if _, err := d.Principal(t.Context(), "upl_nothing"); problem.KindOf(err) != problem.Credentials {
		t.Errorf("unknown: %v", err)
	}
	text, _, err := d.Login(t.Context(), "kim@bank.example", secret, "")
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(DefaultLife)
	if _, err := d.Principal(t.Context(), text); problem.KindOf(err) != problem.Credentials {
		t.Errorf("expired: %v", err)
	}
	c.now = c.now.Add(-time.Minute)
	for name, tc := range map[string]struct {
		revoke func(*entitlement.Principal)
		kind   problem.Kind
	}{
		"token":        {func(p *entitlement.Principal) { p.Token.Revoked = c.now }, problem.Credentials},
		"user":         {func(p *entitlement.Principal) { p.User.Revoked = c.now }, problem.Credentials},
		"organisation": {func(p *entitlement.Principal) { p.Organisation.Revoked = c.now }, problem.NotEntitled},
	} {
		for hash, was := range m.tokens {
			p := was
			tc.revoke(&p)
			m.tokens[hash] = p
			if _, err := d.Principal(t.Context(), text); problem.KindOf(err) != tc.kind {
				t.Errorf("revoked %s: %v", name, err)
			}
			m.tokens[hash] = was
		}
	}
}

// TestTokenThatIsOverIsNoGuess: given as a password it says what it is, and a hundred
// machines with it behind one address lock nobody out.
func TestTokenThatIsOverIsNoGuess(t *testing.T) {
	t.Parallel()
	d, m, c, _ := newDoor(t)
	text, _, err := d.Login(t.Context(), "kim@bank.example", secret, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(DefaultLife)
	for range 100 {
		if _, _, err := d.Login(t.Context(), "kim@bank.example", text, "192.0.2.1"); problem.KindOf(err) != problem.Credentials || !strings.Contains(err.Error(), "expired") {
			t.Fatalf("expired: %v", err)
		}
	}
	if _, _, err := d.Login(t.Context(), "kim@bank.example", secret, "192.0.2.1"); err != nil {
		t.Errorf("the right password: %v", err)
	}
	c.now = c.now.Add(-time.Minute)
	for hash, p := range m.tokens {
		p.Organisation.Revoked = c.now
		m.tokens[hash] = p
	}
	if _, _, err := d.Login(t.Context(), "kim@bank.example", text, "192.0.2.1"); problem.KindOf(err) != problem.NotEntitled {
		t.Errorf("revoked organisation: %v", err)
	}
}

// TestALoginInFlightDoesNotOutliveItsPassword: a password that is replaced while a login
// with it is under way lets nobody in.
func TestALoginInFlightDoesNotOutliveItsPassword(t *testing.T) {
	t.Parallel()
	d, m, _, _ := newDoor(t)
	derive := d.Hasher.derive
	d.Hasher.derive = func(password, salt []byte) []byte {
		m.hashes["kim@bank.example"] = "of a new password"
		return derive(password, salt)
	}
	if _, _, err := d.Login(t.Context(), "kim@bank.example", secret, "192.0.2.1"); problem.KindOf(err) != problem.Credentials {
		t.Errorf("the old password: %v", err)
	}
	if len(m.tokens) != 0 {
		t.Errorf("it left %d tokens", len(m.tokens))
	}
}

// TestAFullDatabaseLetsReadersIn: that a use cannot be noted keeps nobody out; it is told
// once, and tried again after a while only.
func TestAFullDatabaseLetsReadersIn(t *testing.T) {
	t.Parallel()
	d, m, c, _ := newDoor(t)
	var log bytes.Buffer
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	text, _, err := d.Login(t.Context(), "kim@bank.example", secret, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	m.full = errors.New("database or disk is full")
	for minute := range 3 {
		for range 5 {
			if _, err := d.Principal(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if said := strings.Count(log.String(), "disk is full"); said != minute+1 || m.used != minute+1 {
			t.Errorf("minute %d: tried %d times, told %d times", minute, m.used, said)
		}
		c.now = c.now.Add(time.Minute)
	}
}

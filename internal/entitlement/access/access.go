package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
)

// Accounts is where the door looks up who comes with a password.
type Accounts interface {
	// UserByEmail returns a user, revoked or not, and the password hash; fs.ErrNotExist.
	UserByEmail(ctx context.Context, email string) (entitlement.User, string, error)
	// LoginFailures returns what is known of each subject, in the same order.
	LoginFailures(ctx context.Context, subjects []string) ([]Failures, error)
	// LoginFailed counts a failure of each subject; those before forget do not count.
	LoginFailed(ctx context.Context, subjects []string, at, forget time.Time) error
	// LoginSucceeded forgets the failures of a subject.
	LoginSucceeded(ctx context.Context, subject string) error
}

// Tokens is where the door keeps tokens, by the SHA-256 of their secret.
type Tokens interface {
	AddToken(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte) (entitlement.Token, error)
	// AddLogin does so while the user's password hash is the one given; else fs.ErrNotExist.
	AddLogin(ctx context.Context, by entitlement.Actor, t entitlement.Token, hash [32]byte, password string) (entitlement.Token, error)
	// PrincipalByToken returns who a token speaks for, revoked or not, and the hash as
	// stored; fs.ErrNotExist.
	PrincipalByToken(ctx context.Context, hash [32]byte) (entitlement.Principal, [32]byte, error)
	TokenUsed(ctx context.Context, id string, at time.Time) error
}

// Failures are the failed logins of an account or an address.
type Failures struct {
	Count int
	Last  time.Time
}

// How failed logins are slowed down: so many are free, then each doubles the wait.
const (
	freeByAccount = 5
	freeByAddress = 30
	longestWait   = 15 * time.Minute
	forgetAfter   = time.Hour
)

// DefaultLife is how long a token from a login lives.
const DefaultLife = 2 * time.Hour

// tokenPrefix begins every token, so that secret scanners find a leaked one.
const tokenPrefix = "upl_"

// SlowedError says how long to wait before the next login is looked at.
type SlowedError struct{ Wait time.Duration }

// Error says so.
func (s *SlowedError) Error() string {
	return fmt.Sprintf("too many failed logins: wait %d s", int(s.Wait/time.Second)+1)
}

// Door lets people and programs in.
type Door struct {
	Accounts Accounts
	Tokens   Tokens
	Hasher   *Hasher
	Now      func() time.Time
	Life     time.Duration // of a token from a login; 0: DefaultLife
	Log      *slog.Logger  // nil: nothing is said

	quiet atomic.Int64 // Unix time until which no use is noted
}

// Login checks a password and makes a token good for updating only. Unknown user,
// revoked user and wrong password are one answer that takes the same work: a
// *problem.Error of kind Credentials. After too many failures of the account or from
// the address, whether there is such an account or not, it wraps [*SlowedError]. A token is
// accepted in place of a password and comes back as it is.
func (d *Door) Login(ctx context.Context, email, password, address string) (string, entitlement.Token, error) {
	if strings.HasPrefix(password, tokenPrefix) {
		p, err := d.Principal(ctx, strings.TrimSpace(password))
		switch {
		case err == nil:
			return strings.TrimSpace(password), d.lived(p.Token), nil
		case !errors.Is(err, fs.ErrNotExist):
			// A token that is over is no guess: it says so, and slows nobody down.
			return "", entitlement.Token{}, err
		}
	}
	var user entitlement.User
	var hash string
	err := d.Hasher.slot(ctx, func() error {
		var err error
		user, hash, err = d.checkPassword(ctx, email, password, address)
		return err
	})
	if err != nil {
		return "", entitlement.Token{}, err
	}
	token := entitlement.Token{User: user.ID, Name: "login", Scopes: []string{"update"}, Expires: d.Now().Add(d.life())}
	secret, token, err := newToken(token, func(sum [32]byte) (entitlement.Token, error) {
		return d.Tokens.AddLogin(ctx, entitlement.Actor{Name: user.Email, Address: address}, token, sum, hash)
	})
	if errors.Is(err, fs.ErrNotExist) { // another password was set meanwhile
		err = invalid()
	}
	return secret, token, err
}

func (d *Door) life() time.Duration {
	if d.Life > 0 {
		return d.Life
	}
	return DefaultLife
}

// lived gives a token without end one for this login, since the answer has a date.
func (d *Door) lived(t entitlement.Token) entitlement.Token {
	if t.Expires.IsZero() {
		t.Expires = d.Now().Add(d.life())
	}
	return t
}

// checkPassword runs in a hasher's slot, so that at most as many guesses as there are
// slots get past the slow-down at once.
func (d *Door) checkPassword(ctx context.Context, email, password, address string) (entitlement.User, string, error) {
	account := "account:" + strings.ToLower(strings.TrimSpace(email))
	if len(account) > 300 {
		account = account[:300]
	}
	subjects := []string{account, "address:" + network(address)}
	failures, err := d.Accounts.LoginFailures(ctx, subjects)
	if err != nil {
		return entitlement.User{}, "", err
	}
	now := d.Now()
	if wait := max(waitFor(now, failures[0], freeByAccount), waitFor(now, failures[1], freeByAddress)); wait > 0 {
		slowed := &SlowedError{Wait: wait}
		return entitlement.User{}, "", problem.New(problem.Credentials,
			fmt.Sprintf("wait %d s, then try again with the right password", int(wait/time.Second)+1), "Invalid credentials: %w", slowed)
	}
	user, hash, err := d.Accounts.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return entitlement.User{}, "", err
	}
	known := err == nil && (user.Revoked.IsZero() || now.Before(user.Revoked))
	if right := d.Hasher.matches(hash, password); !right || !known {
		if err := d.Accounts.LoginFailed(ctx, subjects, now, now.Add(-forgetAfter)); err != nil {
			return entitlement.User{}, "", err
		}
		return entitlement.User{}, "", invalid()
	}
	if failures[0].Count > 0 {
		return user, hash, d.Accounts.LoginSucceeded(ctx, account)
	}
	return user, hash, nil
}

func invalid() error {
	return problem.New(problem.Credentials,
		"check user and password; in a shell, put a password with $ in single quotes", "Invalid credentials")
}

func waitFor(now time.Time, f Failures, free int) time.Duration {
	if f.Count < free || now.Sub(f.Last) > forgetAfter {
		return 0
	}
	wait := longestWait
	if over := f.Count - free; over < 10 {
		wait = min(wait, time.Second<<over)
	}
	return max(f.Last.Add(wait).Sub(now), 0)
}

// network returns what of an address counts: IPv6 is handed out by /64.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap()
	if ip.Is6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// NewToken makes a token and returns its secret, which is shown once.
func (d *Door) NewToken(ctx context.Context, by entitlement.Actor, t entitlement.Token) (string, entitlement.Token, error) {
	return newToken(t, func(sum [32]byte) (entitlement.Token, error) { return d.Tokens.AddToken(ctx, by, t, sum) })
}

// newToken makes a secret and stores a token with it.
func newToken(t entitlement.Token, store func(sum [32]byte) (entitlement.Token, error)) (string, entitlement.Token, error) {
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", t, fmt.Errorf("making a token: %w", err)
	}
	secret := tokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	t, err := store(sha256.Sum256([]byte(secret)))
	if err != nil {
		return "", t, fmt.Errorf("storing a token: %w", err)
	}
	return secret, t, nil
}

// Principal returns who a token speaks for, or a *problem.Error: Credentials when the
// token is unknown (then fs.ErrNotExist, too), expired or revoked, or its user is; NotEntitled when the
// organisation is revoked. It asks the store each time, so that a revocation takes
// effect at once.
func (d *Door) Principal(ctx context.Context, secret string) (entitlement.Principal, error) {
	hash := sha256.Sum256([]byte(secret))
	p, stored, err := d.Tokens.PrincipalByToken(ctx, hash)
	if errors.Is(err, fs.ErrNotExist) || err == nil && subtle.ConstantTimeCompare(hash[:], stored[:]) != 1 {
		return entitlement.Principal{}, &problem.Error{
			Kind: problem.Credentials, Err: fs.ErrNotExist, Text: "Invalid credentials", Next: "log in again, or ask for another token",
		}
	}
	if err != nil {
		return entitlement.Principal{}, err
	}
	now := d.Now()
	if err := p.Check(now); err != nil {
		return entitlement.Principal{}, err
	}
	if now.Sub(p.Token.LastUse) >= useEvery {
		d.noteUse(ctx, p.Token.ID, now)
	}
	return p, nil
}

// useEvery is how exactly the last use of a token is kept.
const useEvery = time.Minute

// noteUse notes that a token was used, which decides nothing: where the database is full or
// busy, those who only read go on, and for a while nobody tries again.
func (d *Door) noteUse(ctx context.Context, id string, now time.Time) {
	if now.Unix() < d.quiet.Load() {
		return
	}
	err := d.Tokens.TokenUsed(ctx, id, now)
	if err == nil || ctx.Err() != nil { // who went away says nothing of the database
		return
	}
	d.quiet.Store(now.Add(useEvery).Unix())
	if d.Log != nil {
		d.Log.WarnContext(ctx, "the last use of tokens is not noted for a minute", slog.String("error", err.Error()))
	}
}

package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/fleet"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// What the consumers' interfaces ask, the database gives.
var (
	_ entitlement.Store = (*DB)(nil)
	_ fleet.Store       = (*DB)(nil)
	_ access.Accounts   = (*DB)(nil)
	_ access.Tokens     = (*DB)(nil)
)

var (
	start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	admin = entitlement.Actor{Name: "admin@vendor.example", Address: "192.0.2.7"}
)

// engines are the databases that every test of this package runs on.
func engines(t *testing.T, run func(t *testing.T, open func(...func(*Options)) *DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a folder with spaces?", "uplevel.db")
		mkdir(t, filepath.Dir(path))
		run(t, func(with ...func(*Options)) *DB {
			t.Helper()
			opts := Options{URL: "sqlite:" + path, Migrate: true, Now: func() time.Time { return start }}
			for _, change := range with {
				change(&opts)
			}
			db, err := Open(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		})
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		o := must(db.AddOrganisation(t.Context(), admin, " Example Bank "))(t)
		if _, err := db.AddOrganisation(t.Context(), admin, "Example Bank"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("twice: %v", err)
		}
		same(t, o, must(db.OrganisationByName(t.Context(), "Example Bank"))(t))
		if _, err := db.OrganisationByName(t.Context(), "No Bank"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown: %v", err)
		}
		u := must(db.AddUser(t.Context(), admin, entitlement.User{Organisation: o.ID, Email: "Kim@Bank.example", Role: entitlement.Operator}, "hash"))(t)
		if _, err := db.AddUser(t.Context(), admin, u, "hash"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("twice: %v", err)
		}
		got, hash, err := db.UserByEmail(t.Context(), "KIM@bank.example ")
		if err != nil || hash != "hash" {
			t.Fatalf("hash %q, %v", hash, err)
		}
		same(t, u, got)
		if _, _, err := db.UserByEmail(t.Context(), "nobody@bank.example"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown: %v", err)
		}
		if _, err := db.AddUser(t.Context(), admin, entitlement.User{Email: "x@y.example", Role: entitlement.Operator}, ""); err == nil {
			t.Error("an operator without an organisation was accepted")
		}
		if _, err := db.AddUser(t.Context(), admin, entitlement.User{Organisation: "org_none", Email: "x@y.example", Role: entitlement.Operator}, ""); err == nil {
			t.Error("a user of an organisation that is not there was accepted")
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		o := must(db.AddOrganisation(t.Context(), admin, "Example Bank"))(t)
		u := must(db.AddUser(t.Context(), admin, entitlement.User{Organisation: o.ID, Email: "kim@bank.example", Role: entitlement.Operator}, ""))(t)
		hash := sha256.Sum256([]byte("secret"))
		tok := must(db.AddToken(t.Context(), admin, entitlement.Token{User: u.ID, Name: "ci", Scopes: []string{"update", "report"}, Expires: start.Add(time.Hour)}, hash))(t)
		p, stored, err := db.PrincipalByToken(t.Context(), hash)
		if err != nil || stored != hash {
			t.Fatalf("%x, %v", stored, err)
		}
		same(t, entitlement.Principal{User: u, Organisation: o, Token: tok}, p)
		if _, _, err := db.PrincipalByToken(t.Context(), sha256.Sum256([]byte("other"))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown: %v", err)
		}
		check(t, db.TokenUsed(t.Context(), tok.ID, start.Add(time.Minute)))
		check(t, db.TokenUsed(t.Context(), tok.ID, start))
		check(t, db.RevokeToken(t.Context(), admin, tok.ID, start.Add(time.Second)))
		check(t, db.RevokeToken(t.Context(), admin, tok.ID, start.Add(time.Hour)))
		check(t, db.RevokeUser(t.Context(), admin, u.ID, start.Add(2*time.Second)))
		check(t, db.RevokeOrganisation(t.Context(), admin, o.ID, start.Add(3*time.Second)))
		p = must2(db.PrincipalByToken(t.Context(), hash))(t)
		if !p.Token.LastUse.Equal(start.Add(time.Minute)) || !p.Token.Revoked.Equal(start.Add(time.Second)) ||
			!p.User.Revoked.Equal(start.Add(2*time.Second)) || !p.Organisation.Revoked.Equal(start.Add(3*time.Second)) {
			t.Errorf("principal %+v", p)
		}
		if err := db.RevokeToken(t.Context(), admin, "tok_none", start); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown: %v", err)
		}
		if _, err := db.AddToken(t.Context(), admin, entitlement.Token{User: u.ID, Scopes: []string{"all"}}, hash); err == nil {
			t.Error("an unknown scope was accepted")
		}
	})
}

func TestNewPasswordEndsTokensAndOldOnesGo(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		staff := must(db.AddUser(t.Context(), admin, entitlement.User{Email: "rel@vendor.example", Role: entitlement.ReleaseEngineer}, "old"))(t)
		one, two := sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))
		must(db.AddToken(t.Context(), admin, entitlement.Token{User: staff.ID, Name: "a"}, one))(t)
		check(t, db.SetPassword(t.Context(), admin, staff.ID, "new"))
		if _, hash, err := db.UserByEmail(t.Context(), staff.Email); err != nil || hash != "new" {
			t.Errorf("hash %q, %v", hash, err)
		}
		if p := must2(db.PrincipalByToken(t.Context(), one))(t); p.Token.Revoked.IsZero() || !p.IsStaff() {
			t.Errorf("principal %+v", p)
		}
		must(db.AddToken(t.Context(), admin, entitlement.Token{User: staff.ID, Name: "b", Expires: start.AddDate(0, 0, -31)}, two))(t)
		must(db.AddToken(t.Context(), admin, entitlement.Token{User: staff.ID, Name: "c"}, sha256.Sum256([]byte("3"))))(t)
		if _, _, err := db.PrincipalByToken(t.Context(), two); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a token that ended a month ago is still there: %v", err)
		}
	})
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		both := []string{"account:kim", "address:192.0.2.1"}
		for i := range 3 {
			check(t, db.LoginFailed(t.Context(), both, start.Add(time.Duration(i)), start.Add(-time.Hour)))
		}
		check(t, db.LoginFailed(t.Context(), both[:1], start.Add(time.Minute), start.Add(-time.Hour)))
		same(t, []access.Failures{{Count: 3, Last: start}, {Count: 4, Last: start.Add(time.Minute)}, {}},
			must(db.LoginFailures(t.Context(), []string{both[1], both[0], "account:lee"}))(t))
		check(t, db.LoginSucceeded(t.Context(), both[0]))
		check(t, db.LoginFailed(t.Context(), both[:1], start.Add(2*time.Hour), start.Add(time.Hour)))
		same(t, []access.Failures{{Count: 1, Last: start.Add(2 * time.Hour)}, {}}, must(db.LoginFailures(t.Context(), both))(t))
	})
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		o := must(db.AddOrganisation(t.Context(), admin, "Example Bank"))(t)
		trial := entitlement.Subscription{
			Organisation: o.ID, Product: "shop", Channels: []string{"full", "security"}, Kind: entitlement.Trial,
			Begins: start, Ends: start.AddDate(0, 0, 90), GraceDays: 14, Expiry: entitlement.Stop, States: []release.State{release.Testing},
		}
		trial = must(db.AddSubscription(t.Context(), admin, trial))(t)
		if _, err := db.AddSubscription(t.Context(), admin, trial); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second trial: %v", err)
		}
		paid := trial
		paid.Kind, paid.Begins, paid.Ends, paid.Expiry, paid.Version, paid.States = entitlement.Paid, start.Add(1000), time.Time{}, entitlement.Keep, "1.0", nil
		paid = must(db.AddSubscription(t.Context(), admin, paid))(t)
		same(t, []entitlement.Subscription{trial, paid}, must(db.Subscriptions(t.Context(), o.ID))(t))
		check(t, db.RevokeSubscription(t.Context(), admin, trial.ID, start.Add(time.Second)))
		trial.Revoked = start.Add(time.Second)
		same(t, []entitlement.Subscription{trial, paid}, must(db.Subscriptions(t.Context(), o.ID))(t))
		if got := must(db.Subscriptions(t.Context(), "org_other"))(t); len(got) != 0 {
			t.Errorf("another organisation sees %v", got)
		}
		paid.Channels = nil
		if _, err := db.AddSubscription(t.Context(), admin, paid); err == nil {
			t.Error("a subscription without channel was accepted")
		}
	})
}

func TestEULAs(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		o := must(db.AddOrganisation(t.Context(), admin, "Example Bank"))(t)
		for i := range 3 {
			check(t, db.AddEULA(t.Context(), admin, entitlement.EULA{Version: fmt.Sprint("v", 9-i), Text: "Be nice.", RequiredFrom: start.AddDate(0, i, 0)}))
		}
		if err := db.AddEULA(t.Context(), admin, entitlement.EULA{Version: "v9", Text: "Other."}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("twice: %v", err)
		}
		var versions []string
		for _, e := range must(db.EULAs(t.Context()))(t) {
			versions = append(versions, e.Version+e.RequiredFrom.Format(" 01 ")+e.Text)
		}
		same(t, []string{"v9 01 Be nice.", "v8 02 Be nice.", "v7 03 Be nice."}, versions)
		a := entitlement.Acceptance{Organisation: o.ID, Version: "v9", By: "Kim Roe", At: start, Address: "192.0.2.1"}
		check(t, db.AcceptEULA(t.Context(), admin, a))
		again := a
		again.By, again.At = "Lee", start.Add(time.Hour)
		check(t, db.AcceptEULA(t.Context(), admin, again))
		same(t, []entitlement.Acceptance{a}, must(db.Acceptances(t.Context(), o.ID))(t))
		a.Version = "v1"
		if err := db.AcceptEULA(t.Context(), admin, a); err == nil {
			t.Error("an unknown version was accepted")
		}
	})
}

func TestReports(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		r := fleet.Report{Installation: strings.Repeat("a", 64), Product: "shop", Version: "1.0", Channel: "full", Level: 2, Operation: "update", Outcome: "ok"}
		late := r
		late.Level, late.Hotfixes = 3, []string{"h1"}
		check(t, db.AddReport(t.Context(), "org_a", start.Add(time.Minute), late))
		check(t, db.AddReport(t.Context(), "org_a", start, r))
		check(t, db.AddReport(t.Context(), "org_b", start, r))
		same(t, []fleet.Installation{{Report: late, Organisation: "org_a", First: start, Last: start.Add(time.Minute), Reports: 2}},
			must(db.Installations(t.Context(), "org_a"))(t))
		if got := must(db.Installations(t.Context(), "org_c"))(t); len(got) != 0 {
			t.Errorf("another organisation sees %v", got)
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		same(t, api.Vendor{}, must(db.Vendor(t.Context()))(t))
		for _, v := range []api.Vendor{{Name: "Shop Ltd"}, {Name: "Shop Ltd", SupportURL: "https://support.example"}} {
			check(t, db.SetVendor(t.Context(), admin, v))
			same(t, v, must(db.Vendor(t.Context()))(t))
		}
		if _, err := db.Sealed(t.Context(), "k"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unknown: %v", err)
		}
		binary := []byte{0, 255, '\'', 10}
		same(t, binary, must(db.PutSealed(t.Context(), "k", binary))(t))
		same(t, binary, must(db.PutSealed(t.Context(), "k", []byte("second")))(t))
		same(t, binary, must(db.Sealed(t.Context(), "k"))(t))
	})
}

func TestAuditIsWrittenAndChained(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if _, err := db.AddOrganisation(context.WithoutCancel(t.Context()), admin, fmt.Sprint("Bank ", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := db.AddOrganisation(t.Context(), admin, "Bank 3"); err == nil {
			t.Fatal("twice")
		}
		changes := must(db.Changes(t.Context(), 0, 100))(t)
		before := ""
		for i, c := range changes {
			hash := must(chain(before, c))(t)
			if c.Number != int64(i+1) || fmt.Sprintf("%x", c.Hash) != hash || c.Actor != admin || c.Action != "organisation.add" || !strings.Contains(c.After, "Bank") {
				t.Errorf("entry %d: %+v", i, c)
			}
			before = hash
		}
		if len(changes) != 8 {
			t.Errorf("%d entries, want 8: what failed leaves none", len(changes))
		}
		if page := must(db.Changes(t.Context(), 6, 1))(t); len(page) != 1 || page[0].Number != 7 {
			t.Errorf("page %+v", page)
		}
	})
}

func TestNoSecretInAudit(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		u := must(db.AddUser(t.Context(), admin, entitlement.User{Email: "rel@vendor.example", Role: entitlement.Administrator}, "HASH-OF-PASSWORD"))(t)
		check(t, db.SetPassword(t.Context(), admin, u.ID, "HASH-OF-PASSWORD"))
		sum := sha256.Sum256([]byte("s"))
		must(db.AddToken(t.Context(), admin, entitlement.Token{User: u.ID, Name: "t"}, sum))(t)
		text := fmt.Sprintf("%+v", must(db.Changes(t.Context(), 0, 100))(t))
		if strings.Contains(text, "HASH-OF-PASSWORD") || strings.Contains(text, fmt.Sprintf("%x", sum)) || !strings.Contains(text, "token.add") {
			t.Error("the audit log holds a secret, or nothing")
		}
	})
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		check(t, db.Migrate(t.Context()))
		has := must(db.Schema(t.Context()))(t)
		if has < 1 {
			t.Fatalf("schema %d", has)
		}
		must(db.AddOrganisation(t.Context(), admin, "Kept"))(t)
		check(t, db.Close())
		db = open(func(o *Options) { o.Migrate = false })
		must(db.OrganisationByName(t.Context(), "Kept"))(t)
		check(t, db.Ready(t.Context()))
		if _, err := db.sql.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
			t.Fatal(err)
		}
		check(t, db.Close())
		_, err := Open(t.Context(), Options{URL: db.url, Migrate: true, Now: time.Now})
		if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "999") {
			t.Errorf("a newer database: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.db")
	if _, err := Open(t.Context(), Options{URL: "sqlite:" + path, Now: time.Now}); problem.KindOf(err) != problem.Refused {
		t.Errorf("behind: %v", err)
	}
	for _, address := range []string{"", "sqlite:", "mysql://root:hunter2@db/x", "postgres://u:hunter2@db/x"} {
		_, err := Open(t.Context(), Options{URL: address, Now: time.Now})
		if problem.KindOf(err) != problem.Usage || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := Open(t.Context(), Options{URL: "sqlite:" + path}); err == nil {
		t.Error("no clock")
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
			var got string
			check(t, db.sql.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
	})
}

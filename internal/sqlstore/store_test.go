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
		late := sha256.Sum256([]byte("of the old password"))
		if _, err := db.AddLogin(t.Context(), admin, entitlement.Token{User: staff.ID, Name: "login"}, late, "old"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a login that the old password began: %v", err)
		}
		if _, _, err := db.PrincipalByToken(t.Context(), late); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("its token: %v", err)
		}
		must(db.AddLogin(t.Context(), admin, entitlement.Token{User: staff.ID, Name: "login"}, sha256.Sum256([]byte("4")), "new"))(t)
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

// TestManyMigrateAtOnce opens and migrates a new database many times at once.
func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		start := make(chan struct{})
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				<-start
				open()
			})
		}
		close(start)
		all.Wait()
		check(t, open(func(o *Options) { o.Migrate = false }).Ready(t.Context()))
	})
}

// TestReportsOfAnOldDatabaseGoOn migrates one in which the service before this schema kept
// reports, and takes more of the same installation in.
func TestReportsOfAnOldDatabaseGoOn(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		for _, line := range []string{
			`ALTER TABLE installations DROP COLUMN received`, `ALTER TABLE installations DROP COLUMN about`,
			`DELETE FROM goose_db_version WHERE version_id > 2`,
		} {
			if _, err := db.sql.ExecContext(t.Context(), line); err != nil {
				t.Fatal(err)
			}
		}
		const text = `{"Installation":"%s","Host":"web1","Product":"shop","Version":"1.0","Channel":"full","Level":2,"Hotfixes":null,` +
			`"Customised":1,"Missing":0,"Operation":"update","Outcome":"ok","FromLevel":1,"Tool":"1.0","OS":"linux/amd64"}`
		id := strings.Repeat("a", 64)
		if _, err := db.sql.ExecContext(t.Context(), `INSERT INTO installations (organisation, id, report, first, last, reports) VALUES ('org_a', $1, $2, $3, $3, 4)`,
			id, fmt.Sprintf(text, id), start.UnixMicro()); err != nil {
			t.Fatal(err)
		}
		check(t, db.Close())
		if _, err := Open(t.Context(), Options{URL: db.url, Now: time.Now}); problem.KindOf(err) != problem.Refused {
			t.Errorf("behind, not to be migrated: %v", err)
		}
		db = open()
		got := must(db.Installations(t.Context(), fleet.Query{Organisation: "org_a"}))(t)
		if len(got) != 1 || got[0].Level != 2 || got[0].Reports != 4 || !got[0].Received.Equal(start) || !got[0].Change.At.IsZero() || !got[0].Drift.At.IsZero() {
			t.Fatalf("%+v", got)
		}
		same(t, []fleet.Fate{fleet.Older, fleet.New}, must(db.AddReports(t.Context(), "org_a", []fleet.Told{
			carried("a", 1, start.Add(-time.Hour), start.Add(time.Hour)), told("a", 3, start.Add(time.Hour)),
		}))(t))
		got = must(db.Installations(t.Context(), fleet.Query{Organisation: "org_a"}))(t)
		if len(got) != 1 || got[0].Level != 3 || got[0].Reports != 6 || got[0].Host != "" {
			t.Errorf("%+v", got)
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

// TestNamesAreNoSQL: what people type is a value, whatever it looks like.
func TestNamesAreNoSQL(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		must(db.AddOrganisation(t.Context(), admin, "Example Bank"))(t)
		for i, name := range []string{"x'; DROP TABLE organisations; --", `"; DELETE FROM users; --`, "$1", "%", "_' OR '1'='1", "a\\'b", "--", "'||(SELECT 1)||'"} {
			if _, err := db.OrganisationByName(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q is found: %v", name, err)
			}
			o := must(db.AddOrganisation(t.Context(), admin, name))(t)
			same(t, o, must(db.OrganisationByName(t.Context(), name))(t))
			email := fmt.Sprintf("kim%d'or'1'='1@bank.example", i)
			if _, _, err := db.UserByEmail(t.Context(), email); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q is found: %v", email, err)
			}
			must(db.AddUser(t.Context(), admin, entitlement.User{Organisation: o.ID, Email: email, Role: entitlement.Operator}, ""))(t)
		}
		must(db.OrganisationByName(t.Context(), "Example Bank"))(t)
	})
}

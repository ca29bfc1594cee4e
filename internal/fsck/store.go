package fsck

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"
)

// StoreRows is the service's database, opened for reading.
type StoreRows interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// StoreBlobs is the service's object store.
type StoreBlobs interface {
	// Open returns a blob's stored bytes, or fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Names gives the names that begin with prefix.
	Names(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// StoreFinding is one thing that is not as it should be.
type StoreFinding struct {
	Where  string // table, file or object
	What   string
	Damage bool // false: worth knowing, harms nothing
}

// String returns the finding as one line.
func (f StoreFinding) String() string {
	kind := "note"
	if f.Damage {
		kind = "DAMAGE"
	}
	return kind + " " + f.Where + ": " + f.What
}

// StoreReport is what [Store.Judge] found.
type StoreReport struct {
	Roles, Levels, Objects, Hotfixes int
	Tools                            int   // programs of the update tool
	Bytes                            int64 // of decoded objects
	Findings                         []StoreFinding
}

// Damaged reports whether any finding is damage.
func (r StoreReport) Damaged() bool {
	return slices.ContainsFunc(r.Findings, func(f StoreFinding) bool { return f.Damage })
}

// Store is a service's store to judge: database, metadata and objects.
type Store struct {
	Rows  StoreRows // as of one instant, best: what is published meanwhile is not judged then
	Blobs StoreBlobs
	Now   time.Time

	// Later sees what was written since Rows, for telling what is under way from damage;
	// nil: Rows.
	Later StoreRows
	// Wait pauses before a second look at a copy that the service may be writing just now;
	// nil: there is no second look.
	Wait func(context.Context) error
}

// storeJudge is one judgement at work.
type storeJudge struct {
	Store
	report StoreReport
	wanted map[string]storeWanted // by hexadecimal digest
	roles  map[string]storeRole   // current ones
	signed map[string]storeLevel  // by target path; those that can be read

	hotfixKeys []storeHotfixKeys // of every kept version of targets
}

// storeWanted is an object that published levels need.
type storeWanted struct {
	size int64
	by   string // what names it first
	seen bool
}

// Judge reads everything and returns what it found. The error is one of reading, not
// of what was read. It changes nothing.
func (s Store) Judge(ctx context.Context) (StoreReport, error) {
	j := &storeJudge{Store: s, wanted: map[string]storeWanted{}, roles: map[string]storeRole{}, signed: map[string]storeLevel{}}
	for _, step := range []func(context.Context) error{
		j.database, j.audit, j.metadata, j.levels, j.tools, j.catalogue, j.hotfixes, j.objects,
	} {
		if err := step(ctx); err != nil {
			return j.report, err
		}
	}
	slices.SortStableFunc(j.report.Findings, func(a, b StoreFinding) int {
		if a.Damage != b.Damage {
			return map[bool]int{true: -1, false: 1}[a.Damage]
		}
		return strings.Compare(a.Where, b.Where)
	})
	return j.report, nil
}

func (j *storeJudge) damage(where, format string, args ...any) {
	j.report.Findings = append(j.report.Findings, StoreFinding{where, fmt.Sprintf(format, args...), true})
}

func (j *storeJudge) note(where, format string, args ...any) {
	j.report.Findings = append(j.report.Findings, StoreFinding{where, fmt.Sprintf(format, args...), false})
}

// each calls scan for every row.
func (j *storeJudge) each(ctx context.Context, scan func(*sql.Rows) error, query string) error {
	rows, err := j.Rows.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("reading the database: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the database: %w", err)
	}
	return nil
}

// database asks the embedded engine about its own pages and keys, and looks for rows
// that point nowhere.
func (j *storeJudge) database(ctx context.Context) error {
	err := j.each(ctx, func(rows *sql.Rows) error {
		var said string
		if err := rows.Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			j.damage("database", "%s", said)
		}
		return nil
	}, `PRAGMA integrity_check(20)`)
	if err != nil {
		return err
	}
	for _, query := range storeBadRows() {
		err := j.each(ctx, func(rows *sql.Rows) error {
			var what, id string
			err := rows.Scan(&what, &id)
			j.damage("database", "%s: %s", what, id)
			return err
		}, query)
		if err != nil {
			return err
		}
	}
	for _, query := range storeTexts() {
		err := j.each(ctx, func(rows *sql.Rows) error {
			var what, id string
			var text []byte
			err := rows.Scan(&what, &id, &text)
			if err == nil && !json.Valid(text) {
				j.damage("database", "%s: %s", what, id)
			}
			return err
		}, query)
		if err != nil {
			return err
		}
	}
	return nil
}

// storeBadRows finds rows that point nowhere or say what the service cannot have written.
func storeBadRows() []string {
	return []string{
		`SELECT 'user of no organisation', id FROM users WHERE organisation IS NOT NULL AND organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'token of no user', id FROM tokens WHERE user_id NOT IN (SELECT id FROM users)`,
		`SELECT 'subscription of no organisation', id FROM subscriptions WHERE organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'acceptance of no EULA', version FROM eula_acceptances WHERE version NOT IN (SELECT version FROM eulas)`,
		`SELECT 'acceptance of no organisation', version FROM eula_acceptances WHERE organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'report of no organisation', id FROM reports WHERE organisation <> '' AND organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'installation of no organisation', id FROM installations WHERE organisation <> '' AND organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'report of no installation', r.id FROM reports r
		WHERE NOT EXISTS (SELECT 1 FROM installations i WHERE i.organisation = r.organisation AND i.id = r.installation)`,
		`SELECT 'hotfix of no organisation', name FROM hotfixes WHERE organisation NOT IN (SELECT id FROM organisations)`,
		`SELECT 'installation without a report', i.id FROM installations i
		WHERE NOT EXISTS (SELECT 1 FROM reports r WHERE r.organisation = i.organisation AND r.installation = i.id)`,
		`SELECT 'user whose role is none of ' || CASE WHEN organisation IS NULL THEN 'the vendor''s' ELSE 'an organisation''s' END, id FROM users
		WHERE (organisation IS NULL) <> (role IN ('release-engineer', 'subscription-manager', 'support', 'administrator'))
			OR role NOT IN ('operator', 'security', 'organisation-admin', 'release-engineer', 'subscription-manager', 'support', 'administrator')`,
		`SELECT 'user whose address is not as it is looked up', id FROM users WHERE email <> LOWER(TRIM(email))`,
		`SELECT 'user whose password is not hashed', id FROM users WHERE password <> '' AND password NOT LIKE '$argon2id$%'`,
		`SELECT 'token that is not hashed', id FROM tokens WHERE LENGTH(hash) <> 64 OR hash <> LOWER(hash)`,
		`SELECT 'subscription of no known kind or policy', id FROM subscriptions WHERE kind NOT IN ('trial', 'paid') OR expiry NOT IN ('stop', 'keep')`,
		`SELECT 'subscription that ends before it begins', id FROM subscriptions WHERE ends <> 0 AND ends <= begins`,
		`SELECT 'trial without an end', id FROM subscriptions WHERE kind = 'trial' AND ends = 0`,
		`SELECT 'EULA without a text', version FROM eulas WHERE body = ''`,
	}
}

// storeTexts finds the rows that hold JSON, with the text.
func storeTexts() []string {
	return []string{
		`SELECT 'report that cannot be read', id, report FROM reports`,
		`SELECT 'installation whose report cannot be read', id, report FROM installations`,
		`SELECT 'installation whose changes cannot be read', id, about FROM installations`,
		`SELECT 'setting that cannot be read', name, value FROM settings WHERE name = 'vendor'`,
	}
}

// read returns a blob's stored bytes, limit at most.
func (j *storeJudge) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	f, err := j.Blobs.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	return data, nil
}

// isAbsent reports whether a blob is not there.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

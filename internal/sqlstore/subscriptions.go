package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"uplevel/internal/entitlement"
	"uplevel/internal/release"
)

// maxEULA bounds a licence text in bytes.
const maxEULA = 1 << 20

// AddSubscription stores a subscription. It sets ID. A second trial of an organisation
// for a product is fs.ErrExist.
func (db *DB) AddSubscription(ctx context.Context, by entitlement.Actor, s entitlement.Subscription) (entitlement.Subscription, error) {
	if err := s.Check(); err != nil {
		return s, err
	}
	s.ID = newID("sub")
	return s, db.change(ctx, entry{by, "subscription.add", s.ID, nil, s}, func(tx *sql.Tx) error {
		return insert(ctx, tx, string(s.Kind)+" of "+s.Product, `INSERT INTO subscriptions
			(id, organisation, product, version, channels, kind, begins, ends, grace_days, expiry, states, revoked)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0) ON CONFLICT DO NOTHING`,
			s.ID, s.Organisation, s.Product, s.Version, joined(s.Channels), string(s.Kind), micros(s.Begins), micros(s.Ends),
			s.GraceDays, string(s.Expiry), joined(statesText(s.States)))
	})
}

func statesText(states []release.State) []string {
	var texts []string
	for _, s := range states {
		texts = append(texts, string(s))
	}
	return texts
}

// RevokeSubscription ends a subscription at once, without days of grace.
func (db *DB) RevokeSubscription(ctx context.Context, by entitlement.Actor, id string, at time.Time) error {
	return db.revoke(ctx, by, "subscription", id, at,
		`UPDATE subscriptions SET revoked = $1 WHERE id = $2 AND (revoked = 0 OR revoked > $1)`, `SELECT 1 FROM subscriptions WHERE id = $1`)
}

// Subscriptions returns all of an organisation's, by product and begin.
func (db *DB) Subscriptions(ctx context.Context, organisation string) ([]entitlement.Subscription, error) {
	return list(ctx, db.sql, "subscriptions", scanSubscription, `SELECT id, organisation, product, version, channels, kind,
			begins, ends, grace_days, expiry, states, revoked
		FROM subscriptions WHERE organisation = $1 ORDER BY product, begins, id`, organisation)
}

func scanSubscription(rows *sql.Rows) (entitlement.Subscription, error) {
	var s entitlement.Subscription
	var channels, kind, expiry, states string
	var begins, ends, revoked int64
	err := rows.Scan(&s.ID, &s.Organisation, &s.Product, &s.Version, &channels, &kind, &begins, &ends, &s.GraceDays, &expiry, &states, &revoked)
	s.Channels, s.Kind, s.Expiry = split(channels), entitlement.Kind(kind), entitlement.Policy(expiry)
	for _, state := range split(states) {
		s.States = append(s.States, release.State(state))
	}
	s.Begins, s.Ends, s.Revoked = instant(begins), instant(ends), instant(revoked)
	return s, err
}

// AddEULA stores a new text, which is then the one in force. It sets Created. A version
// that is taken is fs.ErrExist.
func (db *DB) AddEULA(ctx context.Context, by entitlement.Actor, e entitlement.EULA) error {
	if e.Version == "" || len(e.Version) > 40 || e.Text == "" || len(e.Text) > maxEULA {
		return fmt.Errorf("EULA version of %d bytes and text of %d: want 1 to 40 and 1 to %d", len(e.Version), len(e.Text), maxEULA)
	}
	e.Created = db.now()
	said := map[string]any{"version": e.Version, "bytes": len(e.Text), "required_from": micros(e.RequiredFrom)}
	return db.change(ctx, entry{by, "eula.add", e.Version, nil, said}, func(tx *sql.Tx) error {
		return insert(ctx, tx, "EULA version "+e.Version, `INSERT INTO eulas (version, body, required_from, created)
			SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT),
				CASE WHEN COALESCE(MAX(created), 0) >= CAST($4 AS BIGINT) THEN MAX(created) + 1 ELSE CAST($4 AS BIGINT) END
			FROM eulas WHERE TRUE ON CONFLICT DO NOTHING`, e.Version, e.Text, micros(e.RequiredFrom), micros(e.Created))
	})
}

// EULAs returns every text, oldest first.
func (db *DB) EULAs(ctx context.Context) ([]entitlement.EULA, error) {
	return list(ctx, db.sql, "EULAs", scanEULA, `SELECT version, body, required_from, created FROM eulas ORDER BY created`)
}

func scanEULA(rows *sql.Rows) (entitlement.EULA, error) {
	var e entitlement.EULA
	var required, created int64
	err := rows.Scan(&e.Version, &e.Text, &required, &created)
	e.RequiredFrom, e.Created = instant(required), instant(created)
	return e, err
}

// Acceptances returns what an organisation accepted, oldest first.
func (db *DB) Acceptances(ctx context.Context, organisation string) ([]entitlement.Acceptance, error) {
	return list(ctx, db.sql, "EULA acceptances", scanAcceptance, `SELECT organisation, version, accepted_by, accepted_at, address
		FROM eula_acceptances WHERE organisation = $1 ORDER BY accepted_at, version`, organisation)
}

func scanAcceptance(rows *sql.Rows) (entitlement.Acceptance, error) {
	var a entitlement.Acceptance
	var at int64
	err := rows.Scan(&a.Organisation, &a.Version, &a.By, &at, &a.Address)
	a.At = instant(at)
	return a, err
}

// AcceptEULA records an acceptance. The first one stands: the same again changes nothing.
func (db *DB) AcceptEULA(ctx context.Context, by entitlement.Actor, a entitlement.Acceptance) error {
	return db.inTx(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO eula_acceptances (organisation, version, accepted_by, accepted_at, address)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, a.Organisation, a.Version, a.By, micros(a.At), a.Address))
		if err != nil {
			return fmt.Errorf("storing the acceptance of EULA %s: %w", a.Version, err)
		}
		if n == 0 {
			return nil
		}
		return writeAudit(ctx, tx, db.now(), entry{by, "eula.accept", a.Organisation, nil, a})
	})
}

package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"uplevel/internal/entitlement"
)

// maxChanges bounds one page of the audit log.
const maxChanges = 1000

// entry is what a change says of itself for the audit log. Before and After become
// JSON and must hold no secret.
type entry struct {
	by            entitlement.Actor
	action        string
	subject       string
	before, after any
}

// change runs fn and writes the audit entry in one transaction.
func (db *DB) change(ctx context.Context, e entry, fn func(tx *sql.Tx) error) error {
	return db.inTx(ctx, func(tx *sql.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return writeAudit(ctx, tx, db.now(), e)
	})
}

func writeAudit(ctx context.Context, tx *sql.Tx, now time.Time, e entry) error {
	c := entitlement.Change{At: instant(micros(now)), Actor: e.by, Action: e.action, Subject: e.subject}
	var err error
	if c.Before, err = auditText(e.before); err != nil {
		return err
	}
	if c.After, err = auditText(e.after); err != nil {
		return err
	}
	var last string
	row := tx.QueryRowContext(ctx, `SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1`)
	if err := row.Scan(&c.Number, &last); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	c.Number++
	hash, err := chain(last, c)
	if err != nil {
		return err
	}
	return insert(ctx, tx, "audit entry", `INSERT INTO audit (number, at, actor, address, action, subject, before, after, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		c.Number, micros(c.At), c.Actor.Name, c.Actor.Address, c.Action, c.Subject, c.Before, c.After, hash)
}

func auditText(value any) (string, error) {
	if value == nil {
		return "", nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("audit entry: %w", err)
	}
	return string(text), nil
}

// chain returns the SHA-256, in hexadecimal digits, of the JSON array [hash before,
// number, at, actor, address, action, subject, before, after]. So no entry can be
// changed or left out without changing all that follow.
func chain(before string, c entitlement.Change) (string, error) {
	text, err := json.Marshal([]any{before, c.Number, micros(c.At), c.Actor.Name, c.Actor.Address, c.Action, c.Subject, c.Before, c.After})
	if err != nil {
		return "", fmt.Errorf("audit entry: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Changes returns the audit entries after a number, oldest first, limit at most (and
// never more than 1,000).
func (db *DB) Changes(ctx context.Context, after int64, limit int) ([]entitlement.Change, error) {
	return list(ctx, db.sql, "the audit log", scanChange, `SELECT number, at, actor, address, action, subject, before, after, hash
		FROM audit WHERE number > $1 ORDER BY number LIMIT $2`, after, min(max(limit, 0), maxChanges))
}

func scanChange(rows *sql.Rows) (entitlement.Change, error) {
	var c entitlement.Change
	var at int64
	var hash string
	if err := rows.Scan(&c.Number, &at, &c.Actor.Name, &c.Actor.Address, &c.Action, &c.Subject, &c.Before, &c.After, &hash); err != nil {
		return c, err
	}
	c.At = instant(at)
	var err error
	c.Hash, err = hex.DecodeString(hash)
	return c, err
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"uplevel/internal/entitlement/access"
)

// LoginFailures returns the failed logins of each subject, in the same order; those of
// a subject without any are zero.
func (db *DB) LoginFailures(ctx context.Context, subjects []string) ([]access.Failures, error) {
	all := make([]access.Failures, len(subjects))
	for i, subject := range subjects {
		var last int64
		err := db.sql.QueryRowContext(ctx, `SELECT count, last FROM login_failures WHERE subject = $1`, subject).Scan(&all[i].Count, &last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("reading failed logins: %w", err)
		}
		all[i].Last = instant(last)
	}
	return all, nil
}

// LoginFailed counts a failure of each subject. Failures before forget no longer count
// and are removed.
func (db *DB) LoginFailed(ctx context.Context, subjects []string, at, forget time.Time) error {
	return db.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM login_failures WHERE last < $1`, micros(forget)); err != nil {
			return fmt.Errorf("forgetting failed logins: %w", err)
		}
		for _, subject := range subjects {
			if _, err := tx.ExecContext(ctx, `INSERT INTO login_failures (subject, count, last) VALUES ($1, 1, $2)
				ON CONFLICT (subject) DO UPDATE SET count = login_failures.count + 1, last = excluded.last`, subject, micros(at)); err != nil {
				return fmt.Errorf("counting a failed login: %w", err)
			}
		}
		return nil
	})
}

// LoginSucceeded forgets the failures of a subject.
func (db *DB) LoginSucceeded(ctx context.Context, subject string) error {
	if _, err := db.sql.ExecContext(ctx, `DELETE FROM login_failures WHERE subject = $1`, subject); err != nil {
		return fmt.Errorf("forgetting failed logins: %w", err)
	}
	return nil
}

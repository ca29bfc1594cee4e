package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// newID returns an identifier that names nothing else: a prefix and 130 random bits.
func newID(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()) }

// micros is an instant as the database keeps it; 0 is the zero time.
func micros(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}

// instant reads what micros wrote.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func joined(words []string) string { return strings.Join(words, ",") }

func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// inTx runs fn in one transaction and commits it unless fn fails.
func (db *DB) inTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("starting a transaction: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

func rollback(tx *sql.Tx) error {
	// A context that ended has rolled back already.
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// insert runs an INSERT … ON CONFLICT DO NOTHING; a row that was there is fs.ErrExist.
func insert(ctx context.Context, tx *sql.Tx, what, text string, args ...any) error {
	n, err := affected(tx.ExecContext(ctx, text, args...))
	switch {
	case err != nil:
		return fmt.Errorf("storing %s: %w", what, err)
	case n == 0:
		return fmt.Errorf("%s: %w", what, fs.ErrExist)
	}
	return nil
}

// update runs an UPDATE that must find its row.
func update(ctx context.Context, tx *sql.Tx, what, text string, args ...any) error {
	n, err := affected(tx.ExecContext(ctx, text, args...))
	switch {
	case err != nil:
		return fmt.Errorf("changing %s: %w", what, err)
	case n == 0:
		return fmt.Errorf("%s: %w", what, fs.ErrNotExist)
	}
	return nil
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// missing turns no row into fs.ErrNotExist and names what was read.
func missing(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", what, fs.ErrNotExist)
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// list reads all rows of a query.
func list[T any](ctx context.Context, q querier, what string, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return all, nil
}

func scanText(rows *sql.Rows) (string, error) {
	var text string
	err := rows.Scan(&text)
	return text, err
}

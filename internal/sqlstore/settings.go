package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/api"
	"uplevel/internal/entitlement"
)

// Vendor returns what the service says of its vendor; the zero value before it was set.
func (db *DB) Vendor(ctx context.Context) (api.Vendor, error) {
	var text string
	err := missing("vendor", db.sql.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = 'vendor'`).Scan(&text))
	if errors.Is(err, fs.ErrNotExist) {
		return api.Vendor{}, nil
	}
	if err != nil {
		return api.Vendor{}, err
	}
	var v api.Vendor
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return api.Vendor{}, fmt.Errorf("reading vendor: %w", err)
	}
	return v, nil
}

// SetVendor replaces what the service says of its vendor.
func (db *DB) SetVendor(ctx context.Context, by entitlement.Actor, v api.Vendor) error {
	before, err := db.Vendor(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("vendor: %w", err)
	}
	return db.change(ctx, entry{by, "vendor.set", "vendor", before, v}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ('vendor', $1)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, string(text))
		return err
	})
}

// Sealed returns sealed bytes by name.
func (db *DB) Sealed(ctx context.Context, name string) ([]byte, error) {
	return sealed(ctx, db.sql, name)
}

func sealed(ctx context.Context, q querier, name string) ([]byte, error) {
	var value []byte
	err := q.QueryRowContext(ctx, `SELECT value FROM sealed WHERE name = $1`, name).Scan(&value)
	return value, missing("sealed "+name, err)
}

// PutSealed stores sealed bytes unless something has that name already, and returns
// what the database now holds under it: of two replicas that start at once, both get
// what the first one made.
func (db *DB) PutSealed(ctx context.Context, name string, value []byte) ([]byte, error) {
	var kept []byte
	err := db.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sealed (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, value)
		if err != nil {
			return fmt.Errorf("storing sealed %s: %w", name, err)
		}
		kept, err = sealed(ctx, tx, name)
		return err
	})
	return kept, err
}

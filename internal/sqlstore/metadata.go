package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

// supersededKept is how long a snapshot that is no longer current can still be had, for
// clients in the middle of a refresh. Other roles are kept for ever.
const supersededKept = 7 * 24 * time.Hour

// ChangeMetadata runs fn in one transaction that holds the lock of the metadata, and
// makes what fn put current, catalogue included: all of it, or nothing when fn fails.
func (db *DB) ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error {
	return db.inTx(ctx, func(tx *sql.Tx) error {
		// On SQLite the transaction holds the database's one write lock already; on an
		// engine with row locks this row is the lock.
		if _, err := tx.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES ('metadata-lock', '1')
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`); err != nil {
			return fmt.Errorf("locking the metadata: %w", err)
		}
		return fn(&repository{db: db, tx: tx})
	})
}

// repository is online.Repository in one transaction.
type repository struct {
	db *DB
	tx *sql.Tx
}

// Current returns the current file of role, or fs.ErrNotExist.
func (r *repository) Current(ctx context.Context, role string) (online.File, error) {
	f := online.File{Role: role}
	err := r.tx.QueryRowContext(ctx, `SELECT version, body FROM metadata WHERE role = $1 AND current = 1`, role).Scan(&f.Version, &f.Data)
	return f, missing("metadata of "+role, err)
}

// Versions returns the version of every role that has a current file.
func (r *repository) Versions(ctx context.Context) (map[string]int64, error) {
	type one struct {
		role    string
		version int64
	}
	all, err := list(ctx, r.tx, "metadata versions", func(rows *sql.Rows) (o one, err error) {
		return o, rows.Scan(&o.role, &o.version)
	}, `SELECT role, version FROM metadata WHERE current = 1`)
	if err != nil {
		return nil, err
	}
	versions := make(map[string]int64, len(all))
	for _, o := range all {
		versions[o.role] = o.version
	}
	return versions, nil
}

// Put makes file the current one of its role, and the catalogue what it says.
func (r *repository) Put(ctx context.Context, file online.File) error {
	now := micros(r.db.now())
	if _, err := r.tx.ExecContext(ctx, `UPDATE metadata SET current = 0, changed = $1 WHERE role = $2 AND current = 1`, now, file.Role); err != nil {
		return fmt.Errorf("superseding %s: %w", file.Role, err)
	}
	if err := insert(ctx, r.tx, "metadata "+file.Name(), `INSERT INTO metadata (role, version, file, body, current, changed)
		VALUES ($1, $2, $3, $4, 1, $5) ON CONFLICT DO NOTHING`, file.Role, file.Version, file.Name(), file.Data, now); err != nil {
		return err
	}
	if err := r.forget(ctx, file.Role); err != nil {
		return err
	}
	d, ok, err := r.db.derive(ctx, file.Role, file.Data)
	if err != nil || !ok {
		return err
	}
	return writeLevels(ctx, r.tx, d)
}

// forget removes what nobody can ask for any more: all but the current timestamp, and
// snapshots that were superseded long ago.
func (r *repository) forget(ctx context.Context, role string) error {
	before := r.db.now()
	switch role {
	case trust.RoleTimestamp:
		before = before.Add(time.Microsecond)
	case trust.RoleSnapshot:
		before = before.Add(-supersededKept)
	default:
		return nil
	}
	_, err := r.tx.ExecContext(ctx, `DELETE FROM metadata WHERE role = $1 AND current = 0 AND changed < $2`, role, micros(before))
	if err != nil {
		return fmt.Errorf("forgetting old %s: %w", role, err)
	}
	return nil
}

// MetadataFile returns a published metadata file byte for byte: timestamp.json, and
// every version of the others that is kept.
func (db *DB) MetadataFile(ctx context.Context, file string) ([]byte, error) {
	var data []byte
	err := db.sql.QueryRowContext(ctx, `SELECT body FROM metadata WHERE file = $1 ORDER BY current DESC, version DESC LIMIT 1`, file).Scan(&data)
	return data, missing("metadata "+file, err)
}

// CurrentMetadata returns the current file of role, or fs.ErrNotExist.
func (db *DB) CurrentMetadata(ctx context.Context, role string) ([]byte, error) {
	var data []byte
	err := db.sql.QueryRowContext(ctx, `SELECT body FROM metadata WHERE role = $1 AND current = 1`, role).Scan(&data)
	return data, missing("metadata of "+role, err)
}

// MetadataFiles returns the names that [DB.MetadataFile] knows, sorted.
func (db *DB) MetadataFiles(ctx context.Context) ([]string, error) {
	return list(ctx, db.sql, "metadata files", scanText, `SELECT DISTINCT file FROM metadata ORDER BY file`)
}

package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/hotfix"
	"uplevel/internal/release"
)

// OrganisationByID finds an organisation, revoked or not.
func (db *DB) OrganisationByID(ctx context.Context, id string) (entitlement.Organisation, error) {
	o := entitlement.Organisation{ID: id}
	var created, revoked int64
	err := db.sql.QueryRowContext(ctx, `SELECT name, created, revoked FROM organisations WHERE id = $1`, id).Scan(&o.Name, &created, &revoked)
	o.Created, o.Revoked = instant(created), instant(revoked)
	return o, missing("organisation "+id, err)
}

// AddHotfix registers a hotfix, without its list of files. A name that is taken in its
// product version is fs.ErrExist.
func (db *DB) AddHotfix(ctx context.Context, by entitlement.Actor, h hotfix.Published) error {
	h.Files = nil
	about, err := json.Marshal(h.Record)
	if err != nil {
		return fmt.Errorf("hotfix %s: %w", h.Name, err)
	}
	told := map[string]any{"organisation": h.Organisation, "levels": h.Levels, "zip": h.Zip}
	return db.change(ctx, entry{by, "hotfix.add", h.Line().ProductVersion() + "-" + h.Name, nil, told}, func(tx *sql.Tx) error {
		return insert(ctx, tx, "hotfix "+h.Name, `INSERT INTO hotfixes (product, version, name, channel, organisation, sequence,
				about, zip_sum, zip_size, registered)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
			h.Product, h.Version, h.Name, h.Channel, h.Organisation, h.Sequence, string(about), h.Zip.Sum.String(), h.Zip.Size, micros(db.now()))
	})
}

const hotfixColumns = `about, zip_sum, zip_size`

// Hotfix returns a registered hotfix, or fs.ErrNotExist.
func (db *DB) Hotfix(ctx context.Context, product, version, name string) (hotfix.Published, error) {
	h, err := scanHotfix(db.sql.QueryRowContext(ctx, `SELECT `+hotfixColumns+` FROM hotfixes
		WHERE product = $1 AND version = $2 AND name = $3`, product, version, name))
	return h, missing("hotfix "+name, err)
}

// Hotfixes returns the hotfixes of a line for an organisation, or for all when none is
// named, by organisation and sequence.
func (db *DB) Hotfixes(ctx context.Context, line release.Line, organisation string) ([]hotfix.Published, error) {
	return list(ctx, db.sql, "hotfixes of "+line.String(), func(rows *sql.Rows) (hotfix.Published, error) { return scanHotfix(rows) },
		`SELECT `+hotfixColumns+` FROM hotfixes
			WHERE product = $1 AND version = $2 AND channel = $3 AND ($4 = '' OR organisation = $4) ORDER BY organisation, sequence, name`,
		line.Product, line.Version, line.Channel, organisation)
}

func scanHotfix(row interface{ Scan(...any) error }) (hotfix.Published, error) {
	var h hotfix.Published
	var about, sum string
	if err := row.Scan(&about, &sum, &h.Zip.Size); err != nil {
		return h, err
	}
	if err := json.Unmarshal([]byte(about), &h.Record); err != nil {
		return h, err
	}
	var err error
	h.Zip.Sum, err = digest.Parse(sum)
	return h, err
}

package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// Products returns the names of the products that have levels, sorted.
func (db *DB) Products(ctx context.Context) ([]string, error) {
	return list(ctx, db.sql, "products", scanText, `SELECT DISTINCT product FROM levels ORDER BY product`)
}

// Lines returns the lines of a product that have levels, by version and channel.
func (db *DB) Lines(ctx context.Context, product string) ([]release.Line, error) {
	return list(ctx, db.sql, "lines", scanLine, `SELECT DISTINCT product, version, channel FROM levels
		WHERE product = $1 ORDER BY version, channel`, product)
}

func scanLine(rows *sql.Rows) (release.Line, error) {
	var l release.Line
	err := rows.Scan(&l.Product, &l.Version, &l.Channel)
	return l, err
}

const levelColumns = `listing, record_sum, record_size, manifest_sum, manifest_size, notes_sum, notes_size`

// Levels returns the levels of a line in every state, ascending; none is no error.
func (db *DB) Levels(ctx context.Context, line release.Line) ([]release.Published, error) {
	return list(ctx, db.sql, "levels of "+line.String(), func(rows *sql.Rows) (release.Published, error) { return scanLevel(rows) },
		`SELECT `+levelColumns+` FROM levels WHERE product = $1 AND version = $2 AND channel = $3 ORDER BY level`,
		line.Product, line.Version, line.Channel)
}

// Level returns one level, or fs.ErrNotExist.
func (db *DB) Level(ctx context.Context, line release.Line, level int) (release.Published, error) {
	p, err := scanLevel(db.sql.QueryRowContext(ctx, `SELECT `+levelColumns+` FROM levels
		WHERE product = $1 AND version = $2 AND channel = $3 AND level = $4`, line.Product, line.Version, line.Channel, level))
	return p, missing(fmt.Sprintf("level %d of %s", level, line), err)
}

func scanLevel(row interface{ Scan(...any) error }) (release.Published, error) {
	var p release.Published
	var listing, record, manifest, notes string
	if err := row.Scan(&listing, &record, &p.Record.Size, &manifest, &p.Manifest.Size, &notes, &p.Notes.Size); err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(listing), &p.Listing); err != nil {
		return p, err
	}
	for _, one := range []struct {
		text string
		into *release.Ref
	}{{record, &p.Record}, {manifest, &p.Manifest}, {notes, &p.Notes}} {
		sum, err := digest.Parse(one.text)
		if err != nil {
			return p, err
		}
		one.into.Sum = sum
	}
	return p, nil
}

// derived is what the catalogue says of one line, taken from its signed role.
type derived struct {
	line   release.Line
	levels []derivedLevel
}

type derivedLevel struct {
	release.Published
	listing json.RawMessage // as signed, with fields that this program may not know
}

// roleTargets is the part of a line's signed role that the catalogue is made of. Its
// signature was verified before it came here.
type roleTargets struct {
	Signed struct {
		Targets map[string]struct {
			Length int64             `json:"length"`
			Hashes map[string]string `json:"hashes"`
			Custom json.RawMessage   `json:"custom"`
		} `json:"targets"`
	} `json:"signed"`
}

// derive reads a line's role and the release records that it lists. ok is false for a
// role that is no line's.
func (db *DB) derive(ctx context.Context, role string, data []byte) (d derived, ok bool, err error) {
	if !strings.HasPrefix(role, "line.") {
		return d, false, nil
	}
	var t roleTargets
	if err := json.Unmarshal(data, &t); err != nil {
		return d, false, fmt.Errorf("role %s: %w", role, err)
	}
	if d.line, err = lineOfRole(role); err != nil {
		return d, false, err
	}
	for path, target := range t.Signed.Targets {
		var listing release.Listing
		if err := json.Unmarshal(target.Custom, &listing); err != nil {
			return d, false, fmt.Errorf("role %s, target %s: %w", role, path, err)
		}
		if listing.Line() != d.line || path != d.line.TargetPath(listing.Level) {
			return d, false, fmt.Errorf("role %s: target %s does not say what it is", role, path)
		}
		p := release.Published{Listed: release.Listed{Listing: listing, Record: release.Ref{Size: target.Length}}}
		if n, err := hex.Decode(p.Record.Sum[:], []byte(target.Hashes["sha256"])); err != nil || n != digest.Size {
			return d, false, fmt.Errorf("role %s: target %s has no SHA-256", role, path)
		}
		record, err := db.records(ctx, d.line, listing.Level, p.Record)
		if err != nil {
			return d, false, fmt.Errorf("role %s: target %s: %w", role, path, err)
		}
		p.Manifest, p.Notes = record.Manifest, record.Notes
		d.levels = append(d.levels, derivedLevel{p, target.Custom})
	}
	return d, true, nil
}

// lineOfRole reads line.NAME-VERSION.CHANNEL; a channel has no dot.
func lineOfRole(role string) (release.Line, error) {
	rest := strings.TrimPrefix(role, "line.")
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return release.Line{}, fmt.Errorf("role %.80q names no line", role)
	}
	line, err := release.ParseProductVersion(rest[:dot])
	if err != nil {
		return release.Line{}, fmt.Errorf("role %.80q: %w", role, err)
	}
	line.Channel = rest[dot+1:]
	return line, line.Check()
}

// writeLevels makes the catalogue of a line equal to what its role says.
func writeLevels(ctx context.Context, tx *sql.Tx, d derived) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM levels WHERE product = $1 AND version = $2 AND channel = $3`,
		d.line.Product, d.line.Version, d.line.Channel); err != nil {
		return fmt.Errorf("renewing the catalogue of %s: %w", d.line, err)
	}
	for _, p := range d.levels {
		err := insert(ctx, tx, fmt.Sprintf("level %d of %s", p.Level, d.line), `INSERT INTO levels (product, version, channel, level, state,
				listing, record_sum, record_size, manifest_sum, manifest_size, notes_sum, notes_size)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
			d.line.Product, d.line.Version, d.line.Channel, p.Level, string(p.State), string(p.listing), p.Record.Sum.String(), p.Record.Size,
			p.Manifest.Sum.String(), p.Manifest.Size, p.Notes.Sum.String(), p.Notes.Size)
		if err != nil {
			return err
		}
	}
	return nil
}

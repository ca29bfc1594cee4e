package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/fleet"
)

// AddReports stores reports, all or none, and says of each what became of it.
func (db *DB) AddReports(ctx context.Context, organisation string, reports []fleet.Told) ([]fleet.Fate, error) {
	fates := make([]fleet.Fate, 0, len(reports))
	err := db.inTx(ctx, func(tx *sql.Tx) error {
		for _, t := range reports {
			fate, err := addReport(ctx, tx, organisation, t)
			if err != nil {
				return err
			}
			fates = append(fates, fate)
		}
		return nil
	})
	return fates, err
}

func addReport(ctx context.Context, tx *sql.Tx, organisation string, t fleet.Told) (fleet.Fate, error) {
	text, err := json.Marshal(t.Report)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	err = insert(ctx, tx, "report", `INSERT INTO reports (id, organisation, installation, report, received)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, reportID(organisation, t, text), organisation, t.Installation, string(text), micros(t.Received))
	if errors.Is(err, fs.ErrExist) {
		return fleet.Known, nil
	}
	if err != nil {
		return "", err
	}
	return learn(ctx, tx, organisation, t, string(text))
}

// reportID names a report by what it says, so that one which comes again is known. What
// does not say when it was made may be another that says the same.
func reportID(organisation string, t fleet.Told, text []byte) string {
	if t.Made.IsZero() {
		return newID("rep")
	}
	sum := sha256.Sum256(append([]byte(organisation+"\x00"), text...))
	return "rep_" + hex.EncodeToString(sum[:16])
}

// learn takes a report into what is known of its installation. The row is made, and
// changed, before it is read, so that two reports at once wait for one another.
func learn(ctx context.Context, tx *sql.Tx, organisation string, t fleet.Told, text string) (fleet.Fate, error) {
	_, err := tx.ExecContext(ctx, `INSERT INTO installations (organisation, id, report, first, last, received, reports, about)
		VALUES ($1, $2, $3, $4, $4, $5, 0, '{}') ON CONFLICT DO NOTHING`, organisation, t.Installation, text, micros(t.At()), micros(t.Received))
	if err != nil {
		return "", fmt.Errorf("storing installation: %w", err)
	}
	known, err := list(ctx, tx, "installation", scanInstallation, `UPDATE installations SET reports = reports
		WHERE organisation = $1 AND id = $2 RETURNING organisation, report, first, last, received, reports, about`, organisation, t.Installation)
	if err == nil && len(known) != 1 {
		err = fmt.Errorf("installation %.80q: %d rows", t.Installation, len(known))
	}
	if err != nil {
		return "", err
	}
	i := known[0]
	fate := i.Learn(t)
	last, err := json.Marshal(i.Report)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	about, err := json.Marshal(beside{Change: i.Change, Drift: i.Drift})
	if err != nil {
		return "", fmt.Errorf("installation: %w", err)
	}
	return fate, update(ctx, tx, "installation", `UPDATE installations
		SET report = $3, first = $4, last = $5, received = $6, reports = $7, about = $8 WHERE organisation = $1 AND id = $2`,
		organisation, t.Installation, string(last), micros(i.First), micros(i.Last), micros(i.Received), i.Reports, string(about))
}

// beside is what is known of an installation besides its last report.
type beside struct {
	Change fleet.Change
	Drift  fleet.Drift
}

// Installations returns what is known, in the order of ids.
func (db *DB) Installations(ctx context.Context, q fleet.Query) ([]fleet.Installation, error) {
	everyone := 0
	if q.Everyone {
		everyone = 1
	}
	rows, err := db.sql.QueryContext(ctx, `SELECT organisation, report, first, last, received, reports, about
		FROM installations WHERE (organisation = $1 OR $2 = 1) AND id > $3 ORDER BY id, organisation`, q.Organisation, everyone, q.After)
	if err != nil {
		return nil, fmt.Errorf("reading installations: %w", err)
	}
	defer rows.Close()
	found := []fleet.Installation{}
	for rows.Next() && (q.Limit == 0 || len(found) < q.Limit) {
		i, err := scanInstallation(rows)
		if err != nil {
			return nil, fmt.Errorf("reading installations: %w", err)
		}
		if q.Product == "" || q.Product == i.Product {
			found = append(found, i)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading installations: %w", err)
	}
	return found, nil
}

func scanInstallation(rows *sql.Rows) (fleet.Installation, error) {
	var i fleet.Installation
	var text, about string
	var first, last, received int64
	if err := rows.Scan(&i.Organisation, &text, &first, &last, &received, &i.Reports, &about); err != nil {
		return i, err
	}
	var b beside
	if err := errors.Join(json.Unmarshal([]byte(text), &i.Report), json.Unmarshal([]byte(about), &b)); err != nil {
		return i, err
	}
	i.First, i.Last, i.Received, i.Change, i.Drift = instant(first), instant(last), instant(received), b.Change, b.Drift
	return i, nil
}

package sqlstore

import (
	"errors"
	"io/fs"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/hotfix"
	"uplevel/internal/release"
)

func TestHotfixes(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) { hotfixesAreKept(t, open()) })
}

func hotfixesAreKept(t *testing.T, db *DB) {
	t.Helper()
	bank := must(db.AddOrganisation(t.Context(), admin, "Bank"))(t)
	shop := must(db.AddOrganisation(t.Context(), admin, "Shop"))(t)
	same(t, bank, must(db.OrganisationByID(t.Context(), bank.ID))(t))
	made := func(o entitlement.Organisation, n int, zip string) hotfix.Published {
		return hotfix.Published{Zip: release.Ref{Sum: digest.Of([]byte(zip)), Size: 3}, Record: hotfix.Record{
			Format: 1, Name: hotfix.Name(o.Name, n), Product: "p", Version: "1.0", Channel: "full", Levels: []int{1, 2}, Sequence: n, Organisation: o.ID, For: o.Name,
			Update: release.Update{ID: 1, Type: release.Regular, Description: "A fix."}, Created: start,
		}}
	}
	line := release.Line{Product: "p", Version: "1.0", Channel: "full"}
	one, two, ten := made(bank, 1, "one"), made(bank, 2, "two"), made(bank, 10, "ten")
	listing := one
	listing.Files = []hotfix.File{{Path: "a"}}
	for _, h := range []hotfix.Published{ten, two, listing, made(shop, 1, "one of shop")} {
		check(t, db.AddHotfix(t.Context(), admin, h))
	}
	same(t, []hotfix.Published{one, two, ten}, must(db.Hotfixes(t.Context(), line, bank.ID))(t))
	same(t, 4, len(must(db.Hotfixes(t.Context(), line, ""))(t)))
	same(t, 0, len(must(db.Hotfixes(t.Context(), release.Line{Product: "p", Version: "2.0", Channel: "full"}, ""))(t)))
	same(t, two, must(db.Hotfix(t.Context(), "p", "1.0", "Bank-hf2"))(t))
	if _, err := db.Hotfix(t.Context(), "p", "1.0", "Bank-hf3"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := db.AddHotfix(t.Context(), admin, made(bank, 2, "another")); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	same(t, two, must(db.Hotfix(t.Context(), "p", "1.0", "Bank-hf2"))(t))
	if err := db.AddHotfix(t.Context(), admin, made(entitlement.Organisation{ID: "org_x", Name: "X"}, 1, "x")); err == nil {
		t.Error("a hotfix of nobody is registered")
	}
	if _, err := db.OrganisationByID(t.Context(), "org_x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestAnEarlierDatabaseIsBroughtForward opens one that was made before there were hotfixes.
func TestAnEarlierDatabaseIsBroughtForward(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		before := told("a", 2, start)
		must(db.AddReports(t.Context(), "org_a", []fleet.Told{before}))(t)
		for _, text := range []string{
			`DROP TABLE hotfixes`, `ALTER TABLE installations DROP COLUMN received`, `ALTER TABLE installations DROP COLUMN about`,
			`DELETE FROM goose_db_version WHERE version_id > 1`,
		} {
			if _, err := db.sql.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		kept := must(db.AddOrganisation(t.Context(), admin, "Kept"))(t)
		check(t, db.Close())
		db = open()
		same(t, kept, must(db.OrganisationByID(t.Context(), kept.ID))(t))
		hotfixesAreKept(t, db)
		same(t, []fleet.Installation{{Report: before.Report, Organisation: "org_a", First: start, Last: start, Received: start, Reports: 1}},
			must(db.Installations(t.Context(), fleet.Query{Organisation: "org_a"}))(t))
	})
}

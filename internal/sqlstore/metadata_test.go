package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
)

var shop = release.Line{Product: "shop", Version: "1.0", Channel: "full"}

func recordRef(level int) release.Ref {
	return release.Ref{Sum: digest.Of(fmt.Append(nil, "record ", level)), Size: int64(100 + level)}
}

func ref(what string) release.Ref { return release.Ref{Sum: digest.Of([]byte(what)), Size: 7} }

// withRecords gives the database the records of shop's levels.
func withRecords(o *Options) {
	o.Records = func(_ context.Context, line release.Line, level int, r release.Ref) (release.Record, error) {
		if line != shop || r != recordRef(level) {
			return release.Record{}, fmt.Errorf("no record of %s level %d", line, level)
		}
		return release.Record{Manifest: ref(fmt.Sprint("manifest ", level)), Notes: ref("notes")}, nil
	}
}

func listing(level int, state release.State) release.Listing {
	return release.Listing{Product: "shop", Version: "1.0", Channel: "full", Level: level, State: state, Type: release.Regular, Published: start}
}

func lineRole(t *testing.T, listings ...release.Listing) []byte {
	t.Helper()
	targets := map[string]any{}
	for _, l := range listings {
		r := recordRef(l.Level)
		targets[l.Line().TargetPath(l.Level)] = map[string]any{"length": r.Size, "hashes": map[string]string{"sha256": r.Sum.String()}, "custom": l}
	}
	return must(json.Marshal(map[string]any{"signed": map[string]any{"targets": targets}}))(t)
}

func put(t *testing.T, db *DB, files ...online.File) error {
	t.Helper()
	return db.ChangeMetadata(t.Context(), func(repo online.Repository) error {
		for _, f := range files {
			if err := repo.Put(t.Context(), f); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestMetadataBecomesCurrentWithItsCatalogue(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open(withRecords)
		first := lineRole(t, listing(0, release.Live), listing(10, release.Live), listing(2, release.Testing))
		check(t, put(t, db, online.File{Role: "root", Version: 1, Data: []byte("r1")}, online.File{Role: shop.Role(), Version: 1, Data: first},
			online.File{Role: "timestamp", Version: 5, Data: []byte("t5")}))
		levels := must(db.Levels(t.Context(), shop))(t)
		want := []release.Published{}
		for level, state := range map[int]release.State{0: release.Live} {
			want = append(want, release.Published{Listed: release.Listed{Listing: listing(level, state), Record: recordRef(level)}, Manifest: ref("manifest 0"), Notes: ref("notes")})
		}
		same(t, want[0], levels[0])
		if len(levels) != 3 || levels[1].Level != 2 || levels[2].Level != 10 {
			t.Errorf("levels %+v", levels)
		}
		check(t, put(t, db, online.File{Role: shop.Role(), Version: 2, Data: lineRole(t, listing(0, release.Withdrawn))}))
		if got := must(db.Level(t.Context(), shop, 0))(t); got.State != release.Withdrawn {
			t.Errorf("level %+v", got)
		}
		if _, err := db.Level(t.Context(), shop, 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a level no longer listed: %v", err)
		}
		same(t, []string{"shop"}, must(db.Products(t.Context()))(t))
		same(t, []release.Line{shop}, must(db.Lines(t.Context(), "shop"))(t))
		same(t, first, must(db.MetadataFile(t.Context(), "1."+shop.Role()+".json"))(t))
		if _, err := db.MetadataFile(t.Context(), "2.root.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the next root: %v", err)
		}
	})
}

func TestMetadataAllOrNothing(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open(withRecords)
		check(t, put(t, db, online.File{Role: shop.Role(), Version: 1, Data: lineRole(t, listing(0, release.Live))}))
		wrong := listing(1, release.Live)
		wrong.Product = "bank"
		for name, bad := range map[string]online.File{
			"a version that was there":   {Role: "root", Version: 1, Data: []byte("other")},
			"a level of another product": {Role: shop.Role(), Version: 3, Data: lineRole(t, wrong)},
			"a record that is missing":   {Role: "line.bank-1.0.full", Version: 1, Data: lineRole(t, wrong)},
			"no JSON":                    {Role: shop.Role(), Version: 3, Data: []byte("{")},
		} {
			err := put(t, db, online.File{Role: "targets", Version: 1, Data: []byte("t")}, online.File{Role: shop.Role(), Version: 2, Data: lineRole(t)},
				online.File{Role: "root", Version: 1, Data: []byte("r")}, bad)
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
			same(t, []string{"1." + shop.Role() + ".json"}, must(db.MetadataFiles(t.Context()))(t))
			if got := must(db.Levels(t.Context(), shop))(t); len(got) != 1 {
				t.Errorf("%s: levels %+v", name, got)
			}
		}
	})
}

func TestRepository(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		now := start
		db := open(func(o *Options) { o.Now = func() time.Time { return now } })
		for version := range int64(3) {
			now = now.Add(supersededKept / 2)
			check(t, put(t, db, online.File{Role: "root", Version: version + 1, Data: fmt.Append(nil, "r", version)},
				online.File{Role: "snapshot", Version: version + 10, Data: []byte("s")}, online.File{Role: "timestamp", Version: version + 20, Data: fmt.Append(nil, "t", version)}))
		}
		now = now.Add(supersededKept/2 + time.Second)
		check(t, put(t, db, online.File{Role: "snapshot", Version: 13, Data: []byte("s")}))
		same(t, []string{"1.root.json", "11.snapshot.json", "12.snapshot.json", "13.snapshot.json", "2.root.json", "3.root.json", "timestamp.json"}, must(db.MetadataFiles(t.Context()))(t))
		same(t, "t2", string(must(db.MetadataFile(t.Context(), "timestamp.json"))(t)))
		check(t, db.ChangeMetadata(t.Context(), func(repo online.Repository) error {
			same(t, map[string]int64{"root": 3, "snapshot": 13, "timestamp": 22}, must(repo.Versions(t.Context()))(t))
			same(t, online.File{Role: "root", Version: 3, Data: []byte("r2")}, must(repo.Current(t.Context(), "root"))(t))
			_, err := repo.Current(t.Context(), "targets")
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("targets: %v", err)
			}
			return nil
		}))
	})
}

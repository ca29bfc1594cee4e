package fsck_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/fsck"
	"uplevel/internal/object"
	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

var (
	storeNow = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	shop     = release.Line{Product: "shop", Version: "1.0", Channel: "full"}
)

// blobs is an object store in memory.
type blobs map[string][]byte

func (b blobs) Open(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := b[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (b blobs) Names(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(b)) {
			if strings.HasPrefix(name, prefix) && !yield(name, nil) {
				return
			}
		}
	}
}

func (b blobs) put(t *testing.T, content []byte) string {
	t.Helper()
	var stored bytes.Buffer
	sum, _, err := object.Encode(&stored, bytes.NewReader(content))
	ok(t, err)
	name := "objects/" + sum.String()[:2] + "/" + sum.String()
	b[name] = stored.Bytes()
	return name
}

// store is a service's store with two levels of a product, an organisation and a report.
type store struct {
	blobs blobs
	sql   *sql.DB
	repo  *trusttest.Repo
}

func newStore(t *testing.T, more ...func(*trusttest.Repo)) store {
	t.Helper()
	s := store{blobs: blobs{}, repo: trusttest.New(t, storeNow)}
	path := filepath.Join(t.TempDir(), "uplevel.db")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{
		URL: "sqlite:" + path, Migrate: true, Now: func() time.Time { return storeNow },
		Records: func(_ context.Context, line release.Line, level int, ref release.Ref) (release.Record, error) {
			return release.ParseRecord(s.repo.Objects[ref.Sum], line, level)
		},
	})
	ok(t, err)
	s.repo.PublishRoot()
	s.delegateHotfixes()
	s.repo.AddLevel(shop, 0)
	s.repo.AddLevel(shop, 1)
	for _, add := range more {
		add(s.repo)
	}
	s.repo.PublishOnline()
	for _, content := range s.repo.Objects {
		s.blobs.put(t, content)
	}
	ok(t, db.ChangeMetadata(t.Context(), func(r online.Repository) error { return s.submit(t, r) }))
	by := entitlement.Actor{Name: "test"}
	o, err := db.AddOrganisation(t.Context(), by, "Example Bank")
	ok(t, err)
	s.addHotfix(t, db, o.ID)
	_, err = db.AddUser(t.Context(), by, entitlement.User{Organisation: o.ID, Email: "kim@bank.example", Role: entitlement.Operator}, "")
	ok(t, err)
	_, err = db.AddReports(t.Context(), o.ID, []fleet.Told{{Received: storeNow, Report: fleet.Report{
		Installation: strings.Repeat("a", 32), Product: "shop", Version: "1.0", Channel: "full", Operation: "update", Outcome: "ok",
	}}})
	ok(t, err)
	ok(t, db.Close())
	s.sql, err = sql.Open("sqlite", path)
	ok(t, err)
	t.Cleanup(func() { _ = s.sql.Close() })
	return s
}

// submit puts what the repository holds into the database and its copies into blobs.
func (s store) submit(t *testing.T, r online.Repository) error {
	t.Helper()
	files := []online.File{
		{Role: "root", Version: 1, Data: s.repo.File("1.root.json")},
		{Role: "root", Version: 2, Data: s.repo.File("2.root.json")},
		{Role: "snapshot", Version: s.repo.Snapshot.Signed.Version, Data: s.repo.Current("snapshot")},
		{Role: "timestamp", Version: s.repo.Timestamp.Signed.Version, Data: s.repo.Current("timestamp")},
	}
	for role, m := range s.repo.Roles {
		files = append(files, online.File{Role: role, Version: m.Signed.Version, Data: s.repo.Current(role)})
	}
	for _, f := range files {
		if err := r.Put(t.Context(), f); err != nil {
			return err
		}
		s.blobs["metadata/"+f.Name()] = f.Data
	}
	return nil
}

func (s store) exec(t *testing.T, text string, args ...any) {
	t.Helper()
	result, err := s.sql.ExecContext(t.Context(), text, args...)
	ok(t, err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", text, n, err)
	}
}

func (s store) judge(t *testing.T) fsck.StoreReport {
	t.Helper()
	report, err := fsck.Store{Rows: s.sql, Blobs: s.blobs, Now: storeNow}.Judge(t.Context())
	ok(t, err)
	return report
}

// named returns the blob name of the object of level 1 that holds the text.
func (s store) named(t *testing.T, text string) string {
	t.Helper()
	for sum, content := range s.repo.Objects {
		if strings.Contains(string(content), text) {
			return "objects/" + sum.String()[:2] + "/" + sum.String()
		}
	}
	t.Fatalf("no object holds %q", text)
	return ""
}

func TestSoundStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	report := s.judge(t)
	if len(report.Findings) != 0 || report.Damaged() {
		t.Errorf("findings %v", report.Findings)
	}
	if report.Levels != 2 || report.Hotfixes != 1 || report.Objects != len(s.repo.Objects) || report.Roles != 6 || report.Bytes == 0 {
		t.Errorf("report %+v", report)
	}
}

func TestEmptyStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "uplevel.db")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: "sqlite:" + path, Migrate: true, Now: time.Now})
	ok(t, err)
	ok(t, db.Close())
	handle, err := sql.Open("sqlite", path)
	ok(t, err)
	defer handle.Close()
	report, err := fsck.Store{Rows: handle, Blobs: blobs{}, Now: storeNow}.Judge(t.Context())
	if err != nil || len(report.Findings) != 0 {
		t.Errorf("%v, %v", report.Findings, err)
	}
}

// TestPlantedDamage plants each kind of damage alone; the judge must name it.
func TestPlantedDamage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		plant func(t *testing.T, s store)
		want  string // in a finding
	}{
		"flipped byte of a file": {func(t *testing.T, s store) {
			b := s.blobs[s.named(t, "shop-1.0 level 1\n")]
			b[len(b)/2] ^= 1
		}, "object "},
		"file missing": {func(t *testing.T, s store) { delete(s.blobs, s.named(t, "shop-1.0 level 1\n")) }, "it is missing; needed by level shop/1.0/full/1.json"},
		"another object under its name": {func(t *testing.T, s store) {
			s.blobs[s.named(t, "shop-1.0 level 1\n")] = s.blobs[s.named(t, "shop-1.0 level 0\n")]
		}, "its content has digest"},
		"truncated manifest": {func(t *testing.T, s store) {
			name := s.named(t, digest.Of([]byte("shop-1.0 level 1\n")).String())
			s.blobs[name] = s.blobs[name][:20]
		}, "its bytes are damaged"},
		"record missing":        {func(t *testing.T, s store) { delete(s.blobs, s.named(t, `"level":1`)) }, "level shop/1.0/full/1.json, record"},
		"notes missing":         {func(t *testing.T, s store) { delete(s.blobs, s.named(t, "Something is better.")) }, "level shop/1.0/full/1.json, notes"},
		"a stranger's file":     {func(_ *testing.T, s store) { s.blobs["objects/README"] = nil }, "this is no object's name"},
		"metadata copy missing": {func(_ *testing.T, s store) { delete(s.blobs, "metadata/2.root.json") }, "the copy is missing"},
		"metadata copy differs": {func(_ *testing.T, s store) {
			s.blobs["metadata/1.root.json"], s.blobs["metadata/2.root.json"] = nil, []byte("{}")
		}, "the copy differs"},
		"metadata changed":    {func(t *testing.T, s store) { s.alter(t, shop.Role(), `"state":"live"`, `"state":"withdrawn"`) }, "0 good signatures, want 1"},
		"metadata unreadable": {func(t *testing.T, s store) { s.exec(t, `UPDATE metadata SET body = 'x' WHERE role = 'targets'`) }, "it cannot be read"},
		"metadata of a version": {func(t *testing.T, s store) {
			s.exec(t, `UPDATE metadata SET version = 9, file = '9.targets.json' WHERE role = 'targets' AND current = 1`)
		}, "it says version 2"},
		"metadata misnamed": {func(t *testing.T, s store) {
			s.exec(t, `UPDATE metadata SET file = 'x.json' WHERE role = 'snapshot' AND current = 1`)
		}, "it is stored as"},
		"role missing":      {func(t *testing.T, s store) { s.exec(t, `DELETE FROM metadata WHERE role = $1`, shop.Role()) }, "which is missing"},
		"snapshot missing":  {func(t *testing.T, s store) { s.exec(t, `DELETE FROM metadata WHERE role = 'snapshot'`) }, "metadata snapshot: it is missing"},
		"root missing":      {func(t *testing.T, s store) { s.exec(t, `DELETE FROM metadata WHERE role = 'root'`) }, "there is no root"},
		"root chain broken": {func(t *testing.T, s store) { s.exec(t, `DELETE FROM metadata WHERE role = 'root' AND version = 1`) }, "version 1 is missing"},
		"line not delegated": {func(t *testing.T, s store) {
			s.exec(t, `UPDATE metadata SET role = 'line.bank-1.0.full', file = REPLACE(file, 'shop', 'bank') WHERE role = $1`, shop.Role())
		}, "no role delegates to it"},
		"catalogue row missing":  {func(t *testing.T, s store) { s.exec(t, `DELETE FROM levels WHERE level = 1`) }, "signed but not in the catalogue"},
		"catalogue row invented": {func(t *testing.T, s store) { s.exec(t, `UPDATE levels SET level = 7 WHERE level = 1`) }, "in the catalogue, but not signed"},
		"catalogue state":        {func(t *testing.T, s store) { s.exec(t, `UPDATE levels SET state = 'testing' WHERE level = 1`) }, "its listing is not the signed one"},
		"catalogue listing": {func(t *testing.T, s store) {
			s.exec(t, `UPDATE levels SET listing = REPLACE(listing, 'regular', 'security')`)
		}, "its listing is not the signed one"},
		"catalogue manifest":       {func(t *testing.T, s store) { s.exec(t, `UPDATE levels SET manifest_sum = notes_sum`) }, "its manifest is not the signed one"},
		"catalogue record size":    {func(t *testing.T, s store) { s.exec(t, `UPDATE levels SET record_size = 1`) }, "its record is not the signed one"},
		"audit changed":            {func(t *testing.T, s store) { s.exec(t, `UPDATE audit SET actor = 'someone else' WHERE number = 1`) }, "entry 1 was changed"},
		"audit entry removed":      {func(t *testing.T, s store) { s.exec(t, `DELETE FROM audit WHERE number = 1`) }, "entry 1 is missing"},
		"user of nobody":           {func(t *testing.T, s store) { s.exec(t, `UPDATE users SET organisation = 'org_x'`) }, "user of no organisation"},
		"user of an unknown role":  {func(t *testing.T, s store) { s.exec(t, `UPDATE users SET role = 'king'`) }, "user whose role is none of an organisation's"},
		"customer made the vendor": {func(t *testing.T, s store) { s.exec(t, `UPDATE users SET organisation = NULL`) }, "user whose role is none of the vendor's"},
		"address in capitals":      {func(t *testing.T, s store) { s.exec(t, `UPDATE users SET email = UPPER(email)`) }, "not as it is looked up"},
		"password in the clear":    {func(t *testing.T, s store) { s.exec(t, `UPDATE users SET password = 'secret'`) }, "password is not hashed"},
		"report damaged":           {func(t *testing.T, s store) { s.exec(t, `UPDATE reports SET report = '{'`) }, "report that cannot be read"},
		"vendor damaged":           {func(t *testing.T, s store) { s.exec(t, `INSERT INTO settings (name, value) VALUES ('vendor', '{')`) }, "setting that cannot be read: vendor"},
		"superseded copy changed":  {func(_ *testing.T, s store) { s.blobs["metadata/1.root.json"] = []byte("{}") }, "metadata/1.root.json: the copy differs"},
		"database behind":          {func(_ *testing.T, s store) { s.blobs["metadata/3.targets.json"] = []byte("{}") }, "it was published and is not in the database"},
		"database far behind":      {func(_ *testing.T, s store) { s.blobs["metadata/5.targets.json"] = []byte("{}") }, "metadata/5.targets.json: it was published and is not in the database"},
		"a gap in the copies":      {func(_ *testing.T, s store) { s.blobs["metadata/5.targets.json"] = []byte("{}") }, "metadata/4.targets.json: it was published, and neither"},
		"a product that is new":    {func(_ *testing.T, s store) { s.blobs["metadata/1.product.till.json"] = []byte("{}") }, "metadata/1.product.till.json: it was published and is not"},
		"a copy never made": {func(_ *testing.T, s store) {
			s.repo.Roles["product.shop"].Signed.Version++ // published, and neither database nor copy has it
			s.repo.PublishOnline()
			s.blobs["metadata/"+trust.FileName("snapshot", s.repo.Snapshot.Signed.Version)] = s.repo.Current("snapshot")
		}, "2.product.shop.json: snapshot 3 lists it, and neither"},
		"copy of the timestamp": {func(_ *testing.T, s store) {
			s.blobs["metadata/timestamp.json"] = bytes.ReplaceAll(s.blobs["metadata/timestamp.json"], []byte("202"), []byte("203"))
		}, "metadata/timestamp.json: the copy differs"},
		"report of nobody":       {func(t *testing.T, s store) { s.exec(t, `UPDATE reports SET organisation = 'org_x'`) }, "report of no organisation"},
		"installation of nobody": {func(t *testing.T, s store) { s.exec(t, `UPDATE installations SET organisation = 'org_x'`) }, "installation of no organisation"},
		"installation lost":      {func(t *testing.T, s store) { s.exec(t, `DELETE FROM installations`) }, "report of no installation"},
		"acceptance of nobody": {func(t *testing.T, s store) {
			s.exec(t, `INSERT INTO eulas (version, body, required_from, created) VALUES ('1', 'text', 0, 0)`)
			s.exec(t, `INSERT INTO eula_acceptances (organisation, version, accepted_by, accepted_at, address) VALUES ('org_x', '1', 'x', 0, '')`)
		}, "acceptance of no organisation"},
		"all metadata lost": {func(t *testing.T, s store) { s.exec(t, `DELETE FROM metadata`) }, "the database was lost"},
		"report lost":       {func(t *testing.T, s store) { s.exec(t, `DELETE FROM reports`) }, "installation without a report"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			tc.plant(t, s)
			report := s.judge(t)
			found := slices.ContainsFunc(report.Findings, func(f fsck.StoreFinding) bool {
				return f.Damage && strings.Contains(f.String(), tc.want)
			})
			if !found || !report.Damaged() {
				t.Errorf("no damage says %q: %v", tc.want, report.Findings)
			}
		})
	}
}

// alter changes current metadata behind the signer's back.
func (s store) alter(t *testing.T, role, from, to string) {
	t.Helper()
	body := strings.ReplaceAll(string(s.repo.Current(role)), from, to)
	if body == string(s.repo.Current(role)) {
		t.Fatalf("%s holds no %q", role, from)
	}
	s.exec(t, `UPDATE metadata SET body = $1 WHERE role = $2 AND current = 1`, []byte(body), role)
}

func TestNotesAreNoDamage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.blobs.put(t, []byte("left over from a submission that failed"))
	report, err := fsck.Store{Rows: s.sql, Blobs: s.blobs, Now: storeNow.AddDate(0, 0, 5)}.Judge(t.Context())
	ok(t, err)
	text := fmt.Sprint(report.Findings)
	if report.Damaged() || !strings.Contains(text, "1 are not needed") || !strings.Contains(text, "metadata timestamp: it expired") {
		t.Errorf("findings %s", text)
	}
}

// TestForgedRecord: whoever has database and objects but no release key cannot make a
// level of other files look sound.
func TestForgedRecord(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	evil := sha256.Sum256([]byte("evil"))
	s.blobs.put(t, []byte("evil"))
	old := digest.Of([]byte("shop-1.0 level 1\n")).String()
	s.blobs[s.named(t, old)] = s.blobs[s.blobs.put(t, bytes.ReplaceAll(s.repo.Objects[digestNamed(t, s.named(t, old))], []byte(old), []byte(hex.EncodeToString(evil[:]))))]
	if report := s.judge(t); !report.Damaged() {
		t.Errorf("findings %v", report.Findings)
	}
}

func digestNamed(t *testing.T, name string) digest.Digest {
	t.Helper()
	sum, err := digest.Parse(name[strings.LastIndexByte(name, '/')+1:])
	ok(t, err)
	return sum
}

func TestDatabaseThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(t, `DELETE FROM levels`)
	if _, err := s.sql.ExecContext(t.Context(), `DROP TABLE levels`); err != nil {
		t.Fatal(err)
	}
	if _, err := (fsck.Store{Rows: s.sql, Blobs: s.blobs, Now: storeNow}).Judge(t.Context()); err == nil {
		t.Error("a missing table is no error")
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAPublicationUnderWayIsNoDamage judges while the service publishes: a copy that it makes
// just now, and a copy of what the database got since the judgement began.
func TestAPublicationUnderWayIsNoDamage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	late := "metadata/timestamp.json"
	copied := s.blobs[late]
	delete(s.blobs, late)
	s.blobs["metadata/3.targets.json"] = []byte("{}")
	waited := 0
	judge := fsck.Store{Rows: s.sql, Later: s.sql, Blobs: s.blobs, Now: storeNow, Wait: func(context.Context) error {
		waited++
		s.blobs[late] = copied
		return nil
	}}
	report, err := judge.Judge(t.Context())
	ok(t, err)
	if text := fmt.Sprint(report.Findings); waited != 1 || strings.Contains(text, late) || !strings.Contains(text, "3.targets.json") {
		t.Errorf("waited %d times: %s", waited, text)
	}
	s.exec(t, `INSERT INTO metadata (role, version, file, body, current, changed) VALUES ('targets', 3, '3.targets.json', '{}', 0, 0)`)
	judge.Rows = before{s.sql}
	report, err = judge.Judge(t.Context())
	ok(t, err)
	if report.Damaged() {
		t.Errorf("findings %v", report.Findings)
	}
	delete(s.blobs, late) // and for good
	judge.Wait = func(context.Context) error { return nil }
	report, err = judge.Judge(t.Context())
	ok(t, err)
	if !strings.Contains(fmt.Sprint(report.Findings), "the copy is missing") {
		t.Errorf("findings %v", report.Findings)
	}
}

// before is the database as it was before targets 3.
type before struct{ *sql.DB }

func (b before) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return b.DB.QueryContext(ctx, strings.Replace(query, "FROM metadata ", "FROM metadata WHERE file <> '3.targets.json' ", 1), args...)
}

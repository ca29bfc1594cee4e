package fsck_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/blob"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fsck"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// delegateHotfixes lets targets delegate to a hotfix key; published with the next targets.
func (s store) delegateHotfixes() {
	s.repo.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), trusttest.Key("hotfix"))
	delete(s.repo.Roles, trust.RoleHotfix)
}

// addHotfix registers a hotfix and keeps its zip.
func (s store) addHotfix(t *testing.T, db *sqlstore.DB, organisation string) {
	t.Helper()
	fixed := []byte("fixed\n")
	want := hotfix.EntryOf(manifest.Entry{Kind: manifest.File, Mode: 0o644, Size: int64(len(fixed)), Sum: digest.Of(fixed)})
	h := hotfix.Published{Record: hotfix.Record{
		Format: 1, Name: "Bank-hf1", Product: shop.Product, Version: shop.Version, Channel: shop.Channel, Levels: []int{1}, Sequence: 1,
		Organisation: organisation, For: "Bank", Files: []hotfix.File{{Path: "new", Want: &want}}, Created: storeNow,
		Update: release.Update{ID: 1, Type: release.Regular, Description: "A fix.", BugFixes: map[string]string{"a": "b"}},
	}}
	payload, err := h.Bytes()
	ok(t, err)
	key := trusttest.Key("hotfix")
	id, err := s.repo.Public(key).ID()
	ok(t, err)
	envelope, err := trust.NewEnvelope(payload, map[string][]byte{id: ed25519.Sign(key, trust.SignedBytes(trust.HotfixType, payload))})
	ok(t, err)
	spec := bundle.Spec{Envelope: envelope, Open: func(release.Ref) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(fixed)), nil }}
	for _, f := range []struct {
		role    string
		version int64
	}{
		{trust.RoleRoot, 1},
		{trust.RoleRoot, 2},
		{trust.RoleTimestamp, 0},
		{trust.RoleSnapshot, s.repo.Snapshot.Signed.Version},
		{trust.RoleTargets, s.repo.Roles[trust.RoleTargets].Signed.Version},
	} {
		name := trust.FileName(f.role, f.version)
		spec.Metadata = append(spec.Metadata, bundle.File{Name: name, Data: s.repo.File(name)})
	}
	var zip bytes.Buffer
	ok(t, bundle.Write(&zip, spec))
	h.Zip = release.Ref{Sum: digest.Of(zip.Bytes()), Size: int64(zip.Len())}
	s.blobs[blob.HotfixName(h.Zip.Sum)] = zip.Bytes()
	ok(t, db.AddHotfix(context.WithoutCancel(t.Context()), entitlement.Actor{Name: "test"}, h))
}

// zip returns the name of the hotfix's blob.
func (s store) zip(t *testing.T) string {
	t.Helper()
	for name := range s.blobs {
		if strings.HasPrefix(name, "hotfixes/") {
			return name
		}
	}
	t.Fatal("there is no hotfix")
	return ""
}

// rename puts a changed zip under its own name, as whoever has database and objects could.
func (s store) rename(t *testing.T, change func(data []byte) []byte) {
	t.Helper()
	name := s.zip(t)
	data := change(bytes.Clone(s.blobs[name]))
	delete(s.blobs, name)
	s.blobs[blob.HotfixName(digest.Of(data))] = data
	s.exec(t, `UPDATE hotfixes SET zip_sum = $1, zip_size = $2`, digest.Of(data).String(), len(data))
}

// TestPlantedDamageOfHotfixes plants each kind of damage alone; the judge must name it.
func TestPlantedDamageOfHotfixes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		plant func(t *testing.T, s store)
		want  string
	}{
		"zip missing": {func(t *testing.T, s store) { delete(s.blobs, s.zip(t)) }, "its zip is missing"},
		"zip flipped": {func(t *testing.T, s store) { b := s.blobs[s.zip(t)]; b[len(b)/2] ^= 1 }, "its zip has"},
		"zip cut":     {func(t *testing.T, s store) { n := s.zip(t); s.blobs[n] = s.blobs[n][:20] }, "its zip has 20 bytes"},
		"another zip": {func(t *testing.T, s store) { s.rename(t, func([]byte) []byte { return []byte("PK") }) }, "its zip: it is cut"},
		"not its zip": {func(t *testing.T, s store) { s.rename(t, func(d []byte) []byte { d[31] = 'x'; return d }) }, "does not begin with hotfix.json"},
		"no signature": {func(t *testing.T, s store) {
			s.rename(t, func(d []byte) []byte { return bytes.Replace(d, []byte(`"sig":"`), []byte(`"sag":"`), 1) })
		}, "not signed by the hotfix role"},
		"another type": {func(t *testing.T, s store) {
			s.rename(t, func(d []byte) []byte { return bytes.Replace(d, []byte("hotfix+json"), []byte("advice+json"), 1) })
		}, "cannot be read"},
		"row's level": {func(t *testing.T, s store) {
			s.exec(t, `UPDATE hotfixes SET about = REPLACE(about, '"levels":[1]', '"levels":[2]')`)
		}, "not the signed record"},
		"row's text":  {func(t *testing.T, s store) { s.exec(t, `UPDATE hotfixes SET about = 'x'`) }, "cannot be read"},
		"row's name":  {func(t *testing.T, s store) { s.exec(t, `UPDATE hotfixes SET name = 'Bank-hf2'`) }, "its row says name"},
		"row's place": {func(t *testing.T, s store) { s.exec(t, `UPDATE hotfixes SET sequence = 2`) }, "its row says sequence"},
		"row's sum":   {func(t *testing.T, s store) { s.exec(t, `UPDATE hotfixes SET zip_sum = 'x'`) }, "its zip is named by"},
		"for nobody":  {func(t *testing.T, s store) { s.exec(t, `UPDATE hotfixes SET organisation = 'org_x'`) }, "hotfix of no organisation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			tc.plant(t, s)
			report := s.judge(t)
			if !slices.ContainsFunc(report.Findings, func(f fsck.StoreFinding) bool { return f.Damage && strings.Contains(f.String(), tc.want) }) {
				t.Errorf("no damage says %q: %v", tc.want, report.Findings)
			}
		})
	}
}

func TestHotfixesThatAreWorthANote(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.blobs["hotfixes/ab/left"] = []byte("of a registration that was cut")
	report := s.judge(t)
	if report.Damaged() || report.Hotfixes != 1 || len(report.Findings) != 1 || !strings.Contains(report.Findings[0].String(), "1 zips are not registered") {
		t.Errorf("%+v", report)
	}
	// A key that was replaced: the version of targets that names it is not current.
	s = newStore(t)
	s.exec(t, `INSERT INTO metadata (role, version, file, body, current, changed) SELECT role, 1, '1.targets.json', REPLACE(CAST(body AS TEXT), '"version":3', '"version":1'), 0, changed
		FROM metadata WHERE role = 'targets' AND current = 1`)
	s.exec(t, `UPDATE metadata SET body = CAST(REPLACE(CAST(body AS TEXT), '"name":"hotfix"', '"name":"former"') AS BLOB) WHERE role = 'targets' AND current = 1`)
	if text := s.judge(t).Findings; !slices.ContainsFunc(text, func(f fsck.StoreFinding) bool {
		return !f.Damage && strings.Contains(f.What, "keys that were replaced")
	}) {
		t.Errorf("%v", text)
	}
}

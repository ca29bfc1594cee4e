package online_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"pgregory.net/rapid"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

var (
	day0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	is   = release.Line{Product: "wso2is", Version: "7.1.0", Channel: "full"}
	am   = release.Line{Product: "wso2am", Version: "3.2.0", Channel: "full"}
)

const day = 24 * time.Hour

// memory is a Repository; a test hands out a copy per call and keeps it on success.
type memory struct {
	current map[string]online.File
	files   map[string][]byte
}

func (m *memory) clone() *memory { return &memory{maps.Clone(m.current), maps.Clone(m.files)} }

func (m *memory) Current(_ context.Context, role string) (online.File, error) {
	f, ok := m.current[role]
	if !ok {
		return online.File{}, fmt.Errorf("%s: %w", role, fs.ErrNotExist)
	}
	return f, nil
}

func (m *memory) Versions(context.Context) (map[string]int64, error) {
	versions := map[string]int64{}
	for role, f := range m.current {
		versions[role] = f.Version
	}
	return versions, nil
}

func (m *memory) Put(_ context.Context, f online.File) error {
	m.current[f.Role] = f
	m.files[f.Name()] = f.Data
	return nil
}

// Metadata makes the published files a refresh.Remote.
func (m *memory) Metadata(_ context.Context, file string, _ int64) ([]byte, error) {
	data, ok := m.files[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// objects are the stored objects.
type objects map[digest.Digest][]byte

func (o objects) Content(_ context.Context, ref release.Ref) ([]byte, error) {
	data, ok := o[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (o objects) Missing(_ context.Context, asked []digest.Digest) ([]digest.Digest, error) {
	var missing []digest.Digest
	for _, sum := range asked {
		if o[sum] == nil {
			missing = append(missing, sum)
		}
	}
	return missing, nil
}

// world is a publisher (the test repository), and a service.
type world struct {
	t       *testing.T
	repo    *trusttest.Repo
	service *online.Service
	store   *memory
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	keys, err := online.NewKeys(rand.Reader)
	must(t, err)
	w := &world{
		t: t, repo: trusttest.NewWith(t, day0, keys.Snapshot, keys.Timestamp), now: day0,
		store: &memory{map[string]online.File{}, map[string][]byte{}},
	}
	w.service = &online.Service{Keys: keys, Objects: objects(w.repo.Objects), Now: func() time.Time { return w.now }}
	return w
}

// started is a world in which root, targets and levels 0 and 1 are published.
func started(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.submitted("root", "targets")
	w.repo.Delegate(is)
	w.repo.AddLevel(is, 0)
	w.submitted("targets", "product.wso2is", is.Role())
	w.repo.AddLevel(is, 1)
	w.submitted(is.Role())
	return w
}

func (w *world) docs(roles ...string) []online.Document {
	var docs []online.Document
	for _, role := range roles {
		docs = append(docs, online.Document{Role: role, Data: w.repo.Current(role)})
	}
	return docs
}

func (w *world) submit(docs []online.Document) (online.Result, error) {
	tx := w.store.clone()
	result, err := w.service.Submit(context.Background(), tx, docs)
	if err == nil {
		w.store = tx
	}
	return result, err
}

func (w *world) submitted(roles ...string) online.Result {
	w.t.Helper()
	result, err := w.submit(w.docs(roles...))
	must(w.t, err)
	return result
}

func (w *world) refresh(dir string, lines ...release.Line) (*trust.View, error) {
	w.t.Helper()
	client, err := refresh.New(refresh.Config{Dir: dir, Root: w.repo.File("1.root.json"), Remote: w.store, Now: func() time.Time { return w.now }})
	must(w.t, err)
	return client.Refresh(context.Background(), lines...)
}

func TestWhatIsSubmittedReachesClients(t *testing.T) {
	t.Parallel()
	w := started(t)
	view, err := w.refresh(t.TempDir(), is)
	must(t, err)
	listed, err := view.Levels(is)
	must(t, err)
	if len(listed) != 2 || listed[1].Level != 1 {
		t.Errorf("%+v", listed)
	}
	unix := day0.Unix()
	if got := w.store.current["snapshot"].Version; got != unix+2 {
		t.Errorf("third snapshot has version %d, want %d", got, unix+2)
	}
	for file := range w.store.files {
		if strings.Contains(string(w.store.files[file]), "hashes") && strings.Contains(file, "snapshot") {
			t.Error("snapshot lists hashes")
		}
	}
}

func TestResultTellsLinesAndFiles(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.repo.AddLevel(is, 5)
	w.now = day0.Add(time.Hour)
	result := w.submitted(is.Role())
	var names []string
	for _, f := range result.Files {
		names = append(names, f.Name())
	}
	unix := w.now.Unix()
	want := []string{"3.line.wso2is-7.1.0.full.json", fmt.Sprintf("%d.snapshot.json", unix), "timestamp.json"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if result.Snapshot != unix || result.Timestamp != unix || len(result.Lines) != 1 || len(result.Lines[0].Levels) != 3 {
		t.Errorf("%+v", result)
	}
}

func TestSubmittingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := started(t)
	before := w.store.current["timestamp"].Version
	w.now = day0.Add(time.Hour)
	result := w.submitted("targets", "product.wso2is", is.Role())
	if len(result.Files) != 0 || result.Timestamp != before || w.store.current["timestamp"].Version != before {
		t.Errorf("%+v", result)
	}
}

func TestRefusedSubmissions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world) []online.Document
		kind   problem.Kind
		text   string
	}{
		"a stranger's signature": {func(w *world) []online.Document {
			w.repo.Keys[is.Role()] = []ed25519.PrivateKey{trusttest.Key("stranger")}
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role())
		}, problem.Verification, "not signed by enough"},
		"the service's own signature": {func(w *world) []online.Document {
			w.repo.Keys[is.Role()] = w.repo.Keys["snapshot"]
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role())
		}, problem.Verification, "not signed by enough"},
		"a snapshot": {func(w *world) []online.Document {
			return w.docs("snapshot")
		}, problem.Verification, "not a publisher's"},
		"a role out of the layout": {func(w *world) []online.Document {
			return []online.Document{{Role: "line.x", Data: w.repo.Current("targets")}}
		}, problem.Verification, "not a publisher's"},
		"a role twice": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role(), is.Role())
		}, problem.Verification, "submitted twice"},
		"a version skipped": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 2)
			w.repo.AddLevel(is, 3)
			return w.docs(is.Role())
		}, problem.Refused, "version 4, the next one is 3"},
		"a version again": {func(w *world) []online.Document {
			w.repo.Roles[is.Role()].Signed.Version--
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role())
		}, problem.Refused, "version 2, the next one is 3"},
		"expired": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 2)
			w.now = day0.Add(120 * day)
			return w.docs(is.Role())
		}, problem.Verification, "it expired on"},
		"resting on something expired": {func(w *world) []online.Document {
			w.now = day0.Add(121 * day)
			w.repo.Now = w.now
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role())
		}, problem.Verification, "product.wso2is.json: it expired"},
		"valid for too long": {func(w *world) []online.Document {
			w.repo.Now = day0.Add(30 * day)
			w.repo.AddLevel(is, 2)
			return w.docs(is.Role())
		}, problem.Verification, "at the latest is allowed"},
		"a level gone": {func(w *world) []online.Document {
			delete(w.repo.Roles[is.Role()].Signed.Targets, is.TargetPath(1))
			w.repo.PublishRole(is.Role())
			return w.docs(is.Role())
		}, problem.Verification, "published levels are missing, 1 among them"},
		"a level changed": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 1, func(l *release.Listing) { l.Published = day0 })
			w.repo.SetTarget(is.Role(), is.TargetPath(1), []byte("another record"), listing(is, 1))
			w.repo.PublishRole(is.Role())
			w.repo.Roles[is.Role()].Signed.Version = 2
			w.repo.PublishRole(is.Role())
			return w.docs(is.Role())
		}, problem.Verification, "record of level 1 is not the one published"},
		"a level in between": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 9)
			w.submitted(is.Role())
			w.repo.AddLevel(is, 5)
			return w.docs(is.Role())
		}, problem.Verification, "level 5 is new and lower than level 9"},
		"a level of another product": {func(w *world) []online.Document {
			w.repo.SetTarget(is.Role(), am.TargetPath(2), []byte("x"), listing(am, 2))
			w.repo.PublishRole(is.Role())
			return w.docs(is.Role())
		}, problem.Verification, "no level of wso2is-7.1.0"},
		"a record of another level": {func(w *world) []online.Document {
			record := w.repo.AddLevel(is, 2)
			w.repo.Roles[is.Role()].Signed.Version = 2
			data, err := record.Bytes()
			must(w.t, err)
			w.repo.SetTarget(is.Role(), is.TargetPath(3), data, listing(is, 3))
			w.repo.PublishRole(is.Role())
			return w.docs(is.Role())
		}, problem.Verification, "level 2, want wso2is-7.1.0 level 3"},
		"withdrawn without reason": {func(w *world) []online.Document {
			w.repo.Change(is, 1, func(l *release.Listing) { l.State = release.Withdrawn })
			return w.docs(is.Role())
		}, problem.Verification, "withdrawn without a reason"},
		"a withdrawal taken back": {func(w *world) []online.Document {
			w.repo.Change(is, 1, func(l *release.Listing) { l.State, l.Reason = release.Withdrawn, "it burns" })
			w.submitted(is.Role())
			w.repo.Change(is, 1, func(l *release.Listing) { l.State, l.Reason = release.Live, "" })
			return w.docs(is.Role())
		}, problem.Refused, "level 1 is withdrawn and cannot become live"},
		"a level taken from customers": {func(w *world) []online.Document {
			w.repo.Change(is, 1, func(l *release.Listing) { l.State = release.Testing })
			return w.docs(is.Role())
		}, problem.Refused, "level 1 is live and cannot become testing"},
		"counts that the notes do not have": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 2, func(l *release.Listing) { l.SecurityN = 1 })
			return w.docs(is.Role())
		}, problem.Verification, "its notes hold 1 and 0"},
		"a type that the notes do not have": {func(w *world) []online.Document {
			w.repo.AddLevel(is, 2, func(l *release.Listing) { l.Type = release.Security })
			return w.docs(is.Role())
		}, problem.Verification, "is listed as security"},
		"a record not stored":   {without(func(r release.Record) digest.Digest { b, _ := r.Bytes(); return digest.Of(b) }), problem.Refused, "release record of level 2 is not stored"},
		"a manifest not stored": {without(func(r release.Record) digest.Digest { return r.Manifest.Sum }), problem.Refused, "manifest of level 2 is not stored"},
		"notes not stored":      {without(func(r release.Record) digest.Digest { return r.Notes.Sum }), problem.Refused, "notes of level 2 is not stored"},
		"a file not stored": {without(func(release.Record) digest.Digest {
			return digest.Of([]byte("wso2is-7.1.0 level 2\n"))
		}), problem.Refused, "of level 2 is not stored"},
		"another level 0 on a channel": {func(w *world) []online.Document {
			security := is
			security.Channel = "security"
			w.repo.Delegate(security)
			first := w.repo.AddLevel(is, 2)
			record := first
			record.Channel, record.Level = "security", 0
			start := listing(security, 0)
			start.RegularN = 1 // as the notes of level 2 say
			w.repo.List(start, record)
			return w.docs("product.wso2is", security.Role())
		}, problem.Verification, "level 0 is not the one of channel full"},
		"a line nobody delegates": {func(w *world) []online.Document {
			w.repo.AddLevel(am, 0)
			w.repo.Roles[am.Role()].Signed.Version = 0
			w.repo.PublishRole(am.Role())
			return w.docs(am.Role())
		}, problem.Verification, "no role delegates to it"},
		"a delegation without file": {func(w *world) []online.Document {
			w.repo.AddDelegation("targets", "product.wso2am", trust.ProductPaths("wso2am"), trusttest.Key("am"))
			w.repo.PublishRole("targets")
			return w.docs("targets")
		}, problem.Verification, "delegates to product.wso2am, which has no file"},
		"targets that list targets": {func(w *world) []online.Document {
			w.repo.SetTarget("targets", "x", []byte("x"), nil)
			w.repo.PublishRole("targets")
			return w.docs("targets")
		}, problem.Verification, "it lists targets"},
		"a delegation of other paths":      {delegation(func(d *metadata.DelegatedRole) { d.Paths = []string{"*/*/*/*"} }), problem.Verification, "delegates [\"*/*/*/*\"] to product.wso2is"},
		"a delegation not terminating":     {delegation(func(d *metadata.DelegatedRole) { d.Terminating = false }), problem.Verification, "is not terminating"},
		"a threshold out of reach":         {delegation(func(d *metadata.DelegatedRole) { d.Threshold = 2 }), problem.Verification, "needs 2 signatures and has 1 keys"},
		"a key that is named twice":        {delegation(func(d *metadata.DelegatedRole) { d.KeyIDs, d.Threshold = append(d.KeyIDs, d.KeyIDs[0]), 2 }), problem.Verification, "of product.wso2is twice"},
		"a key that is not held":           {delegation(func(d *metadata.DelegatedRole) { d.KeyIDs = []string{strings.Repeat("0", 64)} }), problem.Verification, "does not hold key \"0000"},
		"a delegation to something else":   {delegation(func(d *metadata.DelegatedRole) { d.Name = "line.wso2is-7.1.0.full" }), problem.Verification, "delegates to \"line."},
		"a delegation to the service":      {toService, problem.Verification, "signed by a key of the service"},
		"a product whose key was replaced": {replaced, problem.Verification, "not signed by enough"},
		"a line that delegates": {func(w *world) []online.Document {
			w.repo.AddDelegation(is.Role(), "x", []string{"*"}, trusttest.Key("x"))
			w.repo.PublishRole(is.Role())
			return w.docs(is.Role())
		}, problem.Verification, "it delegates further"},
		"a root below the threshold": {func(w *world) []online.Document {
			w.repo.Keys["root"] = []ed25519.PrivateKey{trusttest.Key("root-1"), trusttest.Key("a"), trusttest.Key("b")}
			w.repo.PublishRoot()
			return w.docs("root")
		}, problem.Verification, "not signed by enough"},
		"a root that skips a version": {func(w *world) []online.Document {
			w.repo.PublishRoot()
			w.repo.PublishRoot()
			return w.docs("root")
		}, problem.Refused, "version 3, the next one is 2"},
		"a root with another service's keys": {func(w *world) []online.Document {
			w.repo.Keys["timestamp"] = []ed25519.PrivateKey{trusttest.Key("other service")}
			w.repo.PublishRoot()
			return w.docs("root")
		}, problem.Verification, "does not name this service's key"},
		"a root that lets the service sign targets": {func(w *world) []online.Document {
			w.repo.Keys["targets"] = append(w.repo.Keys["targets"], w.repo.Keys["snapshot"]...)
			w.repo.PublishRoot()
			return w.docs("root")
		}, problem.Verification, "signed by a key of the service"},
		"no metadata": {func(*world) []online.Document {
			return []online.Document{{Role: is.Role(), Data: []byte("<html>")}}
		}, problem.Verification, "line.wso2is-7.1.0.full.json"},
		"too long": {func(*world) []online.Document {
			return []online.Document{{Role: is.Role(), Data: bytes.Repeat([]byte(" "), trust.MaxLine+1)}}
		}, problem.Verification, "longer than 8388608 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := started(t)
			docs := c.change(w)
			before := w.store.clone()
			_, err := w.submit(docs)
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Kind != c.kind || !strings.Contains(p.Text, c.text) || p.Next == "" {
				t.Errorf("%v: want %s …%s…", err, c.kind, c.text)
			}
			if d := cmp.Diff(before.current, w.store.current); d != "" {
				t.Error("something changed", d)
			}
		})
	}
}

func listing(line release.Line, level int) release.Listing {
	return release.Listing{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level, State: release.Live, Type: release.Regular, RegularN: min(level, 1)}
}

func without(which func(release.Record) digest.Digest) func(*world) []online.Document {
	return func(w *world) []online.Document {
		delete(w.repo.Objects, which(w.repo.AddLevel(is, 2)))
		return w.docs(is.Role())
	}
}

func delegation(change func(*metadata.DelegatedRole)) func(*world) []online.Document {
	return func(w *world) []online.Document {
		change(&w.repo.Roles["targets"].Signed.Delegations.Roles[0])
		w.repo.PublishRole("targets")
		return w.docs("targets")
	}
}

func toService(w *world) []online.Document {
	w.repo.AddDelegation("targets", "product.wso2am", trust.ProductPaths("wso2am"), w.repo.Keys["snapshot"][0])
	w.repo.PublishRole("product.wso2am")
	w.repo.PublishRole("targets")
	return w.docs("targets", "product.wso2am")
}

// replaced gives a product a new key without signing its role again.
func replaced(w *world) []online.Document {
	d := w.repo.Roles["targets"].Signed.Delegations
	key := w.repo.Public(trusttest.Key("new"))
	id, err := key.ID()
	must(w.t, err)
	d.Keys = map[string]*metadata.Key{id: key}
	d.Roles[0].KeyIDs = []string{id}
	w.repo.PublishRole("targets")
	return w.docs("targets")
}

func TestTheFirstSubmissionCarriesRootAndTargets(t *testing.T) {
	t.Parallel()
	for _, roles := range [][]string{{"root"}, {"targets"}} {
		w := newWorld(t)
		if _, err := w.submit(w.docs(roles...)); problem.KindOf(err) != problem.Refused {
			t.Errorf("%v alone: %v", roles, err)
		}
	}
}

func TestAnExpiredProductDoesNotStopAnother(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.now = day0.Add(200 * day)
	w.repo.Now = w.now
	w.repo.AddLevel(am, 0)
	w.submitted("targets", "product.wso2am", am.Role())
	if _, err := w.refresh(t.TempDir(), am); err != nil {
		t.Error(err)
	}
	if _, err := w.refresh(t.TempDir(), is); problem.KindOf(err) != problem.Verification {
		t.Errorf("the expired product: %v", err)
	}
}

func TestRootsOfOneSubmissionFollowEachOther(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.repo.PublishRoot()
	w.repo.PublishRoot()
	docs := []online.Document{{Role: "root", Data: w.repo.File("2.root.json")}, {Role: "root", Data: w.repo.File("3.root.json")}}
	result, err := w.submit(docs)
	must(t, err)
	if len(result.Files) != 4 || result.Files[1].Name() != "3.root.json" {
		t.Errorf("%d files", len(result.Files))
	}
	view, err := w.refresh(t.TempDir(), is)
	must(t, err)
	if view.RootVersion() != 3 {
		t.Errorf("root version %d", view.RootVersion())
	}
}

func TestRenewalComesLongBeforeExpiry(t *testing.T) {
	t.Parallel()
	w := started(t)
	dir := t.TempDir()
	snapshots, signings := w.store.current["snapshot"].Version, 0
	for hour := range 20 * 24 {
		w.now = day0.Add(time.Duration(hour) * time.Hour)
		tx := w.store.clone()
		result, err := w.service.Renew(context.Background(), tx)
		must(t, err)
		w.store = tx
		if len(result.Files) > 0 {
			signings++
		}
		if hour <= 24 && len(result.Files) > 0 {
			t.Errorf("hour %d: signed too early", hour)
		}
		if hour%12 == 0 {
			view, err := w.refresh(dir, is)
			must(t, err)
			if role, at := view.Expires(); at.Before(w.now.Add(47 * time.Hour)) {
				t.Fatalf("hour %d: %s expires on %s", hour, role, at)
			}
		}
	}
	if w.store.current["snapshot"].Version == snapshots {
		t.Error("the snapshot was never renewed")
	}
	if signings > 20 {
		t.Errorf("signed %d times in 20 days", signings)
	}
}

// TestWhatWasSignedWhileTheClockWasAheadIsSignedAgain: it would stay in force for as long as the
// clock was ahead.
func TestWhatWasSignedWhileTheClockWasAheadIsSignedAgain(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.now = day0.AddDate(5, 0, 0)
	_, err := w.service.Restart(t.Context(), w.store)
	must(t, err)
	w.now = day0.Add(time.Hour)
	for range 2 {
		result, err := w.service.Renew(t.Context(), w.store)
		must(t, err)
		if len(result.Files) > 0 {
			w.now = w.now.Add(time.Hour)
			continue
		}
		view, err := w.refresh(t.TempDir(), is)
		must(t, err)
		if _, at := view.Expires(); at.After(day0.Add(4 * day)) {
			t.Errorf("in force until %s", at)
		}
		return
	}
	t.Error("it is signed again and again, or never")
}

func TestRenewBeforeAnythingIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	result, err := w.service.Renew(context.Background(), w.store)
	if err != nil || len(result.Files) != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestARestoredBackupIsNotBehind(t *testing.T) {
	t.Parallel()
	w := started(t)
	backup := w.store.clone()
	dir := t.TempDir()
	for i := range 3 {
		w.now = day0.Add(time.Duration(i+1) * 30 * time.Hour)
		tx := w.store.clone()
		_, err := w.service.Renew(context.Background(), tx)
		must(t, err)
		w.store = tx
	}
	_, err := w.refresh(dir, is)
	must(t, err)
	w.store = backup
	w.now = w.now.Add(time.Hour)
	_, err = w.service.Renew(context.Background(), w.store)
	must(t, err)
	if _, err := w.refresh(dir, is); err != nil {
		t.Error("customers are turned away:", err)
	}
}

// TestARestoredBackupIsSignedAgainAtOnce: a timestamp that is not due may still be older
// than what clients have seen.
func TestARestoredBackupIsSignedAgainAtOnce(t *testing.T) {
	t.Parallel()
	w := started(t)
	backup, dir := w.store.clone(), t.TempDir()
	w.now = day0.Add(30 * time.Hour)
	_, err := w.service.Renew(t.Context(), w.store)
	must(t, err)
	_, err = w.refresh(dir, is)
	must(t, err)
	w.store = backup
	w.now = w.now.Add(time.Second)
	_, err = w.service.Restart(t.Context(), w.store)
	must(t, err)
	if _, err := w.refresh(dir, is); err != nil {
		t.Error("customers are turned away:", err)
	}
}

// TestOtherKeysSignNothing: keys that the root does not name leave what clients trust.
func TestOtherKeysSignNothing(t *testing.T) {
	t.Parallel()
	w := started(t)
	var err error
	w.service.Keys, err = online.NewKeys(rand.Reader)
	must(t, err)
	for _, sign := range []func(context.Context, online.Repository) (online.Result, error){w.service.Restart, w.service.Renew} {
		w.now = day0.Add(2 * 24 * time.Hour)
		if _, err := sign(t.Context(), w.store); problem.KindOf(err) != problem.Refused {
			t.Errorf("other keys: %v", err)
		}
	}
	if _, err := w.refresh(t.TempDir(), is); err != nil {
		t.Error("customers are turned away:", err)
	}
}

func TestSealedKeysOpenOnlyWithTheirSecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), online.MinSecret, 80).Draw(t, "secret")
		keys, err := online.NewKeys(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := keys.Seal(secret, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := online.Unseal(secret, sealed)
		if err != nil || !opened.Snapshot.Equal(keys.Snapshot) || !opened.Timestamp.Equal(keys.Timestamp) || !bytes.Equal(opened.Delivery, keys.Delivery) {
			t.Fatalf("not the same keys, %v", err)
		}
		if bytes.Contains(sealed, keys.Delivery) || bytes.Contains(sealed, keys.Snapshot.Seed()) {
			t.Fatal("a key lies open")
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "flipped")
		sealed[i] ^= 1
		if _, err := online.Unseal(secret, sealed); !errors.Is(err, online.ErrSealed) {
			t.Fatalf("damaged at %d: %v", i, err)
		}
		sealed[i] ^= 1
		secret[0] ^= 1
		if _, err := online.Unseal(secret, sealed); !errors.Is(err, online.ErrSealed) {
			t.Fatalf("another secret: %v", err)
		}
	})
	if _, err := online.Unseal(make([]byte, 31), nil); err == nil {
		t.Error("a short secret is accepted")
	}
	if _, err := online.Unseal(make([]byte, 32), nil); !errors.Is(err, online.ErrSealed) {
		t.Error("nothing is opened")
	}
}

func TestKeysStayOutOfLogs(t *testing.T) {
	t.Parallel()
	keys, err := online.NewKeys(rand.Reader)
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if got := fmt.Sprintf(verb, keys); got != "online keys (secret)" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if text, err := json.Marshal(map[string]any{"keys": keys}); err != nil || string(text) != `{"keys":"online keys (secret)"}` {
		t.Errorf("%s, %v", text, err)
	}
	snapshot, timestamp, err := keys.Public()
	must(t, err)
	if bytes.Equal(snapshot, timestamp) || !bytes.Contains(snapshot, []byte(`"keytype":"ed25519"`)) {
		t.Errorf("%s %s", snapshot, timestamp)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

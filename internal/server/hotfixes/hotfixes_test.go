package hotfixes

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/blob/mem"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a store with one organisation, and the metadata of a vendor.
type world struct {
	repo  *trusttest.Repo
	rows  map[string]hotfix.Published
	ended time.Time // of the organisation's access
	fail  map[string]error
	added func() // before a row is added
}

func (w *world) AddHotfix(_ context.Context, _ entitlement.Actor, h hotfix.Published) error {
	if w.added != nil {
		w.added()
	}
	if _, there := w.rows[h.Name]; there {
		return fs.ErrExist
	}
	w.rows[h.Name] = h
	return w.fail["add"]
}

func (w *world) Hotfix(_ context.Context, _, _, name string) (hotfix.Published, error) {
	h, there := w.rows[name]
	if !there {
		return h, fs.ErrNotExist
	}
	return h, nil
}

func (w *world) Hotfixes(context.Context, release.Line, string) ([]hotfix.Published, error) {
	return nil, w.fail["list"]
}

func (w *world) OrganisationByID(_ context.Context, id string) (entitlement.Organisation, error) {
	if id != "org_1" {
		return entitlement.Organisation{}, fs.ErrNotExist
	}
	return entitlement.Organisation{ID: id, Name: "Example Bank", Revoked: w.ended}, nil
}

func (w *world) OrganisationByName(ctx context.Context, _ string) (entitlement.Organisation, error) {
	return w.OrganisationByID(ctx, "org_1")
}

func (w *world) For(context.Context, entitlement.Principal, release.Line) (entitlement.Grant, error) {
	return entitlement.Grant{}, w.fail["rules"]
}

func (w *world) ChangeMetadata(_ context.Context, fn func(repo online.Repository) error) error {
	return fn(repository{w.repo})
}

// repository is what the vendor published last.
type repository struct{ repo *trusttest.Repo }

func (r repository) Current(_ context.Context, role string) (online.File, error) {
	return online.File{Role: role, Data: r.repo.Current(role)}, nil
}

func (r repository) Versions(context.Context) (map[string]int64, error) { return nil, fs.ErrNotExist }

func (r repository) Put(context.Context, online.File) error {
	return errors.New("something was changed")
}

func newDesk(t *testing.T) (*world, *Desk) {
	t.Helper()
	w := &world{repo: trusttest.New(t, today), rows: map[string]hotfix.Published{}, fail: map[string]error{}}
	w.repo.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), trusttest.Key("hotfix"))
	delete(w.repo.Roles, trust.RoleHotfix)
	w.repo.PublishRole(trust.RoleTargets)
	w.repo.PublishOnline()
	keys, err := online.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := &online.Service{Keys: keys, Now: func() time.Time { return today }}
	return w, &Desk{Store: w, Rules: w, Blobs: &mem.Store{}, Metadata: w, Signer: signer, Spool: t.TempDir()}
}

// zip makes a hotfix; change may spoil its record before it is signed.
func (w *world) zip(t *testing.T, change ...func(*hotfix.Record)) []byte {
	t.Helper()
	content := []byte("fixed\n")
	want := hotfix.EntryOf(manifest.Entry{Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of(content)})
	r := hotfix.Record{
		Format: 1, Name: "Example_Bank-hf1", Product: "shop", Version: "1.0", Channel: "full", Levels: []int{1}, Sequence: 1, Organisation: "org_1", For: "Example_Bank",
		Files: []hotfix.File{{Path: "new", Want: &want}}, Update: release.Update{ID: 1, Type: release.Regular, Description: "A fix."}, Created: today,
	}
	for _, c := range change {
		c(&r)
	}
	payload, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key := trusttest.Key("hotfix")
	id, err := w.repo.Public(key).ID()
	if err != nil {
		t.Fatal(err)
	}
	spec := bundle.Spec{Open: func(release.Ref) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
	if spec.Envelope, err = trust.NewEnvelope(payload, map[string][]byte{id: ed25519.Sign(key, trust.SignedBytes(trust.HotfixType, payload))}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"} {
		spec.Metadata = append(spec.Metadata, bundle.File{Name: name, Data: w.repo.File(name)})
	}
	var out bytes.Buffer
	if err := bundle.Write(&out, spec); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (d *Desk) register(t *testing.T, zip []byte) (hotfix.Published, bool, error) {
	t.Helper()
	h, already, err := d.Register(t.Context(), entitlement.Actor{Name: "test"}, bytes.NewReader(zip))
	if left, dirErr := os.ReadDir(d.Spool); dirErr != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, dirErr)
	}
	return h, already, err
}

func TestRegisterOnce(t *testing.T) {
	t.Parallel()
	w, d := newDesk(t)
	zip := w.zip(t)
	for n := range 3 {
		h, already, err := d.register(t, zip)
		if err != nil || already != (n > 0) || h.Zip.Sum != digest.Of(zip) {
			t.Fatalf("%d: %+v, %v, %v", n, h, already, err)
		}
	}
	later := w.zip(t, func(r *hotfix.Record) { r.Created = today.Add(time.Hour) })
	if _, _, err := d.register(t, later); problem.KindOf(err) != problem.Refused {
		t.Errorf("another zip of the name: %v", err)
	}
	if _, err := d.Blobs.Stat(t.Context(), blob.HotfixName(digest.Of(later))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was refused is kept: %v", err)
	}
}

func TestTwoRegisterAtOnce(t *testing.T) {
	t.Parallel()
	for what, other := range map[string]func(*hotfix.Record){"the same": nil, "another": func(r *hotfix.Record) { r.Created = today.Add(time.Hour) }} {
		w, d := newDesk(t)
		zip, faster := w.zip(t), w.zip(t)
		if other != nil {
			faster = w.zip(t, other)
		}
		w.added = func() {
			w.added = nil
			if _, _, err := d.Register(t.Context(), entitlement.Actor{}, bytes.NewReader(faster)); err != nil {
				t.Error(err)
			}
		}
		_, already, err := d.Register(t.Context(), entitlement.Actor{}, bytes.NewReader(zip))
		if other == nil && (err != nil || !already) || other != nil && problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v, %v", what, already, err)
		}
	}
}

func TestWhatIsNotRegistered(t *testing.T) {
	t.Parallel()
	w, d := newDesk(t)
	good := w.zip(t)
	for what, c := range map[string]struct {
		zip  []byte
		kind problem.Kind
	}{
		"nothing":        {nil, problem.Verification},
		"no zip":         {[]byte("zip"), problem.Verification},
		"cut":            {good[:len(good)-1], problem.Verification},
		"forged":         {bytes.Replace(good, []byte(`"sig":"`), []byte(`"sag":"`), 1), problem.Verification},
		"nobody":         {w.zip(t, func(r *hotfix.Record) { r.Organisation = "org_2" }), problem.Refused},
		"of two":         {w.zip(t, func(r *hotfix.Record) { r.For, r.Name = "Other", "Other-hf1" }), problem.Refused},
		"content broken": {broken(good), problem.Verification},
	} {
		if _, _, err := d.register(t, c.zip); problem.KindOf(err) != c.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err := d.Register(t.Context(), entitlement.Actor{}, io.MultiReader(bytes.NewReader(good[:9]), iotest.ErrReader(errors.New("cut"))))
	if problem.KindOf(err) != problem.Usage {
		t.Errorf("broken off: %v", err)
	}
	w.ended = today
	if _, _, err := d.register(t, good); problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "ended") {
		t.Errorf("access ended: %v", err)
	}
	w.ended = time.Time{}
	w.repo.Now = today.AddDate(-1, 0, 0)
	w.repo.PublishOnline()
	if _, _, err := d.register(t, good); problem.KindOf(err) != problem.Verification {
		t.Errorf("metadata expired: %v", err)
	}
	if len(w.rows) > 0 {
		t.Error("something was registered")
	}
}

// broken flips a bit inside the last member.
func broken(zip []byte) []byte {
	bad := bytes.Clone(zip)
	i := bytes.Index(bad, []byte("objects/")) + len("objects/") + 64
	bad[i+8] ^= 1
	return bad
}

func TestOpenTellsTroubleFromAbsence(t *testing.T) {
	t.Parallel()
	w, d := newDesk(t)
	h, _, err := d.register(t, w.zip(t))
	if err != nil {
		t.Fatal(err)
	}
	member := entitlement.Principal{User: entitlement.User{ID: "u", Organisation: "org_1", Role: entitlement.Operator}}
	open := func() error {
		o, _, err := d.Open(t.Context(), member, "shop", "1.0", h.Name)
		if err == nil {
			err = o.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	w.fail["rules"] = problem.New(problem.NotEntitled, "", "no subscription")
	if err := open(); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "subscription") {
		t.Errorf("not entitled: %v", err)
	}
	w.fail["rules"] = errors.New("the database is away")
	if err := open(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("trouble: %v", err)
	}
	w.fail["rules"] = nil
	if err := d.Blobs.Delete(t.Context(), blob.HotfixName(h.Zip.Sum)); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("registered and not stored: %v", err)
	}
}

// unpublished is a vendor's metadata before the first submission.
type unpublished struct{ repository }

func (unpublished) Current(context.Context, string) (online.File, error) {
	return online.File{}, fs.ErrNotExist
}

func (w unready) ChangeMetadata(_ context.Context, fn func(repo online.Repository) error) error {
	return fn(unpublished{})
}

type unready struct{ *world }

func TestNothingIsRegisteredBeforeTheVendorHasARoot(t *testing.T) {
	t.Parallel()
	w, d := newDesk(t)
	d.Metadata = unready{w}
	if _, _, err := d.register(t, w.zip(t)); problem.KindOf(err) != problem.Verification {
		t.Errorf("%v", err)
	}
}

// full is a disk that takes no more.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/var/lib/x/.hotfix-1", Err: syscall.ENOSPC}
}

// TestAFullDiskIsNotTheSendersFault: an upload that broke off is usage, one that could not be
// written has no kind, so that the service answers 500 and tells why to its log alone.
func TestAFullDiskIsNotTheSendersFault(t *testing.T) {
	t.Parallel()
	_, err := receive(full{}, strings.NewReader("zip"))
	if _, told := errors.AsType[*problem.Error](err); told || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	_, err = receive(io.Discard, iotest.ErrReader(io.ErrUnexpectedEOF))
	if problem.KindOf(err) != problem.Usage || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}

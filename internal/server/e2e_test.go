package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/blob/mem"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/fetch"
	"uplevel/internal/fleet"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/publish"
	"uplevel/internal/publish/signing"
	"uplevel/internal/release"
	"uplevel/internal/server/hotfixes"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/sign"
)

// house is a whole service over TLS: the real database, rules, keys and handlers, with
// the objects in memory.
type house struct {
	t     *testing.T
	blobs mem.Store
	db    *sqlstore.DB
	door  *access.Door
	base  string
	ca    []byte
	log   lockedBuffer
	spool string

	mu    sync.Mutex
	clock time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

var desk = entitlement.Actor{Name: "desk"}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, clock: today, spool: t.TempDir()}
	objects := stored{&h.blobs}
	var err error
	h.db, err = sqlstore.Open(t.Context(), sqlstore.Options{
		URL: "sqlite:" + filepath.Join(t.TempDir(), "service.db"), Migrate: true, Now: h.now, Records: objects.record,
	})
	h.fine(err)
	t.Cleanup(func() { h.fine(h.db.Close()) })
	keys, err := online.NewKeys(rand.Reader)
	h.fine(err)
	h.door = &access.Door{Accounts: h.db, Tokens: h.db, Hasher: access.NewHasher(2), Now: h.now}
	signer, rules := &online.Service{Keys: keys, Objects: objects, Now: h.now}, entitlement.Rules{Store: h.db, Now: h.now}
	s := &Service{
		Door: h.door, Rules: rules, Catalogue: h.db, Metadata: h.db, Records: h.db,
		Content: objects, Blobs: &h.blobs, Signer: signer, Now: h.now,
		Hotfixes: &hotfixes.Desk{Store: h.db, Rules: rules, Blobs: &h.blobs, Metadata: h.db, Signer: signer, Spool: h.spool},
		Log:      slog.New(slog.NewJSONHandler(&h.log, nil)),
	}
	server := httptest.NewTLSServer(s.Handler(RoleAPI, RoleDelivery))
	t.Cleanup(server.Close)
	h.base = server.URL
	h.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return h
}

func (h *house) fine(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// client returns a client that sends a token; none if it is empty.
func (h *house) client(token string) *api.Client {
	h.t.Helper()
	doer, err := api.NewHTTP(api.HTTPOptions{CACert: h.ca})
	h.fine(err)
	h.t.Cleanup(doer.CloseIdleConnections)
	c := &api.Client{Base: h.base, HTTP: doer, Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if token != "" {
		c.Token = func(context.Context) (string, error) { return token, nil }
	}
	return c
}

// user makes a user with a password, and returns it.
func (h *house) user(organisation string, role entitlement.Role, password string) entitlement.User {
	h.t.Helper()
	hash, err := h.door.Hasher.Hash(h.t.Context(), password)
	h.fine(err)
	u, err := h.db.AddUser(h.t.Context(), desk, entitlement.User{
		Organisation: organisation, Role: role, Email: string(role) + "@" + strings.TrimPrefix(organisation+".example", "."),
	}, hash)
	h.fine(err)
	return u
}

// publisher publishes through the API with a token of its own.
func (h *house) publisher() *publish.Publisher {
	h.t.Helper()
	engineer := h.user("", entitlement.ReleaseEngineer, "engineers-only")
	token, _, err := h.door.NewToken(h.t.Context(), desk, entitlement.Token{User: engineer.ID, Name: "ci", Scopes: []string{api.ScopePublish}})
	h.fine(err)
	c := h.client(token)
	dir := h.t.TempDir()
	return &publish.Publisher{
		Store: c, Registry: c, Objects: &fetch.Fetcher{Source: c, Dir: filepath.Join(dir, "objects")}, Cache: filepath.Join(dir, "cache"), Now: h.now,
		Signer: &signing.Signer{
			Service: c, Remote: c, Now: h.now,
			Folder: &sign.Folder{
				Dir: filepath.Join(dir, "keys"), Cost: sign.Cost{MemoryKiB: 8, Time: 1, Threads: 1}, Random: rand.Reader,
				Passphrase: func(bool) (string, error) { return "correct horse battery", nil },
			},
		},
	}
}

// stored reads small objects whole, verified.
type stored struct{ blobs blob.Store }

func (s stored) Content(ctx context.Context, ref release.Ref) ([]byte, error) {
	o, err := s.blobs.Open(ctx, blob.ObjectName(ref.Sum))
	if err != nil {
		return nil, err
	}
	defer o.Close()
	r, err := object.NewReader(o, ref.Sum, ref.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (s stored) Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error) {
	var missing []digest.Digest
	for _, sum := range objects {
		if _, err := s.blobs.Stat(ctx, blob.ObjectName(sum)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, sum)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func (s stored) record(ctx context.Context, line release.Line, level int, ref release.Ref) (release.Record, error) {
	text, err := s.Content(ctx, ref)
	if err != nil {
		return release.Record{}, err
	}
	return release.ParseRecord(text, line, level)
}

func build(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const fixes = "title: Fixes\nupdates:\n  - id: 1\n    type: regular\n    description: Another colour.\n"

func wantKind(t *testing.T, err error, kind problem.Kind, texts ...string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != kind || p.Next == "" {
		t.Errorf("got %v, want %s with a next step", err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(p.Text, text) {
			t.Errorf("%q does not say %q", p.Text, text)
		}
	}
}

// TestFromPublisherToOperator goes the whole way: publish two levels, be refused and
// let in, download, be cheated, report, be shut out.
func TestFromPublisherToOperator(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	_, _, err := p.Signer.Init(t.Context(), signing.InitRequest{})
	h.fine(err)
	files := map[string]string{"bin/shop": "#!/bin/sh\n", "conf/shop.ini": "colour=blue\n", "lib/big": strings.Repeat("0123456789", 50_000), "updates/product.txt": "shop-1.0\n"}
	_, err = p.AddProduct(t.Context(), publish.ProductRequest{Line: line, Dist: build(t, files), SupportedUntil: "2030-01-31"})
	h.fine(err)
	h.pass(time.Hour)
	files["conf/shop.ini"] = "colour=green\n"
	_, err = p.Level(t.Context(), publish.LevelRequest{Line: line, Dist: build(t, files), Notes: []byte(fixes)})
	h.fine(err)

	bank, err := h.db.AddOrganisation(t.Context(), desk, "Bank")
	h.fine(err)
	operator := h.user(bank.ID, entitlement.Operator, "right pa$$word")
	h.fine(h.db.AddEULA(t.Context(), desk, entitlement.EULA{Version: "1", Text: "terms"}))

	// Wrong password, then right.
	anyone := h.client("")
	_, err = anyone.NewToken(t.Context(), api.TokenRequest{Email: operator.Email, Password: "wrong pa$$word"})
	wantKind(t, err, problem.Credentials, "Invalid credentials")
	_, err = anyone.NewToken(t.Context(), api.TokenRequest{Email: "nobody@bank.example", Password: "wrong pa$$word"})
	wantKind(t, err, problem.Credentials, "Invalid credentials")
	token, err := anyone.NewToken(t.Context(), api.TokenRequest{Email: strings.ToUpper(operator.Email), Password: "right pa$$word"})
	h.fine(err)
	c := h.client(token.Token)

	// Not subscribed, EULA not accepted, then both.
	check := api.CheckRequest{Product: "shop", Version: "1.0", Channel: "full"}
	_, err = c.Check(t.Context(), check)
	wantKind(t, err, problem.NotEntitled, "no subscription")
	_, err = h.db.AddSubscription(t.Context(), desk, entitlement.Subscription{
		Organisation: bank.ID, Product: "shop", Channels: []string{"full"}, Kind: entitlement.Trial,
		Begins: h.now(), Ends: h.now().AddDate(0, 0, entitlement.TrialDays), Expiry: entitlement.Stop,
	})
	h.fine(err)
	_, err = c.Check(t.Context(), check)
	wantKind(t, err, problem.NotEntitled, "EULA")
	eula, err := c.EULA(t.Context())
	if err != nil || eula.Accepted || eula.Text != "terms" {
		t.Fatal(eula, err)
	}
	h.fine(c.AcceptEULA(t.Context(), eula.Version))
	answer, err := c.Check(t.Context(), check)
	if err != nil || answer.Entitlement.Kind != "trial" || answer.Entitlement.State != "active" || answer.Organisation != bank.ID || answer.Entitlement.Until == nil {
		t.Fatalf("%+v, %v", answer, err)
	}

	// What is current is believed because it is signed.
	view := h.refresh(c)
	levels, err := view.Levels(line)
	if err != nil || len(levels) != 2 {
		t.Fatal(levels, err)
	}
	if listed, err := c.Levels(t.Context(), line); err != nil || len(listed) != 2 || listed[1].Title != "Fixes" {
		t.Errorf("%+v, %v", listed, err)
	}

	// Everything of level 1, byte for byte.
	f := &fetch.Fetcher{Source: c, Dir: filepath.Join(t.TempDir(), "cache")}
	tree := h.tree(f, levels[1])
	var refs []release.Ref
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			refs = append(refs, release.Ref{Sum: e.Sum, Size: e.Size})
		}
	}
	h.fine(f.Fetch(t.Context(), line, 1, refs))
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File && h.read(f, release.Ref{Sum: e.Sum, Size: e.Size}) != files[e.Path] {
			t.Errorf("%s differs", e.Path)
		}
	}
	h.report(c, bank.ID)
	h.cheated(c, refs[0])
	h.strangers(c, levels[1])
	h.shutOut(c, operator, check)
	for _, secret := range []string{token.Token, "pa$$word", "signature=", "correct horse", "Bearer"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

func (h *house) refresh(c *api.Client) *trust.View {
	h.t.Helper()
	root, err := c.Metadata(h.t.Context(), "1.root.json", 1<<20)
	h.fine(err)
	client, err := refresh.New(refresh.Config{Dir: filepath.Join(h.t.TempDir(), "trust"), Root: root, Remote: c, Now: h.now})
	h.fine(err)
	view, err := client.Refresh(h.t.Context(), line)
	h.fine(err)
	return view
}

func (h *house) read(f *fetch.Fetcher, ref release.Ref) string {
	h.t.Helper()
	r, err := f.Open(ref)
	h.fine(err)
	defer r.Close()
	data, err := io.ReadAll(r)
	h.fine(err)
	return string(data)
}

func (h *house) tree(f *fetch.Fetcher, l release.Listed) manifest.Tree {
	h.t.Helper()
	h.fine(f.Fetch(h.t.Context(), l.Line(), l.Level, []release.Ref{l.Record}))
	record, err := release.ParseRecord([]byte(h.read(f, l.Record)), l.Line(), l.Level)
	h.fine(err)
	h.fine(f.Fetch(h.t.Context(), l.Line(), l.Level, []release.Ref{record.Manifest, record.Notes}))
	tree, err := manifest.Parse([]byte(h.read(f, record.Manifest)))
	h.fine(err)
	return tree
}

func (h *house) report(c *api.Client, organisation string) {
	h.t.Helper()
	h.fine(c.Report(h.t.Context(), api.Report{
		Installation: strings.Repeat("a", 64), Product: "shop", Version: "1.0", Channel: "full", Level: 1, Operation: "update", Outcome: "ok",
	}))
	all, err := h.db.Installations(h.t.Context(), fleet.Query{Organisation: organisation})
	if err != nil || len(all) != 1 || all[0].Level != 1 {
		h.t.Errorf("%+v, %v", all, err)
	}
	wantKind(h.t, c.Report(h.t.Context(), api.Report{Installation: "x"}), problem.Usage)
}

// cheated flips a byte on the service's disk.
func (h *house) cheated(c *api.Client, ref release.Ref) {
	h.t.Helper()
	name := blob.ObjectName(ref.Sum)
	o, err := h.blobs.Open(h.t.Context(), name)
	h.fine(err)
	good, err := io.ReadAll(o)
	h.fine(err)
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	replace := func(data []byte) {
		h.fine(h.blobs.Delete(h.t.Context(), name))
		h.fine(h.blobs.Put(h.t.Context(), name, bytes.NewReader(data)))
	}
	f := &fetch.Fetcher{Source: c, Dir: filepath.Join(h.t.TempDir(), "cache")}
	replace(bad)
	wantKind(h.t, f.Fetch(h.t.Context(), line, 1, []release.Ref{ref}), problem.Verification, ref.Sum.String())
	replace(good)
	h.fine(f.Fetch(h.t.Context(), line, 1, []release.Ref{ref}))
}

// strangers: another organisation, an operator who publishes, URLs that are over.
func (h *house) strangers(c *api.Client, l release.Listed) {
	h.t.Helper()
	other, err := h.db.AddOrganisation(h.t.Context(), desk, "Other")
	h.fine(err)
	u := h.user(other.ID, entitlement.Operator, "others-password")
	secret, _, err := h.door.NewToken(h.t.Context(), desk, entitlement.Token{User: u.ID, Name: "t"})
	h.fine(err)
	ask := api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: l.Level, Objects: []digest.Digest{l.Record.Sum}}
	_, err = h.client(secret).Deliveries(h.t.Context(), ask)
	wantKind(h.t, err, problem.NotEntitled, "Other has no subscription")
	_, err = c.Missing(h.t.Context(), ask.Objects)
	wantKind(h.t, err, problem.NotEntitled)
	wantKind(h.t, c.PutObject(h.t.Context(), l.Record.Sum, strings.NewReader("x"), 1), problem.NotEntitled)
	_, err = c.SubmitMetadata(h.t.Context(), api.MetadataSubmission{Metadata: []api.RoleMetadata{{Role: "root", Data: []byte("{}")}}})
	wantKind(h.t, err, problem.NotEntitled)
	ask.Level = 7
	_, err = c.Deliveries(h.t.Context(), ask)
	wantKind(h.t, err, problem.Failed, "no such thing")
	ask.Level = 0
	_, err = c.Deliveries(h.t.Context(), ask)
	wantKind(h.t, err, problem.NotEntitled, "is none of")

	ask.Level = l.Level
	answer, err := c.Deliveries(h.t.Context(), ask)
	h.fine(err)
	h.pass(urlLife + time.Second)
	_, _, err = c.Object(h.t.Context(), answer.Items[0].URL, 0)
	wantKind(h.t, err, problem.NotEntitled, "no longer")
	late := &lateSource{Client: c, h: h}
	f := &fetch.Fetcher{Source: late, Dir: filepath.Join(h.t.TempDir(), "cache")}
	h.fine(f.Fetch(h.t.Context(), line, l.Level, []release.Ref{l.Record}))
	if late.asked != 2 {
		h.t.Errorf("asked for URLs %d times", late.asked)
	}
}

// lateSource comes too late with its first URL.
type lateSource struct {
	*api.Client
	h     *house
	asked int
}

func (l *lateSource) Deliveries(ctx context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error) {
	a, err := l.Client.Deliveries(ctx, r)
	if l.asked++; l.asked == 1 {
		l.h.pass(urlLife + time.Second)
	}
	return a, err
}

// shutOut: the trial ends, a token is revoked, guesses are slowed down.
func (h *house) shutOut(c *api.Client, operator entitlement.User, check api.CheckRequest) {
	h.t.Helper()
	secret, kept, err := h.door.NewToken(h.t.Context(), desk, entitlement.Token{User: operator.ID, Name: "robot"})
	h.fine(err)
	robot := h.client(secret)
	_, err = robot.Check(h.t.Context(), check)
	h.fine(err)
	h.pass((entitlement.TrialDays + 1) * 24 * time.Hour)
	_, err = c.Check(h.t.Context(), check)
	wantKind(h.t, err, problem.Credentials, "expired") // the token of a login lives for hours
	_, err = robot.Check(h.t.Context(), check)
	wantKind(h.t, err, problem.NotEntitled, "trial", "ended")
	h.fine(h.db.RevokeToken(h.t.Context(), desk, kept.ID, h.now()))
	_, err = robot.Check(h.t.Context(), check)
	wantKind(h.t, err, problem.Credentials, "Invalid credentials")
	var last error
	for i := range 8 {
		_, last = h.client("").NewToken(h.t.Context(), api.TokenRequest{Email: operator.Email, Password: fmt.Sprint("guess number ", i)})
		wantKind(h.t, last, problem.Credentials, "Invalid credentials")
	}
	wantKind(h.t, last, problem.Credentials, "too many failed logins")
	_, err = h.client("").NewToken(h.t.Context(), api.TokenRequest{Email: operator.Email, Password: "right pa$$word"})
	wantKind(h.t, err, problem.Credentials, "too many failed logins")
	h.pass(time.Hour)
	_, err = h.client("").NewToken(h.t.Context(), api.TokenRequest{Email: operator.Email, Password: "right pa$$word"})
	h.fine(err)
}

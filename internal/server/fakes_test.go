package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/blob/mem"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/fleet"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/server/hotfixes"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
)

var (
	line  = release.Line{Product: "shop", Version: "1.0", Channel: "full"}
	today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// world is everything behind the handlers, in memory: two organisations of which only
// "own" may have the product, and a member of the vendor's staff.
type world struct {
	t        testing.TB
	blobs    mem.Store
	contents map[digest.Digest][]byte
	levels   []release.Published
	reports  []fleet.Report
	fleet    []fleet.Installation
	accepted []string
	logins   int
	from     string // the address of the last login
	hotfix   []hotfix.Published
	tools    []byte // the tool role's file
	now      time.Time
	log      bytes.Buffer
}

func newWorld(t testing.TB) (*world, *Service) {
	t.Helper()
	w := &world{t: t, contents: map[digest.Digest][]byte{}, now: today}
	w.publish(0, release.Live, "file 0", "common")
	w.publish(1, release.Live, "file 1", "common")
	w.publish(2, release.Testing, "file 2", "common")
	w.register("Own", 1, "zip of Own")
	w.register("Other", 1, "zip of Other")
	keys, err := online.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	signer := &online.Service{Keys: keys, Objects: w, Now: clock}
	return w, &Service{
		Door: w, Rules: w, Catalogue: w, Metadata: w, Records: w, Content: w, Blobs: &w.blobs, Signer: signer, Now: clock,
		Hotfixes: &hotfixes.Desk{Store: w, Rules: w, Blobs: &w.blobs, Metadata: w, Signer: signer, Spool: t.TempDir()},
		Log:      slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
}

func (w *world) store(content string) release.Ref {
	w.t.Helper()
	var stored bytes.Buffer
	sum, size, err := object.Encode(&stored, bytes.NewReader([]byte(content)))
	if err == nil {
		err = w.blobs.Put(w.t.Context(), blob.ObjectName(sum), &stored)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.contents[sum] = []byte(content)
	return release.Ref{Sum: sum, Size: size}
}

func (w *world) publish(level int, state release.State, files ...string) {
	w.t.Helper()
	var entries []manifest.Entry
	for _, f := range files {
		ref := w.store(f)
		entries = append(entries, manifest.Entry{Path: f, Kind: manifest.File, Mode: 0o644, Size: ref.Size, Sum: ref.Sum})
	}
	tree, err := manifest.NewTree(entries)
	if err != nil {
		w.t.Fatal(err)
	}
	p := release.Published{Manifest: w.store(string(tree.Bytes())), Notes: w.store(`{"updates":null}`)}
	p.Listing = release.Listing{Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level, State: state, Published: today}
	p.Record = w.store(string(rune('a'+level)) + " record")
	w.levels = append(w.levels, p)
}

// who are the principals, by token.
func (w *world) who(token string) (entitlement.Principal, bool) {
	p := entitlement.Principal{
		User:         entitlement.User{ID: token, Organisation: "own", Email: token + "@example.com", Role: entitlement.Role(token)},
		Organisation: entitlement.Organisation{ID: "own", Name: "Own"}, Token: entitlement.Token{ID: "tok_" + token},
	}
	switch token {
	case "operator", "security", "organisation-admin":
	case "other":
		p.User.Role, p.User.Organisation, p.Organisation = entitlement.Operator, "other", entitlement.Organisation{ID: "other", Name: "Other"}
	case "report":
		p.User.Role, p.Token.Scopes = entitlement.Operator, []string{api.ScopeReport}
	case "publisher":
		p.User.Role, p.Token.Scopes = "release-engineer", []string{"publish"}
		p.User.Organisation, p.Organisation = "", entitlement.Organisation{}
	case "release-engineer", "subscription-manager", "support", "administrator":
		p.User.Organisation, p.Organisation = "", entitlement.Organisation{}
	default:
		return entitlement.Principal{}, false
	}
	return p, true
}

func (w *world) Login(_ context.Context, email, password, address string) (string, entitlement.Token, error) {
	w.logins++
	w.from = address
	if email != "operator@example.com" || password != "right passw0rd" {
		return "", entitlement.Token{}, problem.New(problem.Credentials, "", "Invalid credentials")
	}
	return "operator", entitlement.Token{ID: "tok_login", User: "operator", Expires: w.now.Add(time.Hour)}, nil
}

func (w *world) Principal(_ context.Context, token string) (entitlement.Principal, error) {
	p, ok := w.who(token)
	if !ok {
		return p, problem.New(problem.Credentials, "", "Invalid credentials")
	}
	return p, nil
}

func (w *world) For(_ context.Context, p entitlement.Principal, l release.Line) (entitlement.Grant, error) {
	if l != line || p.Organisation.ID == "other" {
		return entitlement.Grant{}, problem.New(problem.NotEntitled, "Ask your vendor.", "Not subscribed to %s", l)
	}
	states := []release.State{release.Live}
	if p.IsStaff() {
		states = append(states, release.Testing)
	}
	return entitlement.Grant{Kind: entitlement.Paid, State: entitlement.Active, States: states}, nil
}

func (w *world) EULA(context.Context, entitlement.Principal) (entitlement.EULAState, error) {
	return entitlement.EULAState{InForce: entitlement.EULA{Version: "1", Text: "terms"}}, nil
}

func (w *world) Accept(_ context.Context, p entitlement.Principal, version, _ string) error {
	w.accepted = append(w.accepted, p.Organisation.ID+" "+version)
	return nil
}

func (w *world) Levels(context.Context, release.Line) ([]release.Published, error) {
	return w.levels, nil
}

func (w *world) Level(_ context.Context, l release.Line, level int) (release.Published, error) {
	if l != line || level >= len(w.levels) {
		return release.Published{}, fs.ErrNotExist
	}
	return w.levels[level], nil
}

func (w *world) MetadataFile(_ context.Context, file string) ([]byte, error) {
	if file != "timestamp.json" {
		return nil, fs.ErrNotExist
	}
	return []byte(`{"signed":{}}`), nil
}

func (w *world) CurrentMetadata(_ context.Context, role string) ([]byte, error) {
	if role != trust.RoleTool || w.tools == nil {
		return nil, fs.ErrNotExist
	}
	return w.tools, nil
}

func (w *world) ChangeMetadata(context.Context, func(online.Repository) error) error {
	return problem.New(problem.Verification, "", "nothing is accepted here")
}

func (w *world) AddReports(_ context.Context, organisation string, reports []fleet.Told) ([]fleet.Fate, error) {
	if organisation != "own" && organisation != "other" && organisation != "" {
		w.t.Errorf("a report of %q", organisation)
	}
	fates := []fleet.Fate{}
	for _, t := range reports {
		w.reports = append(w.reports, t.Report)
		at, known := slices.BinarySearchFunc(w.fleet, t.Installation, func(i fleet.Installation, id string) int { return strings.Compare(i.Installation, id) })
		if !known {
			w.fleet = slices.Insert(w.fleet, at, fleet.Installation{Organisation: organisation})
		}
		fates = append(fates, w.fleet[at].Learn(t))
	}
	return fates, nil
}

func (w *world) Installations(_ context.Context, q fleet.Query) ([]fleet.Installation, error) {
	var found []fleet.Installation
	for _, i := range w.fleet {
		if i.Organisation == q.Organisation && i.Installation > q.After && (q.Product == "" || q.Product == i.Product) && len(found) < q.Limit {
			found = append(found, i)
		}
	}
	return found, nil
}

func (w *world) Vendor(context.Context) (api.Vendor, error) { return api.Vendor{Name: "Vendor"}, nil }

func (w *world) Ready(context.Context) error { return nil }

func (w *world) Content(_ context.Context, ref release.Ref) ([]byte, error) {
	data, ok := w.contents[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (w *world) Missing(_ context.Context, sums []digest.Digest) ([]digest.Digest, error) {
	var missing []digest.Digest
	for _, s := range sums {
		if _, ok := w.contents[s]; !ok {
			missing = append(missing, s)
		}
	}
	return missing, nil
}

// register keeps a hotfix of an organisation whose id is its name in small letters.
func (w *world) register(organisation string, n int, zip string) {
	w.t.Helper()
	h := hotfix.Published{Zip: release.Ref{Sum: digest.Of([]byte(zip)), Size: int64(len(zip))}, Record: hotfix.Record{
		Format: 1, Name: hotfix.Name(organisation, n), Product: line.Product, Version: line.Version, Channel: line.Channel, Levels: []int{1}, Sequence: n,
		Organisation: strings.ToLower(organisation), For: organisation, Created: today,
	}}
	if err := w.blobs.Put(w.t.Context(), blob.HotfixName(h.Zip.Sum), strings.NewReader(zip)); err != nil {
		w.t.Fatal(err)
	}
	w.hotfix = append(w.hotfix, h)
}

func (w *world) AddHotfix(_ context.Context, _ entitlement.Actor, h hotfix.Published) error {
	w.hotfix = append(w.hotfix, h)
	return nil
}

func (w *world) Hotfix(_ context.Context, product, version, name string) (hotfix.Published, error) {
	for _, h := range w.hotfix {
		if h.Product == product && h.Version == version && h.Name == name {
			return h, nil
		}
	}
	return hotfix.Published{}, fs.ErrNotExist
}

func (w *world) Hotfixes(_ context.Context, l release.Line, organisation string) ([]hotfix.Published, error) {
	var all []hotfix.Published
	for _, h := range w.hotfix {
		if h.Line() == l && (organisation == "" || h.Organisation == organisation) {
			all = append(all, h)
		}
	}
	return all, nil
}

func (w *world) OrganisationByID(_ context.Context, id string) (entitlement.Organisation, error) {
	for _, name := range []string{"Own", "Other"} {
		if id == strings.ToLower(name) {
			return entitlement.Organisation{ID: id, Name: name}, nil
		}
	}
	return entitlement.Organisation{}, fs.ErrNotExist
}

func (w *world) OrganisationByName(ctx context.Context, name string) (entitlement.Organisation, error) {
	return w.OrganisationByID(ctx, strings.ToLower(name))
}

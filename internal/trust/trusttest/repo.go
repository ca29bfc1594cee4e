// Package trusttest is a TUF repository in memory for tests: it makes the metadata that
// a vendor's publisher and service would, and any that they never would. Programs do
// not link it.
package trusttest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Targets is the file of targets or of a role below it.
type Targets = metadata.Metadata[metadata.TargetsType]

// Repo is a repository. Change its exported fields as a test needs, then publish; or
// change Files directly. Its methods end the test on errors.
type Repo struct {
	Now  time.Time                       // the clock of publisher and service
	Keys map[string][]ed25519.PrivateKey // role → keys that sign it

	Root      *metadata.Metadata[metadata.RootType]
	Timestamp *metadata.Metadata[metadata.TimestampType]
	Snapshot  *metadata.Metadata[metadata.SnapshotType]
	Roles     map[string]*Targets // targets and every role below it

	Objects map[digest.Digest][]byte // content of records, manifests, notes and files

	t        testing.TB
	mu       sync.Mutex
	files    map[string][]byte
	requests []string
}

// Key returns the Ed25519 key of that name; the same for every call.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("trusttest " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// New makes a repository with a root of three keys and threshold two, and publishes
// root, targets, snapshot and timestamp, each of version 1.
func New(tb testing.TB, now time.Time) *Repo {
	tb.Helper()
	return NewWith(tb, now, Key("snapshot"), Key("timestamp"))
}

// NewWith is [New] with these online keys.
func NewWith(tb testing.TB, now time.Time, snapshot, timestamp ed25519.PrivateKey) *Repo {
	tb.Helper()
	r := &Repo{
		t: tb, Now: now.UTC().Truncate(time.Second), files: map[string][]byte{}, Objects: map[digest.Digest][]byte{},
		Keys: map[string][]ed25519.PrivateKey{
			trust.RoleRoot:      {Key("root-1"), Key("root-2"), Key("root-3")},
			trust.RoleTargets:   {Key("targets")},
			trust.RoleSnapshot:  {snapshot},
			trust.RoleTimestamp: {timestamp},
		},
		Roles: map[string]*Targets{trust.RoleTargets: metadata.Targets(now)},
	}
	r.Root, r.Snapshot, r.Timestamp = metadata.Root(now), metadata.Snapshot(now), metadata.Timestamp(now)
	r.Root.Signed.Version, r.Snapshot.Signed.Version, r.Timestamp.Signed.Version = 0, 0, 0
	r.Roles[trust.RoleTargets].Signed.Version = 0
	r.PublishRoot()
	r.PublishRole(trust.RoleTargets)
	r.PublishOnline()
	return r
}

// PublishRoot makes the next root, naming Keys, signed by them and by extra.
func (r *Repo) PublishRoot(extra ...ed25519.PrivateKey) {
	r.t.Helper()
	signed := &r.Root.Signed
	signed.Keys = map[string]*metadata.Key{}
	for role := range signed.Roles {
		ids := []string{}
		for _, private := range r.Keys[role] {
			key := r.Public(private)
			id := r.id(key)
			signed.Keys[id], ids = key, append(ids, id)
		}
		signed.Roles[role].KeyIDs, signed.Roles[role].Threshold = ids, 1
	}
	signed.Roles[trust.RoleRoot].Threshold = min(2, len(r.Keys[trust.RoleRoot]))
	signed.Version++
	signed.Expires = r.expiry(trust.RoleRoot)
	signed.SpecVersion = trust.SpecVersion
	signers := slices.Clone(r.Keys[trust.RoleRoot])
	for _, key := range extra {
		if !slices.ContainsFunc(signers, func(k ed25519.PrivateKey) bool { return k.Equal(key) }) {
			signers = append(signers, key)
		}
	}
	r.Put(trust.FileName(trust.RoleRoot, signed.Version), Sign(r.t, r.Root, signers...))
}

// PublishRole makes the next version of targets or a role below it, with the keys of
// the role; clients see it after [Repo.PublishOnline].
func (r *Repo) PublishRole(role string) {
	r.t.Helper()
	m := r.Roles[role]
	m.Signed.Version++
	m.Signed.Expires = r.expiry(role)
	m.Signed.SpecVersion = trust.SpecVersion
	r.Put(trust.FileName(role, m.Signed.Version), Sign(r.t, m, r.Keys[role]...))
}

// PublishOnline makes the next snapshot, listing all roles, and the next timestamp.
func (r *Repo) PublishOnline() {
	r.t.Helper()
	signed := &r.Snapshot.Signed
	clear(signed.Meta)
	for role, m := range r.Roles {
		signed.Meta[role+".json"] = &metadata.MetaFiles{Version: m.Signed.Version}
	}
	signed.Version++
	r.PutSnapshot()
	r.PublishTimestamp()
}

// PutSnapshot signs and stores the snapshot as its field is, with a new expiry.
func (r *Repo) PutSnapshot() {
	r.t.Helper()
	r.Snapshot.Signed.Expires, r.Snapshot.Signed.SpecVersion = r.expiry(trust.RoleSnapshot), trust.SpecVersion
	r.Put(trust.FileName(trust.RoleSnapshot, r.Snapshot.Signed.Version), Sign(r.t, r.Snapshot, r.Keys[trust.RoleSnapshot]...))
}

// PublishTimestamp makes the next timestamp, listing the snapshot's version.
func (r *Repo) PublishTimestamp() {
	r.t.Helper()
	r.Timestamp.Signed.Version++
	r.Timestamp.Signed.Meta["snapshot.json"].Version = r.Snapshot.Signed.Version
	r.PutTimestamp()
}

// PutTimestamp signs and stores the timestamp as its field is, with a new expiry.
func (r *Repo) PutTimestamp() {
	r.t.Helper()
	r.Timestamp.Signed.Expires, r.Timestamp.Signed.SpecVersion = r.expiry(trust.RoleTimestamp), trust.SpecVersion
	r.Put("timestamp.json", Sign(r.t, r.Timestamp, r.Keys[trust.RoleTimestamp]...))
}

// AddLevel lists a live level of line, delegating product and line when they are new,
// and publishes the roles it changed; clients see it after [Repo.PublishOnline]. The
// record and what it names are made up and stored in Objects. Change may change the
// listing.
func (r *Repo) AddLevel(line release.Line, level int, change ...func(*release.Listing)) release.Record {
	r.t.Helper()
	file := fmt.Appendf(nil, "%s level %d\n", line.ProductVersion(), level)
	r.Objects[digest.Of(file)] = file
	tree, err := manifest.NewTree([]manifest.Entry{{
		Path: "README", Kind: manifest.File, Mode: 0o644, Size: int64(len(file)), Sum: digest.Of(file),
	}})
	r.must(err)
	var updates []release.Update
	if level > 0 {
		updates = []release.Update{{ID: level, Type: release.Regular, Description: "Something is better."}}
	}
	notes, err := release.Notes{Updates: updates}.Bytes()
	r.must(err)
	record := release.Record{
		Format: 1, Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level,
		Manifest: r.Store(tree.Bytes()), Notes: r.Store(notes), Created: r.Now,
	}
	listing := release.Listing{
		Product: line.Product, Version: line.Version, Channel: line.Channel, Level: level,
		State: release.Live, Type: release.Regular, RegularN: len(updates), Published: r.Now,
	}
	for _, c := range change {
		c(&listing)
	}
	r.List(listing, record)
	return record
}

// List lists a level with this record, delegating product and line when they are new,
// and publishes the roles it changed. What the record names must be stored by the test.
func (r *Repo) List(listing release.Listing, record release.Record) {
	r.t.Helper()
	data, err := record.Bytes()
	r.must(err)
	line := listing.Line()
	r.Delegate(line)
	r.SetTarget(line.Role(), line.TargetPath(listing.Level), data, listing)
	r.PublishRole(line.Role())
}

// SetTarget puts a target into a role, custom metadata as given, without publishing.
func (r *Repo) SetTarget(role, path string, content []byte, custom any) {
	r.t.Helper()
	ref := r.Store(content)
	target := &metadata.TargetFiles{Length: ref.Size, Hashes: metadata.Hashes{"sha256": ref.Sum[:]}}
	if custom != nil {
		raw, err := json.Marshal(custom)
		r.must(err)
		target.Custom = (*json.RawMessage)(&raw)
	}
	r.Roles[role].Signed.Targets[path] = target
}

// Change changes a level's listing and publishes the line.
func (r *Repo) Change(line release.Line, level int, change func(*release.Listing)) {
	r.t.Helper()
	target := r.Roles[line.Role()].Signed.Targets[line.TargetPath(level)]
	var listing release.Listing
	r.must(json.Unmarshal(*target.Custom, &listing))
	change(&listing)
	raw, err := json.Marshal(listing)
	r.must(err)
	target.Custom = (*json.RawMessage)(&raw)
	r.PublishRole(line.Role())
}

// Delegate delegates product and line as the publisher does, if they are new, and
// publishes the roles it changed.
func (r *Repo) Delegate(line release.Line) {
	r.t.Helper()
	product := release.ProductRole(line.Product)
	key := Key(product)
	if r.Roles[product] == nil {
		r.AddDelegation(trust.RoleTargets, product, trust.ProductPaths(line.Product), key)
		r.PublishRole(trust.RoleTargets)
	}
	if r.Roles[line.Role()] == nil {
		r.AddDelegation(product, line.Role(), trust.LinePaths(line), key)
		r.PublishRole(product)
	}
}

// AddTool lists a program of the update tool, delegating to its role when that is new, and
// publishes the roles it changed; clients see it after [Repo.PublishOnline]. Change may
// change the listing.
func (r *Repo) AddTool(version, system string, program []byte, change ...func(*release.ToolListing)) release.Ref {
	r.t.Helper()
	if r.Roles[trust.RoleTool] == nil {
		r.AddDelegation(trust.RoleTargets, trust.RoleTool, trust.ToolPaths(), Key(trust.RoleTool))
		r.PublishRole(trust.RoleTargets)
	}
	listing := release.ToolListing{Version: version, System: system, Released: r.Now}
	path := release.ToolPath(version, system)
	for _, c := range change {
		c(&listing)
	}
	r.SetTarget(trust.RoleTool, path, program, listing)
	r.PublishRole(trust.RoleTool)
	return r.Store(program)
}

// AddDelegation lets parent delegate paths to role, terminating, with one key, without
// publishing; the role's file begins empty with version 0.
func (r *Repo) AddDelegation(parent, role string, paths []string, key ed25519.PrivateKey) {
	r.t.Helper()
	signed := &r.Roles[parent].Signed
	if signed.Delegations == nil {
		signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	}
	public := r.Public(key)
	signed.Delegations.Keys[r.id(public)] = public
	signed.Delegations.Roles = append(signed.Delegations.Roles, metadata.DelegatedRole{
		Name: role, KeyIDs: []string{r.id(public)}, Threshold: 1, Terminating: true, Paths: paths,
	})
	r.Keys[role] = []ed25519.PrivateKey{key}
	r.Roles[role] = metadata.Targets(r.Now)
	r.Roles[role].Signed.Version = 0
}

// Store keeps content in Objects and returns its reference.
func (r *Repo) Store(content []byte) release.Ref {
	sum := digest.Of(content)
	r.Objects[sum] = content
	return release.Ref{Sum: sum, Size: int64(len(content))}
}

// Put stores a file as it is.
func (r *Repo) Put(file string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[file] = data
}

// File returns a stored file, nil when it is not there.
func (r *Repo) File(name string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[name]
}

// Current returns a role's file as published last.
func (r *Repo) Current(role string) []byte {
	version := int64(0)
	switch role {
	case trust.RoleRoot:
		version = r.Root.Signed.Version
	case trust.RoleSnapshot:
		version = r.Snapshot.Signed.Version
	case trust.RoleTimestamp:
	default:
		version = r.Roles[role].Signed.Version
	}
	return r.File(trust.FileName(role, version))
}

// Metadata answers as a service would; it makes a Repo a refresh.Remote.
func (r *Repo) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, file)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := r.files[file]
	if !ok {
		return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
	}
	return data[:min(int64(len(data)), limit+1)], nil
}

// Requests returns the files asked for since the last call.
func (r *Repo) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.requests
	r.requests = nil
	return asked
}

// Public returns the TUF key object of a key's public part.
func (r *Repo) Public(private ed25519.PrivateKey) *metadata.Key {
	r.t.Helper()
	key, err := metadata.KeyFromPublicKey(private.Public())
	r.must(err)
	return key
}

// Sign returns m signed by exactly these keys.
func Sign[T metadata.Roles](tb testing.TB, m *metadata.Metadata[T], keys ...ed25519.PrivateKey) []byte {
	tb.Helper()
	m.ClearSignatures()
	for _, key := range keys {
		signer, err := signature.LoadED25519Signer(key)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := m.Sign(signer); err != nil {
			tb.Fatal(err)
		}
	}
	data, err := m.ToBytes(false)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (r *Repo) expiry(role string) time.Time {
	return r.Now.Add(trust.Lifetime(role)).UTC().Truncate(time.Second)
}

func (r *Repo) id(key *metadata.Key) string {
	r.t.Helper()
	id, err := key.ID()
	r.must(err)
	return id
}

func (r *Repo) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

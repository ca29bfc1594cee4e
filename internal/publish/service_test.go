package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/sign"
)

// service is a service in memory: the real rules for submissions over maps.
type service struct {
	mu      sync.Mutex
	online  online.Service
	objects map[digest.Digest][]byte // stored form
	current map[string]online.File
	files   map[string][]byte

	hotfixes map[string][]byte // zips by name

	asked, puts int
	broken      func(call string) error // fails a call before it does anything
	lose        func(call string) error // fails a call after it was done
}

func newService(t testing.TB, now func() time.Time) *service {
	t.Helper()
	keys, err := online.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{objects: map[digest.Digest][]byte{}, current: map[string]online.File{}, files: map[string][]byte{}, hotfixes: map[string][]byte{}}
	s.online = online.Service{Keys: keys, Objects: stored{s}, Now: now}
	return s
}

func (s *service) enter(call string) (func(*error), error) {
	s.mu.Lock()
	if s.broken != nil {
		if err := s.broken(call); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	return func(err *error) {
		if s.lose != nil && *err == nil {
			*err = s.lose(call)
		}
		s.mu.Unlock()
	}, nil
}

func (s *service) Missing(_ context.Context, sums []digest.Digest) (missing []digest.Digest, err error) {
	leave, err := s.enter("missing")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	s.asked += len(sums)
	for _, sum := range sums {
		if s.objects[sum] == nil {
			missing = append(missing, sum)
		}
	}
	return missing, nil
}

func (s *service) PutObject(_ context.Context, sum digest.Digest, r io.Reader, size int64) (err error) {
	leave, err := s.enter("put")
	if err != nil {
		return err
	}
	defer leave(&err)
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(data)) != size {
		return fmt.Errorf("%d bytes announced, %d sent", size, len(data))
	}
	if s.objects[sum] != nil {
		return errors.New("uploaded twice")
	}
	s.objects[sum] = data
	s.puts++
	return nil
}

func (s *service) SubmitMetadata(ctx context.Context, sub api.MetadataSubmission) (answer api.MetadataAnswer, err error) {
	leave, err := s.enter("submit")
	if err != nil {
		return answer, err
	}
	defer leave(&err)
	var docs []online.Document
	for _, m := range sub.Metadata {
		docs = append(docs, online.Document{Role: m.Role, Data: m.Data})
	}
	result, err := s.online.Submit(ctx, repository{s}, docs)
	return api.MetadataAnswer{Snapshot: result.Snapshot, Timestamp: result.Timestamp}, err
}

func (s *service) OnlineKeys(context.Context) (api.OnlineKeys, error) {
	snapshot, timestamp, err := s.online.Keys.Public()
	return api.OnlineKeys{Snapshot: snapshot, Timestamp: timestamp}, err
}

func (s *service) Metadata(_ context.Context, file string, _ int64) (data []byte, err error) {
	leave, err := s.enter("metadata")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	if data, ok := s.files[file]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
}

func (s *service) Fetch(_ context.Context, _ release.Line, _ int, refs []release.Ref) (err error) {
	leave, err := s.enter("fetch")
	if err != nil {
		return err
	}
	defer leave(&err)
	for _, ref := range refs {
		if s.objects[ref.Sum] == nil {
			return fmt.Errorf("object %s: %w", ref.Sum, fs.ErrNotExist)
		}
	}
	return nil
}

func (s *service) Open(ref release.Ref) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return object.NewReader(bytes.NewReader(s.objects[ref.Sum]), ref.Sum, ref.Size)
}

// renew does what the service does by itself.
func (s *service) renew(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.online.Renew(t.Context(), repository{s}); err != nil {
		t.Fatal(err)
	}
}

// repository is the service's current metadata; its lock is held by the caller.
type repository struct{ s *service }

func (r repository) Current(_ context.Context, role string) (online.File, error) {
	if f, ok := r.s.current[role]; ok {
		return f, nil
	}
	return online.File{}, fs.ErrNotExist
}

func (r repository) Versions(context.Context) (map[string]int64, error) {
	versions := map[string]int64{}
	for role, f := range r.s.current {
		versions[role] = f.Version
	}
	return versions, nil
}

func (r repository) Put(_ context.Context, f online.File) error {
	r.s.current[f.Role] = f
	r.s.files[f.Name()] = f.Data
	return nil
}

// stored is the service's object store; its lock is held by the caller.
type stored struct{ s *service }

func (o stored) Content(_ context.Context, ref release.Ref) ([]byte, error) {
	data, ok := o.s.objects[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	r, err := object.NewReader(bytes.NewReader(data), ref.Sum, ref.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (o stored) Missing(_ context.Context, sums []digest.Digest) (missing []digest.Digest, err error) {
	for _, sum := range sums {
		if o.s.objects[sum] == nil {
			missing = append(missing, sum)
		}
	}
	return missing, nil
}

// desk is a publisher at work: its service, folder and clock.
type desk struct {
	*Publisher
	service *service
	clock   time.Time
}

const passphrase = "correct horse battery"

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{clock: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	now := func() time.Time { return d.clock }
	d.service = newService(t, now)
	dir := t.TempDir()
	d.Publisher = &Publisher{
		Store: d.service, Objects: d.service, Registry: d.service, Cache: filepath.Join(dir, "cache"), Now: now,
		Signer: &signing.Signer{
			Service: d.service, Remote: d.service, Now: now,
			Folder: &sign.Folder{
				Dir: filepath.Join(dir, "keys"), Cost: sign.Cost{MemoryKiB: 8, Time: 1, Threads: 1}, Random: rand.Reader,
				Passphrase: func(bool) (string, error) { return passphrase, nil },
			},
		},
	}
	return d
}

// ready is a desk whose keys are made.
func ready(t testing.TB) *desk {
	t.Helper()
	d := newDesk(t)
	if _, _, err := d.Signer.Init(t.Context(), signing.InitRequest{}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) tick() { d.clock = d.clock.Add(time.Hour) }

// build writes files into a new folder.
func build(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := os.WriteFile(full, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var shop = release.Line{Product: "shop", Version: "1.0", Channel: release.DefaultChannel}

func release0() map[string]string {
	return map[string]string{
		"bin/shop": "#!/bin/sh\necho 1.0.0\n", "conf/shop.properties": "port=8080\ncolour=blue\n",
		"lib/shop-1.0.jar": "PK\x00" + strings.Repeat("j", 3000), "LICENSE": "Apache License 2.0\n", "updates/product.txt": "shop-1.0\n",
	}
}

func with(files map[string]string, changes map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, files)
	for name, content := range changes {
		if content == "" {
			delete(out, name)
		} else {
			out[name] = content
		}
	}
	return out
}

const notes1 = `
title: November fixes
updates:
  - id: 4711
    type: security
    description: The start script no longer trusts its environment.
    files: ["bin/**"]
  - id: 4712
    type: regular
    description: Green by default.
    bug_fixes: {SHP-1: Wrong colour}
`

func add(t testing.TB, d *desk, files map[string]string) Outcome {
	t.Helper()
	out, err := d.AddProduct(t.Context(), ProductRequest{
		Line: shop, Dist: build(t, files), SupportedUntil: "2030-01-31",
		Rules: release.Rules{Data: []string{"data/**"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.tick()
	return out
}

func level(t testing.TB, d *desk, files map[string]string, notes string) Outcome {
	t.Helper()
	out, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, files), Notes: []byte(notes)})
	if err != nil {
		t.Fatal(err)
	}
	d.tick()
	return out
}

func listed(t testing.TB, d *desk, line release.Line) []release.Listed {
	t.Helper()
	view, err := d.Signer.Refresh(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	levels, err := view.Levels(line)
	if err != nil {
		t.Fatal(err)
	}
	return levels
}

func wantKind(t testing.TB, err error, kind problem.Kind, text string) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("want %s with %q, got %v", kind, text, err)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

var till = release.Line{Product: "till", Version: "1.0", Channel: "full"}

// vendor is a service at work on a database and an object store, without its network.
type vendor struct {
	t      *testing.T
	repo   *trusttest.Repo
	blobs  *memory
	store  published
	signer *online.Service
	said   bytes.Buffer
}

// contents are the objects of a test repository.
type contents map[digest.Digest][]byte

func (c contents) Content(_ context.Context, ref release.Ref) ([]byte, error) {
	if data, ok := c[ref.Sum]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (c contents) Missing(context.Context, []digest.Digest) ([]digest.Digest, error) { return nil, nil }

// newVendor has published a product with its level 0.
func newVendor(t *testing.T) *vendor {
	t.Helper()
	keys, err := online.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := &vendor{t: t, repo: trusttest.NewWith(t, testNow, keys.Snapshot, keys.Timestamp), blobs: &memory{blobs: map[string]string{}}}
	v.signer = &online.Service{Keys: keys, Objects: contents(v.repo.Objects), Now: func() time.Time { return testNow }}
	v.repo.AddLevel(till, 0)
	v.store = v.database(v.blobs)
	return v
}

// database is one in which what there is by now was published.
func (v *vendor) database(copies blob.Store) published {
	v.t.Helper()
	db, err := newProgram(v.t).makeDatabase(v.t.Context(), func(_ context.Context, line release.Line, level int, ref release.Ref) (release.Record, error) {
		return release.ParseRecord(v.repo.Objects[ref.Sum], line, level)
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = db.Close() })
	m := published{DB: db, blobs: copies, log: slog.New(slog.NewJSONHandler(&v.said, nil)), stuck: &atomic.Pointer[error]{}}
	if err := errors.Join(v.submit(v.t.Context(), m, "1.root.json", "1.targets.json"),
		v.submit(v.t.Context(), m, "2.targets.json", "1.product.till.json", "1."+till.Role()+".json")); err != nil {
		v.t.Fatal(err)
	}
	return m
}

func (v *vendor) submit(ctx context.Context, m published, files ...string) error {
	var docs []online.Document
	for _, file := range files {
		role := strings.TrimSuffix(file[strings.IndexByte(file, '.')+1:], ".json")
		docs = append(docs, online.Document{Role: role, Data: v.repo.File(file)})
	}
	return m.ChangeMetadata(ctx, func(repo online.Repository) error {
		_, err := v.signer.Submit(ctx, repo, docs)
		return err
	})
}

func (v *vendor) copied(file string) string {
	v.blobs.mu.Lock()
	defer v.blobs.mu.Unlock()
	return v.blobs.blobs["metadata/"+file]
}

func (v *vendor) current(role string) string {
	v.t.Helper()
	data, err := v.store.CurrentMetadata(v.t.Context(), role)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(data)
}

// TestCopiesAreMadeWhoeverIsGone: a publisher that does not wait for its answer, and an object
// store that was away, leave copies all the same.
func TestCopiesAreMadeWhoeverIsGone(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	ctx, gone := context.WithCancel(t.Context())
	v.blobs.puts = gone // as soon as the first copy is made
	v.repo.AddLevel(till, 1)
	line := "2." + till.Role() + ".json"
	if err := v.submit(ctx, v.store, line); err != nil {
		t.Fatal(err)
	}
	v.blobs.puts = nil
	if v.copied(line) == "" || v.copied("timestamp.json") != v.current("timestamp") {
		t.Errorf("copies are missing: %s", v.said.String())
	}

	v.blobs.broken = fs.ErrPermission
	v.repo.AddLevel(till, 2)
	line = "3." + till.Role() + ".json"
	if err := v.submit(t.Context(), v.store, line); err != nil {
		t.Fatal(err)
	}
	v.blobs.broken = nil
	if v.copied(line) != "" {
		t.Fatal("the copy was made")
	}
	v.store.tend(t.Context(), v.signer)
	if v.copied(line) != v.current(till.Role()) || v.copied("timestamp.json") != v.current("timestamp") {
		t.Errorf("the next look does not make the copies: %s", v.said.String())
	}
}

// TestABackupThatCannotCatchUpSignsNothing: it is not ready, takes nothing, and says what is
// missing, until that is put back.
func TestABackupThatCannotCatchUpSignsNothing(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	backup := v.database(&memory{blobs: map[string]string{}})
	file := "2." + till.Role() + ".json"
	v.repo.AddLevel(till, 1)
	submitted := v.repo.Current(till.Role())
	if err := v.submit(t.Context(), v.store, file); err != nil {
		t.Fatal(err)
	}
	backup.blobs = v.blobs
	v.store = backup
	v.blobs.mu.Lock()
	delete(v.blobs.blobs, "metadata/"+file)
	v.blobs.mu.Unlock()
	before := v.current("timestamp")
	v.store.restart(t.Context(), v.signer)
	if err := v.store.repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.store.tend(t.Context(), v.signer)
	if err := v.store.Ready(t.Context()); problem.KindOf(err) != problem.Verification || !strings.Contains(err.Error(), file+" is missing") {
		t.Errorf("ready: %v", err)
	}
	if err := v.submit(t.Context(), v.store, file); problem.KindOf(err) != problem.Verification {
		t.Errorf("it publishes: %v", err)
	}
	if v.current("timestamp") != before || v.copied("timestamp.json") == before {
		t.Error("the old state was signed, or copied over the newer one")
	}
	if !strings.Contains(v.said.String(), "cannot catch up") {
		t.Errorf("log %s", v.said.String())
	}
	v.blobs.mu.Lock()
	v.blobs.blobs["metadata/"+file] = string(submitted)
	v.blobs.mu.Unlock()
	v.store.tend(t.Context(), v.signer)
	if err := v.store.Ready(t.Context()); err != nil || v.current(till.Role()) != string(submitted) || v.current("timestamp") == before {
		t.Errorf("ready: %v", err)
	}
}

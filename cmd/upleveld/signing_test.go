package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/problem"
	"uplevel/internal/sqlstore"
	"uplevel/internal/trust/online"
)

var testNow = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// memory is an object store for these tests.
type memory struct {
	mu     sync.Mutex
	blobs  map[string]string
	broken error
	puts   func() // before each Put
}

type memoryObject struct{ *strings.Reader }

func (memoryObject) Close() error                  { return nil }
func (memoryObject) Discard(context.Context) error { return nil }

func (m *memory) Put(ctx context.Context, name string, r io.Reader) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.puts != nil {
		m.puts()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, taken := m.blobs[name]; taken || m.broken != nil {
		return m.broken
	}
	data, err := io.ReadAll(r)
	m.blobs[name] = string(data)
	return err
}

func (m *memory) Open(_ context.Context, name string) (blob.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.blobs[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return memoryObject{strings.NewReader(text)}, nil
}

func (m *memory) Stat(_ context.Context, name string) (blob.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.blobs[name]
	if !ok {
		return blob.Info{}, fs.ErrNotExist
	}
	return blob.Info{Name: name, Size: int64(len(text))}, nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, name)
	return m.broken
}

func (m *memory) List(_ context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		m.mu.Lock()
		names := slices.Sorted(maps.Keys(m.blobs))
		m.mu.Unlock()
		for _, name := range names {
			if strings.HasPrefix(name, prefix) && !yield(blob.Info{Name: name}, nil) {
				return
			}
		}
	}
}

func newProgram(t *testing.T) *program {
	t.Helper()
	return &program{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, now: func() time.Time { return testNow },
		getenv: func(string) string { return "" }, account: "test", data: filepath.Join(t.TempDir(), "data"),
	}
}

func TestMetadataIsCopiedAfterTheCommit(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	db := database(t, p)
	blobs := &memory{blobs: map[string]string{}}
	var said bytes.Buffer
	m := published{DB: db, blobs: blobs, log: slog.New(slog.NewJSONHandler(&said, nil))}
	put := func(files ...online.File) error {
		return m.ChangeMetadata(t.Context(), func(repo online.Repository) error {
			for _, f := range files {
				if err := repo.Put(t.Context(), f); err != nil {
					return err
				}
				if f.Role == "refused" {
					return fs.ErrInvalid
				}
			}
			return nil
		})
	}
	want := func(names map[string]string) {
		t.Helper()
		for name, text := range names {
			if got := blobs.blobs["metadata/"+name]; got != text {
				t.Errorf("copy of %s is %q, want %q", name, got, text)
			}
		}
	}
	if err := put(online.File{Role: "root", Version: 1, Data: []byte("r1")}, online.File{Role: "timestamp", Version: 1, Data: []byte("t1")}); err != nil {
		t.Fatal(err)
	}
	if err := put(online.File{Role: "timestamp", Version: 2, Data: []byte("t2")}); err != nil {
		t.Fatal(err)
	}
	want(map[string]string{"1.root.json": "r1", "timestamp.json": "t2"})
	if err := put(online.File{Role: "timestamp", Version: 3, Data: []byte("t3")}, online.File{Role: "refused", Version: 1, Data: []byte("x")}); !errors.Is(err, fs.ErrInvalid) {
		t.Fatal(err)
	}
	want(map[string]string{"timestamp.json": "t2", "1.refused.json": ""})

	blobs.broken = errors.New("object store is down")
	if err := put(online.File{Role: "root", Version: 2, Data: []byte("r2")}); err != nil {
		t.Errorf("a copy that fails must not fail what was committed: %v", err)
	}
	if !strings.Contains(said.String(), "object store is down") {
		t.Errorf("log %s", said.String())
	}
	blobs.broken = nil
	blobs.blobs["metadata/1.root.json"] = "damaged"
	if err := m.repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(map[string]string{"1.root.json": "r1", "2.root.json": "r2", "timestamp.json": "t2"})
}

// TestDatabaseIsPrivate: whoever else is on the machine reads no password hash, whatever
// the mode of the folder.
func TestDatabaseIsPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are another thing there")
	}
	p := newProgram(t)
	p.database = "sqlite:" + filepath.Join(t.TempDir(), "uplevel.db")
	database(t, p)
	files, err := filepath.Glob(strings.TrimPrefix(p.database, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestOnlineKeysAreMadeOnceAndSealed(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	db := database(t, p)
	made, err := p.onlineKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	first := made[0]
	again, err := p.onlineKeys(t.Context(), db)
	if err != nil || len(again) != 1 || !again[0].Snapshot.Equal(first.Snapshot) || !bytes.Equal(again[0].Delivery, first.Delivery) {
		t.Fatalf("second start: other keys, %v", err)
	}
	info, err := os.Stat(p.secretFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("secret file %v, %v", info, err)
	}
	sealed, err := db.Sealed(t.Context(), sealedKeys)
	if err != nil || bytes.Contains(sealed, first.Delivery) || bytes.Contains(sealed, first.Snapshot.Seed()) {
		t.Errorf("the database holds a key in the clear, %v", err)
	}
	for name, spoil := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(p.secretFile(), 0o644) },
		"damaged":            func() error { return os.WriteFile(p.secretFile(), []byte("ab"), 0o600) },
		"another":            func() error { return os.WriteFile(p.secretFile(), bytes.Repeat([]byte("ab"), 32), 0o600) },
		"missing":            func() error { return os.Remove(p.secretFile()) },
	} {
		kept, err := os.ReadFile(p.secretFile())
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.onlineKeys(t.Context(), db); problem.KindOf(err) != problem.Refused || strings.Contains(err.Error(), string(kept)) {
			t.Errorf("secret %s: %v", name, err)
		}
		if err := errors.Join(os.RemoveAll(p.secretFile()), os.WriteFile(p.secretFile(), kept, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.onlineKeys(t.Context(), db); err != nil {
		t.Error(err)
	}
}

// TestOnlineKeysOfBeforeStay: replaced keys stay to sign what their root names, the newest first.
func TestOnlineKeysOfBeforeStay(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if code := p.execute(t.Context(), []string{"admin", "online-keys", "replace", "--data", p.data}); code != 15 {
		t.Errorf("keys are replaced before there are any: exit %d", code)
	}
	db := database(t, p)
	first, err := p.onlineKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := p.execute(t.Context(), []string{"admin", "online-keys", "replace", "--data", p.data}); code != 0 {
			t.Fatalf("exit %d", code)
		}
	}
	all, err := p.onlineKeys(t.Context(), db)
	if err != nil || len(all) != 3 || !all[2].Snapshot.Equal(first[0].Snapshot) || all[0].Snapshot.Equal(all[1].Snapshot) {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

// TestALostSecretIsReplaced: without it nothing starts, and only whoever says that it is lost
// gets other keys; what it sealed is passed over.
func TestALostSecretIsReplaced(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	var said bytes.Buffer
	p.stderr = &said
	db := database(t, p)
	first, err := p.onlineKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(p.secretFile())
	if err != nil {
		t.Fatal(err)
	}
	replace := func(want int, words string, more ...string) {
		t.Helper()
		said.Reset()
		code := p.execute(t.Context(), append([]string{"admin", "online-keys", "replace", "--data", p.data}, more...))
		if code != want || !strings.Contains(said.String(), words) {
			t.Errorf("replace %v: exit %d: %s", more, code, said.String())
		}
	}
	replace(15, "it is not lost", "--lost-secret")
	if err := os.Remove(p.secretFile()); err != nil {
		t.Fatal(err)
	}
	replace(15, "--lost-secret")
	if _, err := p.onlineKeys(t.Context(), db); problem.KindOf(err) != problem.Refused {
		t.Errorf("a start without the secret: %v", err)
	}
	replace(0, "", "--lost-secret")
	all, err := p.onlineKeys(t.Context(), db)
	if err != nil || len(all) != 1 || all[0].Snapshot.Equal(first[0].Snapshot) {
		t.Fatalf("%d keys, %v", len(all), err)
	}
	replace(0, "")
	if again, err := p.onlineKeys(t.Context(), db); err != nil || len(again) != 2 || !again[1].Snapshot.Equal(all[0].Snapshot) {
		t.Errorf("%d keys, %v", len(again), err)
	}
	if err := os.WriteFile(p.secretFile(), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.onlineKeys(t.Context(), db); problem.KindOf(err) != problem.Refused {
		t.Errorf("the lost secret is back, and the keys of now are not opened by it: %v", err)
	}
}

func TestPasswordFromStandardInput(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"pass": "pass", "pass\n": "pass", "pass\r\n": "pass", "pass\n\n": "pass\n", "pass\r": "pass\r", " p $\"'\\ü ": " p $\"'\\ü "} {
		p := newProgram(t)
		p.stdin = strings.NewReader(given)
		if got, err := p.readPassword(); err != nil || got != want {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
}

// TestTwoStartsMakeOneSecret has a second process make its secret after the first one sealed
// the keys: what was sealed must be opened ever after.
func TestTwoStartsMakeOneSecret(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	db := database(t, p)
	first, err := p.onlineKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.newSecret(p.secretFile()); err != nil { // it had seen none
		t.Fatal(err)
	}
	again, err := p.onlineKeys(t.Context(), db)
	if err != nil || len(again) != 1 || !again[0].Snapshot.Equal(first[0].Snapshot) {
		t.Errorf("the online keys are lost: %v", err)
	}
}

// database is that of a new service.
func database(t *testing.T, p *program) *sqlstore.DB {
	t.Helper()
	db, err := p.makeDatabase(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

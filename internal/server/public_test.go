package server

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// slowFiles counts who reads metadata, and how many do so at once.
type slowFiles struct {
	*world
	data            []byte
	reads, now, max atomic.Int32
}

func (f *slowFiles) MetadataFile(context.Context, string) ([]byte, error) {
	f.reads.Add(1)
	f.max.Store(max(f.max.Load(), f.now.Add(1)))
	defer f.now.Add(-1)
	return f.data, nil
}

// openings counts how often a stored object is read from.
type openings struct {
	blob.Store
	reads atomic.Int32
}

func (o *openings) Open(ctx context.Context, name string) (blob.Object, error) {
	object, err := o.Store.Open(ctx, name)
	return reading{object, &o.reads}, err
}

type reading struct {
	blob.Object
	reads *atomic.Int32
}

func (r reading) Read(p []byte) (int, error) {
	r.reads.Add(1)
	return r.Object.Read(p)
}

// stuck is a client that takes the first byte when it is told to.
type stuck struct {
	header http.Header
	begun  *sync.WaitGroup
	once   sync.Once
	goOn   chan struct{}
	bytes  int
}

func (s *stuck) Header() http.Header { return s.header }
func (s *stuck) WriteHeader(int)     {}
func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(s.begun.Done)
	<-s.goOn
	s.bytes += len(p)
	return len(p), nil
}

// TestWhoDoesNotReadHoldsNothing: sixty who ask for a program, a large metadata file or the
// description and read none of it share one copy, which is decoded or read once.
func TestWhoDoesNotReadHoldsNothing(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	repo := trusttest.New(t, today)
	ref := repo.AddTool("1.0", "linux/amd64", content)
	w.store(string(content))
	w.tools = repo.Current(trust.RoleTool)
	files, store := &slowFiles{world: w, data: bytes.Repeat([]byte("metadata "), trust.MaxLine/9)}, &openings{Store: s.Blobs}
	s.Metadata, s.Blobs = files, store
	h := s.Handler(RoleAPI, RoleDelivery)
	program := api.ToolAddress(release.Tool{ToolListing: release.ToolListing{Version: "1.0", System: "linux/amd64"}, Program: ref})
	ask(h, "GET", program, "", "", "Range", "bytes=0-0")
	once := store.reads.Load()
	for _, path := range []string{program, "/tuf/3.line.shop-1.0.full.json", openAPIPath} {
		var begun, done sync.WaitGroup
		clients := make([]*stuck, 60)
		goOn := make(chan struct{})
		for i := range clients {
			clients[i] = &stuck{header: http.Header{}, begun: &begun, goOn: goOn}
			begun.Add(1)
			done.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				h.ServeHTTP(clients[i], r)
			})
		}
		begun.Wait() // all of them, at once
		close(goOn)
		done.Wait()
		for _, c := range clients {
			if c.bytes < 10_000 || c.bytes != clients[0].bytes {
				t.Errorf("%s: one took %d bytes, another %d", path, c.bytes, clients[0].bytes)
			}
		}
	}
	if files.reads.Load() != 1 || store.reads.Load() != once {
		t.Errorf("read %d times from the database and %d times more from the store", files.reads.Load(), store.reads.Load()-once)
	}
}

// TestWithoutRoomForCopiesReadingGoesOn: metadata are given where a full disk takes no
// copy, one at a time; with a stored program it is the service's trouble.
func TestWithoutRoomForCopiesReadingGoesOn(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	files := &slowFiles{world: w, data: bytes.Repeat([]byte("metadata "), 100_000)}
	s.Metadata, s.Spool = files, filepath.Join(t.TempDir(), "gone")
	h := s.Handler(RoleDelivery)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			got := ask(h, "GET", "/tuf/3.targets.json", "", "", "Accept-Encoding", "gzip")
			if got.Code != 200 || !bytes.Equal(got.Body.Bytes(), files.data) || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%d, %d bytes", got.Code, got.Body.Len())
			}
		})
	}
	all.Wait()
	if files.max.Load() != 1 {
		t.Errorf("%d were read at once", files.max.Load())
	}
}

// TestCopiesLeaveNoFile: what is kept for all has no name that a kill could leave.
func TestCopiesLeaveNoFile(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	s.Metadata, s.Spool = metadataFiles{w, bytes.Repeat([]byte("metadata "), 100_000)}, t.TempDir()
	if got := ask(s.Handler(RoleDelivery), "GET", "/tuf/3.targets.json", "", ""); got.Code != 200 {
		t.Fatal(got.Code)
	}
	if left, err := os.ReadDir(s.Spool); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := s.copyOf(t.Context(), "broken", func(w io.Writer) error {
		_, _ = w.Write(make([]byte, 1<<20))
		return io.ErrUnexpectedEOF
	}); err == nil {
		t.Error("half a copy is given")
	}
	if _, known := s.copies.Known("broken"); known {
		t.Error("half a copy is kept")
	}
}

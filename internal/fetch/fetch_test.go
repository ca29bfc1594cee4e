package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

var line = release.Line{Product: "shop", Version: "1.0", Channel: "full"}

// source is a service in memory that can be made to misbehave.
type source struct {
	mu     sync.Mutex
	stored map[digest.Digest][]byte
	urls   int // given out

	asked   []api.DeliveryRequest
	fetched map[digest.Digest][]int64 // offsets asked for
	sent    map[digest.Digest]int64

	// body may change what is sent of an object from offset on; nil: all.
	body func(sum digest.Digest, stored []byte, offset int64) (io.Reader, error)
	// answer may change an answer to a request for URLs.
	answer func(*api.DeliveryAnswer)
}

func newSource() *source {
	return &source{stored: map[digest.Digest][]byte{}, fetched: map[digest.Digest][]int64{}, sent: map[digest.Digest]int64{}}
}

func (s *source) add(t testing.TB, content []byte) release.Ref {
	t.Helper()
	var stored bytes.Buffer
	sum, size, err := object.Encode(&stored, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	s.stored[sum] = stored.Bytes()
	return release.Ref{Sum: sum, Size: size}
}

func (s *source) Deliveries(ctx context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	var a api.DeliveryAnswer
	for _, sum := range r.Objects {
		if s.stored[sum] == nil {
			return a, problem.New(problem.NotEntitled, "ask", "object %s is none of the level", sum)
		}
		s.urls++
		a.Items = append(a.Items, api.Delivery{Object: sum, URL: fmt.Sprintf("/objects/%s?%d", sum, s.urls), Size: int64(len(s.stored[sum]))})
	}
	if s.answer != nil {
		s.answer(&a)
	}
	return a, ctx.Err()
}

func (s *source) Object(ctx context.Context, url string, offset int64) (io.ReadCloser, int64, error) {
	sum, err := digest.Parse(strings.TrimPrefix(url, "/objects/")[:64])
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := s.stored[sum]
	s.fetched[sum] = append(s.fetched[sum], offset)
	if offset > int64(len(stored)) {
		return nil, 0, api.ErrRange
	}
	var r io.Reader = bytes.NewReader(stored[offset:])
	if s.body != nil {
		if r, err = s.body(sum, stored, offset); err != nil {
			return nil, 0, err
		}
	}
	return &sent{r, s, sum, ctx}, int64(len(stored)), ctx.Err()
}

// sent counts what goes over the wire, and ends with the request.
type sent struct {
	io.Reader
	s   *source
	sum digest.Digest
	ctx context.Context //nolint:containedctx // it is the request's
}

func (r *sent) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	r.s.mu.Lock()
	r.s.sent[r.sum] += int64(n)
	r.s.mu.Unlock()
	if waits, ok := r.Reader.(interface{ wait(context.Context) error }); ok && n == 0 && err == nil {
		return 0, waits.wait(r.ctx)
	}
	return n, err
}

func (*sent) Close() error { return nil }

func newFetcher(t testing.TB, s Source) *Fetcher {
	t.Helper()
	return &Fetcher{Source: s, Dir: filepath.Join(t.TempDir(), "cache"), Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// noise cannot be compressed: its stored form is as long.
func noise(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1, byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(data)
	return data
}

func read(t testing.TB, f *Fetcher, ref release.Ref) []byte {
	t.Helper()
	r, err := f.Open(ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func wantProblem(t *testing.T, err error, kind problem.Kind, texts ...string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != kind || p.Next == "" {
		t.Fatalf("got %v (%T), want %s with a next step", err, err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error()+" "+p.Next, text) {
			t.Errorf("%q (next: %q) does not say %q", err, p.Next, text)
		}
	}
}

// tidy fails when the cache holds anything but these objects.
func tidy(t *testing.T, f *Fetcher, refs ...release.Ref) {
	t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	for _, r := range refs {
		want[r.Sum.String()] = true
	}
	err := filepath.WalkDir(f.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got[d.Name()] = true
		}
		return err
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s := newSource()
	var refs []release.Ref
	var contents [][]byte
	for i := range 30 {
		contents = append(contents, noise(i*i*100))
		refs = append(refs, s.add(t, contents[i]))
	}
	f := newFetcher(t, s)
	told := &telling{}
	f.Progress = told
	total, err := f.Sizes(t.Context(), line, 3, refs)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), line, 3, append(refs, refs...)); err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		if !bytes.Equal(read(t, f, ref), contents[i]) {
			t.Errorf("content %d differs", i)
		}
	}
	tidy(t, f, refs...)
	want := api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 3}
	for _, r := range refs {
		want.Objects = append(want.Objects, r.Sum)
	}
	if diff := cmp.Diff([]api.DeliveryRequest{want, want}, s.asked); diff != "" {
		t.Error(diff)
	}
	if told.phase != "download" || told.items != 30 || told.named != 30 || told.bytes != total || told.moved != total || told.done != 1 {
		t.Errorf("told %+v of %d bytes", told, total)
	}
	// What is there is not asked for again.
	if err := f.Fetch(t.Context(), line, 3, refs); err != nil || len(s.asked) != 2 {
		t.Errorf("asked %d times, %v", len(s.asked), err)
	}
	if total, err := f.Sizes(t.Context(), line, 3, refs); total != 0 || err != nil || len(s.asked) != 2 {
		t.Errorf("still %d bytes, %v", total, err)
	}
}

type telling struct {
	mu                sync.Mutex
	phase             string
	items             int
	bytes, moved      int64
	named, done, runs int
}

func (p *telling) Start(phase string, items int, total int64) {
	p.phase, p.items, p.bytes = phase, items, total
	p.runs++
}

func (p *telling) Item(string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named++
}

func (p *telling) Bytes(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved += n
}
func (p *telling) Done() { p.done++ }

func TestBatches(t *testing.T) {
	t.Parallel()
	s := newSource()
	var refs []release.Ref
	for i := range 2*batch + 1 {
		refs = append(refs, s.add(t, binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	f := newFetcher(t, s)
	if _, err := f.Sizes(t.Context(), line, 0, refs); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 3 || len(s.asked[0].Objects) > api.MaxObjectsAsked || len(s.asked[2].Objects) != 1 {
		t.Errorf("asked %d times", len(s.asked))
	}
}

func TestOpenWhatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFetcher(t, newSource())
	if _, err := f.Open(release.Ref{Sum: digest.Of([]byte("x")), Size: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestCutAtEveryByte: each connection brings one byte more; nothing is sent twice.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(300)
	ref := s.add(t, content)
	whole := len(s.stored[ref.Sum])
	for cut := range whole {
		cuts := 0
		s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
			if cuts++; cuts == 1 {
				return io.MultiReader(bytes.NewReader(stored[:cut]), broken{}), nil
			}
			return bytes.NewReader(stored[offset:]), nil
		}
		s.fetched, s.sent = map[digest.Digest][]int64{}, map[digest.Digest]int64{}
		f := newFetcher(t, s)
		told := &telling{}
		f.Progress = told
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if !bytes.Equal(read(t, f, ref), content) || s.sent[ref.Sum] != int64(whole) || told.moved != int64(whole) {
			t.Errorf("cut at %d: sent %d of %d, told %d", cut, s.sent[ref.Sum], whole, told.moved)
		}
		if diff := cmp.Diff([]int64{0, int64(cut)}, s.fetched[ref.Sum]); diff != "" {
			t.Error(diff)
		}
		tidy(t, f, ref)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// TestResumeAcrossCalls: what one run got, the next does not fetch again.
func TestResumeAcrossCalls(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]io.Reader{"reset": broken{}, "early end": strings.NewReader("")} {
		s := newSource()
		content := noise(3000)
		ref := s.add(t, content)
		f := newFetcher(t, s)
		s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
			if offset > 0 {
				return ending, nil
			}
			return io.MultiReader(bytes.NewReader(stored[:1000]), ending), nil
		}
		err := f.Fetch(t.Context(), line, 0, []release.Ref{ref})
		wantProblem(t, err, problem.Unreachable, "goes on from here")
		if n := len(s.fetched[ref.Sum]); n != attempts {
			t.Errorf("%s: tried %d times", name, n)
		}
		if _, err := f.Open(ref); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: half an object can be opened: %v", name, err)
		}
		s.body = nil
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
			t.Fatal(err)
		}
		if s.sent[ref.Sum] != int64(len(s.stored[ref.Sum])) || !bytes.Equal(read(t, f, ref), content) {
			t.Errorf("%s: sent %d of %d", name, s.sent[ref.Sum], len(s.stored[ref.Sum]))
		}
		tidy(t, f, ref)
	}
}

// TestGettingOn: a bad line that brings a megabyte each time may take as long as it takes.
func TestGettingOn(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(10 * progress)
	ref := s.add(t, content)
	renewals := 0
	s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
		// Each URL is good for one request only.
		if n := len(s.fetched[ref.Sum]); n%2 == 0 {
			renewals++
			return nil, problem.New(problem.NotEntitled, "renew", "over")
		}
		return io.MultiReader(io.LimitReader(bytes.NewReader(stored[offset:]), progress), broken{}), nil
	}
	f := newFetcher(t, s)
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, f, ref), content) || renewals < 9 || len(s.asked) != renewals+1 {
		t.Errorf("%d renewals, asked %d times", renewals, len(s.asked))
	}
}

func TestNotEntitledStays(t *testing.T) {
	t.Parallel()
	s := newSource()
	ref := s.add(t, noise(100))
	s.body = func(digest.Digest, []byte, int64) (io.Reader, error) {
		return nil, problem.New(problem.NotEntitled, "ask", "over")
	}
	f := newFetcher(t, s)
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.NotEntitled)
	if len(s.asked) != 2 || len(s.fetched[ref.Sum]) != 2 {
		t.Errorf("asked %d times, fetched %v", len(s.asked), s.fetched)
	}
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{{Sum: digest.Of([]byte("?")), Size: 1}}), problem.NotEntitled)
}

// TestWrongBytes: one flipped bit anywhere is refused with 14, naming the object, and
// nothing of it stays.
func TestWrongBytes(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := []byte(strings.Repeat("some text that compresses ", 20))
	ref := s.add(t, content)
	good := s.stored[ref.Sum]
	refused := 0
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x40
		s.stored[ref.Sum] = bad
		f := newFetcher(t, s)
		err := f.Fetch(t.Context(), line, 0, []release.Ref{ref})
		if err == nil { // a byte that decodes to the same: the content is what counts
			if !bytes.Equal(read(t, f, ref), content) {
				t.Fatalf("byte %d: wrong content accepted", at)
			}
			continue
		}
		refused++
		wantProblem(t, err, problem.Verification, ref.Sum.String())
		tidy(t, f)
	}
	if refused < len(good)-8 {
		t.Errorf("%d of %d refused", refused, len(good))
	}
	for name, bad := range map[string][]byte{"longer": append(bytes.Clone(good), 0), "shorter": good[:len(good)-1], "page": []byte("<html>"), "empty": {}} {
		s.stored[ref.Sum] = bad
		f := newFetcher(t, s)
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", name, err)
		}
		tidy(t, f)
	}
}

// TestOtherStoredForm: a partial file of other stored bytes is noticed and begun anew.
func TestOtherStoredForm(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(3000)
	ref := s.add(t, content)
	f := newFetcher(t, s)
	partial := f.file(ref) + ".partial"
	if err := os.MkdirAll(filepath.Dir(partial), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, litter := range map[string][]byte{"other": noise(1000), "too long": noise(5000), "as long": noise(len(s.stored[ref.Sum]))} {
		if err := os.WriteFile(partial, litter, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(f.file(ref))
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(read(t, f, ref), content) {
			t.Errorf("%s: wrong content", name)
		}
		tidy(t, f, ref)
	}
}

// TestBreaksOffAndLies: a source that gives a megabyte, breaks off and goes on with
// something else is refused, and not asked for ever.
func TestBreaksOffAndLies(t *testing.T) {
	t.Parallel()
	s := newSource()
	ref := s.add(t, noise(3*progress))
	s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
		if len(s.fetched[ref.Sum]) > 50 {
			return nil, problem.New(problem.Refused, "stop", "asked 50 times")
		}
		if offset == 0 {
			return io.MultiReader(bytes.NewReader(stored[:progress]), broken{}), nil
		}
		return bytes.NewReader(noise(len(stored) - int(offset))), nil
	}
	f := newFetcher(t, s)
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Verification, ref.Sum.String())
	tidy(t, f)
}

func TestServiceWithoutRanges(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(2000)
	ref := s.add(t, content)
	first := true
	s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
		if offset > 0 {
			return nil, fmt.Errorf("resuming: %w", api.ErrRange)
		}
		if first {
			first = false
			return io.MultiReader(bytes.NewReader(stored[:500]), broken{}), nil
		}
		return bytes.NewReader(stored), nil
	}
	f := newFetcher(t, s)
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, f, ref), content) {
		t.Error("wrong content")
	}
}

// TestNoRangesAndCutsEnd: a source that begins anew each time and breaks off after a
// megabyte never gets on, however much it sends.
func TestNoRangesAndCutsEnd(t *testing.T) {
	t.Parallel()
	s := newSource()
	ref := s.add(t, noise(3*progress))
	s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
		if len(s.fetched[ref.Sum]) > 50 {
			return nil, problem.New(problem.Refused, "stop", "asked 50 times")
		}
		if offset > 0 {
			return nil, fmt.Errorf("resuming: %w", api.ErrRange)
		}
		return io.MultiReader(bytes.NewReader(stored[:progress+progress/2]), broken{}), nil
	}
	wantProblem(t, newFetcher(t, s).Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Unreachable, "broke off")
}

// TestWhatLastsIsNotRepeated has a portal, and a service that wants to be left alone for an
// hour, asked once.
func TestWhatLastsIsNotRepeated(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		"captive portal": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>log in</html>") },
		"Wait 1h0m0s": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"status 404": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
	} {
		var asked atomic.Int32
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		s := newSource()
		ref := s.add(t, noise(100))
		f := newFetcher(t, asking{s, &api.Client{Base: server.URL, HTTP: server.Client()}})
		wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Unreachable, want)
		if n := asked.Load(); n != 1 {
			t.Errorf("%s: asked %d times", want, n)
		}
	}
}

// asking is a source whose objects a client gets.
type asking struct {
	*source
	client *api.Client
}

func (a asking) Object(ctx context.Context, url string, offset int64) (io.ReadCloser, int64, error) {
	return a.client.Object(ctx, url, offset)
}

// TestBombs: what claims or sends more than was signed costs no more than was signed.
func TestBombs(t *testing.T) {
	t.Parallel()
	s := newSource()
	ref := s.add(t, noise(100))
	bomb := release.Ref{Sum: s.add(t, make([]byte, 100<<20)).Sum, Size: 100} // signed as 100 bytes
	f := newFetcher(t, s)
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{bomb}), problem.Verification, bomb.Sum.String())
	s.body = func(digest.Digest, []byte, int64) (io.Reader, error) { return endless{}, nil }
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Verification, ref.Sum.String())
	if limit := int64(len(s.stored[ref.Sum])) + 1; s.sent[ref.Sum] > limit+64<<10 {
		t.Errorf("took %d bytes of an endless answer for %d", s.sent[ref.Sum], limit)
	}
	for name, change := range map[string]func(*api.DeliveryAnswer){
		"too large": func(a *api.DeliveryAnswer) { a.Items[0].Size = 1 << 40 },
		"negative":  func(a *api.DeliveryAnswer) { a.Items[0].Size = -1 },
		"other":     func(a *api.DeliveryAnswer) { a.Items[0].Object = digest.Of([]byte("other")) },
	} {
		s.answer = change
		err := f.Fetch(t.Context(), line, 0, []release.Ref{ref})
		if problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.answer = func(a *api.DeliveryAnswer) { a.Items = nil }
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Unreachable, "0 URLs for 1")
	tidy(t, f)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestStall: a line on which nothing comes is given up and taken up again.
func TestStall(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(5000)
	ref := s.add(t, content)
	first := true
	s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
		if first {
			first = false
			return &dry{bytes.NewReader(stored[:100])}, nil
		}
		return bytes.NewReader(stored[offset:]), nil
	}
	f := newFetcher(t, s)
	f.Stall = time.Second // the second try must end within it, however busy the machine is
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, f, ref), content) || s.sent[ref.Sum] != int64(len(s.stored[ref.Sum])) {
		t.Error("not resumed")
	}
	s2 := newSource()
	ref = s2.add(t, content)
	s2.body = func(_ digest.Digest, stored []byte, _ int64) (io.Reader, error) {
		return &dry{bytes.NewReader(stored[:0])}, nil
	}
	f.Source = s2
	f.Dir += "2"
	f.Stall = 10 * time.Millisecond
	wantProblem(t, f.Fetch(t.Context(), line, 0, []release.Ref{ref}), problem.Unreachable, "stalled")
}

// dry gives what it has and then nothing, until the request is over.
type dry struct{ r io.Reader }

func (d *dry) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (*dry) wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(2000)
	ref := s.add(t, content)
	ctx, cancel := context.WithCancel(t.Context())
	s.body = func(_ digest.Digest, stored []byte, _ int64) (io.Reader, error) {
		cancel()
		return bytes.NewReader(stored), nil
	}
	f := newFetcher(t, s)
	if err := f.Fetch(ctx, line, 0, []release.Ref{ref, s.add(t, noise(10))}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.body = nil
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil || !bytes.Equal(read(t, f, ref), content) {
		t.Error(err)
	}
}

// TestDamagedCache: what went wrong in the cache before a fetch is fetched again, whatever it
// became; what went wrong after it is refused and forgotten.
func TestDamagedCache(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(2000)
	ref := s.add(t, content)
	f := newFetcher(t, s)
	for name, damage := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":       func(b []byte) []byte { return b[:len(b)-5] },
		"zeros":     func(b []byte) []byte { clear(b); return b },
		"power cut": func([]byte) []byte { return nil },
	} {
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(f.file(ref))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.file(ref), damage(bytes.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil || !bytes.Equal(read(t, f, ref), content) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "power cut" { // there is nothing to open
			continue
		}
		if err := os.WriteFile(f.file(ref), damage(bytes.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := f.Open(ref)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		_ = r.Close()
		wantProblem(t, err, problem.Verification, ref.Sum.String(), f.file(ref))
		if !errors.Is(err, digest.ErrMismatch) {
			t.Error(err)
		}
		tidy(t, f)
	}
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil || !bytes.Equal(read(t, f, ref), content) {
		t.Error(err)
	}
}

// TestSharedCache: many tools with one cache, each ends with everything.
func TestSharedCache(t *testing.T) {
	t.Parallel()
	s := newSource()
	var refs []release.Ref
	for i := range 10 {
		refs = append(refs, s.add(t, noise(1000+i)))
	}
	dir := filepath.Join(t.TempDir(), "cache")
	var tools sync.WaitGroup
	for range 6 {
		tools.Go(func() {
			f := &Fetcher{Source: s, Dir: dir, Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
			if err := f.Fetch(t.Context(), line, 0, refs); err != nil {
				t.Error(err)
			}
			for _, ref := range refs {
				r, err := f.Open(ref)
				if err != nil {
					t.Error(err)
					continue
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					t.Error(err)
				}
				_ = r.Close()
			}
		})
	}
	tools.Wait()
	tidy(t, &Fetcher{Dir: dir}, refs...)
}

// TestHeldPartial: while another tool holds the partial file, this one downloads beside.
func TestHeldPartial(t *testing.T) {
	t.Parallel()
	s := newSource()
	content := noise(1000)
	ref := s.add(t, content)
	f := newFetcher(t, s)
	if err := os.MkdirAll(filepath.Dir(f.file(ref)), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := durable.TryLock(f.file(ref)+".lock", "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.file(ref)+".partial", []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil || !bytes.Equal(read(t, f, ref), content) {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.file(ref) + ".partial"); err != nil || string(got) != "theirs" {
		t.Errorf("their partial file holds %q, %v", got, err)
	}
	if err := errors.Join(lock.Release(), os.Remove(f.file(ref)+".partial")); err != nil {
		t.Fatal(err)
	}
	tidy(t, f, ref)
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newSource()
	ref := s.add(t, noise(10))
	f := newFetcher(t, s)
	f.Dir = "/proc/uplevel-cache"
	if runtime.GOOS != "linux" {
		f.Dir = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(f.Dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err == nil || !strings.Contains(err.Error(), "cache") {
		t.Error(err)
	}
	if len(s.fetched) != 0 {
		t.Error("downloaded before the cache was there")
	}
	for _, err := range []error{fs.ErrPermission, syscall.ENOSPC, syscall.EROFS} {
		wantProblem(t, cacheTrouble(err), problem.Refused, "UPLEVEL_CACHE")
	}
}

// TestAtOnce: as many downloads as allowed run at a time, and no more.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	s := newSource()
	var refs []release.Ref
	for i := range 12 {
		refs = append(refs, s.add(t, noise(100+i)))
	}
	var running, most atomic.Int32
	full := make(chan struct{})
	f := newFetcher(t, gate{s, func() {
		n := running.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		if n == atOnce {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full // nobody goes on before as many as allowed are here
		running.Add(-1)
	}})
	if err := f.Fetch(t.Context(), line, 0, refs); err != nil || most.Load() != atOnce {
		t.Errorf("%d at once, %v", most.Load(), err)
	}
}

type gate struct {
	*source
	pass func()
}

func (g gate) Object(ctx context.Context, url string, offset int64) (io.ReadCloser, int64, error) {
	g.pass()
	return g.source.Object(ctx, url, offset)
}

// TestMemory: a large file costs no more memory than a small one.
func TestMemory(t *testing.T) {
	const size = 256 << 20
	s := newSource()
	ref := s.add(t, make([]byte, size))
	f := newFetcher(t, s)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := f.Fetch(t.Context(), line, 0, []release.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != size || err != nil {
		t.Fatal(n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 40<<20 {
		t.Errorf("allocated %d MiB for a file of %d MiB", used>>20, size>>20)
	}
}

package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/entitlement/access"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// TestEveryErrorIsAProblem: whoever finds the error, it has one form.
func TestEveryErrorIsAProblem(t *testing.T) { //nolint:tparallel // the log is looked at after all subtests
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	check := "/api/v1/check"
	for name, tc := range map[string]struct {
		method, path, token, body string
		status                    int
		kind                      string
		says                      string
		header                    http.Header
	}{
		"no token":       {"POST", check, "", `{"product":"shop","version":"1.0","channel":"full","level":0}`, 401, "credentials", "Invalid", http.Header{"Www-Authenticate": {"Bearer"}}},
		"no token, GET":  {"GET", "/api/v1/eula", "", "", 401, "credentials", "Invalid", http.Header{"Www-Authenticate": {"Bearer"}}},
		"no token, PUT":  {"PUT", "/api/v1/publishing/objects/xyz", "", "", 401, "credentials", "Invalid", http.Header{"Www-Authenticate": {"Bearer"}}},
		"no JSON":        {"POST", check, "operator", `{"product":`, 400, "usage", "does not fit", nil},
		"no body":        {"POST", check, "operator", "", 400, "usage", "required", nil},
		"missing field":  {"POST", check, "operator", `{"product":"shop"}`, 422, "usage", "version", nil},
		"wrong type":     {"POST", check, "operator", `{"product":"shop","version":"1.0","channel":"full","level":"high"}`, 422, "usage", "body.level", nil},
		"too long":       {"POST", "/api/v1/tokens", "", `{"email":"a@b","password":"` + strings.Repeat("hunter2", 200) + `"}`, 422, "usage", "body.password", nil},
		"no digest":      {"POST", "/api/v1/publishing/missing", "administrator", `{"objects":["xy"]}`, 422, "usage", "objects[0]", nil},
		"too many":       {"POST", "/api/v1/publishing/missing", "administrator", `{"objects":["` + strings.Repeat(digest.Of(nil).String()+`","`, api.MaxObjectsAsked) + digest.Of(nil).String() + `"]}`, 422, "usage", "objects", nil},
		"bad product":    {"POST", check, "operator", `{"product":"../x","version":"1.0","channel":"full","level":0}`, 400, "usage", "", nil},
		"bad report":     {"POST", "/api/v1/reports", "operator", `{"installation":"i","product":"shop","version":"1.0","channel":"full","level":0,"customised":-1,"missing":0,"operation":"u","outcome":"ok","from_level":0}`, 400, "usage", "report", nil},
		"too large":      {"POST", check, "operator", `{"product":"` + strings.Repeat("a", api.MaxBody) + `"}`, 413, "usage", "", nil},
		"no such path":   {"GET", "/api/v1/secrets", "operator", "", 404, "failed", "no such", nil},
		"no such page":   {"GET", "/index.html", "", "", 404, "failed", "no such", nil},
		"wrong method":   {"GET", check, "operator", "", 405, "usage", "method", http.Header{"Allow": {"POST"}}},
		"delete":         {"DELETE", "/api/v1/eula", "operator", "", 405, "usage", "method", http.Header{"Allow": {"GET, HEAD"}}},
		"no metadata":    {"GET", "/tuf/2.root.json", "", "", 404, "failed", "no such", nil},
		"no target":      {"GET", "/tuf/targets/shop/1.0/full/x.1.json", "", "", 404, "failed", "no such", nil},
		"no object":      {"GET", "/objects/xyz", "", "", 404, "failed", "no such", nil},
		"no upload name": {"PUT", "/api/v1/publishing/objects/xyz", "administrator", "x", 404, "failed", "no such", nil},
		"no level":       {"POST", "/api/v1/deliveries", "operator", `{"product":"shop","version":"1.0","channel":"full","level":99,"objects":[]}`, 404, "failed", "no such", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(h, tc.method, tc.path, tc.token, tc.body)
			var p api.Problem
			if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil {
				t.Fatalf("%d %s: %v", got.Code, got.Body, err)
			}
			if got.Code != tc.status || p.Status != tc.status || p.Kind != tc.kind || !strings.Contains(p.Title+p.Detail, tc.says) {
				t.Errorf("%d %+v", got.Code, p)
			}
			if p.RequestID == "" || p.RequestID != got.Header().Get("X-Request-Id") || got.Header().Get("Content-Type") != problemType {
				t.Errorf("%+v with %v", p, got.Header())
			}
			for name, want := range tc.header {
				if diff := cmp.Diff(want, got.Header()[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if strings.Contains(got.Body.String(), "hunter2") {
				t.Error("the answer repeats the password")
			}
		})
	}
	if strings.Contains(w.log.String(), "hunter2") || strings.Contains(w.log.String(), "ERROR") {
		t.Error("the log holds a password, or takes a client's mistake for the service's")
	}
}

func TestOnlyBearer(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	for header, want := range map[string]int{
		"Bearer operator": 200, "bearer operator": 200, "Bearer  operator": 200,
		"Basic b3BlcmF0b3I6eA==": 401, "operator": 401, "Bearer": 401, "Bearer ": 401, "": 401, "Token operator": 401,
	} {
		if got := ask(h, "GET", "/api/v1/eula", "", "", "Authorization", header).Code; got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	for _, query := range []string{"access_token", "token", "authorization", "bearer"} {
		if got := ask(h, "GET", "/api/v1/eula?"+query+"=operator", "", "", "Cookie", query+"=operator").Code; got != 401 {
			t.Errorf("%s in the URL or a cookie: %d, want 401", query, got)
		}
	}
}

// trouble is a door that fails in its own way.
type trouble struct {
	*world
	err error
}

func (b trouble) Login(context.Context, string, string, string) (string, entitlement.Token, error) {
	if b.err == nil {
		panic("of the door")
	}
	return "", entitlement.Token{}, b.err
}
func (b trouble) Ready(context.Context) error { return b.err }

func TestTrouble(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err        error
		status     int
		kind       string
		retryAfter string
		hides      string
	}{
		"slowed":   {problem.New(problem.Credentials, "wait", "Invalid credentials: %w", &access.SlowedError{Wait: 8500 * time.Millisecond}), 429, "credentials", "9", ""},
		"database": {errors.New("database /var/lib/x is locked"), 500, "unreachable", "", "/var/lib"},
		"panic":    {nil, 500, "unreachable", "", "of the door"},
		"given up": {context.Canceled, 503, "interrupted", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t)
			s.Door = trouble{w, tc.err}
			got := ask(s.Handler(RoleAPI), "POST", "/api/v1/tokens", "", `{"email":"a@b","password":"p"}`)
			var p api.Problem
			if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil {
				t.Fatalf("%d %s: %v", got.Code, got.Body, err)
			}
			if got.Code != tc.status || p.Kind != tc.kind || p.RequestID == "" || got.Header().Get("Retry-After") != tc.retryAfter {
				t.Errorf("%d %+v %v", got.Code, p, got.Header())
			}
			if tc.hides == "" {
				return
			}
			if strings.Contains(got.Body.String(), tc.hides) || !strings.Contains(w.log.String(), tc.hides) || !strings.Contains(w.log.String(), p.RequestID) {
				t.Errorf("the answer tells too much, or the log too little: %s", w.log.String())
			}
		})
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	if got := ask(s.Handler(), "GET", "/readyz", "", "").Code; got != 200 {
		t.Error(got)
	}
	s.Records = trouble{w, errors.New("database postgres://db.internal/x: no route to host")}
	h := s.Handler()
	if got := ask(h, "GET", "/readyz", "", ""); got.Code != 503 || strings.Contains(got.Body.String(), "database") || strings.Contains(got.Body.String(), "route") || !strings.Contains(got.Body.String(), `"next"`) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if !strings.Contains(w.log.String(), "db.internal") {
		t.Errorf("the log does not tell why: %s", w.log.String())
	}
	if got := ask(h, "GET", "/healthz", "", "").Code; got != 200 {
		t.Error("alive is not ready")
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	for _, tc := range []struct {
		roles         []string
		tuf, api, doc int
	}{{[]string{RoleAPI}, 404, 200, 200}, {[]string{RoleDelivery}, 200, 404, 404}, {nil, 404, 404, 404}} {
		h := s.Handler(tc.roles...)
		for path, want := range map[string]int{"/tuf/timestamp.json": tc.tuf, "/api/v1/vendor": tc.api, "/api/openapi.json": tc.doc, "/healthz": 200} {
			if got := ask(h, "GET", path, "", "").Code; got != want {
				t.Errorf("%v %s: %d, want %d", tc.roles, path, got, want)
			}
		}
	}
}

// TestPublishedButNotStored is the service's fault and said as such.
func TestPublishedButNotStored(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	sum := digest.Of([]byte("file 1"))
	body := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 1, Objects: []digest.Digest{sum}})
	url := func() string {
		var a api.DeliveryAnswer
		if err := json.Unmarshal(ask(h, "POST", "/api/v1/deliveries", "operator", body).Body.Bytes(), &a); err != nil || len(a.Items) != 1 {
			t.Fatal(a, err)
		}
		return a.Items[0].URL
	}()
	if err := w.blobs.Delete(t.Context(), blob.ObjectName(sum)); err != nil {
		t.Fatal(err)
	}
	if got := ask(h, "POST", "/api/v1/deliveries", "operator", body).Code; got != 500 {
		t.Errorf("delivery: %d", got)
	}
	if got := ask(h, "GET", url, "", "").Code; got != 404 {
		t.Errorf("object: %d", got)
	}
	record := w.levels[1].Record
	delete(w.contents, record.Sum)
	if got := ask(h, "GET", fmt.Sprintf("/tuf/targets/shop/1.0/full/%s.1.json", record.Sum), "", "").Code; got != 500 {
		t.Errorf("record: %d", got)
	}
}

func TestObjectRanges(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleDelivery)
	sum := digest.Of([]byte("file 1"))
	url := keyOf(s.Signer.Keys).signedURL(sum, today.Add(time.Minute))
	whole := ask(h, "GET", url, "", "")
	tag, size := whole.Header().Get("ETag"), whole.Body.Len()
	for _, tc := range []struct {
		headers []string
		status  int
		body    string
	}{
		{nil, 200, whole.Body.String()},
		{[]string{"Range", "bytes=5-"}, 206, whole.Body.String()[5:]},
		{[]string{"Range", "bytes=0-2"}, 206, whole.Body.String()[:3]},
		{[]string{"Range", "bytes=5-", "If-Range", tag}, 206, whole.Body.String()[5:]},
		{[]string{"Range", "bytes=5-", "If-Range", `"other"`}, 200, whole.Body.String()},
		{[]string{"Range", fmt.Sprintf("bytes=%d-", size)}, 416, ""},
		{[]string{"Range", "lines=1-"}, 416, ""},
	} {
		got := ask(h, "GET", url, "", "", tc.headers...)
		if got.Code != tc.status || (tc.body != "" && got.Body.String() != tc.body) {
			t.Errorf("%v: %d, %d bytes", tc.headers, got.Code, got.Body.Len())
		}
	}
	head := ask(h, "HEAD", url, "", "")
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(size) || head.Header().Get("Content-Type") != "application/zstd" {
		t.Errorf("%d %v", head.Code, head.Header())
	}
	w.now = today.Add(time.Minute)
	if got := ask(h, "GET", url, "", "").Code; got != 200 {
		t.Errorf("in its last second: %d", got)
	}
	w.now = today.Add(time.Minute + time.Second)
	if got := ask(h, "GET", url, "", ""); got.Code != 403 || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("after it: %d %v", got.Code, got.Header())
	}
}

// TestURLsDoNotOutliveTheirTime: no answer holds a URL that lives longer than promised.
func TestURLsDoNotOutliveTheirTime(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	body := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 0, Objects: []digest.Digest{w.levels[0].Record.Sum}})
	var a api.DeliveryAnswer
	if err := json.Unmarshal(ask(s.Handler(RoleAPI), "POST", "/api/v1/deliveries", "operator", body).Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if life := a.Expires.Sub(today); life <= 0 || life > 5*time.Minute {
		t.Errorf("good for %s", life)
	}
	if !strings.HasPrefix(a.Items[0].URL, "/objects/") {
		t.Errorf("%s is not relative to the address used", a.Items[0].URL)
	}
}

func TestMetadataIsCompressedWhereAccepted(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	long := []byte(`{"signed":"` + strings.Repeat("metadata ", 1000) + `"}`)
	s.Metadata = metadataFiles{w, long}
	h := s.Handler(RoleDelivery)
	if got := ask(h, "GET", "/tuf/5.snapshot.json", "", ""); got.Code != 200 || !bytes.Equal(got.Body.Bytes(), long) || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d, %d bytes, %v", got.Code, got.Body.Len(), got.Header())
	}
	if got := ask(h, "GET", "/tuf/timestamp.json", "", "", "Accept-Encoding", "gzip"); got.Header().Get("Cache-Control") != "no-cache" || !bytes.Equal(got.Body.Bytes(), long) {
		t.Errorf("timestamp: %d bytes, %v", got.Body.Len(), got.Header())
	}
	for _, no := range []string{"", "br", "gzip;q=0", "identity, gzip ; q=0.0"} {
		if got := ask(h, "GET", "/tuf/5.snapshot.json", "", "", "Accept-Encoding", no); got.Header().Get("Content-Encoding") != "" || got.Header().Get("Vary") == "" {
			t.Errorf("%q: %v", no, got.Header())
		}
	}
	got := ask(h, "GET", "/tuf/5.snapshot.json", "", "", "Accept-Encoding", "br;q=1, GZIP;q=0.5", "Range", "bytes=1-2")
	if got.Code != 200 || got.Header().Get("Content-Encoding") != "gzip" || got.Body.Len() > len(long)/10 || got.Header().Get("Content-Length") != fmt.Sprint(got.Body.Len()) {
		t.Errorf("%d bytes, %v", got.Body.Len(), got.Header())
	}
	r, err := gzip.NewReader(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, long) {
		t.Errorf("%d bytes, %v", len(plain), err)
	}
}

type metadataFiles struct {
	*world
	data []byte
}

func (m metadataFiles) MetadataFile(context.Context, string) ([]byte, error) { return m.data, nil }

func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	var form bytes.Buffer
	sum, _, err := object.Encode(&form, strings.NewReader(strings.Repeat("content ", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPut, "/api/v1/publishing/objects/"+sum.String(),
		io.MultiReader(bytes.NewReader(form.Bytes()[:form.Len()/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Authorization", "Bearer administrator")
	got := httptest.NewRecorder()
	s.Handler(RoleAPI).ServeHTTP(got, r)
	if got.Code != 400 || !strings.Contains(got.Body.String(), "broke off") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if _, err := w.blobs.Stat(t.Context(), blob.ObjectName(sum)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an upload is kept: %v", err)
	}
	if strings.Contains(w.log.String(), "ERROR") {
		t.Error("a client's broken line is taken for the service's")
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ remote, lines, want string }{ // of the header, each to its |
		{"192.0.2.1:99", "", "192.0.2.1"},
		{"192.0.2.1:99", "203.0.113.5", "192.0.2.1"},
		{"127.0.0.1:99", "203.0.113.5", "203.0.113.5"},
		{"127.0.0.1:99", "1.2.3.4, 203.0.113.5", "203.0.113.5"},
		{"[::1]:99", "1.2.3.4,2001:db8::1 ", "2001:db8::1"},
		{"127.0.0.1:99", "", "127.0.0.1"},
		{"127.0.0.1:99", "unknown", "127.0.0.1"},
		{"127.0.0.1:99", "1.2.3.4, <script>", "127.0.0.1"},
		{"[2001:db8::7]:99", "", "2001:db8::7"},
		{"@", "1.2.3.4", "@"},
		{"127.0.0.1:99", "1.2.3.4|203.0.113.5", "203.0.113.5"},
		{"127.0.0.1:99", "1.2.3.4, 5.6.7.8|9.9.9.9|203.0.113.5", "203.0.113.5"},
		{"127.0.0.1:99", "1.2.3.4|", "127.0.0.1"},
	} {
		if got := clientAddress(tc.remote, strings.Split(tc.lines, "|")); got != tc.want {
			t.Errorf("%s, %q: %s, want %s", tc.remote, tc.lines, got, tc.want)
		}
	}
	// Every door looks at all lines: those with huma (that which takes passwords) and without.
	w, s := newWorld(t)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/tokens", strings.NewReader(`{"email":"operator@example.com","password":"right passw0rd"}`))
	r.RemoteAddr, r.Header["X-Forwarded-For"] = "127.0.0.1:99", []string{"1.2.3.4", "203.0.113.5"}
	s.Handler(RoleAPI).ServeHTTP(httptest.NewRecorder(), r)
	if w.from != "203.0.113.5" || !strings.Contains(w.log.String(), `"address":"203.0.113.5"`) {
		t.Errorf("logged in from %s: %s", w.from, w.log.String())
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		`"a"`: true, `W/"a"`: true, `"b", "a"`: true, `"b",W/"a"`: true, "*": true, `"b"`: false, "": false, "a": false,
	} {
		if hasTag(list, `"a"`) != want {
			t.Errorf("%s", list)
		}
	}
}

// counting counts how often content is read, and lets nobody go on before all came.
type counting struct {
	*world
	reads atomic.Int32
	gate  chan struct{}
}

func (c *counting) Content(ctx context.Context, ref release.Ref) ([]byte, error) {
	c.reads.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	return c.world.Content(ctx, ref)
}

// TestManyAskAtOnce: a manifest is read once, however many ask for a new level.
func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t)
	c := &counting{world: w, gate: make(chan struct{})}
	var cache memberCache
	var wg sync.WaitGroup
	var came atomic.Int32
	for range 50 {
		wg.Go(func() {
			if came.Add(1) == 50 {
				close(c.gate)
			}
			members, err := cache.of(t.Context(), c, w.levels[1])
			if err != nil || len(members) != 5 {
				t.Errorf("%d members, %v", len(members), err)
			}
		})
	}
	wg.Wait()
	if n := c.reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// TestMemberCacheIsBounded: it forgets what was asked for longest ago.
func TestMemberCacheIsBounded(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t)
	c := &counting{world: w}
	cache := memberCache{most: 4000}
	var entries []manifest.Entry
	for i := range cache.most / 4 {
		sum := digest.Of([]byte(fmt.Sprint(i)))
		entries = append(entries, manifest.Entry{Path: fmt.Sprintf("%07d", i), Kind: manifest.File, Mode: 0o644, Size: 1, Sum: sum})
	}
	tree, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	text := tree.Bytes()
	ref := release.Ref{Sum: digest.Of(text), Size: int64(len(text))}
	w.contents[ref.Sum] = text
	level := func(n int) release.Published {
		p := release.Published{Manifest: ref}
		p.Record.Sum = digest.Of([]byte(fmt.Sprint("record", n)))
		return p
	}
	for n := range 6 {
		if _, err := cache.of(t.Context(), c, level(n)); err != nil {
			t.Fatal(err)
		}
		if cache.size > cache.most {
			t.Errorf("holds %d members", cache.size)
		}
	}
	before := c.reads.Load()
	for n, again := range map[int]int32{5: 0, 4: 0, 0: 1} {
		if _, err := cache.of(t.Context(), c, level(n)); err != nil {
			t.Fatal(err)
		}
		if got := c.reads.Load() - before; got != again {
			t.Errorf("level %d: read %d times again, want %d", n, got, again)
		}
		before = c.reads.Load()
	}
}

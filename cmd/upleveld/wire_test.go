package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
)

// dial opens a connection of its own to the service.
func (r *running) dial(t *testing.T, change func(*tls.Config)) (*tls.Conn, error) {
	t.Helper()
	config := r.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	if change != nil {
		change(config)
	}
	return tls.Dial("tcp", strings.TrimPrefix(r.env["UPLEVEL_SERVICE"], "https://"), config)
}

// TestOldAndWeakTLSIsRefused: TLS 1.2 and 1.3, forward secrecy and authenticated
// encryption, and no answer at all without TLS.
func TestOldAndWeakTLSIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, theProducts(t))
	good := map[uint16]bool{}
	for _, s := range suites() {
		good[s] = true
	}
	for name, tc := range map[string]struct {
		change func(*tls.Config)
		ok     bool
	}{
		"what it prefers":    {func(*tls.Config) {}, true},
		"TLS 1.2":            {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1":            {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"CBC":                {weak(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), false},
		"no forward secrecy": {weak(tls.TLS_RSA_WITH_AES_128_GCM_SHA256), false},
		"RC4":                {weak(tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA), false},
	} {
		conn, err := r.dial(t, tc.change)
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		state := conn.ConnectionState()
		if state.Version == tls.VersionTLS12 && !good[state.CipherSuite] || name == "what it prefers" && state.Version != tls.VersionTLS13 {
			t.Errorf("%s: %s %s", name, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	answer, err := http.Get(strings.Replace(r.env["UPLEVEL_SERVICE"], "https:", "http:", 1) + "/api/v1/vendor")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Location") != "" {
		t.Errorf("plain HTTP: %d %v", answer.StatusCode, answer.Header)
	}
}

func weak(suites ...uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, suites }
}

// TestOneRequestIsOneRequest sends what a proxy and a server could read in two ways.
func TestOneRequestIsOneRequest(t *testing.T) {
	t.Parallel()
	r := start(t, theProducts(t))
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tc := range map[string]struct{ request, want string }{
		"two lengths":         {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}", "400"},
		"list of lengths":     {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 40\r\n\r\n{}", "400"},
		"length with a sign":  {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}", "400"},
		"unknown encoding":    {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" + smuggled, "501"},
		"encoding twice":      {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + smuggled, "501"},
		"space before colon":  {"POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length : 40\r\n\r\n" + smuggled, "400"},
		"two hosts":           {"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		"no host":             {"GET /healthz HTTP/1.1\r\n\r\n", "400"},
		"headers without end": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", "431"},
	} {
		if got := r.exchange(t, tc.request); !strings.HasPrefix(got, "HTTP/1.1 "+tc.want+" ") || strings.Contains(got, "smuggled") {
			t.Errorf("%s: %s", name, got)
		}
	}
	// A length beside chunks does not count (RFC 9112); what follows the last chunk is no request.
	both := "POST /api/v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
	if got := r.exchange(t, both); !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Count(got, "HTTP/1.1 ") > 2 {
		t.Errorf("length and chunks: %s", got)
	}
	r.stop()
	if code := r.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// exchange sends bytes and returns all that is answered until the service closes.
func (r *running) exchange(t *testing.T, request string) string {
	t.Helper()
	conn, err := r.dial(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// Half closed: the service answers what it got and closes, too.
	if _, err := io.WriteString(conn, request); err != nil {
		return "not read to its end: " + err.Error()
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(bufio.NewReader(conn)) // what comes before a reset counts
	return string(answer)
}

// TestEveryConnectionHasItsEnd: whoever sends nothing, or never stops, is let go.
func TestEveryConnectionHasItsEnd(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.newHandler = func(*service) (http.Handler, error) { return http.NotFoundHandler(), nil }
	svc := &service{p: p}
	svc.log = slog.New(slog.DiscardHandler)
	s, err := svc.httpServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, d := range map[string]time.Duration{"headers": s.ReadHeaderTimeout, "request": s.ReadTimeout, "answer": s.WriteTimeout, "idle": s.IdleTimeout} {
		if d <= 0 || d > 4*time.Hour {
			t.Errorf("%s: %s", what, d)
		}
	}
	if s.HTTP2.MaxConcurrentStreams <= 0 || s.HTTP2.MaxConcurrentStreams > 64 {
		t.Errorf("%d streams on a connection", s.HTTP2.MaxConcurrentStreams)
	}
	if s.ReadHeaderTimeout > 30*time.Second || s.IdleTimeout > 5*time.Minute || s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("%s, %s, %d bytes", s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes)
	}
}

// timed notes which deadlines were set, and takes so many bytes between two of them.
type timed struct {
	*httptest.ResponseRecorder
	until []time.Time
	taken []int
}

func (c *timed) SetWriteDeadline(t time.Time) error {
	c.until, c.taken = append(c.until, t), append(c.taken, 0)
	return nil
}

func (c *timed) Write(p []byte) (int, error) {
	c.taken[len(c.taken)-1] += len(p)
	return c.ResponseRecorder.Write(p)
}

// TestAnswersMustBeTaken: no part of an answer waits longer than a minute for who does not
// read, and none of them longer than all of it may take.
func TestAnswersMustBeTaken(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	now := start
	c := &timed{ResponseRecorder: httptest.NewRecorder()}
	brisk(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, size := range []int{0, 100, 5 << 20} {
			if n, err := w.Write(make([]byte, size)); n != size || err != nil {
				t.Errorf("%d of %d, %v", n, size, err)
			}
		}
		now = now.Add(answerTimeout - time.Second)
		_, _ = w.Write([]byte("the end"))
	}), func() time.Time { return now }).ServeHTTP(c, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if got := c.Body.Len(); got != 100+(5<<20)+7 {
		t.Errorf("%d bytes came", got)
	}
	for i, until := range c.until {
		if c.taken[i] > 64<<10 || until.Sub(start) > time.Minute && i < len(c.until)-1 {
			t.Errorf("%d bytes have until %s", c.taken[i], until.Sub(start))
		}
	}
	if last := c.until[len(c.until)-1]; !last.Equal(start.Add(answerTimeout)) {
		t.Errorf("the last has until %s", last.Sub(start))
	}
}

// TestAFreshDatabaseLetsNobodyIn: there are no accounts but those that somebody added.
func TestAFreshDatabaseLetsNobodyIn(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	db, err := p.makeDatabase(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	changes, err := db.Changes(t.Context(), 0, 100)
	if err != nil || len(changes) != 0 {
		t.Errorf("something was added: %+v, %v", changes, err)
	}
	door := p.door(db, nil)
	for _, name := range []string{"admin", "root", "admin@localhost", "administrator", "uplevel", "demo@vendor.example", ""} {
		for _, password := range []string{"", "admin", "password", "uplevel", "changeme"} {
			if _, _, err := door.Login(t.Context(), name, password, "192.0.2."+name); problem.KindOf(err) != problem.Credentials {
				t.Errorf("%q with %q: %v", name, password, err)
			}
		}
	}
}

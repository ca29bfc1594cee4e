package api

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// newClient returns a client of a handler behind TLS, and the waits that it was told.
func newClient(t *testing.T, h http.HandlerFunc) (*Client, *[]time.Duration) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	return clientOf(t, server.URL, pemOf(server))
}

func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func clientOf(t *testing.T, base string, ca []byte) (*Client, *[]time.Duration) {
	t.Helper()
	h, err := NewHTTP(HTTPOptions{CACert: ca})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdleConnections)
	waits := &[]time.Duration{}
	c := &Client{
		Base: base, HTTP: h, UserAgent: "uplevel/test",
		Token: func(context.Context) (string, error) { return "upl_secret", nil },
		Pause: func(ctx context.Context, d time.Duration) error {
			*waits = append(*waits, d)
			return ctx.Err()
		},
	}
	return c, waits
}

func wantProblem(t *testing.T, err error, kind problem.Kind, texts ...string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != kind || p.Next == "" {
		t.Fatalf("got %v (%T), want %s with a next step", err, err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(p.Text+" "+p.Next, text) {
			t.Errorf("%q (next: %q) does not say %q", p.Text, p.Next, text)
		}
	}
	if strings.Contains(p.Text+p.Next, "upl_secret") || strings.Contains(p.Text+p.Next, "signature=") {
		t.Errorf("%q tells a secret", p.Text)
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

var sumX = digest.Of([]byte("x"))

// TestCalls shows what each method sends and what it makes of the answer.
func TestCalls(t *testing.T) {
	t.Parallel()
	line := release.Line{Product: "shop", Version: "1.0", Channel: "full"}
	until := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		call   func(context.Context, *Client) (any, error)
		method string
		path   string
		token  bool
		sent   string
		answer any
		want   any
	}{
		"tokens": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.NewToken(ctx, TokenRequest{"a@b", `p"$\ü`})
			},
			"POST", "/api/v1/tokens", false, `{"email":"a@b","password":"p\"$\\ü"}`,
			Token{"upl_1", until},
			Token{"upl_1", until},
		},
		"check": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.Check(ctx, CheckRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 3})
			},
			"POST", "/api/v1/check", true, `{"product":"shop","version":"1.0","channel":"full","level":3}`,
			CheckAnswer{MinimumTool: "1.2"},
			CheckAnswer{MinimumTool: "1.2"},
		},
		"deliveries": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.Deliveries(ctx, DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Objects: []digest.Digest{sumX}})
			},
			"POST", "/api/v1/deliveries", true, `{"product":"shop","version":"1.0","channel":"full","level":0,"objects":["` + sumX.String() + `"]}`,
			DeliveryAnswer{until, []Delivery{{sumX, "/objects/x", 7}}},
			DeliveryAnswer{until, []Delivery{{sumX, "/objects/x", 7}}},
		},
		"reports": {
			func(ctx context.Context, c *Client) (any, error) {
				return nil, c.Report(ctx, Report{Installation: "i", Product: "shop", Version: "1.0", Channel: "full", Operation: "update", Outcome: "ok"})
			},
			"POST", "/api/v1/reports", true, "", nil, nil,
		},
		"eula": {
			func(ctx context.Context, c *Client) (any, error) { return c.EULA(ctx) },
			"GET", "/api/v1/eula", true, "",
			EULA{"1", "text", true},
			EULA{"1", "text", true},
		},
		"acceptances": {
			func(ctx context.Context, c *Client) (any, error) { return nil, c.AcceptEULA(ctx, "2") },
			"POST", "/api/v1/eula/acceptances", true, `{"version":"2"}`, nil, nil,
		},
		"vendor": {
			func(ctx context.Context, c *Client) (any, error) { return c.Vendor(ctx) },
			"GET", "/api/v1/vendor", false, "",
			Vendor{Name: "v"},
			Vendor{Name: "v"},
		},
		"levels": {
			func(ctx context.Context, c *Client) (any, error) { return c.Levels(ctx, line) },
			"GET", "/api/v1/products/shop/1.0/channels/full/levels", true, "",
			[]Level{},
			[]Level{},
		},
		"missing": {
			func(ctx context.Context, c *Client) (any, error) { return c.Missing(ctx, []digest.Digest{sumX}) },
			"POST", "/api/v1/publishing/missing", true, `{"objects":["` + sumX.String() + `"]}`,
			MissingAnswer{[]digest.Digest{sumX}},
			[]digest.Digest{sumX},
		},
		"metadata submission": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.SubmitMetadata(ctx, MetadataSubmission{[]RoleMetadata{{"root", []byte("{}")}}})
			},
			"POST", "/api/v1/publishing/metadata", true, `{"metadata":[{"role":"root","data":"e30="}]}`,
			MetadataAnswer{5, 6},
			MetadataAnswer{5, 6},
		},
		"online keys": {
			func(ctx context.Context, c *Client) (any, error) { return c.OnlineKeys(ctx) },
			"GET", "/api/v1/publishing/online-keys", true, "",
			OnlineKeys{[]byte("1"), []byte("2")},
			OnlineKeys{[]byte("1"), []byte("2")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != tc.method || r.URL.Path != tc.path || (tc.sent != "" && string(body) != tc.sent) || r.UserAgent() != "uplevel/test" {
					t.Errorf("%s %s: %s", r.Method, r.URL.Path, body)
				}
				want := ""
				if tc.token {
					want = "Bearer upl_secret"
				}
				if got := r.Header.Get("Authorization"); got != want {
					t.Errorf("Authorization: %q", got)
				}
				if tc.answer == nil {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				answerJSON(w, http.StatusOK, tc.answer)
			})
			got, err := tc.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefusals shows what the operator is told of each answer that is no success.
func TestRefusals(t *testing.T) {
	t.Parallel()
	problemJSON := func(p Problem) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(p.Status)
			_ = json.NewEncoder(w).Encode(p)
		}
	}
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "Text/HTML; charset=utf-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>Please accept the terms of the hotel</html>")
		}
	}
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		kind   problem.Kind
		texts  []string
	}{
		"wrong token": {problemJSON(Problem{Title: "Invalid credentials", Status: 401, Kind: "credentials"}), problem.Credentials, []string{"Invalid credentials", "token", "another"}},
		"too many logins": {
			problemJSON(Problem{Title: "Invalid credentials: too many failed logins: wait 9 s", Status: 429, Kind: "credentials", Next: "wait 9 s"}),
			problem.Credentials,
			[]string{"Invalid credentials: too many failed logins: wait 9 s wait 9 s"},
		},
		"token over":       {problemJSON(Problem{Title: "the token ci expired", Status: 401}), problem.Credentials, []string{"Invalid credentials: the token ci expired"}},
		"not subscribed":   {problemJSON(Problem{Title: "no subscription", Detail: "to shop", Status: 403, Kind: "not-entitled", Next: "ask"}), problem.NotEntitled, []string{"no subscription: to shop", "ask"}},
		"403 without kind": {problemJSON(Problem{Title: "no", Status: 403, Next: "n"}), problem.NotEntitled, nil},
		"unknown kind":     {problemJSON(Problem{Title: "no", Status: 400, Kind: "green", Next: "n"}), problem.Failed, nil},
		"verification":     {problemJSON(Problem{Title: "no", Status: 422, Kind: "verification", Next: "n"}), problem.Verification, nil},
		"own trouble":      {problemJSON(Problem{Title: "Internal error", Status: 500, RequestID: "r17", Next: "n"}), problem.Unreachable, []string{"Internal error", "r17"}},
		"bare 502":         {text(502, ""), problem.Unreachable, []string{"not well", "502"}},
		"captive portal":   {page(200), problem.Unreachable, []string{"web page", "captive portal"}},
		"captive 511":      {page(511), problem.Unreachable, []string{"web page", "511"}},
		"page with 404":    {page(404), problem.Unreachable, []string{"web page"}},
		"no JSON":          {text(200, "hello"), problem.Unreachable, []string{"not the update service", "no JSON"}},
		"cut JSON":         {text(200, `{"messages":[`), problem.Unreachable, []string{"JSON that ends too early"}},
		"bare 404":         {text(404, "nothing"), problem.Unreachable, []string{"not the update service", "404"}},
		"too much":         {text(200, strings.Repeat(" ", MaxAnswer)+"{}"), problem.Unreachable, []string{"too much"}},
		"redirect to http": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://"+r.Host+"/login", http.StatusFound)
			}, problem.Unreachable,
			[]string{"redirects elsewhere", "http://127.0.0.1"},
		},
		"redirect to another host": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://portal.example/?secret=1", http.StatusFound)
			}, problem.Unreachable,
			[]string{"redirects elsewhere", "https://portal.example,"},
		},
		"redirects for ever": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, problem.Unreachable, []string{"redirects"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := newClient(t, tc.answer)
			_, err := c.Check(t.Context(), CheckRequest{})
			wantProblem(t, err, tc.kind, tc.texts...)
		})
	}
}

// TestWrongPasswordHasTheHint asks for a token, which sends none.
func TestWrongPasswordHasTheHint(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"title": "Invalid credentials", "kind": "credentials"}`)
	})
	c.Token = nil
	_, err := c.NewToken(t.Context(), TokenRequest{Email: "kim@example.com", Password: "wrong"})
	wantProblem(t, err, problem.Credentials, "Invalid credentials", "$", "shell")
}

// TestNetworkTold tells failures below HTTP apart.
func TestNetworkTold(t *testing.T) {
	t.Parallel()
	_, err := NewHTTP(HTTPOptions{CACert: []byte("none")})
	wantProblem(t, err, problem.Usage, "--ca-cert")

	good := httptest.NewUnstartedServer(http.NotFoundHandler())
	good.Config.ErrorLog = quiet()
	good.StartTLS()
	t.Cleanup(good.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, tc := range map[string]struct {
		base  string
		texts []string
		tries int
	}{
		"not trusted": {good.URL, []string{"TLS certificate is not trusted", "--ca-cert"}, 0},
		"no TLS":      {strings.Replace(plain.URL, "http:", "https:", 1), []string{"does not speak TLS"}, 0},
		"down":        {"https://" + closed.Addr().String(), []string{"refused", "down"}, tries - 1},
		"no DNS":      {"https://nowhere.invalid", []string{"(DNS)"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, waits := clientOf(t, tc.base, nil)
			_, err := c.Check(t.Context(), CheckRequest{})
			wantProblem(t, err, problem.Unreachable, append(tc.texts, tc.base)...)
			if tc.tries >= 0 && len(*waits) != tc.tries {
				t.Errorf("waited %v", *waits)
			}
		})
	}
	c, _ := clientOf(t, "ftp://host", nil)
	_, err = c.Vendor(t.Context())
	wantProblem(t, err, problem.Usage, "ftp://host")
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := newClient(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	_, err := c.Check(ctx, CheckRequest{})
	wantProblem(t, err, problem.Interrupted)
}

// TestTimeout: a service that drips does not hold a client for ever.
func TestTimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	_, err := c.Check(ctx, CheckRequest{})
	wantProblem(t, err, problem.Unreachable, "in time")
}

// TestRetries shows what is tried again, how long is waited, and that it stops.
func TestRetries(t *testing.T) {
	t.Parallel()
	later := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for _, h := range header {
				name, value, _ := strings.Cut(h, ": ")
				w.Header().Set(name, value)
			}
			answerJSON(w, status, Problem{Title: "later", Status: status, Kind: "unreachable", Next: "wait"})
		}
	}
	reset := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	const date = "Date: Mon, 02 Jan 2006 15:04:05 GMT"
	for name, tc := range map[string]struct {
		trouble http.HandlerFunc
		waits   []time.Duration // least; nil: not tried again
	}{
		"503":                {later(503), []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"500":                {later(500), []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"reset":              {reset, []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"Retry-After":        {later(503, "Retry-After: 7"), []time.Duration{7 * time.Second, 7 * time.Second}},
		"Retry-After date":   {later(503, date, "Retry-After: Mon, 02 Jan 2006 15:04:25 GMT"), []time.Duration{20 * time.Second, 20 * time.Second}},
		"Retry-After past":   {later(503, date, "Retry-After: Mon, 02 Jan 2006 15:00:00 GMT"), []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"Retry-After trash":  {later(503, "Retry-After: soon"), []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"Retry-After hours":  {later(503, "Retry-After: 7200"), nil},
		"501":                {later(501), nil},
		"429":                {later(429), nil},
		"429, Retry-After":   {later(429, "Retry-After: 9"), []time.Duration{9 * time.Second, 9 * time.Second}},
		"429, a year":        {later(429, "Retry-After: 31536000"), nil},
		"Retry-After < 0":    {later(503, "Retry-After: -5"), []time.Duration{200 * time.Millisecond, 800 * time.Millisecond}},
		"404":                {later(404), nil},
		"a wrong credential": {later(401), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			once := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); !json.Valid(body) {
					t.Errorf("sent %q", body)
				}
				if asked.Add(1) <= 2 {
					tc.trouble(w, r)
					return
				}
				answerJSON(w, http.StatusOK, CheckAnswer{MinimumTool: "2"})
			}))
			t.Cleanup(once.Close)
			c, waits := clientOf(t, once.URL, nil)
			a, err := c.Check(t.Context(), CheckRequest{})
			if (err == nil) != (tc.waits != nil) || (err == nil && a.MinimumTool != "2") {
				t.Errorf("%+v, %v", a, err)
			}
			if len(*waits) != len(tc.waits) {
				t.Fatalf("waited %v, want %v", *waits, tc.waits)
			}
			for i, least := range tc.waits {
				if got := (*waits)[i]; got < least || got > least+200*time.Millisecond {
					t.Errorf("wait %d: %v, want %v and some jitter", i, got, least)
				}
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		c, waits := newClient(t, later(503))
		_, err := c.Check(t.Context(), CheckRequest{})
		wantProblem(t, err, problem.Unreachable, "later")
		if len(*waits) != tries-1 {
			t.Errorf("waited %v", *waits)
		}
	})
}

func TestPutObject(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("stored", 1000)
	for name, tc := range map[string]struct {
		stored io.Reader
		tries  int
	}{
		"can be sent again": {io.NewSectionReader(strings.NewReader("skip"+content), 4, 6000), 3},
		"cannot":            {io.MultiReader(strings.NewReader(content)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != content || r.ContentLength != 6000 || r.URL.Path != "/api/v1/publishing/objects/"+sumX.String() {
					t.Errorf("%s: %d bytes, %v", r.URL.Path, len(body), err)
				}
				if asked.Add(1) < 3 {
					answerJSON(w, 503, Problem{Title: "later", Kind: "unreachable", Next: "n"})
					return
				}
				w.WriteHeader(http.StatusNoContent)
			})
			err := c.PutObject(t.Context(), sumX, tc.stored, 6000)
			if (err == nil) != (tc.tries == 3) || int(asked.Load()) != tc.tries {
				t.Errorf("sent %d times: %v", asked.Load(), err)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/tuf/timestamp.json":
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		case "/tuf/targets/shop/1.0/full/ab.0.json":
			_, _ = io.WriteString(w, "record")
		case "/tuf/portal.json", "/tuf/targets/portal":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		case "/tuf/forbidden.json":
			answerJSON(w, http.StatusForbidden, Problem{Title: "no", Next: "n"})
		default:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("metadata is public: no token belongs there")
		}
	})
	if got, err := c.Metadata(t.Context(), "timestamp.json", 10); err != nil || len(got) != 11 {
		t.Errorf("%d bytes, %v; want the limit and one more", len(got), err)
	}
	if _, err := c.Metadata(t.Context(), "7.root.json", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err := c.Metadata(t.Context(), "portal.json", 10)
	wantProblem(t, err, problem.Unreachable, "web page")
	_, err = c.Metadata(t.Context(), "forbidden.json", 10)
	wantProblem(t, err, problem.NotEntitled)
	body, err := c.Target(t.Context(), "shop/1.0/full/ab.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); err != nil || string(data) != "record" {
		t.Errorf("%q, %v", data, err)
	}
	_, err = c.Target(t.Context(), "portal")
	wantProblem(t, err, problem.Unreachable, "web page")
}

func TestObject(t *testing.T) {
	t.Parallel()
	stored := []byte("0123456789")
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/objects/good":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(stored))
		case "/objects/noranges":
			_, _ = w.Write(stored)
		case "/objects/otherrange":
			w.Header().Set("Content-Range", "bytes 3-9/10")
			w.WriteHeader(http.StatusPartialContent)
		case "/objects/portal":
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>"))
		case "/objects/over":
			answerJSON(w, http.StatusForbidden, Problem{Title: "over", Kind: "not-entitled", Next: "n"})
		}
	})
	for offset := range int64(10) {
		body, total, err := c.Object(t.Context(), "/objects/good?signature=abc", offset)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil || total != 10 || !bytes.Equal(data, stored[offset:]) {
			t.Errorf("from %d: %q of %d, %v", offset, data, total, err)
		}
	}
	for _, path := range []string{"/objects/noranges", "/objects/otherrange", "/objects/good"} {
		offset := int64(5)
		if path == "/objects/good" {
			offset = 10 // beyond the end
		}
		if _, _, err := c.Object(t.Context(), path, offset); !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, _, err := c.Object(t.Context(), "/objects/over?signature=abc", 0)
	wantProblem(t, err, problem.NotEntitled)
	for offset := range int64(2) {
		_, _, err = c.Object(t.Context(), "/objects/portal?signature=abc", offset)
		wantProblem(t, err, problem.Unreachable, "web page")
	}
	_, _, err = c.Object(t.Context(), "http://127.0.0.1:1/objects/x?signature=abc", 0)
	wantProblem(t, err, problem.Unreachable, "without TLS")
	_, _, err = c.Object(t.Context(), "https://127.0.0.1:1/objects/x?signature=abc", 0)
	wantProblem(t, err, problem.Unreachable, "refused")
}

// TestTokenTrouble: what the token function says is told as it is.
// TestRefusalThatDrips: a refusal whose explanation never ends holds nobody.
func TestRefusalThatDrips(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusBadGateway} {
		synctest.Test(t, func(t *testing.T) {
			c := &Client{Base: "https://updates.example", HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/problem+json"}}, Body: &dripping{closed: make(chan struct{})}}, nil
			})}}
			began := time.Now()
			_, _, err := c.Object(t.Context(), "/objects/x", 0)
			wantProblem(t, err, problem.Unreachable)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("status %d held the caller for %s", status, took)
			}
		})
	}
}

// dripping gives a byte every ten seconds until it is closed.
type dripping struct {
	once   sync.Once
	closed chan struct{}
}

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-d.closed:
		return 0, io.ErrClosedPipe
	case <-time.After(10 * time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func (d *dripping) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func TestTokenTrouble(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(http.ResponseWriter, *http.Request) { t.Error("asked without a token") })
	mine := errors.New("no terminal")
	c.Token = func(ctx context.Context) (string, error) {
		if _, limited := ctx.Deadline(); limited {
			t.Error("a person is given a time limit")
		}
		return "", mine
	}
	if _, err := c.Check(t.Context(), CheckRequest{}); !errors.Is(err, mine) {
		t.Error(err)
	}
	if err := c.PutObject(t.Context(), sumX, strings.NewReader(""), 0); !errors.Is(err, mine) {
		t.Error(err)
	}
}

// FuzzAnswers: whatever answers, the client ends with a value or a problem.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"entitlement":{"kind":"paid"},"messages":[]}`, `{"title":"no","status":403,"kind":"not-entitled"}`, "<html>", "[]", `{"messages":3}`, "",
		`{"title":"x","status":"y"}`, "\x00",
	} {
		for _, status := range []int{200, 204, 301, 400, 401, 403, 404, 407, 429, 500, 503} {
			f.Add(status, "application/json", seed)
		}
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 {
			return
		}
		c := &Client{
			Base: "https://service.example", Pause: func(context.Context, time.Duration) error { return nil },
			HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
					ContentLength: int64(len(body)), Request: r,
				}, nil
			})},
		}
		_, err := c.Check(t.Context(), CheckRequest{})
		if _, ok := errors.AsType[*problem.Error](err); err != nil && !ok {
			t.Errorf("status %d, %q: %v is no problem", status, body, err)
		}
		if err == nil && status >= 300 {
			t.Errorf("status %d was taken for success", status)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestThroughProxy goes through a real proxy that wants a password.
func TestThroughProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Proxy-Authorization") != "Basic "+"dTpwQHNzOndvcmQ=" { // u:p@ss:word
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		answerJSON(w, http.StatusOK, Vendor{Name: "through " + r.URL.Host})
	}))
	t.Cleanup(proxy.Close)
	at := strings.TrimPrefix(proxy.URL, "http://")
	for name, tc := range map[string]struct {
		proxy, base string
		texts       []string // of the problem; nil: it works
	}{
		"right password": {"http://u:p@ss:word@" + at, "http://service.example", nil},
		"none":           {at, "http://service.example", []string{"proxy wants a user and password", "USER:PASSWORD"}},
		"none, https":    {at, "https://service.example", []string{"proxy wants a user and password", "USER:PASSWORD"}},
		"proxy is down":  {"http://127.0.0.1:1", "https://service.example", []string{"proxy before it", "http_proxy"}},
		"no address":     {"gopher://u:hunter2@", "https://service.example", []string{"proxy's address", "http_proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := NewHTTP(HTTPOptions{Getenv: func(name string) string {
				if name == "http_proxy" {
					return tc.proxy
				}
				return ""
			}})
			if err != nil {
				t.Fatal(err)
			}
			c := &Client{Base: tc.base, HTTP: h, Pause: func(context.Context, time.Duration) error { return nil }}
			v, err := c.Vendor(t.Context())
			if tc.texts != nil {
				wantProblem(t, err, problem.Unreachable, tc.texts...)
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v tells the password", err)
				}
				return
			}
			if err != nil || v.Name != "through service.example" {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// TestKindsAreKnown takes a kind from the service where it can know of it; conflicts, say,
// are in files of the installation.
func TestKindsAreKnown(t *testing.T) {
	t.Parallel()
	for k, want := range map[problem.Kind]problem.Kind{
		problem.Failed: problem.Failed, problem.Usage: problem.Usage, problem.Credentials: problem.Credentials,
		problem.NotEntitled: problem.NotEntitled, problem.Unreachable: problem.Unreachable,
		problem.Verification: problem.Verification, problem.Refused: problem.Refused,
		problem.Conflicts: problem.Failed, problem.RolledBack: problem.Failed, problem.Broken: problem.Failed,
		problem.Declined: problem.Failed, problem.Interrupted: problem.Failed,
	} {
		if got := kindOf(Problem{Kind: k.String(), Status: http.StatusTeapot}); got != want {
			t.Errorf("%s is told as %s, want %s", k, got, want)
		}
	}
}

// TestCutAnswerIsAskedForAgain has an answer break off once.
func TestCutAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "{}")
	})
	if _, err := c.Check(t.Context(), CheckRequest{}); err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
}

// TestAnAnswerCutInItsStatusIsACut has one end at every byte of its first line, once.
func TestAnAnswerCutInItsStatusIsACut(t *testing.T) {
	t.Parallel()
	const line = "HTTP/1.1 200 OK\r\n"
	for n := range len(line) {
		var asked atomic.Int32
		c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) > 1 {
				_, _ = io.WriteString(w, "{}")
				return
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, err = io.WriteString(conn, line[:n])
			if err = errors.Join(err, conn.Close()); err != nil {
				t.Error(err)
			}
		})
		if _, err := c.Check(t.Context(), CheckRequest{}); err != nil || asked.Load() != 2 {
			t.Errorf("%q: asked %d times, %v", line[:n], asked.Load(), err)
		}
	}
}

// TestUploadThatNobodyTakes ends although the service is silent for ever.
func TestUploadThatNobodyTakes(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	c, _ := newClient(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	c.Patience = 100 * time.Millisecond
	err := c.PutObject(t.Context(), digest.Of([]byte("x")), strings.NewReader("x"), 1)
	wantProblem(t, err, problem.Unreachable, "in time")
}

// TestNoSecretWithoutTLS asks nothing, and nobody for a password.
func TestNoSecretWithoutTLS(t *testing.T) {
	t.Parallel()
	c, _ := clientOf(t, "http://updates.example", nil)
	c.Token = func(context.Context) (string, error) { t.Error("a secret was asked for"); return "", nil }
	_, err := c.Check(t.Context(), CheckRequest{})
	wantProblem(t, err, problem.Usage, "without TLS")
	_, err = c.NewToken(t.Context(), TokenRequest{})
	wantProblem(t, err, problem.Usage, "without TLS")
}

// TestAnAddressWithAPasswordIsRefused, nothing is asked, and the password not told.
func TestAnAddressWithAPasswordIsRefused(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://me:s3cret@updates.example", "https://me:s3/cret@updates.example", "https://me:s3%cret@x", "me:s3cret@x", "http://s3cret@localhost"} {
		c, _ := clientOf(t, base, nil)
		c.Token = func(context.Context) (string, error) { t.Error("a secret was asked for"); return "", nil }
		_, checked := c.Check(t.Context(), CheckRequest{})
		_, vendor := c.Vendor(t.Context())
		_, token := c.NewToken(t.Context(), TokenRequest{})
		for _, err := range []error{checked, vendor, token, c.Private()} {
			wantProblem(t, err, problem.Usage, "user or a password")
			if strings.Contains(err.Error(), "s3") {
				t.Errorf("the password is told: %v", err)
			}
		}
	}
}

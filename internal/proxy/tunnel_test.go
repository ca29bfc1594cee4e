package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/internal/proxy/proxytest"
)

// echo is a service that greets whoever connects.
func echo(t *testing.T) string {
	t.Helper()
	l := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "hello") })
	return l
}

// listen gives each connection to serve, closes it after, and returns the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

func dialer(proxy string) *Dialer {
	return &Dialer{Settings: Settings{func(name string) string {
		if name == "http_proxy" {
			return proxy
		}
		return ""
	}}}
}

// TestAWrongPasswordIsSentOnce has many connections begin at once.
func TestAWrongPasswordIsSentOnce(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	proxy := listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if r.Header.Get("Proxy-Authorization") != "" {
			sent.Add(1)
			time.Sleep(50 * time.Millisecond)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	d := dialer("http://kim:wrong@" + proxy)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := d.DialContext(t.Context(), "tcp", "service.example:443")
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != RefusedUser {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if n := sent.Load(); n != 1 {
		t.Errorf("the password was sent %d times", n)
	}
}

// TestAProxyThatDripsIsGivenUp has one that says a byte now and then.
func TestAProxyThatDripsIsGivenUp(t *testing.T) {
	t.Parallel()
	drips := listen(t, func(c net.Conn) {
		for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); err == nil; _, err = io.WriteString(c, "x") {
			time.Sleep(10 * time.Millisecond)
		}
	})
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	began := time.Now()
	if _, err := dialer("http://kim:x@"+drips).DialContext(ctx, "tcp", "service.example:443"); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// greeted dials a service through a proxy and reads its greeting.
func greeted(t *testing.T, d *Dialer) error {
	t.Helper()
	c, err := d.DialContext(t.Context(), "tcp", "service.example:443")
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "hello" {
		t.Errorf("through the tunnel came %q, %v", got, err)
	}
	return nil
}

func TestNTLM(t *testing.T) {
	t.Parallel()
	service := echo(t)
	for name, tc := range map[string]struct {
		scheme, user, password, login string
		also                          []string
		proofs                        int
		reason                        Reason
		works                         bool
	}{
		"domain":           {"NTLM", "kim", "Pa$$ wörd@#?/:", `BANK\kim:Pa$$ wörd@#?/:`, nil, 3, 0, true},
		"encoded":          {"NTLM", "kim", "a%b", `BANK%5Ckim:a%25b`, nil, 3, 0, true},
		"principal":        {"NTLM", "kim@bank.example", "secret", `kim@bank.example:secret`, nil, 3, 0, true},
		"negotiate":        {"Negotiate", "kim", "secret", `BANK\kim:secret`, nil, 3, 0, true},
		"rather than":      {"NTLM", "kim", "secret", `BANK\kim:secret`, []string{"Basic"}, 3, 0, true},
		"wrong password":   {"NTLM", "kim", "secret", `BANK\kim:wrong`, nil, 1, RefusedUser, false},
		"not sent clear":   {"NTLM", "kim", "secret", `BANK\kim:wrong`, []string{"Basic"}, 1, RefusedUser, false},
		"other domain":     {"NTLM", "kim", "secret", `SHOP\kim:secret`, nil, 1, RefusedUser, false},
		"nobody":           {"NTLM", "kim", "secret", ``, nil, 0, WantsUser, false},
		"kerberos, digest": {"Kerberos", "kim", "secret", `BANK\kim:secret`, []string{"Digest"}, 0, OtherSchemes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &proxytest.NTLM{Scheme: tc.scheme, Domain: "BANK", User: tc.user, Password: tc.password, Also: tc.also, Hosts: map[string]string{"service.example:443": service}}
			l, err := p.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			at := l.Addr().String()
			if tc.login != "" {
				at = tc.login + "@" + at
			}
			d := dialer("http://" + at)
			for range 3 { // a refusal is remembered, and so is what works
				err = greeted(t, d)
			}
			proofs, passed, why := p.Counts()
			if tc.works != (err == nil) || proofs != tc.proofs || tc.works && passed != proofs {
				t.Errorf("%v; %d proofs, %d right, %q", err, proofs, passed, why)
			}
			if e, ok := errors.AsType[*Error](err); !tc.works && (!ok || e.Reason != tc.reason || !strings.Contains(err.Error(), tc.scheme)) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "wrong") {
				t.Errorf("%v tells the password", err)
			}
		})
	}
}

// TestBasic logs in at a proxy that closes the connection with each 407, as many do.
func TestBasic(t *testing.T) {
	t.Parallel()
	var asked, sent atomic.Int32
	at := listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		asked.Add(1)
		if r.Header.Get("Proxy-Authorization") != "" {
			sent.Add(1)
		}
		if r.Header.Get("Proxy-Authorization") != "Basic dTpwQHNzOndvcmQ=" { // u:p@ss:word
			_, _ = io.WriteString(c, "HTTP/1.0 407 No\r\nProxy-Authenticate: basic realm=\"x\"\r\n\r\n<html>")
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nhello")
	})
	d := dialer("http://u:p@ss:word@" + at)
	for range 3 {
		if err := greeted(t, d); err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 4 {
		t.Errorf("asked %d times", asked.Load())
	}
	wrong := dialer("http://u:wrong@" + at)
	before := sent.Load()
	for range 3 {
		if e, ok := errors.AsType[*Error](greeted(t, wrong)); !ok || e.Reason != RefusedUser || !strings.Contains(e.Error(), "Basic") {
			t.Errorf("%v", e)
		}
	}
	if n := sent.Load() - before; n != 1 {
		t.Errorf("a wrong password was sent %d times", n)
	}
}

// TestAnswers tells what stands at the proxy's address apart.
func TestAnswers(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	for name, tc := range map[string]struct {
		says   string
		reason Reason
		texts  string
	}{
		"policy":       {"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 3\r\n\r\nno\n", Forbidden, "rules forbid it|403 Forbidden (ERR_ACCESS_DENIED 0)"},
		"bad gateway":  {"HTTP/1.1 502 x\r\n\r\n", Upstream, "cannot reach it|502"},
		"no service":   {"HTTP/1.1 503 x\r\nX-Squid-Error: \xc3\x9c\r\n\r\n", Upstream, "503 Service Unavailable"},
		"time":         {"HTTP/1.1 504 x\r\n\r\n", Upstream, "504"},
		"portal":       {"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", Portal, "captive portal|302"},
		"portal 511":   {"HTTP/1.1 511 x\r\n\r\n", Portal, "captive portal|511"},
		"web server":   {"HTTP/1.1 405 x\r\n\r\n", NotAProxy, "no proxy|405"},
		"mail":         {"220 mail.example ESMTP\r\n", NotAProxy, "no proxy|else than HTTP"},
		"bad head":     {"HTTP/1.1 ???\r\n\r\n", NotAProxy, "no proxy|cannot be read"},
		"TLS":          {"\x15\x03\x01\x00\x02\x02\x46", NotAProxy, "no proxy|write https://"},
		"nothing":      {"", Unreachable, "does not answer|closes the connection"},
		"endless head": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswer) + "\r\n\r\n", NotAProxy, "no proxy"},
		"endless page": {"HTTP/1.1 403 x\r\n\r\n" + strings.Repeat("x", 2*maxAnswer), Forbidden, "rules"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := listen(t, func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, tc.says)
			})
			wantError(t, greeted(t, dialer("http://u:hunter2@"+at)), tc.reason, tc.texts)
		})
	}
	wantError(t, greeted(t, dialer("http://127.0.0.1:1")), Unreachable, "does not answer|refuses|http_proxy")
	wantError(t, greeted(t, dialer("http://nobody.invalid:1")), Unreachable, "DNS")
	wantError(t, greeted(t, dialer(strings.Replace(web.URL, "https", "http", 1))), Unreachable, "closes the connection")
	wantError(t, greeted(t, dialer(web.URL)), Unreachable, "certificate")
	wantError(t, greeted(t, dialer("https://"+listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 no TLS here\r\n") }))), NotAProxy, "http://")
	wantError(t, greeted(t, dialer("gopher://u:hunter2@x")), BadAddress, "http_proxy is wrong")
}

func wantError(t *testing.T, err error, reason Reason, texts string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Reason != reason || e.Next() == "" {
		t.Errorf("%v, want reason %d", err, reason)
		return
	}
	for text := range strings.SplitSeq(texts, "|") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
	if strings.Contains(err.Error()+e.Next(), "hunter2") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q tells what it must not", err)
	}
}

// TestSecureProxy speaks TLS with the proxy itself.
func TestSecureProxy(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil || r.Method != http.MethodConnect {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
	}))
	t.Cleanup(server.Close)
	d := dialer(server.URL)
	transport, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	d.TLS = transport.TLSClientConfig
	if err := greeted(t, d); err != nil {
		t.Error(err)
	}
}

// TestSilent gives up with its context, and hands over a connection without a time limit.
func TestSilent(t *testing.T) {
	t.Parallel()
	at := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := dialer("http://"+at).DialContext(ctx, "tcp", "service.example:443")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestPlain sends http addresses by the proxy itself.
func TestPlain(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Host {
		case "ntlm.example":
			w.Header().Set("Proxy-Authenticate", "NTLM")
			w.WriteHeader(http.StatusProxyAuthRequired)
		case "forbidden.example":
			w.Header().Set("X-Squid-Error", "ERR_ACCESS_DENIED 0")
			w.WriteHeader(http.StatusForbidden)
		case "own.example":
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	transport := NewTransport(&http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}, dialer("http://u:hunter2@"+server.Listener.Addr().String()).Settings)
	t.Cleanup(transport.CloseIdleConnections)
	get := func(host string) (int, error) {
		answer, err := transport.RoundTrip(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: host, Path: "/"}, Header: http.Header{}})
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, answer.Body.Close()
	}
	_, err := get("ntlm.example")
	wantError(t, err, OtherSchemes, "NTLM")
	_, err = get("forbidden.example")
	wantError(t, err, Forbidden, "ERR_ACCESS_DENIED")
	if status, err := get("own.example"); status != http.StatusForbidden || err != nil {
		t.Errorf("the service's own answer: %d, %v", status, err)
	}
}

// TestCredentialsAreTheProxysAlone has a service that claims to be a proxy: through the
// tunnel it asks for a login, and leads elsewhere.
func TestCredentialsAreTheProxysAlone(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization")+r.Header.Get("Authorization") != "" {
			seen.Add(1)
		}
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		w.Header()["Proxy-Authenticate"] = []string{"NTLM", "Basic realm=x"}
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(service.Close)
	at := listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if r.Header.Get("Proxy-Authorization") == "" {
			_, _ = io.WriteString(c, "HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
			return
		}
		to, err := net.Dial("tcp", service.Listener.Addr().String())
		if err != nil {
			return
		}
		defer to.Close()
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(to, c) }()
		_, _ = io.Copy(c, to)
	})
	own, ok := service.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport := NewTransport(&http.Transport{TLSClientConfig: own.TLSClientConfig}, dialer("http://kim:hunter2@"+at).Settings)
	t.Cleanup(transport.CloseIdleConnections)
	for _, path := range []string{"/login", "/away"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusProxyAuthRequired {
			t.Errorf("%s: status %d", path, answer.StatusCode)
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the service was given credentials %d times", n)
	}
}

// TestOffered reads what proxies offer, in lines of their own and in one.
func TestOffered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{"NTLM", "basic realm=\"x, NTLM y\"", "NTLM"}, "NTLM Basic"},
		{[]string{`Negotiate, ntlm,Basic realm="a \"b, c", charset="UTF-8", Digest qop="auth", nonce=x`}, "Negotiate NTLM Basic Digest"},
		{[]string{"Digest realm=x, nonce=y, Basic realm=z"}, "Digest Basic"},
		{[]string{"\x1b[31m", strings.Repeat("x", 100), ",,"}, ""},
	} {
		if got := strings.Join(offered(http.Header{"Proxy-Authenticate": tc.lines}), " "); got != tc.want {
			t.Errorf("%q offers %q, want %q", tc.lines, got, tc.want)
		}
	}
	h := http.Header{"Proxy-Authenticate": {"Basic realm=x", "NTLM aGVsbG8="}}
	if got := string(token(h, schemeNTLM)); got != "hello" || token(h, schemeBasic) != nil {
		t.Errorf("the token is %q", got)
	}
}

// FuzzChallenge meets challenges of any content: the other side may be anybody.
func FuzzChallenge(f *testing.F) {
	f.Add([]byte("NTLMSSP\x00\x02\x00\x00\x00"))
	f.Add(append(append([]byte("NTLMSSP\x00\x02\x00\x00\x00"), make([]byte, 36)...), 2, 0, 4, 0, 'B', 0, 'K', 0, 0, 0, 0, 0))
	p := &Proxy{URL: &url.URL{Scheme: "http", Host: "p", User: url.UserPassword(`BANK\kim`, "hunter2")}}
	f.Fuzz(func(t *testing.T, challenge []byte) {
		if text := p.response(schemeNTLM, challenge); strings.Contains(text, "hunter2") || len(text) > 4*len(challenge)+1024 {
			t.Errorf("%x is answered with %d bytes", challenge, len(text))
		}
	})
}

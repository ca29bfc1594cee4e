package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/blob"
	"uplevel/internal/entitlement"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// running is a service in this process.
type running struct {
	p    *program
	stop context.CancelFunc
	env  map[string]string // of demo.env
	http *http.Client
	done chan int
	said *bytes.Buffer // valid after wait
	rest sync.WaitGroup
}

// start runs `upleveld serve --dev` with this handler and waits until it says that it serves.
func start(t *testing.T, handler func(*service) http.Handler, args ...string) *running {
	t.Helper()
	p := newProgram(t)
	p.now = time.Now
	out, log := io.Pipe()
	p.stderr = log
	store := &memory{blobs: map[string]string{}}
	p.openObjects = func(string) (blob.Store, error) { return store, nil }
	p.newHandler = func(svc *service) (http.Handler, error) { return handler(svc), nil }
	ctx, stop := context.WithCancel(t.Context())
	r := &running{p: p, stop: stop, env: map[string]string{}, done: make(chan int, 1), said: &bytes.Buffer{}}
	go func() {
		code := p.execute(ctx, append([]string{"serve", "--dev", "--data", p.data, "--listen", "127.0.0.1:0"}, args...))
		_ = log.Close()
		r.done <- code
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.said.WriteString(lines.Text() + "\n")
		var said struct{ Msg string }
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatalf("log line %q: %v", lines.Text(), err)
		}
		if said.Msg == "serving" {
			break
		}
	}
	r.rest.Go(func() { _, _ = io.Copy(r.said, out) })
	t.Cleanup(func() { stop(); r.rest.Wait() })
	r.readEnv(t)
	return r
}

// wait returns the exit code, when all that was said is in said.
func (r *running) wait() int {
	code := <-r.done
	r.rest.Wait()
	return code
}

func (r *running) readEnv(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.p.data, "demo.env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok {
			r.env[name] = strings.Trim(value, "'")
		}
	}
	ca, err := os.ReadFile(r.env["UPLEVEL_CA_CERT"])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("dev-ca.pem holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &http.Client{Transport: transport}
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.env["UPLEVEL_SERVICE"]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestServeDev(t *testing.T) {
	t.Parallel()
	var svc *service
	r := start(t, func(s *service) http.Handler {
		svc = s
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "at "+r.URL.Path) })
	})
	if status, text := r.get(t, "/api/v1/vendor"); status != http.StatusOK || text != "at /api/v1/vendor" {
		t.Errorf("%d %q", status, text)
	}
	token, err := os.ReadFile(r.env["UPLEVEL_TOKEN_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := svc.door.Principal(t.Context(), strings.TrimSpace(string(token)))
	if err != nil || publisher.May(time.Now(), entitlement.MayPublish) != nil || publisher.May(time.Now(), entitlement.MayAccept) == nil {
		t.Errorf("publisher %+v, %v", publisher, err)
	}
	secret, _, err := svc.door.Login(t.Context(), r.env["UPDATE_TOOL_USERNAME"], r.env["UPDATE_TOOL_PASSWORD"], "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := svc.door.Principal(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	rules := entitlement.Rules{Store: svc.store, Now: time.Now}
	if _, err := rules.For(t.Context(), operator, release.Line{Product: "mine", Version: "1.0", Channel: "full"}); err != nil || operator.May(time.Now(), entitlement.MayPublish) == nil {
		t.Errorf("operator %+v: %v", operator, err)
	}
	if products, err := svc.store.Products(t.Context()); err != nil || len(products) != 0 {
		t.Errorf("something is published: %v, %v", products, err)
	}
	for name, mode := range map[string]os.FileMode{"demo.env": 0o600, "publisher.token": 0o600, "secret": 0o600, "dev-ca.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(r.p.data, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	r.stop()
	if code := r.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for name, value := range r.env {
		if strings.Contains(name, "PASS") && strings.Contains(r.said.String(), value) || strings.Contains(r.said.String(), secret) {
			t.Errorf("the log holds %s", name)
		}
	}
	again := newProgram(t)
	again.openObjects, again.newHandler = r.p.openObjects, r.p.newHandler
	var said bytes.Buffer
	again.stderr = &said
	if code := again.execute(t.Context(), []string{"serve", "--dev", "--data", r.p.data}); code != problem.Refused.ExitCode() || !strings.Contains(said.String(), "starts empty") {
		t.Errorf("a second start: %d, %s", code, said.String())
	}
}

// TestStopLetsRequestsFinish: who is being answered when the service is told to stop
// gets the whole answer.
func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	asked, finish := make(chan struct{}), make(chan struct{})
	r := start(t, func(*service) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(asked)
			<-finish
			_, _ = io.WriteString(w, "whole")
		})
	})
	answer := make(chan string, 1)
	go func() { _, text := r.get(t, "/"); answer <- text }()
	<-asked
	r.stop()
	close(finish)
	if got := <-answer; got != "whole" {
		t.Errorf("answer %q", got)
	}
	if code := r.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStopCutsOffWhoTakesTooLong: a download that outlasts the wait is cut off, goes on
// elsewhere, and is no failure of the service.
func TestStopCutsOffWhoTakesTooLong(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	go func() {
		if answer, err := server.Client().Get(server.URL); err == nil {
			_ = answer.Body.Close()
		}
	}()
	<-asked
	var said bytes.Buffer
	svc := &service{log: slog.New(slog.NewJSONHandler(&said, nil))}
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := svc.shutDown(over, server.Config); err != nil || !strings.Contains(said.String(), "cut off") {
		t.Errorf("%v, said %s", err, said.String())
	}
}

// TestAddressThatIsTaken is refused before anything is made, so that the same command
// works when the address is free.
func TestAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := newProgram(t)
	var said bytes.Buffer
	p.stderr = &said
	p.openObjects = func(string) (blob.Store, error) { return &memory{blobs: map[string]string{}}, nil }
	p.newHandler = func(*service) (http.Handler, error) { return http.NotFoundHandler(), nil }
	code := p.execute(t.Context(), []string{"serve", "--dev", "--data", p.data, "--listen", taken.Addr().String()})
	if code != problem.Refused.ExitCode() || !strings.Contains(said.String(), "--listen") {
		t.Errorf("exit code %d, said %s", code, said.String())
	}
	if _, err := os.Stat(p.data); !os.IsNotExist(err) {
		t.Errorf("the data folder was made: %v", err)
	}
}

func TestRolesOfAProcess(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]map[string]int{
		roleAPI:      {"/api/v1/vendor": 200, "/api/openapi.json": 200, "/objects/x?expires=1": 404, "/healthz": 200},
		roleDelivery: {"/api/v1/vendor": 404, "/api/openapi.json": 404, "/tuf/9.root.json": 404, "/healthz": 200},
		roleWorker:   {"/api/v1/vendor": 404, "/api/openapi.json": 404, "/tuf/9.root.json": 404, "/healthz": 200},
	} {
		r := start(t, theProducts(t), "--roles", role)
		for path, status := range want {
			if got, text := r.get(t, path); got != status || status == 404 && !strings.Contains(text, "request_id") {
				t.Errorf("role %s, %s: %d, want %d: %s", role, path, got, status, text)
			}
		}
	}
}

// theProducts is the handler of the product.
func theProducts(t *testing.T) func(*service) http.Handler {
	return func(svc *service) http.Handler {
		h, err := newHandler(svc)
		if err != nil {
			t.Error(err)
		}
		return h
	}
}

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/proxy"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/test/lab"
)

// service answers as one would, with the faults of a test.
type service struct {
	vendor, check, deliveries, object error
	answer                            api.CheckAnswer
	host                              string
}

func (s *service) Vendor(context.Context) (api.Vendor, error) {
	return api.Vendor{Name: "Acme"}, s.vendor
}

func (s *service) Check(context.Context, api.CheckRequest) (api.CheckAnswer, error) {
	return s.answer, s.check
}

func (s *service) Deliveries(_ context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error) {
	return api.DeliveryAnswer{Items: []api.Delivery{{Object: r.Objects[0], URL: s.host + "/objects/x"}}}, s.deliveries
}

func (s *service) Object(context.Context, string, int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("x")), 1, s.object
}

func lookup(_ context.Context, host string) ([]string, error) {
	if host == "localhost" {
		return []string{"127.0.0.1", "::1"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// healthy is a doctor that has nothing to say, with a real TLS server as the service.
type healthy struct {
	*Doctor

	service *service
	product *Product
	env     map[string]string
	disk    *Disk
}

func newHealthy(t *testing.T, c *tls.Certificate, authority []byte) *healthy {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS10}
	server.StartTLS()
	t.Cleanup(server.Close)
	h := &healthy{
		service: &service{answer: api.CheckAnswer{Entitlement: api.Entitlement{Kind: "paid", State: "active"}}},
		product: &Product{Home: t.TempDir(), Line: release.Line{Product: "shop", Version: "1.0", Channel: "full"}, Number: 3},
		env:     map[string]string{}, disk: &Disk{Free: 1 << 40, FreeFiles: 1 << 20, Kind: "ext4"},
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	settings := proxy.Settings{Getenv: func(name string) string { return h.env[name] }}
	h.Doctor = &Doctor{
		Program: "uplevel", Version: "1.2.0", System: "linux/amd64", Now: time.Now, User: "kim",
		Product: func() (Product, error) { return *h.product, nil }, Cache: t.TempDir(), Temp: t.TempDir(),
		Disk: func(string) (Disk, error) { return *h.disk, nil }, Writable: func(string) error { return nil },
		Root:    func() (string, string, error) { return "abcd", "as shipped", nil },
		Trusted: func() (*trust.View, error) { return nil, fs.ErrNotExist },
		Service: Service{
			Address: server.URL, From: "vendor.json", Settings: settings, Dialer: &proxy.Dialer{Settings: settings}, Lookup: lookup,
			Roots: roots, RootsFrom: "--ca-cert", API: h.service,
			Refresh: func(context.Context) (*trust.View, error) {
				return nil, problem.New(problem.Verification, "Tell.", "not signed")
			},
			Credentials: func(context.Context) error { return nil },
		},
	}
	return h
}

// ahead is a clock that goes ahead.
func ahead(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

func certificate(t *testing.T, name string, until time.Time) (*tls.Certificate, []byte) {
	t.Helper()
	a, err := lab.NewAuthority("Example CA", time.Now(), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate(name, time.Now(), until)
	if err != nil {
		t.Fatal(err)
	}
	return &c, a.PEM
}

func (r *Report) check(t *testing.T, name string) Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no check %q", name)
	return Check{}
}

// TestFindings spoils one thing each, and looks at what is said of it.
func TestFindings(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good, authority := certificate(t, "127.0.0.1", now.AddDate(0, 2, 0))
	expired, expiredCA := certificate(t, "127.0.0.1", now.AddDate(0, 0, -1))
	soon, soonCA := certificate(t, "127.0.0.1", now.AddDate(0, 0, 3))
	other, otherCA := certificate(t, "elsewhere.example", now.AddDate(0, 2, 0))
	for name, tc := range map[string]struct {
		spoil func(h *healthy)
		check string
		state State
		exit  problem.Kind // of the report; 0: none
		text  string
		left  string // a check that must be left out
	}{
		"nothing":         {func(*healthy) {}, "tls", OK, problem.Verification, `signed by "Example CA", trusted by --ca-cert`, "delivery"},
		"no product":      {func(h *healthy) { *h.product = Product{} }, "product", Skipped, problem.Verification, "none here", "entitlement"},
		"no product, why": {func(h *healthy) { h.Product = func() (Product, error) { return Product{}, errors.New("damaged") } }, "product", Failure, problem.Refused, "damaged", "permissions"},
		"cut":             {func(h *healthy) { h.product.Cut = true }, "product", Failure, problem.Refused, "interrupted", "permissions"},
		"conflicts":       {func(h *healthy) { h.product.Pending, h.product.Conflicts = "1.0.4", 2 }, "product", Warning, problem.Verification, "2 decisions", ""},
		"prepared":        {func(h *healthy) { h.product.Pending = "1.0.4" }, "product", Warning, problem.Verification, "is prepared", ""},
		"locked":          {func(h *healthy) { h.product.Locked = "uplevel (process 7)" }, "product", Warning, problem.Verification, "process 7", ""},
		"not ours":        {func(h *healthy) { h.Writable = func(string) error { return fs.ErrPermission } }, "permissions", Failure, problem.Refused, "kim may not write", ""},
		"bin": {func(h *healthy) {
			h.Writable = func(dir string) error {
				if strings.HasSuffix(dir, "bin") {
					return fs.ErrPermission
				}
				return nil
			}
		}, "permissions", Warning, problem.Verification, "cannot update itself", ""},
		"full":         {func(h *healthy) { h.disk.Free = 1 << 20 }, "disk-home", Failure, problem.Refused, "Insufficient disk space: 1.0 MB", ""},
		"inodes":       {func(h *healthy) { h.disk.FreeFiles = 3 }, "disk-home", Failure, problem.Refused, "room for 3 files", ""},
		"little":       {func(h *healthy) { h.disk.Free = 100 << 20 }, "disk-temp", Warning, problem.Verification, "may not fit", ""},
		"uncounted":    {func(h *healthy) { h.disk.FreeFiles = -1 }, "disk-home", OK, problem.Verification, "GB free", ""},
		"no cache":     {func(h *healthy) { h.Cache = "" }, "disk-cache", Warning, problem.Verification, "thrown away", ""},
		"no disk":      {func(h *healthy) { h.Disk = func(string) (Disk, error) { return Disk{}, errors.New("I/O") } }, "disk-home", Failure, problem.Refused, "I/O", ""},
		"read-only":    {func(h *healthy) { h.disk.ReadOnly = true }, "file-system", Failure, problem.Refused, "read-only", ""},
		"nfs":          {func(h *healthy) { h.disk.Kind = "nfs"; h.product.Mounts = []string{"logs"} }, "file-system", Warning, problem.Verification, "1 other mounted below the product: logs", ""},
		"tmpfs":        {func(h *healthy) { h.disk.Kind = "tmpfs" }, "file-system", Warning, problem.Verification, "gone when", ""},
		"no root":      {func(h *healthy) { h.Root = func() (string, string, error) { return "", "", nil } }, "root", Failure, problem.Verification, "there is none", "signed"},
		"bad root":     {func(h *healthy) { h.Root = func() (string, string, error) { return "", "", errors.New("cut") } }, "root", Failure, problem.Verification, "cut", "metadata"},
		"future":       {func(h *healthy) { h.product.LastChange = now.Add(time.Hour) }, "clock", Warning, problem.Verification, "but the last change", ""},
		"clock":        {func(h *healthy) { h.Now = func() time.Time { return now.AddDate(0, 0, 20) } }, "clock-service", Failure, problem.Verification, ": 20 days apart", ""},
		"clock, a bit": {func(h *healthy) { h.Now = ahead(10 * time.Minute) }, "clock-service", Warning, problem.Verification, ": 10 minutes apart", ""},
		"clock, tls":   {func(h *healthy) { h.Now = func() time.Time { return now.AddDate(3, 0, 0) } }, "tls", Failure, problem.Unreachable, "is good from", "answers"},
		"no address":   {func(h *healthy) { h.Service.Address = "" }, "service", Failure, problem.Usage, "--service is missing", "answers"},
		"bad address":  {func(h *healthy) { h.Service.Address = "updates.example" }, "service", Failure, problem.Usage, "cannot be used", "dns"},
		"bad proxy": {func(h *healthy) {
			h.env["http_proxy"], h.Service.Address = "http://u:hunter2@p:port", "https://s.example"
		}, "proxy", Failure, problem.Unreachable, "http_proxy is wrong", "dns"},
		"exempt": {func(h *healthy) { h.env["http_proxy"] = "http://u:hunter2@p:1" }, "proxy", OK, problem.Verification, "loopback", ""},
		"proxy": {func(h *healthy) {
			h.env["HTTPS_PROXY"] = "http://u:hunter2@p.example:1"
			h.Service.Address = "https://s.example"
		}, "proxy", OK, problem.Unreachable, "http://p.example:1, from HTTPS_PROXY, with user and password", "tcp"},
		"no_proxy":    {func(h *healthy) { h.env["no_proxy"] = "10.0.0.0/77" }, "proxy", Warning, problem.Verification, "10.0.0.0/77", ""},
		"name":        {func(h *healthy) { h.Service.Address = "https://s.example" }, "dns", Failure, problem.Unreachable, "s.example, is not known", "tls"},
		"name, known": {func(h *healthy) { h.Service.Address = "https://localhost:1" }, "dns", OK, problem.Unreachable, "localhost, is 127.0.0.1, ::1", "answers"},
		"down":        {func(h *healthy) { h.Service.Address = "https://127.0.0.1:1" }, "tcp", Failure, problem.Unreachable, "refused", "answers"},
		"stranger": {
			func(h *healthy) {
				h.Service.Roots = x509.NewCertPool()
				h.Service.RootsErr = errors.New("SSL_CERT_FILE: no such file")
			}, "tls", Failure, problem.Unreachable,
			`signed by "Example CA"`, "answers",
		},
		"not it": {func(h *healthy) { h.service.vendor = problem.New(problem.Unreachable, "x", "not the update service") }, "answers", Failure, problem.Unreachable, "not the", "credentials"},
		"password": {
			func(h *healthy) {
				h.Service.Credentials = func(context.Context) error {
					return problem.New(problem.Credentials, "Check $.", "Invalid credentials")
				}
			},
			"credentials", Failure, problem.Verification, "Invalid", "entitlement",
		},
		"nobody":   {func(h *healthy) { h.Service.Credentials = nil }, "credentials", Skipped, problem.Verification, "none given", "entitlement"},
		"lapsed":   {func(h *healthy) { h.service.check = problem.New(problem.NotEntitled, "Renew.", "expired") }, "entitlement", Failure, problem.Verification, "expired", "delivery"},
		"grace":    {func(h *healthy) { h.service.answer.Entitlement.State = "grace" }, "entitlement", Warning, problem.Verification, "grace", ""},
		"old tool": {func(h *healthy) { h.service.answer.MinimumTool = "1.10" }, "tool", Failure, problem.Verification, "at least 1.10", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHealthy(t, good, authority)
			tc.spoil(h)
			judge(t, h, tc.check, tc.state, tc.exit, tc.text, tc.left)
		})
	}
	judge(t, newHealthy(t, expired, expiredCA), "tls", Failure, problem.Unreachable, "is good from", "answers")
	judge(t, newHealthy(t, expired, expiredCA), "clock-service", OK, problem.Unreachable, "there", "answers")
	judge(t, newHealthy(t, soon, soonCA), "tls", Warning, problem.Verification, "that is soon", "")
	judge(t, newHealthy(t, other, otherCA), "tls", Failure, problem.Unreachable, "for another name", "answers")
	h := newHealthy(t, good, authority)
	h.Offline = true
	r := h.Run(t.Context())
	if r.Err() != nil || r.Failures != 0 || r.Warnings != 0 || len(r.Endpoints) != 3 {
		t.Errorf("%+v", r)
	}
}

func judge(t *testing.T, h *healthy, name string, state State, exit problem.Kind, text, left string) {
	t.Helper()
	r := h.Run(t.Context())
	c := r.check(t, name)
	if c.State != state || !strings.Contains(c.Found, text) {
		t.Errorf("%+v, want %s with %q", c, state, text)
	}
	if (state == Failure || state == Warning) && c.Next == "" {
		t.Errorf("%+v has no next step", c)
	}
	if err := r.Err(); err == nil || problem.KindOf(err) != exit {
		t.Errorf("it ends with %v, want kind %d", err, exit)
	}
	if left != "" && r.check(t, left).State != Skipped {
		t.Errorf("%s is not left out: %+v", left, r.check(t, left))
	}
	var b strings.Builder
	if err := r.Text(&b, nil); err != nil {
		t.Error(err)
	}
	data, err := json.Marshal(r)
	if err != nil || strings.Contains(string(data)+b.String(), "hunter2") {
		t.Errorf("%v: a password is told:\n%s", err, b.String())
	}
}

// TestALookThatHangsIsLeftBehind has a disk that minds no context, and a context that ends.
func TestALookThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	cert, authority := certificate(t, "127.0.0.1", time.Now().AddDate(0, 2, 0))
	until := make(chan struct{})
	defer close(until)
	h := newHealthy(t, cert, authority)
	h.Patience = 60 * time.Millisecond
	h.Disk = func(string) (Disk, error) {
		<-until
		return Disk{}, nil
	}
	r := h.Run(t.Context())
	if c := r.check(t, "disk-home"); c.State != Failure || !strings.Contains(c.Found, "hangs") || problem.KindOf(r.Err()) != problem.Refused {
		t.Errorf("%+v, %v", c, r.Err())
	}
	if c := r.check(t, "tls"); c.State != Skipped || !strings.Contains(c.Found, "Disk, product") {
		t.Errorf("%+v", c)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r = newHealthy(t, cert, authority).Run(ctx)
	for _, c := range r.Checks {
		if c.State != Skipped {
			t.Errorf("with no time left: %+v", c)
		}
	}
}

// TestWhatOthersSayIsHarmless has a service that writes to the terminal.
func TestWhatOthersSayIsHarmless(t *testing.T) {
	t.Parallel()
	cert, authority := certificate(t, "127.0.0.1", time.Now().AddDate(0, 2, 0))
	h := newHealthy(t, cert, authority)
	h.service.answer.Messages = []api.Message{{Text: "\x1b[2Jall is well\u202e\u009b1m"}}
	r := h.Run(t.Context())
	var b strings.Builder
	if err := r.Text(&b, nil); err != nil || strings.ContainsAny(b.String(), "\x1b\u202e\u009b") || !strings.Contains(b.String(), "all is well") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// TestOlder compares versions.
func TestOlder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"1.2", "1.10", true},
		{"1.10", "1.2", false},
		{"1.2.0", "1.2", false},
		{"v1.2", "1.2.1", true},
		{"1.2.0-dev", "1.2.0", true},
		{"1.2.0", "1.2.0-dev", false},
		{"1.3.0-dev", "1.2", false},
		{"x", "1", true},
	} {
		if got := older(tc.a, tc.b); got != tc.want {
			t.Errorf("older(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

// TestDisk looks at a real one, and changes nothing.
func TestDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := LookAtDisk(dir)
	if err != nil || d.Free <= 0 || CanWrite(dir) != nil || CanWrite(dir+"/none") == nil {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := LookAtDisk(dir + "/none"); err == nil {
		t.Error("nothing is a disk")
	}
}

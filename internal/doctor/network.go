package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/proxy"
	"uplevel/internal/trust"
)

// endsSoon is how long before its end a certificate is worth a word.
const endsSoon = 14 * 24 * time.Hour

// Service is the way to the service, and what is asked there.
type Service struct {
	Address string // https://HOST[:PORT]; empty: not known
	From    string // where the address comes from, such as vendor.json

	Settings  proxy.Settings
	Dialer    *proxy.Dialer // with the settings
	Lookup    func(ctx context.Context, host string) (addresses []string, err error)
	Roots     *x509.CertPool // authorities that are trusted; nil: the system's
	RootsFrom string         // where they come from; empty: the system's
	RootsErr  error          // why what the environment names for them cannot be read

	API API
	// Refresh fetches and verifies the service's metadata, and keeps nothing.
	Refresh func(ctx context.Context) (*trust.View, error)
	// Credentials tries those that were given; nil: none were.
	Credentials func(ctx context.Context) error
}

// API is what is asked of the service.
type API interface {
	Vendor(ctx context.Context) (api.Vendor, error)
	Check(ctx context.Context, r api.CheckRequest) (api.CheckAnswer, error)
	Deliveries(ctx context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error)
	Object(ctx context.Context, address string, offset int64) (io.ReadCloser, int64, error)
}

// way is what is learned on the way to the service.
type way struct {
	address  *url.URL
	proxy    *proxy.Proxy // nil: none
	date     time.Time    // the service's clock, when it told
	rtt      time.Duration
	view     *trust.View
	answer   api.CheckAnswer
	delivery *url.URL // where objects come from; nil: from the service
}

// network are the checks of the way to the service, step by step.
func (r *run) network() []look {
	return []look{
		{"service", "Service's address", nil, r.lookAddress},
		{"proxy", "Proxy settings", []string{"service"}, r.lookProxy},
		{"dns", "Name (DNS)", []string{"proxy"}, r.lookName},
		{"tcp", "Connection (TCP)", []string{"dns"}, r.lookConnection},
		{"tunnel", "Through the proxy", []string{"tcp"}, r.lookTunnel},
		{"tls", "TLS", []string{"tunnel"}, r.lookTLS},
		{"clock-service", "Clock, service's", []string{"tunnel"}, r.lookServiceClock},
		{"answers", "Service answers", []string{"tls"}, r.lookAnswer},
		{"signed", "Metadata, service's", []string{"answers", "root"}, r.lookSigned},
		{"credentials", "Credentials", []string{"answers"}, r.lookCredentials},
		{"entitlement", "Entitlement", []string{"credentials", "product"}, r.lookEntitlement},
		{"tool", "Tool's version", []string{"entitlement"}, r.lookTool},
		{"delivery", "Downloads", []string{"entitlement", "signed"}, r.lookDelivery},
	}
}

func (r *run) lookAddress(context.Context) finding {
	u, err := url.Parse(r.Service.Address)
	switch {
	case r.Service.Address == "":
		return wrong(problem.Usage, "Give --service, or put vendor.json from the vendor's pack into updates/.", "not known: --service is missing")
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return wrong(problem.Usage, "Give the service's address as https://HOST.", "%.200q from %s cannot be used", r.Service.Address, r.Service.From)
	}
	r.way.address = u
	return fine("%s (from %s)", r.Service.Address, r.Service.From)
}

func (r *run) lookProxy(context.Context) finding {
	s := r.Service.Settings
	p, err := s.For(r.way.address)
	if err != nil {
		return failed(problem.Unreachable, "", api.Unreached(r.Service.Address, err))
	}
	text := "none set: the service is asked for directly"
	if by := s.Exempt(r.way.address); by != "" {
		text = fmt.Sprintf("one is set, but not for this address (%s)", by)
	}
	if r.way.proxy = p; p != nil {
		text = fmt.Sprintf("%s, from %s, %s", p, p.Variable, givesUser(p))
	}
	if doubts := s.Doubts(); len(doubts) > 0 {
		return doubt("Correct no_proxy: hosts, .suffixes, addresses and ranges such as 10.0.0.0/8.", "%s; no_proxy holds what names nothing: %.100s", text, strings.Join(doubts, ", "))
	}
	return fine("%s", text)
}

func givesUser(p *proxy.Proxy) string {
	if p.URL.User == nil {
		return "without a user"
	}
	return "with user and password"
}

// next is the address of the first station on the way.
func (r *run) next() string {
	if r.way.proxy != nil {
		return r.way.proxy.Address()
	}
	return hostPort(r.way.address)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// station names whose address next is.
func (r *run) station() string {
	if r.way.proxy != nil {
		return "the proxy"
	}
	return "the service"
}

func (r *run) lookName(ctx context.Context) finding {
	host, _, err := net.SplitHostPort(r.next())
	if err != nil {
		return wrong(problem.Unreachable, "Check the address.", "%v", err)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return fine("%s is given by its address, %s", r.station(), host)
	}
	found, err := r.Service.Lookup(ctx, host)
	if err != nil {
		next := "Check the name server of this machine, or set http_proxy where only the proxy knows the names outside."
		if r.way.proxy != nil {
			next = "Check " + r.way.proxy.Variable + " and the name server of this machine."
		}
		return wrong(problem.Unreachable, next, "%s, %s, is not known: %v", r.station(), host, err)
	}
	return fine("%s, %s, is %s", r.station(), host, strings.Join(found[:min(len(found), 4)], ", "))
}

func (r *run) lookConnection(ctx context.Context) finding {
	began := r.Now()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.next())
	if err != nil {
		next := "Have the firewall allow it, or set http_proxy if there is a proxy."
		if r.way.proxy != nil {
			next = "Check host and port in " + r.way.proxy.Variable + "."
		}
		return wrong(problem.Unreachable, next, "%s, %s, cannot be connected to: %v", r.station(), r.next(), err)
	}
	took := r.Now().Sub(began)
	_ = c.Close()
	return fine("%s answers at %s after %d ms", r.station(), r.next(), took.Milliseconds())
}

func (r *run) lookTunnel(ctx context.Context) finding {
	switch p := r.way.proxy; {
	case p == nil:
		return fine("there is none")
	case p.URL.Scheme == "socks5" || r.way.address.Scheme == "http":
		return fine("the proxy is asked with each request")
	}
	c, err := r.Service.Dialer.DialContext(ctx, "tcp", hostPort(r.way.address))
	if err != nil {
		return failed(problem.Unreachable, "", api.Unreached(r.Service.Address, err))
	}
	_ = c.Close()
	return fine("it opens a way to %s", hostPort(r.way.address))
}

// lookTLS shakes hands, judges what it was shown, and asks for the time, which is of use
// also when the certificate is no good.
func (r *run) lookTLS(ctx context.Context) finding {
	switch {
	case r.way.address.Scheme == "http":
		return doubt("Ask your vendor for an address with https://.", "the service is asked without TLS: passwords go over the wire in clear")
	case r.way.proxy != nil && r.way.proxy.URL.Scheme == "socks5":
		return fine("judged with the answer, as it comes through SOCKS")
	}
	raw, err := r.Service.Dialer.DialContext(ctx, "tcp", hostPort(r.way.address))
	if err != nil {
		return failed(problem.Unreachable, "", api.Unreached(r.Service.Address, err))
	}
	defer raw.Close()
	c := tls.Client(raw, &tls.Config{
		ServerName: r.way.address.Hostname(), NextProtos: []string{"http/1.1"},
		MinVersion:         tls.VersionTLS10, // to be told apart, below
		InsecureSkipVerify: true,             //nolint:gosec // verified below, so that the chain can be told
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return failed(problem.Unreachable, "", api.Unreached(r.Service.Address, err))
	}
	defer c.Close()
	r.askTime(ctx, c)
	return r.judgeTLS(c.ConnectionState())
}

func (r *run) judgeTLS(state tls.ConnectionState) finding {
	leaf := state.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: r.way.address.Hostname(), Roots: r.Service.Roots, Intermediates: between, CurrentTime: r.Now()})
	if err != nil {
		f := failed(problem.Unreachable, "", api.Unreached(r.Service.Address, &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}))
		if r.Service.RootsErr != nil {
			f.found += fmt.Sprintf("; %v", r.Service.RootsErr)
		}
		return f
	}
	from := "the system's authorities"
	if r.Service.RootsFrom != "" {
		from = r.Service.RootsFrom
	}
	what := fmt.Sprintf("%s; signed by %q, trusted by %s; good until %s", tls.VersionName(state.Version), api.SignedBy(leaf), from, leaf.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case state.Version < tls.VersionTLS12:
		return wrong(problem.Unreachable, "Have TLS 1.2 or newer spoken by the service, or the proxy that stands between.", "%s: too old to be used", what)
	case leaf.NotAfter.Sub(r.Now()) < endsSoon:
		return doubt("Tell whoever runs the service, or the proxy that stands between.", "%s: that is soon", what)
	}
	return fine("%s", what)
}

// askTime reads the date of an answer, whatever the answer.
func (r *run) askTime(ctx context.Context, c net.Conn) {
	if at, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(at)
	}
	began := r.Now()
	_, err := fmt.Fprintf(c, "HEAD %s/vendor HTTP/1.1\r\nHost: %s\r\nUser-Agent: uplevel\r\nConnection: close\r\n\r\n", api.Prefix, r.way.address.Host)
	if err != nil {
		return
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, 64<<10)), &http.Request{Method: http.MethodHead})
	if err != nil {
		return
	}
	_ = answer.Body.Close()
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		r.way.date, r.way.rtt = at, r.Now().Sub(began)
	}
}

// roughly is a duration as people say it.
func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Round(time.Hour).Hours()))
	}
	return fmt.Sprintf("%d days", int((d+12*time.Hour).Hours()/24))
}

func (r *run) lookServiceClock(context.Context) finding {
	if r.way.date.IsZero() {
		return skip("the service did not tell its time")
	}
	now := r.Now()
	off := now.Sub(r.way.date).Round(time.Second)
	text := fmt.Sprintf("%s here, %s there", now.UTC().Format("2006-01-02 15:04:05 MST"), r.way.date.UTC().Format("2006-01-02 15:04:05 MST"))
	const next = "Set this machine's clock (NTP); signatures and certificates are judged by it."
	switch {
	case off.Abs() > clockWrong:
		return wrong(problem.Verification, next, "%s: %s apart", text, roughly(off.Abs()))
	case off.Abs() > clockOff+r.way.rtt:
		return doubt(next, "%s: %s apart", text, roughly(off.Abs()))
	}
	return fine("%s", text)
}

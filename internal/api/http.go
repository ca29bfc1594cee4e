package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"uplevel/internal/problem"
)

// HTTPOptions are what [NewHTTP] builds a client from.
type HTTPOptions struct {
	CACert []byte              // PEM; trusted instead of the system's authorities; nil: the system's
	Getenv func(string) string // proxy settings come from here; nil: no proxy
}

// Bounds of one exchange; a body may take longer as long as it moves.
const (
	dialTimeout   = 15 * time.Second
	headerTimeout = 60 * time.Second
	maxRedirects  = 5
)

// NewHTTP returns an HTTP client with the proxy rules of docs/design/api.md, which
// follows redirects only to the same host and never away from https.
func NewHTTP(o HTTPOptions) (*http.Client, error) {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if o.CACert != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CACert) {
			return nil, problem.New(problem.Usage, "Give a PEM file with --ca-cert.", "The file with certificate authorities holds none")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if o.Getenv != nil {
		t.Proxy = proxies{o.Getenv}.forRequest
	}
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}, nil
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects || r.URL.Host != first.Host || (first.Scheme == "https" && r.URL.Scheme != "https") {
		return fmt.Errorf("redirected to %s://%s, %w", r.URL.Scheme, r.URL.Host, errRedirect)
	}
	return nil
}

// proxies reads the proxy variables at each request.
type proxies struct{ getenv func(string) string }

func (p proxies) either(name string) string {
	if v := p.getenv(name); v != "" {
		return v
	}
	return p.getenv(strings.ToUpper(name))
}

// forRequest returns the proxy for a request: https_proxy for https addresses or, as
// U2's documentation has it, http_proxy when that alone is set.
func (p proxies) forRequest(r *http.Request) (*url.URL, error) {
	text := p.either("http_proxy")
	if s := p.either("https_proxy"); r.URL.Scheme == "https" && s != "" {
		text = s
	}
	if text == "" || p.without(r.URL.Hostname(), r.URL.Port()) {
		return nil, nil //nolint:nilnil // the transport's own convention: no proxy
	}
	return parseProxy(text)
}

// without reports whether no_proxy names the host: exactly, as a domain above it, by
// address range, or with a port. This machine is never asked for through a proxy.
func (p proxies) without(host, port string) bool {
	ip := net.ParseIP(host)
	if host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return true
	}
	for item := range strings.SplitSeq(p.either("no_proxy"), ",") {
		item = strings.ToLower(strings.TrimSpace(item))
		if h, itemPort, err := net.SplitHostPort(item); err == nil {
			if itemPort != port {
				continue
			}
			item = h
		}
		_, network, err := net.ParseCIDR(item)
		switch {
		case item == "":
		case item == "*", item == strings.ToLower(host):
			return true
		case err == nil && ip != nil && network.Contains(ip):
			return true
		case strings.HasSuffix(strings.ToLower(host), "."+strings.TrimLeft(item, "*.")):
			return true
		}
	}
	return false
}

// parseProxy reads a proxy's address. User and password go up to the last @ and may be
// percent-encoded or not; they never appear in an error.
func parseProxy(text string) (*url.URL, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "http", text
	}
	i := strings.LastIndexByte(rest, '@')
	host, _, _ := strings.Cut(rest[i+1:], "/")
	u := &url.URL{Scheme: strings.ToLower(scheme), Host: host}
	if i >= 0 {
		name, password, has := strings.Cut(rest[:i], ":")
		u.User = url.User(decoded(name))
		if has {
			u.User = url.UserPassword(decoded(name), decoded(password))
		}
	}
	if host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		return nil, errProxy
	}
	if _, err := url.Parse(u.Scheme + "://" + host); err != nil {
		return nil, errProxy // without the cause, which would quote it
	}
	return u, nil
}

func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// Next steps that several causes share.
const (
	networkNext = "Check the network and the proxy settings, then run the command again."
	proxyNext   = "Put them into the proxy's address: http://USER:PASSWORD@HOST:PORT."
)

// cause is why an exchange failed, in words an operator can act on.
type cause struct {
	why, next string
	lasting   bool // trying again in a moment does not help
}

var (
	errRedirect = errors.New("which is not followed")
	errProxy    = errors.New("want http://HOST:PORT")
)

// causeOf tells failures of the network apart.
func causeOf(err error) cause {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return cause{"it was interrupted", "Run the command again.", true}
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return cause{"the proxy before it does not answer", "Check http_proxy, https_proxy and no_proxy, then run the command again.", false}
	case errors.As(err, &dns):
		return cause{"its name is not known (DNS)", networkNext, !dns.IsTemporary && !dns.IsTimeout}
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return cause{"its TLS certificate is not trusted", "Give the authority that signed it with --ca-cert, or see to it that nobody stands between.", true}
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return cause{"what answers there does not speak TLS", "Check the address and the port, and whether a proxy stands between.", true}
	case errors.Is(err, errRedirect):
		return cause{"it redirects elsewhere, as a captive portal does", "Check the address, and whether a captive portal or proxy stands between.", true}
	case errors.Is(err, errProxy):
		return cause{"the proxy's address cannot be used", "Correct http_proxy and https_proxy: http://USER:PASSWORD@HOST:PORT.", true}
	case strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired)):
		return cause{"the proxy wants a user and password", proxyNext, true}
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(err.Error(), "refused"): // Windows has words of its own
		return cause{"the connection is refused; it may be down", networkNext, false}
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return cause{"it does not answer in time", networkNext, false}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return cause{"the connection broke off", networkNext, false}
	}
	return cause{"it does not answer", networkNext, false}
}

// reach is the error of a service that cannot be reached.
func reach(base string, err error) error {
	if errors.Is(err, context.Canceled) {
		return problem.New(problem.Interrupted, "Run the command again.", "Interrupted while asking %s: %w", base, err)
	}
	why := causeOf(err)
	return problem.New(problem.Unreachable, why.next, "The service %s cannot be reached: %s: %w", base, why.why, shortened{err})
}

// shortened is an error without the address that *url.Error puts before it: that may
// hold a signature.
type shortened struct{ err error }

func (s shortened) Error() string {
	if u, ok := errors.AsType[*url.Error](s.err); ok {
		return u.Err.Error()
	}
	return s.err.Error()
}

func (s shortened) Unwrap() error { return s.err }

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
	"slices"
	"strings"
	"syscall"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/proxy"
)

// HTTPOptions are what [NewHTTP] builds a client from.
type HTTPOptions struct {
	CACert []byte              // PEM; trusted instead of the system's authorities; nil: the system's
	Getenv func(string) string // proxy settings come from here; nil: no proxy
	// Patience bounds how long a connection and an answer's head may take, where it is
	// shorter than the usual; 0: the usual.
	Patience time.Duration
}

func (o HTTPOptions) atMost(usual time.Duration) time.Duration {
	if o.Patience > 0 {
		return min(usual, o.Patience)
	}
	return usual
}

// Bounds of one exchange; a body may take longer as long as it moves.
const (
	dialTimeout   = 15 * time.Second
	headerTimeout = 60 * time.Second
	maxRedirects  = 5
)

// NewHTTP returns an HTTP client with the proxy rules of docs/design/network.md, which
// follows redirects only to the same host and never away from https.
func NewHTTP(o HTTPOptions) (*http.Client, error) {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: o.atMost(dialTimeout), KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    o.atMost(dialTimeout),
		ResponseHeaderTimeout:  o.atMost(headerTimeout),
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        TLS(nil),
	}
	if o.CACert != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CACert) {
			return nil, problem.New(problem.Usage, "Give a PEM file with --ca-cert.", "The file with certificate authorities holds none")
		}
		t.TLSClientConfig = TLS(pool)
	}
	return &http.Client{Transport: proxy.NewTransport(t, proxy.Settings{Getenv: o.Getenv}), CheckRedirect: checkRedirect}, nil
}

// TLS is how the client speaks TLS; nil means the system's authorities.
func TLS(authorities *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects {
		return errCircle
	}
	if r.URL.Host != first.Host || (first.Scheme == "https" && r.URL.Scheme != "https") {
		return fmt.Errorf("redirected to %s://%s, %w", r.URL.Scheme, r.URL.Host, errRedirect)
	}
	return nil
}

// Next steps that several causes share.
const (
	networkNext = "Check the network and the proxy settings, then run the command again; with doctor you see what is in the way."
	portalNext  = "Check the address, and whether a captive portal or proxy stands between."
)

// cause is why an exchange failed, in words an operator can act on.
type cause struct {
	why, next string
	lasting   bool // trying again in a moment does not help
}

var (
	errRedirect = errors.New("which is not followed")
	errCircle   = fmt.Errorf("redirected more than %d times", maxRedirects)
)

// causeOf tells failures of the network apart.
func causeOf(err error) cause {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var timeout net.Error
	if c, ok := untrusted(err); ok {
		return c
	}
	switch {
	case says(err, "headers exceeded", "1xx informational", "response header list larger"):
		return cause{"what answers there sends headers without end, which the update service does not", portalNext, true}
	case errors.Is(err, context.Canceled):
		return cause{"it was interrupted", "Run the command again.", true}
	case errors.As(err, &dns) && dns.IsTimeout:
		return cause{"the name server does not answer, so that its name is not known (DNS)", networkNext, false}
	case errors.As(err, &dns):
		return cause{"its name is not known (DNS)", networkNext, !dns.IsTemporary}
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return cause{"what answers there does not speak TLS", "Check the address and the port, and whether a proxy stands between.", true}
	case strings.Contains(err.Error(), "protocol version not supported"), strings.Contains(err.Error(), "handshake failure"), strings.Contains(err.Error(), "unsupported protocol version"):
		return cause{"it does not speak TLS 1.2 or newer as this program does", "Check whether a proxy stands between; tell your vendor.", true}
	case errors.Is(err, errCircle):
		return cause{"it redirects in a circle", portalNext, true}
	case errors.Is(err, errRedirect):
		return cause{"it redirects elsewhere, as a captive portal does", portalNext, true}
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(err.Error(), "refused"): // Windows has words of its own
		return cause{"the connection is refused; it may be down", networkNext, false}
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return cause{"it does not answer in time", networkNext, false}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), says(err, "stream error", "GOAWAY", "connection lost", "broken pipe"):
		return cause{"the connection broke off", networkNext, false}
	case says(err, "malformed HTTP response", "malformed MIME header"), cutInStatus(err):
		return cause{"the connection broke off in the head of an answer, or what answers there does not speak HTTP", portalNext, false}
	case says(err, "malformed", "bad Content-Length", "Content-Length", "Transfer-Encoding", "Transfer encoding"):
		return cause{"what answers there does not speak HTTP as it must", portalNext, true}
	}
	return cause{"it does not answer", networkNext, false}
}

// cutInStatus reports whether an answer ended within its status, such as "HTTP/1.1 20".
func cutInStatus(err error) bool {
	_, status, ok := strings.Cut(err.Error(), "malformed HTTP status code \"")
	status, _, closed := strings.Cut(status, "\"")
	return ok && closed && len(status) < len("200")
}

// says looks for what the standard library tells in words only.
func says(err error, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// untrusted tells apart why a certificate is not trusted. Who signed it is named: a
// proxy that opens TLS signs with an authority of its own.
func untrusted(err error) (cause, bool) {
	var verify *tls.CertificateVerificationError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0 {
		return cause{}, false
	}
	leaf := verify.UnverifiedCertificates[0]
	switch {
	case errors.As(err, &hostname):
		return cause{"its TLS certificate is not trusted: it is for another name", "Check the address, and whether a proxy or captive portal stands between.", true}, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		good, what := leaf, "it"
		if invalid.Cert != nil && !invalid.Cert.Equal(leaf) {
			good, what = invalid.Cert, fmt.Sprintf("that of %.100q, which signed it,", invalid.Cert.Subject.CommonName)
		}
		return cause{
			fmt.Sprintf("its TLS certificate is not trusted: %s is good from %s to %s only", what, good.NotBefore.UTC().Format(time.DateOnly), good.NotAfter.UTC().Format(time.DateOnly)),
			"Check this machine's clock; if it is right, tell whoever runs the service or the proxy between.", true,
		}, true
	}
	if strings.Contains(err.Error(), "has expired or is not yet valid") { // an authority on the way
		return cause{
			fmt.Sprintf("its TLS certificate is not trusted: the authority %q that signed it, or one above it, is not good today", SignedBy(leaf)),
			"Check this machine's clock; if it is right, get the authority's new certificate and give it with --ca-cert.", true,
		}, true
	}
	return cause{
		fmt.Sprintf("its TLS certificate is not trusted: it is signed by %q; a proxy that opens TLS signs with its own authority", SignedBy(leaf)),
		"Give the authority that signed it with --ca-cert, or see to it that nobody stands between.", true,
	}, true
}

// SignedBy is who signed a certificate, in short.
func SignedBy(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if len(c.Issuer.Organization) > 0 && !strings.Contains(name, c.Issuer.Organization[0]) {
		name = strings.TrimSpace(c.Issuer.Organization[0] + " " + name)
	}
	return fmt.Sprintf("%.100s", name)
}

// Unreached says why the service at an address cannot be reached, as [Client] does: of
// kind [problem.Unreachable], or [problem.Interrupted].
func Unreached(base string, err error) error { return reach(base, err) }

// reach is the error of a service that cannot be reached.
func reach(base string, err error) error {
	if errors.Is(err, context.Canceled) {
		return problem.New(problem.Interrupted, "Run the command again.", "Interrupted while asking %s: %w", base, err)
	}
	if p, ok := errors.AsType[*proxy.Error](err); ok {
		return problem.New(problem.Unreachable, p.Next(), "The service %s cannot be reached: %w", base, p)
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

// lasting reports whether trying again in a moment does not help.
func lasting(err error) bool {
	if p, ok := errors.AsType[*proxy.Error](err); ok {
		return p.Lasting()
	}
	return causeOf(err).lasting
}

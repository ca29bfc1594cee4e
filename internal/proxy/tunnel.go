package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of an exchange with a proxy.
const (
	answerTimeout = 60 * time.Second // until it has answered, the service dialled
	maxAnswer     = 256 << 10        // bytes of one answer's head and page
)

// Dialer opens connections to services, through the proxy that the settings name. What a
// proxy wants is learned once; credentials that it refused are not sent again, so that
// no account is locked by a program that tries and tries.
type Dialer struct {
	Settings Settings
	TLS      *tls.Config // for https proxies; nil: the system's authorities
	// Dial opens a connection without a proxy; nil: as net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	known map[string]memory        // by the proxy's address
	asked map[string]chan struct{} // likewise; who holds it logs in for the first time
}

// memory is what is known of a proxy.
type memory struct {
	scheme  string // of logging in that it took
	refused *Error // why it takes nothing
}

// DialContext opens a connection to an https service. What a proxy has against it is an
// [*Error].
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	p, err := d.Settings.For(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, err
	}
	if p == nil {
		return d.direct(ctx, network, address)
	}
	return d.Tunnel(ctx, p, address)
}

func (d *Dialer) direct(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Dial != nil {
		return d.Dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// Tunnel has a proxy open a connection to an address.
func (d *Dialer) Tunnel(ctx context.Context, p *Proxy, address string) (net.Conn, error) {
	known, first, err := d.remembered(ctx, p)
	if err != nil {
		return nil, err
	}
	defer first()
	if known.refused != nil {
		return nil, known.refused
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	t := &tunnel{dialer: d, proxy: p, address: address}
	scheme, err := t.open(ctx, known.scheme)
	if err != nil {
		t.close()
		if e, ok := errors.AsType[*Error](err); ok && e.Reason == RefusedUser {
			d.learn(p, memory{refused: e})
		}
		return nil, err
	}
	d.learn(p, memory{scheme: scheme})
	return t.done()
}

// remembered returns what is known of a proxy. Where nothing is and there is a password,
// one connection tries it and the others wait, so that a wrong one is not sent by all of
// them; done has to be called after.
func (d *Dialer) remembered(ctx context.Context, p *Proxy) (known memory, done func(), err error) {
	key := p.URL.String()
	look := func() (memory, chan struct{}, bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.asked == nil {
			d.asked = map[string]chan struct{}{}
		}
		if d.asked[key] == nil {
			d.asked[key] = make(chan struct{}, 1)
		}
		known, ok := d.known[key]
		return known, d.asked[key], ok || p.URL.User == nil
	}
	known, turn, ok := look()
	if ok {
		return known, func() {}, nil
	}
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return memory{}, nil, context.Cause(ctx)
	}
	known, _, ok = look()
	if ok {
		<-turn
		return known, func() {}, nil
	}
	return known, func() { <-turn }, nil
}

func (d *Dialer) learn(p *Proxy, m memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]memory{}
	}
	d.known[p.URL.String()] = m
}

// tunnel is one connection to a proxy that becomes one to the service.
type tunnel struct {
	dialer  *Dialer
	proxy   *Proxy
	address string

	conn net.Conn // nil: not open, or closed by the proxy
	in   *bufio.Reader
	left *io.LimitedReader
	quit func() bool // stops watching the context
}

func (t *tunnel) failed(reason Reason, err error) *Error {
	return &Error{Proxy: t.proxy.Address(), Variable: t.proxy.Variable, Reason: reason, Err: err}
}

// reply is what a proxy answered, read to its end.
type reply struct {
	code   int
	header http.Header
	proved bool // it judges a proof of the password, not the scheme
}

// open asks until the tunnel stands, logging in as the proxy wants it, and returns the
// scheme that it took. A scheme that is known is used at once.
func (t *tunnel) open(ctx context.Context, scheme string) (string, error) {
	var tried []string
	for {
		answer, err := t.login(ctx, scheme)
		if err != nil {
			return "", err
		}
		if answer.code/100 == 2 {
			return scheme, nil
		}
		if answer.code != http.StatusProxyAuthRequired {
			return "", t.failed(0, nil).judge(answer.code, answer.header)
		}
		e := t.failed(WantsUser, nil)
		e.Status, e.Schemes = answer.code, offered(answer.header)
		if t.proxy.URL.User == nil {
			return "", e
		}
		if scheme != "" {
			tried = append(tried, scheme)
		}
		next := slices.IndexFunc(spoken(), func(s string) bool { return slices.Contains(e.Schemes, s) && !slices.Contains(tried, s) })
		// A password that was proved wrong is not sent a second time in clear.
		if next < 0 || answer.proved {
			if e.Reason = OtherSchemes; answer.proved {
				e.Reason = RefusedUser
			}
			return "", e
		}
		scheme = spoken()[next]
	}
}

// login asks for the tunnel once, with a scheme.
func (t *tunnel) login(ctx context.Context, scheme string) (reply, error) {
	switch scheme {
	case "":
		return t.ask(ctx, "")
	case schemeBasic:
		answer, err := t.ask(ctx, t.proxy.basic())
		answer.proved = true
		return answer, err
	}
	first, err := hello(scheme)
	if err != nil {
		return reply{}, err
	}
	answer, err := t.ask(ctx, first)
	if err != nil || answer.code != http.StatusProxyAuthRequired || t.conn == nil {
		return answer, err
	}
	// Without a challenge it does not speak NTLM under this name, as Kerberos does not;
	// where the challenge cannot be met, another scheme may do.
	last := t.proxy.response(scheme, token(answer.header, scheme))
	if last == "" {
		return answer, nil
	}
	answer, err = t.ask(ctx, last)
	answer.proved = true
	return answer, err
}

// ask sends one CONNECT and reads the answer, on a new connection where the proxy closed
// the one before.
func (t *tunnel) ask(ctx context.Context, authorization string) (reply, error) {
	if err := t.connect(ctx); err != nil {
		return reply{}, err
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: t.address}, Host: t.address, Header: http.Header{"User-Agent": {"uplevel"}}}
	r.Header.Set("Proxy-Connection", "keep-alive") // for proxies of HTTP/1.0
	if authorization != "" {
		r.Header.Set("Proxy-Authorization", authorization)
	}
	err := r.Write(t.conn)
	t.left.N = maxAnswer
	var answer reply
	if err == nil {
		answer, err = t.read(r)
	} else {
		err = t.failed(Unreachable, err)
	}
	if ctx.Err() != nil {
		return reply{}, context.Cause(ctx)
	}
	return answer, err
}

// read reads an answer to its end, so that the next can follow.
func (t *tunnel) read(r *http.Request) (reply, error) {
	begin, err := t.in.Peek(5)
	if err != nil {
		return reply{}, t.failed(Unreachable, err)
	}
	if string(begin) != "HTTP/" {
		if begin[0] == 0x15 || begin[0] == 0x16 {
			return reply{}, t.failed(NotAProxy, nil).with("in TLS (write https:// there)")
		}
		return reply{}, t.failed(NotAProxy, nil).with("something else than HTTP")
	}
	answer, err := http.ReadResponse(t.in, r)
	if err != nil {
		return reply{}, t.failed(NotAProxy, nil).with("HTTP that cannot be read")
	}
	defer answer.Body.Close()
	got := reply{code: answer.StatusCode, header: answer.Header}
	if got.code/100 == 2 {
		return got, nil
	}
	_, err = io.Copy(io.Discard, answer.Body)
	said := answer.Header.Get("Proxy-Connection")
	old := answer.ProtoMajor == 1 && answer.ProtoMinor == 0 && !strings.EqualFold(said, "keep-alive")
	if err != nil || answer.Close || old || strings.EqualFold(said, "close") {
		t.close()
	}
	return got, nil
}

func (e *Error) with(detail string) *Error {
	e.Detail = detail
	return e
}

// connect opens the connection to the proxy, if it is not open. It is watched until the
// tunnel stands: a context that ends closes it.
func (t *tunnel) connect(ctx context.Context) error {
	if t.conn != nil {
		return nil
	}
	conn, err := t.dialer.direct(ctx, "tcp", t.proxy.Address())
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w", context.Cause(ctx))
		}
		return t.failed(Unreachable, err)
	}
	if t.proxy.URL.Scheme == "https" {
		secure := tls.Client(conn, t.config())
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
				return t.failed(NotAProxy, nil).with("without TLS (write http:// there)")
			}
			return t.failed(Unreachable, err)
		}
		conn = secure
	}
	t.conn = conn
	t.left = &io.LimitedReader{R: conn}
	t.in = bufio.NewReader(t.left)
	t.quit = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return nil
}

// config is for the proxy itself: HTTP/1.1, under its own name.
func (t *tunnel) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.dialer.TLS != nil {
		c = t.dialer.TLS.Clone()
	}
	c.ServerName, c.NextProtos = t.proxy.URL.Hostname(), nil
	return c
}

func (t *tunnel) close() {
	if t.conn != nil {
		t.quit()
		_ = t.conn.Close()
		t.conn = nil
	}
}

// done hands the connection over.
func (t *tunnel) done() (net.Conn, error) {
	if !t.quit() {
		t.close()
		return nil, context.DeadlineExceeded
	}
	if n := t.in.Buffered(); n > 0 {
		early, _ := t.in.Peek(n)
		return &begun{Conn: t.conn, early: slices.Clone(early)}, nil
	}
	return t.conn, nil
}

// begun is a connection of which something was read already.
type begun struct {
	net.Conn

	early []byte
}

// Read gives what was read already, then what comes.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.early) > 0 {
		n := copy(p, b.early)
		b.early = b.early[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

package faultproxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxUpload bounds a request's body that is kept in memory.
const maxUpload = 256 << 20

// Proxy answers on a loopback port and passes on to a service.
type Proxy struct {
	service *url.URL
	config  *tls.Config // nil: without TLS
	http2   bool
	forward *http.Transport

	mu          sync.Mutex
	listener    net.Listener
	at          string
	plan        Plan
	counts      []int // of each rule's requests
	seen        []Seen
	connections map[net.Conn]bool
	greetings   int // connections that end in the handshake
	serving     sync.WaitGroup
}

// Options are what a [Proxy] is made of.
type Options struct {
	Service     string           // https://HOST:PORT
	Certificate *tls.Certificate // nil: without TLS
	HTTP2       bool             // HTTP/2 instead of HTTP/1.1; with TLS only
}

// New starts a proxy that does no harm yet.
func New(o Options) (*Proxy, error) {
	service, err := url.Parse(o.Service)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		service: service, http2: o.HTTP2, connections: map[net.Conn]bool{}, at: "127.0.0.1:0",
		forward: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, MaxIdleConnsPerHost: 16},
	}
	if o.Certificate != nil {
		p.config = &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	if o.HTTP2 {
		p.config.NextProtos = []string{"h2"}
	}
	return p, p.Up()
}

// Up listens, at the address of before where there was one.
func (p *Proxy) Up() error {
	l, err := net.Listen("tcp", p.at)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.at = l, l.Addr().String()
	if p.http2 {
		p.serving.Go(func() { p.serveHTTP2(l) })
		return nil
	}
	p.serving.Go(func() { p.accept(l) })
	return nil
}

// Down refuses connections and ends those that are there.
func (p *Proxy) Down() {
	p.mu.Lock()
	_ = p.listener.Close()
	for c := range p.connections {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.serving.Wait()
}

// Close ends the proxy.
func (p *Proxy) Close() {
	p.Down()
	p.forward.CloseIdleConnections()
}

// Address is that of the proxy: HOST:PORT.
func (p *Proxy) Address() string { return p.at }

// URL is the address of the service that the proxy pretends to be.
func (p *Proxy) URL() string {
	if p.config == nil {
		return "http://" + p.at
	}
	return "https://" + p.at
}

// Set has a plan from now on, and forgets what was seen.
func (p *Proxy) Set(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.counts, p.seen, p.greetings = plan, make([]int, len(plan)), nil, 0
}

// CutGreetings has so many connections end in their TLS handshake.
func (p *Proxy) CutGreetings(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greetings = n
}

// Seen are the requests since the plan was set, in the order in which they were answered.
func (p *Proxy) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Seen{}, p.seen...)
}

// note keeps what became of a request.
func (p *Proxy) note(s Seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, s)
}

// faultFor counts a request and returns what it meets.
func (p *Proxy) faultFor(method, at string) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	var met Fault
	found := false
	for i, r := range p.plan {
		if !r.wants(method, at) {
			continue
		}
		p.counts[i]++
		if !found && r.meets(p.counts[i]) {
			met, found = r.Fault, true
		}
	}
	return met
}

func (p *Proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.connections[c] = true
		cut := p.greetings > 0
		if cut {
			p.greetings--
		}
		p.mu.Unlock()
		p.serving.Go(func() {
			p.serve(c, cut)
			p.mu.Lock()
			delete(p.connections, c)
			p.mu.Unlock()
			_ = c.Close()
		})
	}
}

// serve answers the requests of one connection.
func (p *Proxy) serve(c net.Conn, cut bool) {
	if cut {
		_, _ = c.Read(make([]byte, 64)) // of the greeting, so that it has begun
		return
	}
	over := c
	if p.config != nil {
		t := tls.Server(c, p.config)
		if t.Handshake() != nil {
			return
		}
		over = t
	}
	for in := bufio.NewReader(over); ; {
		r, err := http.ReadRequest(in)
		if err != nil || !p.answer(c, over, r) {
			return
		}
	}
}

// answer answers one request; it reports whether the connection can go on.
func (p *Proxy) answer(raw, over net.Conn, r *http.Request) bool {
	s := Seen{Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"), Host: r.Host, Secret: secret(r)}
	f := p.faultFor(r.Method, r.URL.Path)
	body, err := io.ReadAll(io.LimitReader(r.Body, bound(f.CutUpload, maxUpload)))
	s.Uploaded = int64(len(body))
	defer func() { p.note(s) }()
	if err != nil || f.CutUpload > 0 {
		end(raw, f.Reset)
		return false
	}
	if f.Silent {
		_, _ = raw.Read(make([]byte, 1)) // until the other side goes
		return false
	}
	a, err := p.ask(r, body, f)
	if err != nil {
		return false // the service is away: so are we
	}
	a.distort(f)
	head := a.head(f.Padding)
	s.Status, s.Head, s.Whole = a.status, int64(len(head)), int64(len(head)+len(a.body))
	if f.Endless != "" {
		s.Sent = forEver(over, f.Endless, head)
		return false
	}
	all := append(head, a.body...)
	whole := f.Cut == 0
	if !whole {
		all = all[:min(f.Cut-1, int64(len(all)))]
	}
	s.Sent, err = drip(over, all, f.Rate)
	if !whole {
		end(raw, f.Reset)
	}
	return err == nil && whole && a.header.Get("Connection") != "close" && a.framed()
}

func bound(cut, most int64) int64 {
	if cut > 0 {
		return cut - 1
	}
	return most
}

// end ends a connection below TLS, without a word.
func end(raw net.Conn, reset bool) {
	if t, ok := raw.(*net.TCPConn); ok && reset {
		_ = t.SetLinger(0)
	}
	_ = raw.Close()
}

// drip sends bytes at a rate and returns how many went.
func drip(to io.Writer, data []byte, rate int) (int64, error) {
	if rate == 0 {
		n, err := to.Write(data)
		return int64(n), err
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range data {
		if _, err := to.Write(data[i : i+1]); err != nil {
			return int64(i), err
		}
		<-tick.C
	}
	return int64(len(data)), nil
}

// forEver sends a part that has no end, until the other side goes.
func forEver(to io.Writer, what Endless, head []byte) int64 {
	first, again := head[:len(head)-2], []byte("X-More: and more\r\n")
	switch what {
	case EndlessBody:
		first, again = head, []byte("          ")
	case EndlessInterim:
		first, again = nil, []byte("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	case EndlessHead:
	}
	block := again
	for len(block) < 16<<10 {
		block = append(block, again...)
	}
	sent, err := to.Write(first)
	for err == nil {
		var n int
		n, err = to.Write(block)
		sent += n
	}
	return int64(sent)
}

func secret(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != ""
}

// errNoService is what a service that is away is to the one who asks.
var errNoService = errors.New("the service is away")

package faultproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"strings"
)

// connectionKey finds the connection of a request.
type connectionKey struct{}

// serveHTTP2 answers with HTTP/2. A cut ends a stream (RST_STREAM), with Goaway or Reset
// the connection; what belongs to HTTP/1.1's own form is not spoken here.
func (p *Proxy) serveHTTP2(l net.Listener) {
	server := &http.Server{
		Handler: http.HandlerFunc(p.answerHTTP2), TLSConfig: p.config, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(c net.Conn, s http.ConnState) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if s == http.StateClosed {
				delete(p.connections, c)
			} else {
				p.connections[c] = true
			}
		},
	}
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	_ = server.ServeTLS(l, "", "")
}

func (p *Proxy) answerHTTP2(w http.ResponseWriter, r *http.Request) {
	s := Seen{Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"), Host: r.Host, Secret: secret(r)}
	defer func() { p.note(s) }()
	f := p.faultFor(r.Method, r.URL.Path)
	body, err := io.ReadAll(io.LimitReader(r.Body, maxUpload))
	s.Uploaded = int64(len(body))
	if err != nil {
		return
	}
	if f.Silent {
		<-r.Context().Done()
		return
	}
	a, err := p.ask(r, body, f)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	a.distort(f)
	s.Status, s.Whole = a.status, int64(len(a.body))
	maps.Copy(w.Header(), a.header)
	for n := 0; n < f.Padding; n += 1 << 10 {
		w.Header().Add("X-Padding", strings.Repeat("p", 1<<10-41))
	}
	if f.Cut == 0 {
		w.WriteHeader(a.status)
		s.Sent, _ = io.Copy(w, bytes.NewReader(a.body))
		return
	}
	if n := min(f.Cut-1, int64(len(a.body))); n > 0 {
		w.WriteHeader(a.status)
		s.Sent, _ = drip(w, a.body[:n], f.Rate)
		_ = http.NewResponseController(w).Flush()
	}
	if c, ok := r.Context().Value(connectionKey{}).(net.Conn); ok && (f.Goaway || f.Reset) {
		if t, isTLS := c.(*tls.Conn); isTLS && f.Reset {
			end(t.NetConn(), true)
		}
		_ = c.Close()
	}
	panic(http.ErrAbortHandler)
}

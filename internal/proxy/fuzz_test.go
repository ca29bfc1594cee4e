package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzTunnel talks to a proxy that answers anything: the tunnel stands or an [*Error] tells
// why not, and the password is in no error.
func FuzzTunnel(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200\r\n\r\n", "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nxxHTTP/1.1 407 x\r\nProxy-Authenticate: NTLM TlRMTVNTUAACAAAA\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate, Digest\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n", "\x15\x03\x01", "HTTP/", "SSH-2.0-x\r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		d := &Dialer{Dial: func(context.Context, string, string) (net.Conn, error) {
			return &scripted{in: bytes.NewReader(answer)}, nil
		}}
		p := &Proxy{URL: &url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword(`BANK\kim`, "hunter2")}}
		conn, err := d.Tunnel(t.Context(), p, "service.example:443")
		if err == nil {
			_ = conn.Close()
			return
		}
		if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("%v", err)
		}
	})
}

// scripted is a connection to a proxy that says the same whatever it is asked.
type scripted struct {
	net.Conn
	in *bytes.Reader
}

func (s *scripted) Read(p []byte) (int, error)    { return s.in.Read(p) }
func (*scripted) Write(p []byte) (int, error)     { return len(p), nil }
func (*scripted) Close() error                    { return nil }
func (*scripted) SetDeadline(time.Time) error     { return nil }
func (*scripted) SetReadDeadline(time.Time) error { return nil }

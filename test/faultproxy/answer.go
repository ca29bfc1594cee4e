package faultproxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// answer is one that is not sent yet.
type answer struct {
	status int
	header http.Header
	bare   bool // none has a body, as to HEAD
	body   []byte
}

// ask gets the service's answer, or makes the one that stands in its place.
func (p *Proxy) ask(r *http.Request, body []byte, f Fault) (answer, error) {
	if f.Instead {
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		a := answer{status: status, header: http.Header{}, body: []byte(f.Body), bare: r.Method == http.MethodHead}
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		return a, nil
	}
	at := *r.URL
	at.Scheme, at.Host = p.service.Scheme, p.service.Host
	if f.Other != "" {
		at.Path, at.RawPath = f.Other, ""
	}
	forward, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, at.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	forward.Header = r.Header.Clone()
	said, err := p.forward.RoundTrip(forward)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoService, err)
	}
	defer said.Body.Close()
	data, err := io.ReadAll(said.Body)
	a := answer{status: said.StatusCode, header: said.Header, body: data, bare: r.Method == http.MethodHead}
	if !a.bare {
		a.header.Set("Content-Length", strconv.Itoa(len(data)))
	}
	return a, err
}

// distort does to an answer what a fault wants said.
func (a *answer) distort(f Fault) {
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.Truncate > 0 {
		a.body = a.body[:max(0, int64(len(a.body))-f.Truncate)]
	}
	switch {
	case f.Spaces > 0: // each form of packing may follow itself: a bomb costs its maker little
		a.body = bytes.Repeat(packed(f.Encoding, bytes.Repeat([]byte(" "), 1<<20)), int(f.Spaces>>20))
	case f.Encoding != "":
		a.body = packed(f.Encoding, a.body)
	}
	if f.Encoding != "" {
		a.header.Set("Content-Encoding", f.Encoding)
	}
	if !a.bare {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	for _, line := range f.Header {
		name, value, _ := strings.Cut(line, ":")
		a.header.Del(name)
		if value = strings.TrimSpace(value); value != "" {
			a.header.Set(name, value)
		}
	}
}

// packed is a body as gzip or zstd; by no name as it is.
func packed(encoding string, body []byte) []byte {
	switch encoding {
	case "gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body)
		_ = w.Close()
		return b.Bytes()
	case "zstd":
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll(body, nil)
	}
	return body
}

// head is the answer's head as it is sent, with so many bytes of lines that mean nothing.
func (a *answer) head(padding int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range a.header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	for n := 0; n < padding; n += 1 << 10 {
		fmt.Fprintf(&b, "X-Padding: %s\r\n", strings.Repeat("p", 1<<10-13))
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// framed reports whether the length that is told is the body's: else the connection is of
// no further use.
func (a *answer) framed() bool {
	return a.bare || a.header.Get("Content-Length") == strconv.Itoa(len(a.body))
}

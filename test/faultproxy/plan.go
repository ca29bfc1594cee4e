// Package faultproxy stands between a tool and its service and lies as a plan wants it:
// the plan is a plain value that says which requests meet which fault. What passes is
// counted, so that a test can tell what was fetched twice.
package faultproxy

import (
	"net/http"
	"path"
	"strings"
)

// Plan is what a proxy does to the requests that come: to each the first rule that wants it.
type Plan []Rule

// Rule says which requests meet a fault.
type Rule struct {
	Method string // empty: any
	Path   string // as of path.Match; one that ends in a slash means all below it; empty: any
	First  int    // the first of those that meets it; 0 and 1: the first of all
	Times  int    // how many meet it; 0: all from then on
	Fault  Fault
}

// wants reports whether a request is one of the rule's, before they are counted.
func (r Rule) wants(method, at string) bool {
	if r.Method != "" && r.Method != method {
		return false
	}
	if r.Path == "" || strings.HasSuffix(r.Path, "/") && strings.HasPrefix(at, r.Path) {
		return true
	}
	ok, err := path.Match(r.Path, at)
	return ok && err == nil
}

// meets reports whether the n-th of the rule's requests, from 1 on, meets the fault.
func (r Rule) meets(n int) bool {
	first := max(r.First, 1)
	return n >= first && (r.Times == 0 || n < first+r.Times)
}

// Fault is what becomes of one answer. The zero value leaves it as it is; parts may be
// put together.
type Fault struct {
	// What is said.
	Status   int      // instead of the service's
	Header   []string // lines "Name: value", in the place of the service's; "Name:" takes it away
	Body     string   // with Instead
	Instead  bool     // the service is not asked: Status (200), Header and Body are the answer
	Other    string   // path that the service is asked for, in place of the one wanted
	Truncate int64    // so many bytes are taken off the body's end, and nobody is told
	Spaces   int64    // the body becomes so many spaces, whole mebibytes of them
	Encoding string   // gzip or zstd: the body is sent so, asked for or not

	// How it is sent.
	Cut       int64 // the connection ends after so many bytes of head and body, less one; 0: it does not
	CutUpload int64 // likewise, of the request's body; the service gets nothing
	Reset     bool  // a cut is a reset, not an end
	Rate      int   // bytes a second; 0: as fast as it goes
	Padding   int   // bytes of further header lines
	Endless   Endless
	Silent    bool // nothing is said, until the other side goes
	Goaway    bool // HTTP/2: the whole connection ends, not only the stream
}

// Endless is a part of an answer that has no end.
type Endless string

// The parts.
const (
	EndlessHead    Endless = "head"
	EndlessBody    Endless = "body"
	EndlessInterim Endless = "interim" // answers of status 103
)

// CutAt is a cut after n bytes of the answer.
func CutAt(n int64) Fault { return Fault{Cut: n + 1} }

// Page is an answer that the service never gave.
func Page(status int, kind, body string, header ...string) Fault {
	return Fault{Instead: true, Status: status, Body: body, Header: append([]string{"Content-Type: " + kind}, header...)}
}

// Redirect leads elsewhere.
func Redirect(to string) Fault {
	return Page(http.StatusFound, "text/html", "<html>Found</html>", "Location: "+to)
}

// Seen is one request and what became of it.
type Seen struct {
	Method, Path, Range, Host string

	Secret   bool  // credentials came with it
	Uploaded int64 // bytes of the request's body that came
	Status   int   // 0: none was sent
	Head     int64 // bytes of the answer's head, as it would be sent whole
	Whole    int64 // bytes of head and body, likewise
	Sent     int64 // bytes of them that were sent
}

package network

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/test/faultproxy"
)

// http2 has streams and connections end.
func (w *world) http2(t *testing.T) {
	o := w.certificate
	o.HTTP2 = true
	s := w.site(t, o)
	for name, f := range map[string]fault{
		"stream ends":          {plan: at(check, faultproxy.CutAt(0)), words: []string{"the connection broke off"}},
		"stream ends later":    {plan: at(check, faultproxy.CutAt(20)), words: []string{"the connection broke off"}},
		"connection ends":      {plan: at(stamp, faultproxy.Fault{Cut: 20, Goaway: true}), words: []string{"the connection broke off"}},
		"connection is reset":  {plan: at(object, faultproxy.Fault{Cut: 20, Reset: true}), words: []string{"broke off"}},
		"headers without end":  {plan: at(check, faultproxy.Fault{Padding: 2 << 20}), words: []string{"headers without end"}},
		"silence":              {late: true, plan: at(stamp, faultproxy.Fault{Silent: true}), words: []string{"does not answer in time"}},
		"portal":               {plan: at("", faultproxy.Page(200, "text/html", portal)), words: []string{"captive portal"}},
		"longer than it is":    {plan: at(check, faultproxy.Fault{Header: []string{"Content-Length: 99999"}}), words: nil},
		"packed as none asked": {plan: at(object, faultproxy.Fault{Encoding: "gzip"}), words: []string{`packed with "gzip"`}},
	} {
		s.renew()
		before := s.tree()
		s.Set(f.plan)
		s.want(13, f.words, append([]string{"update"}, f.waits()...)...)
		if s.tree() != before {
			t.Errorf("%s: something was changed", name)
		}
		s.Set(nil)
		s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
	}
	s.renew()
	s.Set(faultproxy.Plan{{Path: check, Times: 2, Fault: faultproxy.Fault{Cut: 20, Goaway: true}}, {Path: object, Times: 3, Fault: faultproxy.CutAt(700)}})
	s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
}

// commands are the other doors of the tool.
func (w *world) commands(t *testing.T) {
	s := w.site(t, w.certificate)
	zip := filepath.Join(t.TempDir(), "shop.zip")
	for _, f := range []fault{
		{name: "check in a portal", plan: at("", faultproxy.Page(200, "text/html", portal)), args: []string{"check"}, exit: 13, words: []string{"captive portal"}},
		{name: "report in a portal", plan: at("", faultproxy.Page(200, "text/html", portal)), args: []string{"report"}, exit: 13, words: []string{"captive portal"}},
		{name: "silent report", plan: at("", faultproxy.Fault{Silent: true}), args: []string{"report", "--patience", "1s"}, exit: 13, words: []string{"does not answer in time"}},
		{name: "rated report", plan: at("/api/v1/reports", faultproxy.Page(429, "text/plain", "", "Retry-After: 600")), args: []string{"report"}, exit: 13, words: []string{"Wait 10m0s"}},
		{name: "guesses are not repeated", plan: at(tokens, faultproxy.Page(429, "application/problem+json", `{"title":"Invalid credentials: too many guesses","status":429,"kind":"credentials","next":"wait 1 s"}`, "Retry-After: 1")), args: []string{"check"}, exit: 11, words: []string{"Invalid credentials", "ait 1 s"}},
		{name: "offline update, cut", plan: at(object, faultproxy.CutAt(400)), args: []string{"create-update", "-s", "0", "-e", "0", "-o", zip}, exit: 13, words: []string{"broke off"}},
		{name: "offline update, other bytes", plan: at(object, faultproxy.Fault{Other: stamp}), args: []string{"create-update", "-s", "0", "-e", "0", "-o", zip}, exit: 14, words: []string{"not what the vendor signed"}},
		{name: "self-update in a portal", plan: at("", faultproxy.Page(200, "text/html", portal)), args: []string{"self-update"}, exit: 13, words: []string{"captive portal"}},
		{name: "doctor in a portal", plan: at("", faultproxy.Page(200, "text/html", portal)), args: []string{"doctor"}, exit: 13, words: []string{"failure"}},
		{name: "verify needs nobody", plan: at("", faultproxy.Fault{Cut: 1, Reset: true}), args: []string{"verify"}, exit: 0},
	} {
		before := s.tree()
		s.Set(f.plan)
		s.want(f.exit, f.words, f.args...)
		if s.tree() != before {
			t.Errorf("%s: something was changed", f.name)
		}
		if guesses := asked(s.Seen(), tokens); guesses > 1 && strings.HasPrefix(f.name, "guesses") {
			t.Errorf("a password was tried %d times", guesses)
		}
		if _, err := os.Stat(zip); err == nil {
			t.Errorf("%s: something is left", f.name)
		}
	}
	s.Set(nil)
	s.want(0, nil, "create-update", "-s", "0", "-e", "0", "-o", zip)
}

func asked(seen []faultproxy.Seen, path string) int {
	n := 0
	for _, s := range seen {
		if s.Path == path {
			n++
		}
	}
	return n
}

// plainHTTP: no secret goes to a service without TLS, nor to whom a redirect names.
func (w *world) plainHTTP(t *testing.T) {
	other := w.site(t, faultproxy.Options{Service: w.service})
	s := w.site(t, w.certificate)
	for _, path := range []string{check, stamp, object, tokens} {
		s.Set(at(path, faultproxy.Redirect(other.URL()+path)))
		s.want(13, []string{"redirects elsewhere"}, "update")
	}
	if seen := other.Seen(); len(seen) > 0 {
		t.Errorf("it was followed: %+v", seen)
	}
	s.want(10, []string{"is without TLS", "they are not sent", "https://HOST"}, "check", "--service", "http://updates.example:8080")
	s.want(10, []string{"is without TLS"}, "report", "--service", "http://192.0.2.1")
}

// cuts are at bytes of answers, whole heads and bodies counted: each heals by itself, and
// at each that does not the next run heals.
func (w *world) cuts(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("the samples' seed is %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 6))
	w.cutEach(t, random, 20, "check")
	w.cutEach(t, random, 4, "update")
}

// cutEach cuts every answer of a command: at the edges and at sample bytes each of its head and
// of all of it, with SWEEP=full at every byte.
func (w *world) cutEach(t *testing.T, random *rand.Rand, sample int, command string) {
	s := w.site(t, w.certificate)
	s.Set(nil)
	s.want(0, nil, command)
	answers := s.Seen()
	var cuts []cut
	for n, a := range answers {
		for _, at := range bytesOf(a, random, sample) {
			times := 1
			if len(cuts)%40 == 39 {
				times = 0 // for ever only sometimes: who tries again waits
			}
			cuts = append(cuts, cut{a, nth(answers, n), at, times})
		}
	}
	var healed atomic.Int64
	t.Run(command, func(t *testing.T) {
		for first := range together {
			t.Run(fmt.Sprint(first), func(t *testing.T) {
				t.Parallel()
				s := w.site(t, w.certificate)
				s.want(0, nil, command)
				for i := first; i < len(cuts); i += together {
					if w.cutOnce(s, command, cuts[i]) {
						healed.Add(1)
					}
				}
			})
		}
	})
	t.Logf("%s: %d cuts in %d answers, %d healed without a word, bad = 0", command, len(cuts), len(answers), healed.Load())
	if healed.Load() == 0 {
		t.Error("nothing heals")
	}
}

// together are the cuts that are made at one time: most of it is waiting.
const together = 16

// cut is one end of an answer: of the which-th to its path, after so many bytes.
type cut struct {
	answer faultproxy.Seen
	which  int
	at     int64
	times  int // 0: each time
}

// bytesOf are the bytes of an answer at which it is cut.
func bytesOf(a faultproxy.Seen, random *rand.Rand, sample int) []int64 {
	points := []int64{random.Int64N(a.Whole)}
	if *sweep {
		points = append(points, 0, 1, a.Head-1, a.Head, a.Head+1, a.Whole-1)
		for range sample {
			points = append(points, random.Int64N(a.Head), random.Int64N(a.Whole))
		}
	}
	if os.Getenv("SWEEP") == "full" {
		for at := range a.Whole {
			points = append(points, at)
		}
	}
	slices.Sort(points)
	return slices.DeleteFunc(slices.Compact(points), func(at int64) bool { return at < 0 || at >= a.Whole })
}

// nth is which of the requests to the same path the n-th is.
func nth(all []faultproxy.Seen, n int) int {
	which := 0
	for _, s := range all[:n+1] {
		if s.Path == all[n].Path && s.Method == all[n].Method {
			which++
		}
	}
	return which
}

// cutOnce reports whether a cut healed within the run.
func (w *world) cutOnce(s *site, command string, c cut) bool {
	s.t.Helper()
	if command != "check" {
		s.renew()
	}
	s.Set(faultproxy.Plan{{Method: c.answer.Method, Path: c.answer.Path, First: c.which, Times: c.times, Fault: faultproxy.CutAt(c.at)}})
	before := s.tree()
	r := s.run(command)
	if r.Exit == 0 {
		return true
	}
	if r.Exit != 13 || !strings.Contains(r.Output, "broke off") || s.tree() != before {
		s.t.Fatalf("%s of %s cut after %d bytes, %d times: exit %d:\n%s", c.answer.Method, c.answer.Path, c.at, c.times, r.Exit, r.Output)
	}
	s.Set(nil)
	s.want(0, nil, command)
	return false
}

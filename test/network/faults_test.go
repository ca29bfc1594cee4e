package network

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"uplevel/test/faultproxy"
)

// fault is one lie, and what the operator is told of it.
type fault struct {
	name  string
	plan  faultproxy.Plan
	late  bool     // it is about time
	args  []string // nothing: update
	exit  int
	words []string
}

const (
	check   = "/api/v1/check"
	tokens  = "/api/v1/tokens"
	stamp   = "/tuf/timestamp.json"
	object  = "/objects/"
	portal  = "<html><title>Hotel</title>Please log in to the Wi-Fi</html>"
	page    = "<!DOCTYPE html>\n<html>Bad gateway</html>"
	hostile = "\x1b]0;owned\x07\x1b[2Jall is well\r\u202e\u009b31m"
)

func at(path string, f faultproxy.Fault) faultproxy.Plan {
	return faultproxy.Plan{{Path: path, Fault: f}}
}

// everywhere are the doors of an update, each with an answer of another kind.
func everywhere() []string { return []string{tokens, check, stamp, object} }

// faults are all lies that end a run.
func faults() []fault {
	all := []fault{
		{name: "login page by redirect", plan: at("", faultproxy.Redirect("https://login.hotel.example/")), exit: 13, words: []string{"redirects elsewhere, as a captive portal does", "https://login.hotel.example", "captive portal"}},
		{name: "redirect to http", plan: at(check, faultproxy.Redirect("http://127.0.0.1:1/")), exit: 13, words: []string{"redirects elsewhere", "http://127.0.0.1:1"}},
		{name: "redirects in a circle", plan: at(check, faultproxy.Redirect(check)), exit: 13, words: []string{"redirects in a circle"}},
		{name: "object behind another host", plan: at(object, faultproxy.Redirect("https://elsewhere.example/")), exit: 13, words: []string{"redirects elsewhere"}},
		{name: "page called JSON", plan: at(check, faultproxy.Page(200, "application/json", page)), exit: 13, words: []string{"a web page"}},
		{name: "404 for 200", plan: at(stamp, faultproxy.Page(404, "application/json", "{}")), exit: 13, words: []string{"has no timestamp.json"}},
		{name: "404 page for 200", plan: at(stamp, faultproxy.Page(404, "text/html", portal)), exit: 13, words: []string{"a web page", "404"}},
		{name: "403 for 404", plan: at("/tuf/2.root.json", faultproxy.Page(403, "application/xml", "<Error/>")), exit: 13, words: []string{"forbids it (status 403)", "proxy or firewall"}},
		{name: "error page with 200 and no type", plan: at(stamp, faultproxy.Fault{Instead: true, Body: page}), exit: 13, words: []string{"a web page"}},
		{name: "rate", plan: at(stamp, faultproxy.Page(429, "text/plain", "slow down")), exit: 13, words: []string{"limits how often it is asked", "Wait some minutes"}},
		{name: "rate for an hour", plan: at(check, faultproxy.Page(429, "text/plain", "", "Retry-After: 3600")), exit: 13, words: []string{"limits how often it is asked", "Wait 1h0m0s"}},
		{name: "rate for a year", plan: at(check, faultproxy.Page(429, "text/plain", "", "Retry-After: 31536000")), exit: 13, words: []string{"limits how often", "more than a day"}},
		{name: "rate until a date", plan: at(check, faultproxy.Page(429, "text/plain", "", "Date: Mon, 02 Jan 2006 15:04:05 GMT", "Retry-After: Mon, 02 Jan 2006 17:04:05 GMT")), exit: 13, words: []string{"Wait 2h0m0s"}},
		{name: "rate less than nothing", plan: at(check, faultproxy.Page(503, "text/plain", "", "Retry-After: -7")), exit: 13, words: []string{"is not well: it answers status 503"}},
		{name: "rate of objects", plan: at(object, faultproxy.Page(429, "text/plain", "", "Retry-After: 3600")), exit: 13, words: []string{"limits how often", "Wait 1h0m0s"}},
		{name: "unwell", plan: at(object, faultproxy.Page(503, "text/plain", "")), exit: 13, words: []string{"not well", "503"}},
		{name: "no length", plan: at(check, faultproxy.Fault{Header: []string{"Content-Length: -5"}}), exit: 13, words: []string{"does not speak HTTP as it must"}},
		{name: "no HTTP", plan: at(check, faultproxy.Fault{Header: []string{"Content-Length: many"}}), exit: 13, words: []string{"does not speak HTTP as it must"}},
		{name: "long length", plan: at(check, faultproxy.Fault{Header: []string{"Content-Length: 999999", "Connection: close"}, Cut: 1 << 40}), exit: 13, words: []string{"the connection broke off"}},
		{name: "huge length", plan: at(stamp, faultproxy.Fault{Header: []string{"Content-Length: 9223372036854775807"}, Cut: 1 << 40}), exit: 13, words: []string{"the connection broke off"}},
		{name: "short length", plan: at(check, faultproxy.Fault{Truncate: 20}), exit: 13, words: []string{"JSON that ends too early"}},
		{name: "short metadata", plan: at(stamp, faultproxy.Fault{Truncate: 20}), exit: 14, words: []string{"timestamp"}},
		{name: "short objects", plan: at(object, faultproxy.Fault{Truncate: 20}), exit: 13, words: []string{"20 bytes early"}},
		{name: "gzip for objects", plan: at(object, faultproxy.Fault{Encoding: "gzip"}), exit: 13, words: []string{`packed with "gzip", which was not asked for`}},
		{name: "zstd for JSON", plan: at(check, faultproxy.Fault{Encoding: "zstd"}), exit: 13, words: []string{`packed with "zstd", which was not asked for`}},
		{name: "bomb for JSON", plan: at(check, faultproxy.Fault{Spaces: 24 << 20, Encoding: "gzip"}), exit: 13, words: []string{"too much"}},
		{name: "bomb for metadata", plan: at(stamp, faultproxy.Fault{Spaces: 24 << 20, Encoding: "gzip"}), exit: 14, words: []string{"timestamp", "longer than"}},
		{name: "bomb for a refusal", plan: at(check, faultproxy.Fault{Status: 403, Spaces: 24 << 20, Encoding: "gzip"}), exit: 13, words: []string{"403"}},
		{name: "other object", plan: at(object, faultproxy.Fault{Other: stamp}), exit: 14, words: []string{"not what the vendor signed"}},
		{name: "megabytes of head", plan: at(check, faultproxy.Fault{Padding: 4 << 20}), exit: 13, words: []string{"headers without end"}},
		{name: "endless head", plan: at(object, faultproxy.Fault{Endless: faultproxy.EndlessHead}), exit: 13, words: []string{"headers without end"}},
		{name: "endless interim answers", plan: at(check, faultproxy.Fault{Endless: faultproxy.EndlessInterim}), exit: 13, words: []string{"headers without end"}},
		{name: "endless object", plan: at(object, faultproxy.Fault{Endless: faultproxy.EndlessBody, Header: []string{"Content-Length:"}}), exit: 14, words: []string{"not what the vendor signed"}},
		{name: "endless JSON", plan: at(check, faultproxy.Fault{Endless: faultproxy.EndlessBody, Header: []string{"Content-Length:"}}), exit: 13, words: []string{"too much"}},
		{name: "conflicts that nobody saw", plan: at(check, faultproxy.Page(409, "application/problem+json", `{"title":"3 conflicts","status":409,"kind":"conflicts"}`)), exit: 1, words: []string{"3 conflicts"}},
		{name: "hostile refusal", plan: at(check, faultproxy.Page(403, "application/problem+json", `{"title":"`+escaped(hostile)+`","status":403,"kind":"not-entitled","next":"`+escaped(hostile)+`\n\nDone."}`)), exit: 12, words: []string{`\x1b]0;owned\x07`, `\u202e`}},
	}
	for _, path := range everywhere() {
		all = append(all,
			fault{name: "captive portal at " + path, plan: at(path, faultproxy.Page(200, "text/html", portal)), exit: 13, words: []string{"not the update service", "a web page, as a captive portal", "captive portal or proxy stands between"}},
			fault{late: true, name: "silence at " + path, plan: at(path, faultproxy.Fault{Silent: true}), exit: 13, words: []string{"does not answer in time"}},
			fault{late: true, name: "drip at " + path, plan: at(path, faultproxy.Fault{Rate: 1}), exit: 13, words: []string{"in time"}},
			fault{name: "cut in every head at " + path, plan: at(path, faultproxy.CutAt(30)), exit: 13, words: []string{"the connection broke off"}},
			fault{name: "reset at " + path, plan: at(path, faultproxy.Fault{Cut: 1, Reset: true}), exit: 13, words: []string{"the connection broke off"}})
	}
	return all
}

// waits are the options by which a run is short where it is about time. All else is told
// by what comes and not by when, however busy the machine.
func (f fault) waits() []string {
	if f.late {
		return []string{"--patience", patience.String()}
	}
	return nil
}

// escaped is a text within JSON.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

// TestNetwork meets each fault, and each time all is well again.
func TestNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("restart", w.restart) // alone: the others need the service
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w.meets(t, f)
		})
	}
	t.Run("certificates", func(t *testing.T) { t.Parallel(); w.certificates(t) })
	t.Run("silent name server", func(t *testing.T) { t.Parallel(); w.silentNameServer(t) })
	t.Run("clocks", func(t *testing.T) { t.Parallel(); w.clocks(t) })
	t.Run("greetings", func(t *testing.T) { t.Parallel(); w.greetings(t) })
	t.Run("passing", func(t *testing.T) { t.Parallel(); w.passing(t) })
	t.Run("resumed", func(t *testing.T) { t.Parallel(); w.resumed(t) })
	t.Run("restarted", func(t *testing.T) { t.Parallel(); w.restarted(t) })
	t.Run("http2", func(t *testing.T) { t.Parallel(); w.http2(t) })
	t.Run("commands", func(t *testing.T) { t.Parallel(); w.commands(t) })
	t.Run("plain http", func(t *testing.T) { t.Parallel(); w.plainHTTP(t) })
	t.Run("cuts", func(t *testing.T) { t.Parallel(); w.cuts(t) })
	t.Run("publisher", func(t *testing.T) { t.Parallel(); w.publisher(t) })
}

// meets has an update meet a fault: it ends as it must, changes nothing, and the next,
// undisturbed one goes on from what was verified.
func (w *world) meets(t *testing.T, f fault) {
	t.Helper()
	s := w.site(t, w.certificate)
	s.Set(f.plan)
	before := s.tree()
	s.want(f.exit, append(f.words, "\nNext: ", "Nothing was changed"), append([]string{"update"}, f.waits()...)...)
	if s.tree() != before {
		t.Error("something was changed")
	}
	s.Set(nil)
	s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
}

// certificates are those that cannot be trusted. A machine whose clock is a year off sees
// a good one as one of these.
func (w *world) certificates(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		options faultproxy.Options
		words   []string
	}{
		"clock a year ahead": {w.certified("127.0.0.1", now.AddDate(-2, 0, 0), now.AddDate(-1, 2, 0)), []string{"is good from", "only", "Check this machine's clock"}},
		"clock a year back":  {w.certified("127.0.0.1", now.AddDate(1, 0, 0), now.AddDate(2, 0, 0)), []string{"is good from", "only", "Check this machine's clock"}},
		"other name":         {w.certified("other.example", now, now.AddDate(0, 2, 0)), []string{"it is for another name", "Check the address"}},
	} {
		s := w.site(t, c.options)
		s.want(13, append(c.words, "TLS certificate is not trusted"), "update")
		if len(s.Seen()) > 0 {
			t.Errorf("%s: it was asked all the same: %+v", name, s.Seen())
		}
	}
	s := w.site(t, w.certificate)
	s.env = append(s.env, "UPLEVEL_CA_CERT=")
	s.want(13, []string{"TLS certificate is not trusted", `signed by "Vendor CA"`, "--ca-cert"}, "update")
}

// greetings end in the middle: one that does heals, all that do are told.
func (w *world) greetings(t *testing.T) {
	s := w.site(t, w.certificate)
	s.CutGreetings(1 << 20)
	s.want(13, []string{"the connection broke off"}, "check")
	s.CutGreetings(2)
	s.want(0, []string{"the latest is 1.1"}, "check")
	s.Down()
	s.want(13, []string{"the connection is refused; it may be down"}, "check")
	again := time.AfterFunc(700*time.Millisecond, func() { _ = s.Up() })
	defer again.Stop()
	s.want(0, []string{"the latest is 1.1"}, "check")
}

// passing are faults that a second try heals without a word.
func (w *world) passing(t *testing.T) {
	s := w.site(t, w.certificate)
	once := func(path string, f faultproxy.Fault) faultproxy.Rule {
		return faultproxy.Rule{Path: path, Times: 1, Fault: f}
	}
	for name, rule := range map[string]faultproxy.Rule{
		"cut in a body":          once(check, faultproxy.Fault{Truncate: 0, Cut: 420}),
		"cut in metadata":        once(stamp, faultproxy.CutAt(600)),
		"reset":                  once(tokens, faultproxy.Fault{Cut: 1, Reset: true}),
		"503":                    once(check, faultproxy.Page(503, "text/plain", "")),
		"429":                    once(check, faultproxy.Page(429, "text/plain", "", "Retry-After: 1")),
		"429 of metadata":        once(stamp, faultproxy.Page(429, "text/html", page, "Retry-After: 1")),
		"429 without a time":     once("/none", faultproxy.Fault{}),
		"absent length":          once(check, faultproxy.Fault{Header: []string{"Content-Length:", "Connection: close"}}),
		"another type":           once(check, faultproxy.Fault{Header: []string{"Content-Type: image/png"}}),
		"another type of object": {Path: object, Fault: faultproxy.Fault{Header: []string{"Content-Type: text/plain"}}},
		"gzip for metadata":      {Path: "/tuf/", Fault: faultproxy.Fault{Header: []string{"X: y"}}},
	} {
		s.renew()
		s.Set(faultproxy.Plan{rule})
		s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// resumed has the largest download cut, and the next run ask for the rest only.
func (w *world) resumed(t *testing.T) {
	s := w.site(t, w.certificate)
	s.Set(nil)
	s.want(0, nil, "update")
	whole := objects(s.Seen())
	var largest string
	for path, n := range whole {
		if n > whole[largest] {
			largest = path
		}
	}
	s.renew()
	s.Set(faultproxy.Plan{{Path: largest, Times: 1, Fault: faultproxy.CutAt(100_000)}, {Path: largest, Fault: faultproxy.CutAt(0)}})
	s.want(13, []string{"the connection broke off"}, "update")
	first := objects(s.Seen())
	s.Set(nil)
	s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
	ranged := false
	for _, seen := range s.Seen() {
		ranged = ranged || seen.Path == largest && strings.HasPrefix(seen.Range, "bytes=")
	}
	second := objects(s.Seen())
	if !ranged || second[largest] == 0 {
		t.Errorf("the rest was not asked for: %+v", s.Seen())
	}
	for path, n := range whole {
		if got := first[path] + second[path]; got != n {
			t.Errorf("%s: %d bytes came, %d are enough", path, got, n)
		}
	}
}

// restarted has the service go away in the middle of a download, and come back.
func (w *world) restarted(t *testing.T) {
	s := w.site(t, w.certificate)
	s.Set(faultproxy.Plan{
		{Path: object, First: 1, Times: 1, Fault: faultproxy.CutAt(900)},
		{Path: object, First: 2, Times: 3, Fault: faultproxy.Page(http.StatusBadGateway, "text/html", page)},
		{Path: object, First: 5, Times: 2, Fault: faultproxy.Fault{Cut: 1, Reset: true}},
	})
	s.want(0, []string{"went from level 1.0 to 1.1"}, "update")
}

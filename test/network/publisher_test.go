package network

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"uplevel/test/faultproxy"
	"uplevel/test/lab"
)

// uploads is where objects are put.
const uploads = "/api/v1/publishing/objects/"

// publisher has a publisher meet faults: it says which, nothing new is visible, and what
// the service acknowledged is not sent again.
func (w *world) publisher(t *testing.T) {
	s := w.site(t, w.certificate)
	dist := w.Path("dist-published")
	for n := range 6 {
		must(t, lab.WriteFile(fmt.Sprintf("%s/lib/%d.jar", dist, n), 900+uint64(n), 40_000))
	}
	run := func(exit int, words ...string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), maxTime)
		defer stop()
		r, err := w.DoWith(ctx, []string{"UPLEVEL_SERVICE=" + s.URL(), "UPLEVEL_CA_CERT=" + w.Path("vendor-ca.pem"), "UPLEVEL_CACHE=" + s.home + "-cache"}, w.Dir,
			"uplevel-publish", "product", "add", "tent", "1", "--platform", "unix", "--dist", dist)
		if ctx.Err() != nil || err != nil && r.Exit <= 0 {
			t.Fatalf("%v: %s", err, r.Output)
		}
		if r.Exit != exit || strings.ContainsAny(r.Output, "\x1b\x07") {
			t.Errorf("ended with %d, want %d: %q", r.Exit, exit, r.Output)
		}
		for _, text := range words {
			if !strings.Contains(r.Output, text) {
				t.Errorf("it does not say %q:\n%s", text, r.Output)
			}
		}
	}
	quiet := "Nothing new is visible to customers."
	other := w.site(t, w.certificate)
	for _, f := range []fault{
		{plan: at("", faultproxy.Page(200, "text/html", portal)), words: []string{"captive portal"}},
		{plan: at(uploads, faultproxy.Redirect(other.URL()+uploads)), words: []string{"redirects elsewhere"}},
		{plan: at("/api/v1/publishing/missing", faultproxy.Fault{Truncate: 9}), words: []string{"JSON that ends too early"}},
		{plan: at(uploads, faultproxy.Page(429, "text/plain", "", "Retry-After: 3600")), words: []string{"limits how often", "Wait 1h0m0s"}},
		{plan: at(uploads, faultproxy.Page(413, "text/html", page)), words: []string{"a web page", "413"}},
		{plan: at(uploads, faultproxy.Page(403, "application/problem+json", `{"title":"`+escaped(hostile)+`","status":403,"kind":"unreachable"}`)), words: []string{`\x1b]0;owned\x07`}},
		{plan: faultproxy.Plan{{Path: uploads, First: 4, Fault: faultproxy.Fault{CutUpload: 1000, Reset: true}}}, words: []string{"the connection broke off"}},
	} {
		s.Set(f.plan)
		run(13, append(f.words, quiet)...)
	}
	if seen := other.Seen(); len(seen) > 0 {
		t.Errorf("a redirect was followed: %+v", seen)
	}
	taken := map[string]bool{}
	for _, seen := range s.Seen() {
		if strings.HasPrefix(seen.Path, uploads) && seen.Status == 204 {
			taken[seen.Path] = true
		}
	}
	s.Set(nil)
	run(0, "Published level 1.0")
	again := 0
	for _, seen := range s.Seen() {
		if taken[seen.Path] {
			t.Errorf("%s was sent again", seen.Path)
		}
		if strings.HasPrefix(seen.Path, uploads) {
			again++
		}
	}
	if len(taken) == 0 || again == 0 {
		t.Errorf("%d were taken before the cut, %d after it", len(taken), again)
	}
}

package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/digest"
)

// door is a route as it can be asked, by whoever may.
type door struct{ method, path, token, body, kind string }

// doors are an answer of every kind that there is.
func doors(t *testing.T, w *world) []door {
	t.Helper()
	delivery := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 1, Objects: []digest.Digest{w.levels[1].Manifest.Sum}})
	const plain, asJSON, wrong = "text/plain; charset=utf-8", "application/json", problemType
	return []door{
		{"GET", "/healthz", "", "", plain},
		{"GET", "/readyz", "", "", plain},
		{"GET", "/api/openapi.json", "", "", asJSON},
		{"GET", "/api/v1/vendor", "", "", asJSON},
		{"GET", "/api/v1/eula", "operator", "", asJSON},
		{"POST", "/api/v1/check", "operator", `{"product":"shop","version":"1.0","channel":"full","level":0}`, asJSON},
		{"POST", "/api/v1/tokens", "", `{"email":"operator@example.com","password":"right passw0rd"}`, asJSON},
		{"POST", "/api/v1/deliveries", "operator", delivery, asJSON},
		{"GET", "/api/v1/installations", "operator", "", asJSON},
		{"GET", "/api/v1/hotfixes/shop/1.0/Own-hf1", "operator", "", api.HotfixZip},
		{"GET", "/tuf/timestamp.json", "", "", asJSON},
		{"GET", "/tuf/targets/shop/1.0/full/" + w.levels[1].Record.Sum.String() + ".1.json", "", "", asJSON},
		{"GET", "/api/v1/eula", "", "", wrong},
		{"GET", "/api/v1/nothing", "operator", "", wrong},
		{"DELETE", "/api/v1/eula", "operator", "", wrong},
		{"POST", "/api/v1/check", "operator", "{", wrong},
		{"GET", "/objects/" + w.levels[1].Manifest.Sum.String(), "", "", wrong},
		{"PUT", "/api/v1/publishing/objects/xyz", "operator", "", wrong},
	}
}

// TestEveryAnswerIsNoPage: whatever is answered, a browser does not show, frame, run or
// keep it, is told to come by TLS only, gets no cookie and no leave for another origin.
func TestEveryAnswerIsNoPage(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	for _, d := range doors(t, w) {
		got := ask(h, d.method, d.path, d.token, d.body, "Origin", "https://evil.example", "Cookie", "session=1")
		what := d.method + " " + d.path + " as " + d.token
		if got.Header().Get("Content-Type") != d.kind {
			t.Errorf("%s is %q, want %q", what, got.Header().Get("Content-Type"), d.kind)
		}
		policy := got.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "sandbox"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", what, policy, want)
			}
		}
		if got.Header().Get("X-Content-Type-Options") != "nosniff" || got.Header().Get("Referrer-Policy") != "no-referrer" ||
			!regexp.MustCompile(`^max-age=(3153[6-9]\d{3}|[4-9]\d{7}|\d{9,}); includeSubDomains$`).MatchString(got.Header().Get("Strict-Transport-Security")) {
			t.Errorf("%s: %v", what, got.Header())
		}
		cached := got.Header().Get("Cache-Control")
		public := strings.HasPrefix(d.path, "/tuf/")
		if !public && !strings.Contains(cached, "no-store") && !strings.HasPrefix(cached, "private, no-cache") || d.method == "POST" && cached != "no-store" {
			t.Errorf("%s may be cached: %q", what, cached)
		}
		for name := range got.Header() {
			if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" || name == "Server" || name == "X-Powered-By" || name == "Location" {
				t.Errorf("%s: header %s", what, name)
			}
		}
	}
}

// TestNoOtherMethod asks every route with every method that it does not have.
func TestNoOtherMethod(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	for _, d := range doors(t, w) {
		for _, method := range []string{"TRACE", "OPTIONS", "PATCH", "DELETE", "PUT", "POST", "GET", "CONNECT", "get", "PROPFIND"} {
			if method == d.method || method == "GET" && d.path == "/api/v1/eula" || method == "PUT" && strings.Contains(d.path, "publishing/objects") {
				continue
			}
			got := ask(h, method, d.path, "administrator", "{}", "X-HTTP-Method-Override", d.method)
			if got.Code != http.StatusMethodNotAllowed && got.Code != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, d.path, got.Code)
			}
			if strings.Contains(got.Body.String(), "X-Http-Method-Override") {
				t.Errorf("%s %s repeats the request", method, d.path)
			}
		}
	}
}

// TestNothingElseAnswers: no listing, no debugging, no file of the machine.
func TestNothingElseAnswers(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	for _, path := range []string{
		"/", "/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/publishing", "/tuf", "/tuf/", "/tuf/targets/", "/tuf/targets/shop/1.0/full/", "/objects", "/objects/",
		"/debug/pprof/", "/debug/vars", "/metrics", "/docs", "/api/docs", "/schemas/", "/openapi.json", "/.git/config", "/.env", "/secret", "/uplevel.db",
		"/tuf/..%2fsecret", "/tuf/%2e%2e/%2e%2e/etc/passwd", "/objects/..%2f..%2fsecret", "/objects/" + strings.Repeat("0", 63) + "%2f",
		"/tuf/timestamp.json%00", "/tuf/targets/..%2f..%2f/1.0/full/x.1.json", "/tuf/targets/uplevel-tool/1.0/..%2fx",
		"/api/v1/hotfixes/shop/1.0/..%2f..%2fsecret", "/api/v1/hotfixes/shop/1.0/", "/favicon.ico", "/robots.txt",
	} {
		if got := ask(h, "GET", path, "administrator", ""); got.Code/100 == 2 || got.Code/100 == 5 {
			t.Errorf("%s: %d %.80s", path, got.Code, got.Body)
		}
	}
	if strings.Contains(w.log.String(), "ERROR") {
		t.Error("the log takes a client's mistake for the service's")
	}
}

// TestTheLogTellsWho: each request leaves one line that nobody can break or forge, with
// the time, what was asked, from where, by whom and what came of it; and no secret.
func TestTheLogTellsWho(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI)
	forged := "%0A%7B%22level%22:%22INFO%22,%22msg%22:%22forged%22%7D%0d%1b[31m"
	ask(h, "GET", "/api/v1/eula", "operator", "")
	ask(h, "GET", "/api/v1/publishing/online-keys", "operator", "") // not allowed
	ask(h, "GET", "/api/v1/eula", "upl_garbage-token", "")
	ask(h, "POST", "/api/v1/tokens", "", `{"email":"operator@example.com","password":"wrong passw0rd"}`)
	ask(h, "POST", "/api/v1/tokens", "", `{"email":"operator@example.com","password":"right passw0rd"}`)
	ask(h, "GET", "/nothing"+forged, "", "", "X-Forwarded-For", "192.0.2.1\n{}", "User-Agent", "\x1b]0;owned")
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	want := []struct {
		status      int
		user, token string
	}{{200, "operator", "tok_operator"}, {403, "operator", "tok_operator"}, {401, "", ""}, {401, "", ""}, {200, "operator", "tok_login"}, {404, "", ""}}
	if len(lines) != len(want) {
		t.Fatalf("%d lines for %d requests:\n%s", len(lines), len(want), w.log.String())
	}
	for i, text := range lines {
		var line struct {
			Time, Msg, Method, Path, Address string
			Request, User, Token             string
			Status                           int
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		line.Request, _ = all["request_id"].(string)
		line.User, _ = all["user_id"].(string)
		line.Token, _ = all["token_id"].(string)
		if line.Msg != "request" || line.Status != want[i].status || line.User != want[i].user || line.Token != want[i].token {
			t.Errorf("line %d: %s", i, text)
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)$`).MatchString(line.Time) || line.Request == "" || line.Method == "" || line.Path == "" || line.Address == "" {
			t.Errorf("line %d lacks something: %s", i, text)
		}
	}
	for _, secret := range []string{"passw0rd", "garbage-token", "Bearer"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// TestNothingIsTakenTwice: a parameter given again, and fields that nobody asked for,
// change nothing.
func TestNothingIsTakenTwice(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	url := keyOf(s.Signer.Keys).signedURL(w.levels[1].Manifest.Sum, today.Add(-urlLife))
	for _, more := range []string{"&expires=9999999999", "&signature=0&expires=9999999999", "&key=" + keyOf(s.Signer.Keys).id + "&expires=9999999999"} {
		if got := ask(h, "GET", url+more, "", "").Code; got != http.StatusForbidden {
			t.Errorf("a URL that is over, with %s: %d", more, got)
		}
	}
	report := asJSON(t, api.Report{Installation: strings.Repeat("a", 64), Product: "shop", Version: "1.0", Channel: "full", Level: 1, Operation: "update", Outcome: "ok"})
	stolen := strings.Replace(report, "{", `{"organisation":"other","Organisation":"other","user":"x","role":"administrator",`, 1)
	if got := ask(h, "POST", "/api/v1/reports?organisation=other", "operator", stolen, "X-Organisation", "other").Code; got != http.StatusNoContent {
		t.Fatalf("a report with fields of a newer tool: %d", got)
	}
	if len(w.fleet) != 1 || w.fleet[0].Organisation != "own" {
		t.Errorf("reported for %+v", w.fleet)
	}
	if got := ask(h, "GET", "/api/v1/installations?organisation=own", "other", ""); strings.Contains(got.Body.String(), strings.Repeat("a", 64)) {
		t.Errorf("another organisation sees %s", got.Body)
	}
}

// TestEveryRouteIsInTheTable: a route that is described and not asked by everybody in
// [TestWhoMayDoWhat] is a hole in it.
func TestEveryRouteIsInTheTable(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	var described struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(ask(s.Handler(RoleAPI, RoleDelivery), "GET", "/api/openapi.json", "", "").Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, methods := range described.Paths {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\{[^}]*\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/?]+`) + `(\?.*)?$`)
		for method := range methods {
			n++
			if !slices.ContainsFunc(whoMay(t, w), func(r row) bool { return strings.EqualFold(r.method, method) && pattern.MatchString(r.path) }) {
				t.Errorf("%s %s is asked by nobody", method, path)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d routes are described", n)
	}
}

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/digest"
	"uplevel/internal/object"
)

// ask sends a request to the handlers, as the holder of a token.
func ask(h http.Handler, method, path, token, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// row is a route, and a status for each of callers.
type row struct {
	method, path, body string
	want               string // 1 401, 3 403, 2 2xx, 4 404, 5 422, 9 409
}

// callers are whoever may come: nobody, a wrong token, each role, another organisation's
// member, an installation's token, a publisher's.
func callers() []string {
	return []string{"", "garbage", "operator", "security", "organisation-admin", "other", "report", "release-engineer", "subscription-manager", "support", "administrator", "publisher"}
}

// whoMay is the table of every route and every kind of caller.
func whoMay(t *testing.T, w *world) []row {
	t.Helper()
	of := func(level int) string {
		return asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: level, Objects: []digest.Digest{w.levels[level].Manifest.Sum}})
	}
	report := asJSON(t, api.Report{Installation: strings.Repeat("a", 64), Product: "shop", Version: "1.0", Channel: "full", Level: 1, Operation: "update", Outcome: "ok"})
	check := `{"product":"shop","version":"1.0","channel":"full","level":0}`
	sum := digest.Of([]byte("new")).String()
	return []row{
		{"POST", "/api/v1/check", check, "112223322222"},
		{"POST", "/api/v1/deliveries", of(1), "112323323222"},
		{"POST", "/api/v1/deliveries", of(2), "113333323222"},
		{"POST", "/api/v1/reports", report, "112322223323"},
		{"POST", "/api/v1/reports/carried", `{"reports":[` + report + `]}`, "112322223323"},
		{"GET", "/api/v1/installations", "", "112222323323"},
		{"GET", "/api/v1/eula", "", "112222322222"},
		{"POST", "/api/v1/eula/acceptances", `{"version":"1"}`, "112322333333"},
		{"GET", "/api/v1/vendor", "", "222222222222"},
		{"GET", "/api/v1/products/shop/1.0/channels/full/levels", "", "112223322222"},
		{"POST", "/api/v1/publishing/missing", `{"objects":[]}`, "113333323322"},
		{"POST", "/api/v1/publishing/metadata", `{"metadata":[]}`, "113333353355"},
		{"GET", "/api/v1/publishing/online-keys", "", "113333323322"},
		{"PUT", "/api/v1/publishing/objects/" + sum, "no zstd", "113333353355"},
		{"POST", "/api/v1/publishing/hotfixes", "no zip", "113333353355"},
		{"GET", "/api/v1/publishing/organisations?name=Own", "", "113333323322"},
		{"GET", "/api/v1/publishing/organisations?name=Nobody", "", "113333343344"},
		{"GET", "/api/v1/hotfixes?product=shop&version=1.0&channel=full", "", "112223322222"},
		{"GET", "/api/v1/hotfixes/shop/1.0/Own-hf1", "", "112324323422"},
		{"GET", "/api/v1/hotfixes/shop/1.0/Own-hf2", "", "114344343444"},
		{"GET", "/api/v1/hotfixes/shop/2.0/Own-hf1", "", "114344343444"},
		{"GET", "/api/v1/hotfixes/shop/1.0/Other-hf1", "", "114344323422"},
		{"GET", "/tuf/timestamp.json", "", "222222222222"},
		{"GET", "/tuf/9.root.json", "", "444444444444"},
		{"POST", "/api/v1/tokens", `{"email":"operator@example.com","password":"not the one"}`, "111111111111"},
		{"GET", "/tuf/targets/shop/1.0/full/" + w.levels[1].Record.Sum.String() + ".1.json", "", "222222222222"},
		{"GET", "/tuf/targets/uplevel-tool/1.0/" + sum + ".linux_amd64", "", "444444444444"},
		{"GET", "/healthz", "", "222222222222"},
		{"GET", "/readyz", "", "222222222222"},
		{"GET", "/api/openapi.json", "", "222222222222"},
		{"GET", "/nothing/here", "", "444444444444"},
		{"GET", "/objects/" + w.levels[1].Manifest.Sum.String(), "", "333333333333"},
	}
}

// TestWhoMayDoWhat asks every route as every kind of caller.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	for _, row := range whoMay(t, w) {
		for i, token := range callers() {
			got := ask(h, row.method, row.path, token, row.body).Code
			want := map[byte]int{'1': 401, '3': 403, '4': 404, '5': 422, '9': 409}[row.want[i]]
			if want == 0 && got/100 != 2 || want != 0 && got != want {
				t.Errorf("%s %s as %q: %d, want %c", row.method, row.path, token, got, row.want[i])
			}
		}
	}
	if strings.Contains(w.log.String(), "Bearer") || strings.Contains(w.log.String(), "signature") {
		t.Error("the log holds a secret")
	}
}

// TestProblemsSayWhatAndUnderWhichRequest looks at the form of refusals.
func TestProblemsSayWhatAndUnderWhichRequest(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	got := ask(s.Handler(RoleAPI), "POST", "/api/v1/tokens", "", `{"email":"x@example.com","password":"wrong one"}`)
	var p api.Problem
	if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if got.Code != 401 || p.Kind != "credentials" || p.Title != "Invalid credentials" || p.RequestID == "" || p.RequestID != got.Header().Get("X-Request-Id") ||
		got.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %+v %v", got.Code, p, got.Header())
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	for path, limit := range map[string]int{"check": api.MaxBody, "deliveries": api.MaxBody, "tokens": smallBody, "reports": api.MaxReport, "reports/carried": api.MaxBody, "publishing/metadata": api.MaxMetadataBody} {
		body := `{"product":"` + strings.Repeat("a", limit) + `"}`
		if got := ask(h, "POST", "/api/v1/"+path, "administrator", body).Code; got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// TestDeliveryURLs walks from the answer to the bytes, and tries every way around.
func TestDeliveryURLs(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	sum := digest.Of([]byte("file 1"))
	body := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 1, Objects: []digest.Digest{sum}})
	var answer api.DeliveryAnswer
	if err := json.Unmarshal(ask(h, "POST", "/api/v1/deliveries", "operator", body).Body.Bytes(), &answer); err != nil || len(answer.Items) != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
	url := answer.Items[0].URL
	got := ask(h, "GET", url, "", "")
	r, err := object.NewReader(got.Body, sum, 6)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(r); got.Code != 200 || err != nil || string(content) != "file 1" || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %q %v", got.Code, content, err)
	}
	if part := ask(h, "GET", url, "", "", "Range", "bytes=3-"); part.Code != 206 || part.Body.Len() != int(answer.Items[0].Size)-3 {
		t.Errorf("range: %d, %d bytes", part.Code, part.Body.Len())
	}
	if again := ask(h, "GET", url, "", "", "If-None-Match", got.Header().Get("ETag")); again.Code != 304 {
		t.Errorf("not modified: %d", again.Code)
	}
	other := digest.Of([]byte("file 0")).String()
	for name, bad := range map[string]string{
		"another object":   strings.Replace(url, sum.String(), other, 1),
		"later end":        strings.Replace(url, "expires=", "expires=9", 1),
		"no signature":     strings.Split(url, "&signature")[0],
		"another key":      strings.Replace(url, "key=", "key=0", 1),
		"nothing":          api.ObjectsPath + sum.String(),
		"signature cut":    url[:len(url)-2],
		"expires no digit": strings.Replace(url, "expires=", "expires=x", 1),
	} {
		if got := ask(h, "GET", bad, "", "").Code; got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
	}
	w.now = w.now.Add(urlLife + time.Second)
	if got := ask(h, "GET", url, "", "").Code; got != http.StatusForbidden {
		t.Errorf("after its end: %d", got)
	}
	foreign := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 1, Objects: []digest.Digest{digest.Of([]byte("file 0"))}})
	if got := ask(h, "POST", "/api/v1/deliveries", "operator", foreign).Code; got != http.StatusForbidden {
		t.Errorf("object of another level: %d", got)
	}
}

func TestUploadsAreVerified(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI)
	var stored bytes.Buffer
	sum, _, err := object.Encode(&stored, strings.NewReader("new content"))
	if err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/publishing/objects/"
	other := digest.Of([]byte("other"))
	if got := ask(h, "PUT", path+other.String(), "release-engineer", stored.String()).Code; got != http.StatusUnprocessableEntity {
		t.Errorf("wrong name: %d", got)
	}
	if got := ask(h, "PUT", path+sum.String(), "release-engineer", stored.String()[:stored.Len()-3]).Code; got != http.StatusUnprocessableEntity {
		t.Errorf("cut: %d", got)
	}
	for _, d := range []digest.Digest{sum, other} {
		if _, err := w.blobs.Stat(t.Context(), blob.ObjectName(d)); err == nil {
			t.Error("something refused was kept")
		}
	}
	for range 2 {
		if got := ask(h, "PUT", path+sum.String(), "release-engineer", stored.String()).Code; got != http.StatusNoContent {
			t.Errorf("right: %d", got)
		}
	}
	if _, err := w.blobs.Stat(t.Context(), blob.ObjectName(sum)); err != nil {
		t.Error(err)
	}
}

func TestLevelsAreTaggedAndFiltered(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	path := "/api/v1/products/shop/1.0/channels/full/levels"
	for token, want := range map[string]int{"operator": 2, "release-engineer": 3} {
		got := ask(h, "GET", path, token, "")
		var levels []api.Level
		if err := json.Unmarshal(got.Body.Bytes(), &levels); err != nil || len(levels) != want {
			t.Errorf("%s sees %d levels, %v", token, len(levels), err)
		}
		if again := ask(h, "GET", path, token, "", "If-None-Match", got.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s: %d", token, again.Code)
		}
	}
}

func TestTargetsHaveConsistentNames(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleDelivery)
	record := w.levels[1].Record.Sum
	if got := ask(h, "GET", fmt.Sprintf("/tuf/targets/shop/1.0/full/%s.1.json", record), "", ""); got.Code != 200 || got.Body.String() != "b record" {
		t.Errorf("%d %q", got.Code, got.Body)
	}
	for _, bad := range []string{"1.json", record.String() + ".0.json", record.String() + ".x.json", record.String() + ".1"} {
		if got := ask(h, "GET", "/tuf/targets/shop/1.0/full/"+bad, "", "").Code; got != http.StatusNotFound {
			t.Errorf("%s: %d", bad, got)
		}
	}
}

// TestHotfixesAreForTheirOrganisation compares what each sees, and that what is another's
// looks as if it were not there.
func TestHotfixesAreForTheirOrganisation(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	for token, want := range map[string]string{
		"operator": "Own-hf1", "security": "Own-hf1", "release-engineer": "Own-hf1 Other-hf1", "support": "", "subscription-manager": "",
	} {
		got := ask(h, "GET", "/api/v1/hotfixes?product=shop&version=1.0", token, "")
		var all []api.Hotfix
		if err := json.Unmarshal(got.Body.Bytes(), &all); err != nil || all == nil {
			t.Fatalf("%s: %v %s", token, err, got.Body)
		}
		var names []string
		for _, one := range all {
			names = append(names, one.Name)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s sees %v", token, names)
		}
	}
	got := ask(h, "GET", "/api/v1/hotfixes/shop/1.0/Own-hf1.zip", "operator", "")
	if got.Code != 200 || got.Body.String() != "zip of Own" || got.Header().Get("Content-Type") != api.HotfixZip ||
		got.Header().Get("Content-Disposition") != `attachment; filename="shop-1.0-Own-hf1.zip"` || !strings.HasPrefix(got.Header().Get("Cache-Control"), "private") {
		t.Errorf("%d %q %v", got.Code, got.Body, got.Header())
	}
	if part := ask(h, "GET", "/api/v1/hotfixes/shop/1.0/Own-hf1", "operator", "", "Range", "bytes=4-"); part.Code != 206 || part.Body.String() != "of Own" {
		t.Errorf("range: %d %q", part.Code, part.Body)
	}
	hidden := ask(h, "GET", "/api/v1/hotfixes/shop/1.0/Other-hf1", "operator", "").Body.String()
	absent := ask(h, "GET", "/api/v1/hotfixes/shop/1.0/Other-hf2", "operator", "").Body.String()
	cut := func(text string) string { return text[:strings.Index(text, "request_id")] }
	if cut(hidden) != cut(absent) {
		t.Errorf("another's shows:\n%s%s", hidden, absent)
	}
}

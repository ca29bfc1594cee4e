package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"uplevel/internal/digest"
)

// FuzzRequests asks any path with any headers: an answer, never a panic, an internal error,
// or a body that is longer than what there is.
func FuzzRequests(f *testing.F) {
	sum := digest.Of([]byte("file 1")).String()
	// One service for all requests, for a new one takes longer than a request.
	w, s := newWorld(f)
	h := s.Handler(RoleAPI, RoleDelivery)
	signed := keyOf(s.Signer.Keys).signedURL(digest.Of([]byte("file 1")), today.Add(time.Minute))
	for _, seed := range [][3]string{
		{"GET", "/api/v1/products/shop/1.0/channels/full/levels", "Bearer operator"},
		{"GET", "/api/v1/installations?limit=1&after=x", "Bearer operator"},
		{"GET", "/api/v1/hotfixes?product=shop&version=1.0&channel=full", "Bearer operator"},
		{"GET", "/api/v1/hotfixes/shop/1.0/Own-hf1", "Bearer operator"},
		{"GET", "/api/v1/publishing/organisations?name=Own", "Bearer administrator"},
		{"PUT", "/api/v1/publishing/objects/" + sum, "Bearer administrator"},
		{"GET", "/api/v1/eula", "bearer operator"},
		{"GET", "/api/v1/vendor", "Basic b3A6cA=="},
		{"GET", "/tuf/timestamp.json", ""},
		{"GET", "/tuf/1.root.json", ""},
		{"GET", "/tuf/..%2f..%2fetc", ""},
		{"GET", "/tuf/targets/shop/1.0/full/" + sum + ".1.json", ""},
		{"GET", "/tuf/targets/uplevel-tool/1.0.0/x", ""},
		{"HEAD", signed, ""},
		{"GET", signed, ""},
		{"GET", "/objects/" + sum + "?expires=9223372036854775807&signature=%00", ""},
		{"GET", "/objects/zz", ""},
		{"POST", "/api/v1/publishing/hotfixes", "Bearer administrator"},
		{"DELETE", "/", "Bearer \x00"},
		{"GET", "//api/v1/check", ""},
		{"POST", "/api/v1/tokens", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], "bytes=0-2", `{"email":"operator@example.com","password":"right passw0rd"}`)
		f.Add(seed[0], seed[1], seed[2], "bytes=2-1,-5,99999999999999999999-", "PK\x05\x06")
	}
	f.Fuzz(func(t *testing.T, method, path, authorization, span, body string) {
		to, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(method, " \t\r\n\x00") || method == "" {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://service.example/", strings.NewReader(body))
		if err != nil {
			return
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RemoteAddr, r.RequestURI = to.Path, to.RawPath, to.RawQuery, "192.0.2.1:1", path
		for name, value := range map[string]string{
			"Authorization": authorization, "Range": span, "If-Range": span, "If-None-Match": span, "X-Forwarded-For": span, "Accept": span, "Accept-Encoding": span, "Content-Type": "application/json",
		} {
			r.Header.Set(name, value)
		}
		got := httptest.NewRecorder()
		w.log.Reset()
		h.ServeHTTP(got, r)
		if got.Code >= 500 && got.Code != http.StatusNotImplemented {
			t.Fatalf("%s %q: %d %s", method, path, got.Code, got.Body)
		}
		if got.Code < 100 || got.Body.Len() > 1<<20 {
			t.Fatalf("%s %q: %d with %d bytes", method, path, got.Code, got.Body.Len())
		}
	})
}

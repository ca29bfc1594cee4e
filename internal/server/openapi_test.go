package server

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"uplevel/internal/digest"
)

var rewrite = flag.Bool("update", false, "write docs/api/openapi.json")

// TestOpenAPIIsPublished compares the document in the repository with the one served.
func TestOpenAPIIsPublished(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	served := ask(s.Handler(RoleAPI), http.MethodGet, "/api/openapi.json", "", "").Body.Bytes()
	const name = "../../docs/api/openapi.json"
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, served, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(name); err != nil || string(kept) != string(served) {
		t.Errorf("%s differs from what is served: run go test ./internal/server -update (%v)", name, err)
	}
}

// FuzzBodies sends anything to every operation that takes a body: an answer, never a
// panic or an internal error.
func FuzzBodies(f *testing.F) {
	sum := digest.Of([]byte("file 1")).String()
	for _, seed := range [][2]string{
		{"check", `{"product":"shop","version":"1.0","channel":"full","level":0}`},
		{"check", `{"product":"shop","version":"1.0","channel":"full","level":-1}`},
		{"check", `{"product":"shop","version":"1.0","channel":"full","level":1e99,"newer":{"field":[1]}}`},
		{"check", `[[[[[[[[[[`},
		{"check", `null`},
		{"check", "\xff\xfe"},
		{"check", ``},
		{"deliveries", `{"product":"shop","version":"1.0","channel":"full","level":1,"objects":["zz"]}`},
		{"deliveries", `{"product":"shop","version":"1.0","channel":"full","level":1,"objects":["` + sum + `","` + sum + `"]}`},
		{"deliveries", `{"product":"shop","version":"1.0","channel":"full","level":9223372036854775807,"objects":null}`},
		{"deliveries", `{"product":"shop","version":"1.0","channel":"full","level":1,"objects":[{}]}`},
		{"tokens", `{"email":"a@b","password":"p"}`},
		{"tokens", `{"email":"operator@example.com","password":"right passw0rd"}`},
		{"tokens", `{"email":"\u0000","password":"\ud800"}`},
		{"reports", `{"installation":"x","product":"shop"}`},
		{"reports", `{"installation":"i","product":"shop","version":"1.0","channel":"full","level":1,"customised":0,"missing":0,"operation":"update","outcome":"ok","from_level":0,"host":"h","hotfixes":["a"]}`},
		{"reports/carried", `{"reports":[{"installation":"x","product":"shop"},null,3]}`},
		{"publishing/missing", `{"objects":null}`},
		{"publishing/missing", `{"objects":["` + sum + `"]}`},
		{"publishing/metadata", `{"metadata":[{"role":"root","data":"e30="}]}`},
		{"publishing/metadata", `{"metadata":[{"role":"../root","data":"!"}]}`},
		{"eula/acceptances", `{"version":"1"}`},
		{"eula/acceptances", `{}`},
	} {
		f.Add(seed[0], seed[1])
	}
	// One service for all requests, for a new one takes longer than a request.
	w, s := newWorld(f)
	h := s.Handler(RoleAPI)
	f.Fuzz(func(t *testing.T, path, body string) {
		switch path {
		case "check", "deliveries", "tokens", "reports", "reports/carried", "publishing/missing", "publishing/metadata", "eula/acceptances":
		default:
			return
		}
		w.log.Reset()
		for _, token := range []string{"administrator", "operator"} {
			got := ask(h, http.MethodPost, "/api/v1/"+path, token, body)
			if got.Code >= 500 {
				t.Errorf("%s %q: %d %s", path, body, got.Code, got.Body)
			}
			if got.Code >= 400 && got.Header().Get("Content-Type") != problemType {
				t.Errorf("%s %q: %d is no problem: %s", path, body, got.Code, got.Body)
			}
		}
	})
}

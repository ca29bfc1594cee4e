package server

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
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
	f.Add("check", `{"product":"shop","version":"1.0","channel":"full","level":0}`)
	f.Add("deliveries", `{"product":"shop","version":"1.0","channel":"full","level":1,"objects":["zz"]}`)
	f.Add("tokens", `{"email":"a@b","password":"p"}`)
	f.Add("reports", `{"installation":"x","product":"shop"}`)
	f.Add("publishing/missing", `{"objects":null}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		switch path {
		case "check", "deliveries", "tokens", "reports", "publishing/missing", "publishing/metadata", "eula/acceptances":
		default:
			return
		}
		_, s := newWorld(t)
		if got := ask(s.Handler(RoleAPI), http.MethodPost, "/api/v1/"+path, "administrator", body); got.Code >= 500 {
			t.Errorf("%s %q: %d %s", path, body, got.Code, got.Body)
		}
	})
}

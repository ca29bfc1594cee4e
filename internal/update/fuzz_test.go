package update

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// FuzzImportDecisions takes over a file of decisions that is anything: what is taken over
// can be given on, and each result is what its digest names.
func FuzzImportDecisions(f *testing.F) {
	sum := digest.Of([]byte("x"))
	whole, err := json.Marshal(decisionFile{Format: 1, Product: "shop", Version: "1.0", Decisions: []decisionContent{
		{Path: "conf/a", Base: sum, Mine: digest.Of([]byte("mine")), Theirs: digest.Of([]byte("theirs")), Time: time.Unix(1, 0).UTC(), User: "kim", Content: []byte("both\n")},
		{Path: "conf/b", Mine: sum, Theirs: sum},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`{"format":1,"product":"shop","decisions":[{"path":"../../etc/x","mine":"","theirs":"","content":"eA=="},null,3]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "updates"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "updates/product.txt"), []byte("shop-1.0\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		home, err := install.Open(dir, install.Options{Now: time.Now, Holder: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer home.Close()
		u := &Updater{Home: OnDisk(home), Log: slog.New(slog.DiscardHandler), Now: time.Now}
		if _, err := u.ImportDecisions(t.Context(), data); err != nil {
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Next == "" {
				t.Fatalf("%v says no next step", err)
			}
			return
		}
		decided, err := home.Decided()
		if err != nil {
			t.Fatalf("what was taken over cannot be read: %v", err)
		}
		for _, d := range decided {
			r, err := home.OpenObject(d.Result)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil || digest.Of(content) != d.Result.Sum {
				t.Fatalf("%s: %q, %v", d.Path, content, err)
			}
			_ = r.Close()
		}
		out, _, err := u.ExportDecisions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.ImportDecisions(t.Context(), out); err != nil {
			t.Fatalf("what was exported is refused: %v", err)
		}
	})
}

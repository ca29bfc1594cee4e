package api

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

func TestHotfixes(t *testing.T) {
	t.Parallel()
	zip := []byte("zip of a hotfix")
	want := Hotfix{Name: "ACME-hf1", Product: "shop", Version: "1.0", Channel: "full", Levels: []int{1}, Needs: []string{}, Size: int64(len(zip)), SHA256: digest.Of(zip)}
	var asked []string
	failures := 1
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Range"))
		if r.Header.Get("Authorization") != "Bearer upl_secret" {
			t.Errorf("%s without the token", r.URL)
		}
		switch body, _ := io.ReadAll(r.Body); {
		case r.Method == http.MethodPost && failures > 0:
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodPost:
			if !bytes.Equal(body, zip) || r.Header.Get("Content-Type") != HotfixZip || r.ContentLength != int64(len(zip)) {
				t.Errorf("%q came, %d announced", body, r.ContentLength)
			}
			answerJSON(w, http.StatusOK, HotfixAnswer{Hotfix: want, Already: true})
		case r.URL.Path == Prefix+"/publishing/organisations":
			answerJSON(w, http.StatusOK, Organisation{ID: "org_1", Name: r.URL.Query().Get("name"), Short: "A_B"})
		case r.URL.Path == HotfixesPath:
			answerJSON(w, http.StatusOK, []Hotfix{want})
		case strings.HasSuffix(r.URL.Path, "ACME-hf1"):
			http.ServeContent(w, r, "x.zip", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(zip))
		default:
			answerJSON(w, http.StatusNotFound, Problem{Title: "There is no such thing here", Kind: "failed", Next: "Check."})
		}
	})
	line := release.Line{Product: "shop", Version: "1.0", Channel: "full"}
	list, err := c.Hotfixes(t.Context(), line)
	if d := cmp.Diff([]Hotfix{want}, list); d != "" || err != nil {
		t.Error(d, err)
	}
	got, err := c.RegisterHotfix(t.Context(), bytes.NewReader(zip), int64(len(zip)))
	if err != nil || !got.Already || got.Hotfix.Name != "ACME-hf1" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, offset := range []int64{0, 4} {
		body, size, err := c.HotfixZip(t.Context(), "shop", "1.0", "ACME-hf1", offset)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil || size != int64(len(zip)) || string(text) != string(zip[offset:]) {
			t.Errorf("%q of %d, %v", text, size, err)
		}
		_ = body.Close()
	}
	_, _, err = c.HotfixZip(t.Context(), "shop", "1.0", "a/b?c", 0)
	wantProblem(t, err, problem.Failed, "no such thing")
	o, err := c.Organisation(t.Context(), "A & B")
	if err != nil || o.Name != "A & B" || o.ID != "org_1" {
		t.Errorf("%+v, %v", o, err)
	}
	if d := cmp.Diff([]string{
		"GET /api/v1/hotfixes?channel=full&product=shop&version=1.0 ",
		"POST /api/v1/publishing/hotfixes ", "POST /api/v1/publishing/hotfixes ",
		"GET /api/v1/hotfixes/shop/1.0/ACME-hf1 ", "GET /api/v1/hotfixes/shop/1.0/ACME-hf1 bytes=4-",
		"GET /api/v1/hotfixes/shop/1.0/a%2Fb%3Fc ", "GET /api/v1/publishing/organisations?name=A+%26+B ",
	}, asked); d != "" {
		t.Error(d)
	}
}

func TestRegisterHotfixIsNotBelieved(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]problem.Kind{"no JSON": problem.Unreachable, "<html>": problem.Unreachable} {
		c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if body[0] == '<' {
				w.Header().Set("Content-Type", "text/html")
			}
			_, _ = w.Write([]byte(body))
		})
		_, err := c.RegisterHotfix(t.Context(), strings.NewReader("zip"), 3)
		wantProblem(t, err, kind)
	}
}

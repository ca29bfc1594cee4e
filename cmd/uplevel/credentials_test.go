package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"uplevel/internal/api"
)

// TestNobodyIsAskedForAReportBesides goes through what may be at hand.
func TestNobodyIsAskedForAReportBesides(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("upl_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		options options
		token   string // that was got before
		want    string
	}{
		"nothing":                      {},
		"a user without a password":    {options: options{username: "kim"}},
		"a user beside a token's file": {options: options{username: "kim", tokenFile: file}},
		"a password without a user":    {options: options{password: "secret"}},
		"a token's file":               {options: options{tokenFile: file}, want: "upl_file"},
		"what was got before":          {options: options{username: "kim"}, token: "upl_before", want: "upl_before"},
	} {
		c := &credentials{tool: &tool{options: row.options}, client: &api.Client{}, token: row.token}
		got, err := c.quiet(t.Context())
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestAReportBesidesWaitsForNobody: what was named may be a pipe that stays open.
func TestAReportBesidesWaitsForNobody(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := &credentials{tool: &tool{stdin: r, options: options{username: "kim", passwordStdin: true}}, client: &api.Client{}}
	ended := make(chan error, 1)
	go func() {
		_, err := c.quiet(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
}

// TestAPasswordIsReadOnce: what could not be used at first is there at the second try.
func TestAPasswordIsReadOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{}`))
			return
		}
		_, _ = w.Write([]byte(`{"token":"upl_second","expires":"2030-01-01T00:00:00Z"}`))
	}))
	defer s.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("secret\n"); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	c := &credentials{
		tool:   &tool{stdin: r, options: options{username: "kim", passwordStdin: true}},
		client: &api.Client{Base: s.URL, HTTP: s.Client()},
	}
	if _, err := c.get(t.Context()); err == nil {
		t.Fatal("the first is refused")
	}
	if token, err := c.quiet(t.Context()); token != "upl_second" {
		t.Errorf("%q, %v", token, err)
	}
}

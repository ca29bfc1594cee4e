package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"uplevel/internal/api"
)

// TestARoomIsSharedInTurn: who finds no room waits, and is told to come again when that
// takes too long; what is larger than the room gets all of it.
func TestARoomIsSharedInTurn(t *testing.T) {
	t.Parallel()
	r := newRoom(10)
	r.patience = time.Millisecond
	leave, err := r.take(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.take(t.Context(), 1)
	a, ok := errors.AsType[*answer](err)
	if !ok || a.Status != http.StatusServiceUnavailable || a.GetHeaders().Get("Retry-After") == "" || a.Next == "" {
		t.Errorf("%+v", err)
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.take(gone, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r.patience = time.Hour
	came := make(chan error)
	go func() {
		leave, err := r.take(t.Context(), 1)
		if err == nil {
			leave()
		}
		came <- err
	}()
	leave()
	if err := <-came; err != nil {
		t.Error(err)
	}
}

// TestCustomersDoNotWaitForPublishers: a full room of the one is not the other's.
func TestCustomersDoNotWaitForPublishers(t *testing.T) {
	t.Parallel()
	_, s := newWorld(t)
	h := s.Handler(RoleAPI)
	leave, err := s.rooms.publishers.take(t.Context(), publishersRoom)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	s.rooms.publishers.patience = time.Millisecond
	long := strings.Repeat(" ", smallBody)
	for path, want := range map[string]int{"check": http.StatusOK, "publishing/missing": http.StatusServiceUnavailable} {
		who, body := "operator", `{"product":"shop","version":"1.0","channel":"full","level":0}`
		if want != http.StatusOK {
			who, body = "administrator", `{"objects":[]}`
		}
		got := ask(h, "POST", api.Prefix+"/"+path, who, body+long)
		if got.Code != want || want != http.StatusOK && got.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	if got := ask(h, "PUT", "/api/v1/publishing/objects/"+strings.Repeat("a", 64), "administrator", "x"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("object: %d %s", got.Code, got.Body)
	}
}

//go:build !windows

package install

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// TestAFileThatTheDiskDoesNotGiveIsReplaced, and has no former content in the history.
func TestAFileThatTheDiskDoesNotGiveIsReplaced(t *testing.T) {
	t.Parallel()
	content := tree{"a": "good", "b": "other"}
	h := newHome(t, content, nil)
	h.readFault = func(rel string) error {
		if rel == "a" {
			return syscall.EIO
		}
		return nil
	}
	seen, err := h.Inspect(t.Context(), []string{"a", "b"}, false)
	if err != nil || !errors.Is(seen.Unreadable["a"], syscall.EIO) || len(seen.Unreadable) != 1 {
		t.Fatalf("%+v, %v", seen, err)
	}
	have, _ := seen.Tree.Lookup("a")
	if !have.Sum.IsZero() {
		t.Fatalf("it has a digest: %+v", have)
	}
	want := entryOf("a", "good")
	p, err := plan.Make(plan.Plan{
		Kind: plan.Repair, Product: h.state.Product, Version: h.state.Version, From: h.state.Point(), To: h.state.Point(),
		Outcomes: []plan.Outcome{{Path: "a", Action: plan.Replace, Base: want, Disk: &have, Want: want, Result: want, Source: plan.FromObject}},
	})
	if err != nil {
		t.Fatal(err)
	}
	repair := func() error {
		unlock, err := h.Lock()
		if err != nil {
			return err
		}
		err = h.Prepare(t.Context(), p, contentsOf(content), extraFor(t, content))
		if err == nil {
			_, err = h.Commit(t.Context())
		}
		return errors.Join(err, unlock())
	}
	still := h.readFault
	h.readFault = nil
	if err := repair(); problem.KindOf(err) != problem.Refused {
		t.Errorf("a file that can be read after all is replaced: %v", err)
	}
	h.readFault = still
	if err := repair(); err != nil {
		t.Fatal(err)
	}
	history, err := h.History()
	if err != nil || len(history) != 1 || !history[0].Files[0].Before.Sum.IsZero() || read(t, h.dir)["a"] != "good" {
		t.Errorf("%+v, %v", history, err)
	}
}

// TestAChangeWithoutATraceIsSeen, also after others looked; an edit is none.
func TestAChangeWithoutATraceIsSeen(t *testing.T) {
	t.Parallel()
	h := newHome(t, tree{"a": "good", "b": "good"}, nil)
	past := time.Now().Add(-time.Hour)
	for _, p := range []string{"a", "b"} {
		if err := os.Chtimes(filepath.Join(h.dir, p), past, past); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(racy + 200*time.Millisecond) // the time stamp of a change is the system's own
	look := func() Inspection {
		t.Helper()
		seen, err := h.Inspect(context.Background(), []string{"a", "b"}, true)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	look()
	for _, change := range []struct {
		path  string
		stamp time.Time
	}{{"a", past}, {"b", time.Now()}} {
		full := filepath.Join(h.dir, change.path)
		if err := errors.Join(os.WriteFile(full, []byte("evil"), 0o600), os.Chtimes(full, change.stamp, change.stamp)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		seen := look()
		if seen.Recorded["a"] != digest.Of([]byte("good")) {
			t.Errorf("what a held is forgotten: %v", seen.Recorded)
		}
		if sum, known := seen.Recorded["b"]; known && sum != digest.Of([]byte("evil")) {
			t.Errorf("an edit is taken for damage: %v", seen.Recorded)
		}
		if _, err := h.Look(context.Background(), []string{"a", "b"}, true); err != nil {
			t.Fatal(err)
		}
	}
}

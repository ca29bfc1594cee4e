package publish

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestWhatKilledPublishersLeftIsSwept: files of uploads older than a day go at the next
// upload; younger ones, which another publisher may be sending, and all else stay.
func TestWhatKilledPublishersLeftIsSwept(t *testing.T) {
	t.Parallel()
	d := ready(t)
	if err := os.MkdirAll(filepath.Join(d.Cache, "upload-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"upload-1": 25 * time.Hour, "upload-2": time.Hour, "other": 48 * time.Hour} {
		file := filepath.Join(d.Cache, name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, d.clock, d.clock.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.store(t.Context(), []upload{bytesUpload([]byte("content"))}, &Outcome{}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(d.Cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if want := []string{"other", "upload-2", "upload-folder"}; !slices.Equal(names, want) {
		t.Errorf("left are %v, want %v", names, want)
	}
}

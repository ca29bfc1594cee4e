package dist

import (
	"os"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// FuzzScanCache loads a scan cache that is anything: a hint, which is whole or empty.
func FuzzScanCache(f *testing.F) {
	items := []item{{entry: manifest.Entry{Path: "bin/a b", Kind: manifest.File, Sum: digest.Of([]byte("a"))}, stamp: "1 2 3"}}
	dir := f.TempDir()
	if err := saveCache(dir, "dist", items, time.Now()); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(cacheName(dir, "dist"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-10])
	f.Add([]byte(cacheHeader + "\n\t\t\n"))
	f.Add([]byte(cacheHeader))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(cacheName(dir, "dist"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		known := loadCache(dir, "dist")
		var items []item
		for path, c := range known {
			items = append(items, item{entry: manifest.Entry{Path: path, Kind: manifest.File, Sum: c.sum}, stamp: c.stamp})
		}
		if err := saveCache(dir, "dist", items, time.Now()); err != nil {
			t.Fatal(err)
		}
		again := loadCache(dir, "dist")
		if len(again) != len(known) {
			t.Fatalf("%d records become %d", len(known), len(again))
		}
		for path, c := range known {
			if again[path] != c {
				t.Fatalf("%q: %+v becomes %+v", path, c, again[path])
			}
		}
	})
}

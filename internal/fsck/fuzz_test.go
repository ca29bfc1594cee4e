package fsck

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzHome judges homes in which one file is anything: the judge names it, and never fails
// itself.
func FuzzHome(f *testing.F) {
	dir := soundHome(f)
	names := []string{"updates/state.json", "updates/config.json", "updates/history/000001.json"}
	stored, err := filepath.Glob(filepath.Join(dir, "updates/store/*"))
	if err != nil || len(stored) != 1 {
		f.Fatal(stored, err)
	}
	object, err := filepath.Rel(dir, stored[0])
	if err != nil {
		f.Fatal(err)
	}
	names = append(names, object)
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, data)
		f.Add(i, data[:len(data)/2])
	}
	f.Add(0, []byte(`{"level":3,"history":1,"hotfixes":[{"name":"a","record":{"sum":"","size":-1}}]}`))
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		name := filepath.Join(dir, names[uint(which)%uint(len(names))])
		before, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Home(dir)
		if err := os.WriteFile(name, before, 0o644); err != nil {
			t.Fatal(err)
		}
		if err == nil && name == filepath.Join(dir, object) && len(r.Findings) == 0 && !sameObject(before, data) {
			t.Fatal("a damaged manifest is sound")
		}
	})
}

// sameObject reports whether two stored objects hold the same.
func sameObject(a, b []byte) bool {
	var texts [][]byte
	for _, stored := range [][]byte{a, b} {
		var text bytes.Buffer
		if _, _, err := decodeStored(&text, bytes.NewReader(stored), 1<<20); err != nil {
			return false
		}
		texts = append(texts, text.Bytes())
	}
	return slices.Equal(texts[0], texts[1])
}

// FuzzManifest reads manifests with the judge's own reader.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("uplevel-manifest/1\ndir\t0755\tbin\nfile\t0644\t3\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\tbin/run\nlink\tl\tbin\n"))
	f.Add([]byte("uplevel-manifest/1\nfile\t9999\t-1\tzz\t../x\n"))
	f.Add([]byte("uplevel-manifest/1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		listed, err := parseManifest(text)
		if err == nil && len(listed) > bytes.Count(text, []byte("\n"))+1 {
			t.Fatalf("%d paths in %d lines", len(listed), bytes.Count(text, []byte("\n")))
		}
	})
}

package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"testing"

	"uplevel/internal/archive/anatomy"
)

// FuzzAnatomy takes archives apart that are anything. What is taken is whole, no byte of it
// belongs to two members, and another reader understands it in the same way.
func FuzzAnatomy(f *testing.F) {
	f.Add(pack(f, is("META-INF/", ""), is(manifest, "v=1\n"), is("a", "a=1\n"), item{name: "s", content: "stored", stored: true}))
	for _, forms := range []map[string][]byte{oddForms(f), hostileForms(f)} {
		for _, form := range forms {
			if len(form) <= 4096 { // the engine is slow with more
				f.Add(form)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := anatomy.Open(t.Context(), section(data))
		if err != nil {
			if !errors.Is(err, anatomy.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		at := a.Stub
		for _, m := range a.Records {
			if m.Offset != at || m.Data < m.Offset || m.End < m.Data+m.Packed {
				t.Fatalf("%q lies from %d over %d to %d, the one before ends at %d", m.Name, m.Offset, m.Data, m.End, at)
			}
			at = m.End
		}
		if at > int64(len(data)) {
			t.Fatalf("its members end at %d of %d", at, len(data))
		}
		if other, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err == nil || errors.Is(err, zip.ErrInsecurePath) {
			understoodAlike(t, a, other)
		}
	})
}

func understoodAlike(t *testing.T, a *anatomy.Archive, other *zip.Reader) {
	t.Helper()
	if len(other.File) != len(a.Members) {
		t.Fatalf("%d members, another reader sees %d", len(a.Members), len(other.File))
	}
	for i, m := range a.Members {
		if other.File[i].Name != m.Name {
			t.Fatalf("%q, another reader sees %q", m.Name, other.File[i].Name)
		}
		if m.Size > 1<<20 {
			continue
		}
		content, err := a.Load(m)
		if err != nil {
			if !errors.Is(err, anatomy.ErrRefused) {
				t.Fatal(err)
			}
			continue
		}
		r, err := other.File[i].Open()
		if err != nil {
			continue
		}
		seen, err := io.ReadAll(io.LimitReader(r, 2<<20))
		if err == nil && !bytes.Equal(seen, content) {
			t.Fatalf("%q holds %q, another reader sees %q", m.Name, content, seen)
		}
		_ = r.Close()
	}
}

package fetch

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// FuzzDownload fetches an object whose first answer, and what lies of it in the cache, are
// anything: either the content asked for is kept, or a problem is told.
func FuzzDownload(f *testing.F) {
	content := bytes.Repeat([]byte("some content of a file\n"), 20)
	s := newSource()
	ref := s.add(f, content)
	stored := s.stored[ref.Sum]
	f.Add(stored, []byte{}, true)
	f.Add(stored[:len(stored)/2], stored[:3], true)
	f.Add([]byte("<html>"), stored, true)
	f.Add([]byte{}, append(bytes.Clone(stored), "more"...), false)
	f.Add(bytes.Repeat([]byte("x"), 4096), []byte("left"), false)
	f.Fuzz(func(t *testing.T, answer, left []byte, thenWell bool) {
		s := newSource()
		s.stored[ref.Sum] = stored
		asked := 0
		s.body = func(_ digest.Digest, stored []byte, offset int64) (io.Reader, error) {
			if asked++; asked == 1 || !thenWell {
				return bytes.NewReader(answer), nil
			}
			return bytes.NewReader(stored[offset:]), nil
		}
		get := newFetcher(t, s)
		file := get.file(ref)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".partial", left, 0o600); err != nil {
			t.Fatal(err)
		}
		err := get.Fetch(t.Context(), line, 1, []release.Ref{ref})
		if err != nil {
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Next == "" {
				t.Fatalf("%v says no next step", err)
			}
			if _, err := os.Stat(file); err == nil {
				t.Fatal("what is wrong was kept")
			}
			return
		}
		if got := read(t, get, ref); !bytes.Equal(got, content) {
			t.Fatalf("other content was kept: %q", got)
		}
		if asked > 100 {
			t.Fatalf("asked %d times", asked)
		}
	})
}

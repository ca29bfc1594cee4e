// Package blobtest is the suite that every implementation of [blob.Store] passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/blob"
	"uplevel/internal/digest"
)

// Test runs the suite. Each call of open MUST return an empty store.
func Test(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Store){
		"what is put is there":           roundTrip,
		"names":                          names,
		"a taken name keeps its content": taken,
		"a failed put leaves nothing":    failed,
		"a cancelled put leaves nothing": cancelled,
		"what is not there":              absent,
		"what is discarded":              discarded,
		"listing":                        listing,
		"listing can be left":            leaving,
		"many writers of one name":       oneName,
		"many writers and readers":       manyNames,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, open(t))
		})
	}
}

func put(t *testing.T, s blob.Store, name, content string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(content)); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(s blob.Store, name string) (string, error) {
	o, err := s.Open(context.Background(), name)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(o)
	if err == nil && int64(len(data)) != o.Size() {
		err = errors.New("size and content differ")
	}
	return string(data), errors.Join(err, o.Close())
}

func want(t *testing.T, s blob.Store, name, content string) {
	t.Helper()
	if got, err := get(s, name); err != nil || got != content {
		t.Errorf("%s holds %.40q, %v; want %.40q", name, got, err, content)
	}
	info, err := s.Stat(t.Context(), name)
	if err != nil || info != (blob.Info{Name: name, Size: int64(len(content))}) {
		t.Errorf("%s: %+v, %v", name, info, err)
	}
}

func wantAbsent(t *testing.T, s blob.Store, name string) {
	t.Helper()
	if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open %s: %v", name, err)
	}
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat %s: %v", name, err)
	}
}

func list(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	names := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		names = append(names, info.Name)
	}
	return names
}

func roundTrip(t *testing.T, s blob.Store) {
	t.Helper()
	big := strings.Repeat("0123456789abcdef", 1<<16)
	put(t, s, "objects/ab/one", big)
	put(t, s, "empty", "")
	want(t, s, "objects/ab/one", big)
	want(t, s, "empty", "")
	o, err := s.Open(t.Context(), "objects/ab/one")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	part := make([]byte, 4)
	if _, err := o.Seek(-4, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(o, part); err != nil || string(part) != "cdef" {
		t.Errorf("the end is %q, %v", part, err)
	}
	if err := s.Delete(t.Context(), "objects/ab/one"); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, s, "objects/ab/one")
	want(t, s, "empty", "")
	put(t, s, "objects/ab/one", "again")
	want(t, s, "objects/ab/one", "again")
}

// discarded: what was opened goes, and not what has taken its name since.
func discarded(t *testing.T, s blob.Store) {
	t.Helper()
	open := func() blob.Object {
		t.Helper()
		o, err := s.Open(t.Context(), "a/b")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	discard := func(o blob.Object) {
		t.Helper()
		if err := o.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "a/b", "damaged")
	one, two := open(), open()
	defer one.Close()
	defer two.Close()
	discard(one)
	wantAbsent(t, s, "a/b")
	discard(two)
	put(t, s, "a/b", "sound")
	discard(two)
	want(t, s, "a/b", "sound")
	if names := list(t, s, ""); len(names) != 1 {
		t.Errorf("listed %v", names)
	}
}

func names(t *testing.T, s blob.Store) {
	t.Helper()
	good := []string{
		"a", "A-b_c.d/9", "1.root.json", strings.Repeat("x", 200) + "/" + strings.Repeat("y", 200),
		blob.MetadataName("timestamp.json"), blob.ObjectName(digest.Of([]byte("x"))),
	}
	for _, name := range good {
		put(t, s, name, name)
		want(t, s, name, name)
	}
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".hidden", "a/.hidden", `a\b`, "a b", "a\x00", "ä", "a:b", "a*",
		strings.Repeat("x/", 300) + "x",
	} {
		if err := s.Put(t.Context(), name, strings.NewReader("x")); err == nil {
			t.Errorf("put %.40q was accepted", name)
		}
		if _, err := s.Open(t.Context(), name); err == nil {
			t.Errorf("open %.40q was accepted", name)
		}
		if _, err := s.Stat(t.Context(), name); err == nil {
			t.Errorf("stat %.40q was accepted", name)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("delete %.40q was accepted", name)
		}
	}
	if got := list(t, s, ""); len(got) != len(good) {
		t.Errorf("stored %v", got)
	}
}

func taken(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "a/b", "first")
	r := &counting{r: strings.NewReader(strings.Repeat("second", 1<<18))}
	if err := s.Put(t.Context(), "a/b", r); err != nil {
		t.Fatal(err)
	}
	if r.n == 6<<18 {
		t.Error("content that nobody wants was read to its end")
	}
	if err := s.Put(t.Context(), "a/b", iotest.ErrReader(errors.New("broken"))); err != nil {
		t.Errorf("a taken name: %v", err)
	}
	want(t, s, "a/b", "first")
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func failed(t *testing.T, s blob.Store) {
	t.Helper()
	broken := errors.New("connection lost")
	for _, size := range []int{0, 1, 1 << 20} {
		r := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
		if err := s.Put(t.Context(), "a/b", r); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		wantAbsent(t, s, "a/b")
		if got := list(t, s, ""); len(got) != 0 {
			t.Errorf("after %d bytes there is %v", size, got)
		}
	}
	put(t, s, "a/b", "whole")
	want(t, s, "a/b", "whole")
}

func cancelled(t *testing.T, s blob.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}), strings.NewReader("rest"))
	if err := s.Put(ctx, "a", r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it was read: %v", err)
	}
	if err := s.Put(ctx, "b", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	wantAbsent(t, s, "a")
	wantAbsent(t, s, "b")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func absent(t *testing.T, s blob.Store) {
	t.Helper()
	put(t, s, "a/b", "x")
	for _, name := range []string{"c", "a", "a/c", "a/b/c", "x/y/z"} {
		wantAbsent(t, s, name)
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	want(t, s, "a/b", "x")
}

func listing(t *testing.T, s blob.Store) {
	t.Helper()
	all := []string{"a-b", "a.b", "a/b/c", "a/b/d", "a/bc", "ab", "b/a", "objects/00/00ff", "objects/01/01ff"}
	shuffled := slices.Clone(all)
	slices.Reverse(shuffled)
	for _, name := range shuffled {
		put(t, s, name, name)
	}
	for prefix, names := range map[string][]string{
		"": all, "a": all[:6], "a/": all[2:5], "a/b": all[2:5], "a/b/": all[2:4], "a/b/c": all[2:3], "a/b/c/": {}, "z": {}, "z/y": {},
		"objects/": all[7:], "objects/01": all[8:], "/": {}, "../": {},
	} {
		if diff := cmp.Diff(names, list(t, s, prefix)); diff != "" {
			t.Errorf("prefix %q: %s", prefix, diff)
		}
	}
	for info, err := range s.List(t.Context(), "a/bc") {
		if err != nil || info.Size != 4 {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

func leaving(t *testing.T, s blob.Store) {
	t.Helper()
	for _, name := range []string{"a/1", "a/2", "b/1"} {
		put(t, s, name, "x")
	}
	seen := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("saw %d", seen)
	}
	for info, err := range s.List(t.Context(), "") { // deleting meanwhile
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), info.Name); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, s, ""); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

func oneName(t *testing.T, s blob.Store) {
	t.Helper()
	var wg sync.WaitGroup
	contents := map[string]bool{}
	for i := range 8 {
		content := strings.Repeat(string(rune('a'+i)), 100_000)
		contents[content] = true
		wg.Go(func() {
			if err := s.Put(t.Context(), "one/name", strings.NewReader(content)); err != nil {
				t.Error(err)
			}
			if got, err := get(s, "one/name"); err != nil || len(got) != 100_000 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	got, err := get(s, "one/name")
	if err != nil || !contents[got] {
		t.Errorf("holds what nobody wrote, or %v", err)
	}
	if names := list(t, s, ""); len(names) != 1 {
		t.Errorf("there is %v", names)
	}
}

func manyNames(t *testing.T, s blob.Store) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				content := strings.Repeat("x", i*10+j)
				sum := digest.Of([]byte(content))
				if err := s.Put(t.Context(), blob.ObjectName(sum), strings.NewReader(content)); err != nil {
					t.Error(err)
				}
				if got, err := get(s, blob.ObjectName(sum)); err != nil || got != content {
					t.Errorf("%q, %v", got, err)
				}
				for _, err := range s.List(t.Context(), "objects/") {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if names := list(t, s, ""); len(names) != 80 || !slices.IsSorted(names) {
		t.Errorf("%d names: %v", len(names), names)
	}
}

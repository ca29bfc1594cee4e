package content

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/merge/formats"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// contents are published contents by digest, and files of the product by path.
type contents struct {
	published map[digest.Digest]string
	disk      map[string]string
	fails     error // what Published fails with
}

func (c contents) Published(_ context.Context, ref release.Ref) (io.ReadCloser, error) {
	if c.fails != nil {
		return nil, c.fails
	}
	text, ok := c.published[ref.Sum]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (c contents) Disk(path string) (io.ReadCloser, error) {
	text, ok := c.disk[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func entry(path, text string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(text)), Sum: digest.Of([]byte(text))}
}

// three makes a looker for one file and the entries of its three versions.
func three(t *testing.T, path, base, mine, theirs string) (l *Looker, b, m, th manifest.Entry) {
	t.Helper()
	b, m, th = entry(path, base), entry(path, mine), entry(path, theirs)
	l = New(t.Context(), Options{
		Sources: contents{
			published: map[digest.Digest]string{b.Sum: base, th.Sum: theirs},
			disk:      map[string]string{path: mine},
		},
		Format: formats.For, Log: slog.New(slog.DiscardHandler), Dir: t.TempDir(),
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, b, m, th
}

func read(t *testing.T, l *Looker, ref release.Ref) string {
	t.Helper()
	r, err := l.Open(ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBothChoicesAreHeld(t *testing.T) {
	t.Parallel()
	l, b, m, th := three(t, "a.properties", "x=1\ny=1\n", "x=2\ny=1\n", "x=3\ny=2\n")
	got, ok := l.Merge(&b, m, th)
	if !ok || l.Err() != nil {
		t.Fatal(ok, l.Err())
	}
	if d := cmp.Diff("by key (properties)", got.How); d != "" {
		t.Error(d)
	}
	text := func(s string) *string { return &s }
	want := []plan.Dispute{{Key: "x", Base: text("1"), Mine: text("2"), Theirs: text("3")}}
	if d := cmp.Diff(want, got.Disputes); d != "" {
		t.Error(d)
	}
	if mine := read(t, l, got.Mine); mine != "x=2\ny=2\n" {
		t.Errorf("mine %q", mine)
	}
	if theirs := read(t, l, got.Theirs); theirs != "x=3\ny=2\n" {
		t.Errorf("theirs %q", theirs)
	}
}

func TestWhatCannotBeMergedIsAWhole(t *testing.T) {
	t.Parallel()
	for name, sides := range map[string][3]string{
		"binary":       {"a\x00", "b\x00", "c\x00"},
		"too large":    {strings.Repeat("a", merge.MaxText+1), "b", "c"},
		"no archive":   {"a", "b", "c"},
		"Latin-1 here": {"ä\n", "\xe4\xf6\n", "äü\n"},
	} {
		path := "f"
		if name == "no archive" {
			path = "f.jar"
		}
		l, b, m, th := three(t, path, sides[0], sides[1], sides[2])
		if got, ok := l.Merge(&b, m, th); ok || l.Err() != nil {
			t.Errorf("%s: %+v, %v", name, got, l.Err())
		}
	}
}

// TestAddedByBothIsMergedByKeyOnly: of lines alone nobody can say which belong together.
func TestAddedByBothIsMergedByKeyOnly(t *testing.T) {
	t.Parallel()
	l, _, m, th := three(t, "a.properties", "", "x=1\n", "y=2\n")
	got, ok := l.Merge(nil, m, th)
	if !ok || read(t, l, got.Mine) != "x=1\ny=2\n" {
		t.Errorf("by key: %+v", got)
	}
	l, _, m, th = three(t, "a.txt", "", "x\n", "y\n")
	if got, ok := l.Merge(nil, m, th); ok {
		t.Errorf("by line: %+v", got)
	}
}

func TestContentThatIsNotAsSignedEndsAll(t *testing.T) {
	t.Parallel()
	l, b, m, th := three(t, "a.txt", "1\n", "2\n", "3\n")
	sources, _ := l.opts.Sources.(contents)
	sources.fails = problem.New(problem.Verification, "", "a wrong byte")
	l.opts.Sources = sources
	if _, ok := l.Merge(&b, m, th); ok || problem.KindOf(l.Err()) != problem.Verification {
		t.Errorf("error %v", l.Err())
	}
	if _, ok := l.Merge(&b, m, th); ok {
		t.Error("it goes on after that")
	}
}

// TestALookThatFailsEndsAll: a file that could not be read is no reason to ask, nor to
// take another one for it. The sweep found a renamed file whose edit stayed behind.
func TestALookThatFailsEndsAll(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(l *Looker, b, m, th manifest.Entry) bool{
		"merge": func(l *Looker, b, m, th manifest.Entry) bool { _, ok := l.Merge(&b, m, th); return ok },
		"alike": func(l *Looker, b, _, th manifest.Entry) bool { return l.Alike(b, th) },
	} {
		l, b, m, th := three(t, "a.txt", "11\n22\n", "12\n22\n", "11\n23\n")
		sources, _ := l.opts.Sources.(contents)
		sources.fails = &fs.PathError{Op: "openat", Path: "a.txt", Err: syscall.EIO}
		l.opts.Sources = sources
		if look(l, b, m, th) || !errors.Is(l.Err(), syscall.EIO) {
			t.Errorf("%s: error %v", name, l.Err())
		}
	}
}

// TestLostOriginalIsNoError: without the base there is no merge, and the conflict stands.
func TestLostOriginalIsNoError(t *testing.T) {
	t.Parallel()
	l, b, m, th := three(t, "a.txt", "1\n", "2\n", "3\n")
	sources, _ := l.opts.Sources.(contents)
	delete(sources.published, b.Sum)
	if _, ok := l.Merge(&b, m, th); ok || l.Err() != nil {
		t.Errorf("error %v", l.Err())
	}
}

func TestDecisionsAreTakenAgain(t *testing.T) {
	t.Parallel()
	l, b, m, th := three(t, "a.bin", "1\x00", "2\x00", "3\x00")
	result := "decided\x00"
	ref := release.Ref{Sum: digest.Of([]byte(result)), Size: int64(len(result))}
	l.opts.Decided = func(base, mine, theirs digest.Digest) (Decision, bool) {
		return Decision{Result: ref, Said: "as resolved on 2026-11-24"}, base == b.Sum && mine == m.Sum && theirs == th.Sum
	}
	given := result
	l.opts.Resolved = func(context.Context, release.Ref) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(given)), nil
	}
	got, ok := l.Merge(&b, m, th)
	if !ok || !got.Resolved || got.How != "as resolved on 2026-11-24" || read(t, l, got.Mine) != result {
		t.Errorf("%+v, %v", got, l.Err())
	}
	given = "damaged"
	if got, ok := l.Merge(&b, m, th); ok {
		t.Errorf("a damaged decision is taken: %+v", got)
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"aa\nbb\ncc\ndd\n", "aa\nbb\ncc\nxx\n", true},
		{"aa\nbb\ncc\ndd\n", "aa\nxx\nyy\nzz\n", false},
		{"aa\x00\n", "aa\x00\n", false},
		{"aa\n", strings.Repeat("aa\n", 100), false},
	} {
		a, b := entry("a", c.a), entry("b", c.b)
		l := New(t.Context(), Options{
			Sources: contents{published: map[digest.Digest]string{a.Sum: c.a, b.Sum: c.b}}, Log: slog.New(slog.DiscardHandler),
		})
		if got := l.Alike(a, b); got != c.want {
			t.Errorf("%.20q and %.20q: %v", c.a, c.b, got)
		}
	}
}

func TestArchivesAreMergedMemberByMember(t *testing.T) {
	t.Parallel()
	l, b, m, th := three(t, "shop.war",
		war(t, "a.properties", "x=1\ny=1\n", "b.txt", "b"),
		war(t, "a.properties", "x=2\ny=1\n", "b.txt", "b"),
		war(t, "a.properties", "x=3\ny=2\n", "b.txt", "B"))
	got, ok := l.Merge(&b, m, th)
	if !ok || got.How != "member by member" || len(got.Disputes) != 1 || got.Disputes[0].Key != "a.properties: x" {
		t.Fatalf("%+v", got)
	}
	for ref, want := range map[release.Ref]string{got.Mine: "x=2\ny=2\n", got.Theirs: "x=3\ny=2\n"} {
		if text := member(t, read(t, l, ref), "a.properties"); text != want {
			t.Errorf("a.properties is %q, want %q", text, want)
		}
		if text := member(t, read(t, l, ref), "b.txt"); text != "B" {
			t.Errorf("b.txt is %q", text)
		}
	}
}

func war(t *testing.T, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func member(t *testing.T, archive, name string) string {
	t.Helper()
	r, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestNothingIsLeftOfResults: they have no name while they are held.
func TestNothingIsLeftOfResults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := &held{dir: dir}
	ref, err := h.keep(strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.keep(strings.NewReader("text")); err != nil || again != ref {
		t.Errorf("%v, %v", again, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if _, err := h.open(release.Ref{Size: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	full := &held{dir: dir + "/none"}
	if _, err := full.keep(strings.NewReader("text")); !errors.Is(err, errHold) {
		t.Errorf("error %v", err)
	}
	if err := h.close(); err != nil {
		t.Error(err)
	}
}

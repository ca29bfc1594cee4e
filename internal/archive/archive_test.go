package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/archive/anatomy"
)

// item is a member to be written.
type item struct {
	name, content string
	mode          os.FileMode
	stored        bool
	raw           func(*zip.FileHeader)
}

// is makes a member.
func is(name, content string) item { return item{name: name, content: content} }

// pack writes an archive as archive/zip does: with data descriptors.
func pack(t testing.TB, items ...item) []byte {
	t.Helper()
	return packComment(t, "", items...)
}

func packComment(t testing.TB, comment string, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, one := range items {
		h := &zip.FileHeader{Name: one.name, Method: zip.Deflate, Modified: time.Unix(1_700_000_000+int64(2*i), 0)}
		if one.stored {
			h.Method = zip.Store
		}
		if one.mode != 0 {
			h.SetMode(one.mode)
		}
		if one.raw != nil {
			one.raw(h)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, one.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.SetComment(comment), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sides joins three archives; nil is none.
func sides(base, mine, theirs []byte) Sides {
	s := Sides{Mine: section(mine), Theirs: section(theirs)}
	if base != nil {
		s.Base = section(base)
	}
	return s
}

// byLine merges text whose lines are key=value and keeps mine's order. Text that begins
// with "bin" can not be merged.
func byLine(_ string, base, mine, theirs []byte) (Text, error) {
	if bytes.HasPrefix(mine, []byte("bin")) || bytes.HasPrefix(theirs, []byte("bin")) {
		return Text{}, fmt.Errorf("binary: %w", ErrWhole)
	}
	b, m, t := lines(base), lines(mine), lines(theirs)
	keys := slices.Collect(maps.Keys(m))
	for k := range t {
		if _, ok := m[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var text Text
	for _, k := range keys {
		mv, tv := m[k], t[k]
		switch {
		case mv == b[k]:
			mv = tv
		case tv == b[k] || mv == tv:
			tv = mv
		default:
			text.Conflicts = append(text.Conflicts, Conflict{
				Key: k, Why: KeyChanged, Base: Value{Text: b[k], Gone: b[k] == ""}, Mine: Value{Text: mv, Gone: mv == ""}, Theirs: Value{Text: tv, Gone: tv == ""},
			})
		}
		if mv != "" {
			text.Merged = fmt.Appendf(text.Merged, "%s=%s\n", k, mv)
		}
		if tv != "" {
			text.Theirs = fmt.Appendf(text.Theirs, "%s=%s\n", k, tv)
		}
	}
	return text, nil
}

func lines(b []byte) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		m[k] = v
	}
	return m
}

// merge merges and checks that what comes out is an archive, for Go and for this package.
func merge(t testing.TB, s Sides, preferTheirs bool) ([]byte, Result) {
	t.Helper()
	var out bytes.Buffer
	result, err := Merge(t.Context(), s, &out, preferTheirs, byLine)
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, out.Bytes())
	if _, err := anatomy.Open(t.Context(), section(out.Bytes())); err != nil {
		t.Fatalf("the result, taken apart: %v", err)
	}
	return out.Bytes(), result
}

// unpack returns the members of an archive, read by archive/zip.
func unpack(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		all[f.Name] = string(content)
	}
	return all
}

// names lists members in the order of the directory.
func names(t testing.TB, b []byte) []string {
	t.Helper()
	a, err := anatomy.Open(t.Context(), section(b))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for i, m := range a.Members {
		if a.Records[i] != m {
			t.Errorf("record %d is %q, in the directory it is %q", i, a.Records[i].Name, m.Name)
		}
		all = append(all, m.Name)
	}
	return all
}

// stored returns the bytes of a member with header and data descriptor, and its record in
// the directory without the offset.
func stored(t testing.TB, b []byte, name string) string {
	t.Helper()
	a, err := anatomy.Open(t.Context(), section(b))
	if err != nil {
		t.Fatal(err)
	}
	m := a.Lookup(strings.TrimSuffix(name, "/"))
	if m == nil {
		t.Fatalf("%q is missing", name)
	}
	return string(b[m.Offset:m.End]) + string(m.Central[:42]) + string(m.Central[46:])
}

// checkUnzip has unzip look at an archive.
func checkUnzip(t testing.TB, b []byte) {
	t.Helper()
	if _, err := exec.LookPath("unzip"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("unzip is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED: unzip is missing: run scripts/install-deps")
	}
	name := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "unzip", "-tqq", name).CombinedOutput(); err != nil {
		t.Errorf("unzip -t: %v\n%s", err, out)
	}
}

const manifest = "META-INF/MANIFEST.MF"

type mergeCase struct {
	base, mine, theirs []item // nil base: none
	want, wantTheirs   map[string]string
	order              string
	merged             []string
	conflicts          []string // "member key why"
}

// w makes the members that are wanted.
func w(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func mergeCases() map[string]mergeCase {
	a, x, y := is("a", "a=1\n"), is("a", "a=1\nx=1\n"), is("a", "a=1\ny=1\n")
	b := is("b", "bin b")
	return map[string]mergeCase{
		"nobody changed":         {base: []item{a, b}, mine: []item{a, b}, theirs: []item{a, b}, want: w("a", "a=1\n", "b", "bin b"), order: "a b"},
		"mine changed":           {base: []item{a, b}, mine: []item{x, b}, theirs: []item{a, b}, want: w("a", "a=1\nx=1\n", "b", "bin b"), order: "a b"},
		"theirs changed":         {base: []item{a, b}, mine: []item{b, a}, theirs: []item{y, b}, want: w("a", "a=1\ny=1\n", "b", "bin b"), order: "b a"},
		"both changed alike":     {base: []item{a}, mine: []item{x}, theirs: []item{x}, want: w("a", "a=1\nx=1\n"), order: "a"},
		"both changed":           {base: []item{a}, mine: []item{x}, theirs: []item{y}, want: w("a", "a=1\nx=1\ny=1\n"), order: "a", merged: []string{"a"}},
		"both removed":           {base: []item{a, b}, mine: []item{b}, theirs: []item{b}, want: w("b", "bin b"), order: "b"},
		"mine removed":           {base: []item{a, b}, mine: []item{b}, theirs: []item{a, b}, want: w("b", "bin b"), order: "b"},
		"theirs removed":         {base: []item{a, b}, mine: []item{a, b}, theirs: []item{b}, want: w("b", "bin b"), order: "b"},
		"mine added":             {base: []item{a}, mine: []item{a, b}, theirs: []item{a}, want: w("a", "a=1\n", "b", "bin b"), order: "a b"},
		"both added alike":       {base: []item{a}, mine: []item{a, b}, theirs: []item{b, a}, want: w("a", "a=1\n", "b", "bin b"), order: "a b"},
		"both added, mergeable":  {base: []item{b}, mine: []item{b, is("c", "x=1\n")}, theirs: []item{is("c", "y=1\n"), b}, want: w("b", "bin b", "c", "x=1\ny=1\n"), order: "b c", merged: []string{"c"}},
		"both added the archive": {mine: []item{x, b}, theirs: []item{a, is("c", "bin")}, want: w("a", "a=1\nx=1\n", "b", "bin b", "c", "bin"), order: "a c b"},
		"both changed one key": {
			base: []item{a}, mine: []item{is("a", "a=2\nx=1\n")}, theirs: []item{is("a", "a=3\ny=1\n")}, merged: []string{"a"},
			want: w("a", "a=2\nx=1\ny=1\n"), wantTheirs: w("a", "a=3\nx=1\ny=1\n"), order: "a", conflicts: []string{"a a key"},
		},
		"both changed what is no text": {
			base: []item{b}, mine: []item{is("b", "bin x")}, theirs: []item{is("b", "bin y")},
			want: w("b", "bin x"), wantTheirs: w("b", "bin y"), order: "b", conflicts: []string{"b  both-changed"},
		},
		"edited, removed by the vendor": {
			base: []item{a, b}, mine: []item{x, b}, theirs: []item{b},
			want: w("a", "a=1\nx=1\n", "b", "bin b"), wantTheirs: w("b", "bin b"), order: "a b", conflicts: []string{"a  theirs-removed"},
		},
		"removed, edited by the vendor": {
			base: []item{a, b}, mine: []item{b}, theirs: []item{y, b},
			want: w("b", "bin b"), wantTheirs: w("a", "a=1\ny=1\n", "b", "bin b"), order: "b", conflicts: []string{"a  mine-removed"},
		},
		"added after what they follow": {
			base: []item{a, b}, mine: []item{b, is("m", "m"), a}, theirs: []item{is("0", "0"), a, is("1", "1"), is("2", "2"), b, is("3", "3")},
			want: w("0", "0", "a", "a=1\n", "1", "1", "2", "2", "b", "bin b", "3", "3", "m", "m"), order: "0 b 3 m a 1 2",
		},
		"the manifest stays first": {
			base: []item{is("META-INF/", ""), is(manifest, "v=1\n"), a}, mine: []item{is("META-INF/", ""), is(manifest, "v=1\n"), x},
			theirs: []item{is("0", "0"), is("META-INF/", ""), is("META-INF/x", "x"), is(manifest, "v=2\n"), a},
			want:   w("META-INF/", "", manifest, "v=2\n", "META-INF/x", "x", "0", "0", "a", "a=1\nx=1\n"), order: "META-INF/ " + manifest + " 0 META-INF/x a",
		},
		"the vendor's manifest comes first": {
			base: []item{a}, mine: []item{x}, theirs: []item{is(manifest, "v=1\n"), a}, want: w(manifest, "v=1\n", "a", "a=1\nx=1\n"), order: manifest + " a",
		},
		"a file becomes a folder": {base: []item{a, b}, mine: []item{a, b}, theirs: []item{is("a/", ""), is("a/c", "c"), b}, want: w("a/", "", "a/c", "c", "b", "bin b"), order: "a/ a/c b"},
		"a link changed by both": {
			base: []item{{name: "l", content: "1", mode: os.ModeSymlink | 0o777}}, mine: []item{{name: "l", content: "2", mode: os.ModeSymlink | 0o777}},
			theirs: []item{{name: "l", content: "3", mode: os.ModeSymlink | 0o777}}, want: w("l", "2"), wantTheirs: w("l", "3"), order: "l", conflicts: []string{"l  both-changed"},
		},
	}
}

func told(r Result) []string {
	var all []string
	for _, c := range r.Conflicts {
		all = append(all, fmt.Sprintf("%s %s %s", c.Member, c.Key, c.Why))
	}
	return all
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, c := range mergeCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var base []byte
			if c.base != nil {
				base = pack(t, c.base...)
			}
			mine, theirs := pack(t, c.mine...), pack(t, c.theirs...)
			if c.wantTheirs == nil {
				c.wantTheirs = c.want
			}
			for preferTheirs, want := range map[bool]map[string]string{false: c.want, true: c.wantTheirs} {
				out, result := merge(t, sides(base, mine, theirs), preferTheirs)
				if d := cmp.Diff(want, unpack(t, out)); d != "" {
					t.Errorf("prefer theirs %v: members (-want +got):\n%s", preferTheirs, d)
				}
				if d := cmp.Diff(c.merged, result.Merged) + cmp.Diff(c.conflicts, told(result)); d != "" {
					t.Errorf("result (-want +got):\n%s", d)
				}
				if !preferTheirs {
					if got := strings.Join(names(t, out), " "); got != c.order {
						t.Errorf("order %q, want %q", got, c.order)
					}
					checkUnzip(t, out)
				}
			}
		})
	}
}

func TestUntouchedMembersKeepTheirBytes(t *testing.T) {
	t.Parallel()
	odd := func(h *zip.FileHeader) { h.Extra, h.Comment = []byte{0xfe, 0xca, 0, 0}, "why" }
	long := strings.Repeat("content ", 1000)
	base := pack(t, is("a", "a=1\n"), item{name: "b", content: long, mode: 0o755, raw: odd}, item{name: "c", content: long, stored: true}, is("d", "1"))
	mine := packComment(t, "note", is("a", "a=1\nx=1\n"), item{name: "b", content: long, mode: 0o755, raw: odd}, item{name: "c", content: long, stored: true}, is("d", "1"), is("m", long))
	// The vendor packs anew, so that all times and the form of c differ.
	theirs := pack(t, is("new", long), is("a", "a=1\ny=1\n"), item{name: "b", content: long, mode: 0o755}, is("c", long), item{name: "d", content: "2", raw: odd})
	out, _ := merge(t, sides(base, mine, theirs), false)
	for name, from := range map[string][]byte{"b": mine, "c": mine, "m": mine, "d": theirs, "new": theirs} {
		if stored(t, out, name) != stored(t, from, name) {
			t.Errorf("the stored bytes of %q changed", name)
		}
	}
	if !bytes.HasSuffix(out, []byte("note")) {
		t.Error("the comment is lost")
	}
	checkUnzip(t, out)
}

// TestOnlyMineChanged also stands for whatever stub, comment, zip64 records, mixed order
// and descriptors mine has: the result is mine to the byte.
func TestOnlyMineChanged(t *testing.T) {
	t.Parallel()
	theirs := pack(t, is("a", "1"))
	for name, mine := range oddForms(t) {
		out, result := merge(t, sides(theirs, mine, theirs), false)
		if !bytes.Equal(out, mine) || len(result.Conflicts) > 0 {
			t.Errorf("%s: the result is not mine; conflicts %v", name, result.Conflicts)
		}
		if out, _ := merge(t, sides(mine, mine, mine), true); !bytes.Equal(out, mine) {
			t.Errorf("%s: merged with itself it changed", name)
		}
	}
}

func TestPermissionBits(t *testing.T) {
	t.Parallel()
	script := func(content string, mode os.FileMode) []byte {
		return pack(t, item{name: "run.sh", content: content, mode: mode}, is("z", "z"))
	}
	for name, c := range map[string]struct {
		mine, theirs []byte
		want         os.FileMode
	}{
		"theirs only":                {script("a=1\n", 0o644), script("a=1\n", 0o755), 0o755},
		"mine only":                  {script("a=1\n", 0o600), script("a=2\n", 0o644), 0o600},
		"content mine, bits theirs":  {script("a=2\n", 0o644), script("a=1\n", 0o755), 0o755},
		"content of both, bits mine": {script("a=1\nx=1\n", 0o700), script("a=1\ny=1\n", 0o644), 0o700},
	} {
		out, _ := merge(t, sides(script("a=1\n", 0o644), c.mine, c.theirs), false)
		z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
		if err != nil {
			t.Fatal(err)
		}
		if got := z.File[0].Mode(); got != c.want {
			t.Errorf("%s: mode %v, want %v", name, got, c.want)
		}
	}
}

func TestStubAndComment(t *testing.T) {
	t.Parallel()
	a, x := []item{is("a", "1")}, []item{is("a", "1"), is("x", "x")}
	sh := func(text string, b []byte) []byte { return append([]byte(text), b...) }
	base := sh("#!1\n", packComment(t, "1", a...))
	out, result := merge(t, sides(base, sh("#!1\n", packComment(t, "1", x...)), sh("#!22\n", packComment(t, "2", a...))), false)
	if !bytes.HasPrefix(out, []byte("#!22\nPK")) || !bytes.HasSuffix(out, []byte("2")) || len(result.Conflicts) > 0 {
		t.Errorf("theirs' stub and comment: %q, conflicts %v", out, result.Conflicts)
	}
	s := sides(base, sh("#!3\n", packComment(t, "3", x...)), sh("#!22\n", packComment(t, "2", a...)))
	out, result = merge(t, s, false)
	if d := cmp.Diff([]string{"  stub", "  comment"}, told(result)); d != "" || !bytes.HasPrefix(out, []byte("#!3\n")) || !bytes.HasSuffix(out, []byte("3")) {
		t.Errorf("conflict, mine: %q %s", out, d)
	}
	if out, _ = merge(t, s, true); !bytes.HasPrefix(out, []byte("#!22\n")) || !bytes.HasSuffix(out, []byte("2")) {
		t.Errorf("conflict, theirs: %q", out)
	}
}

func TestNested(t *testing.T) {
	t.Parallel()
	jar := func(items ...item) item {
		return item{name: "lib/a.jar", content: string(pack(t, items...)), stored: true}
	}
	base := pack(t, jar(is("a", "a=1\n"), is("b", "bin")), is("w", "w"))
	mine := pack(t, jar(is("a", "a=2\n"), is("b", "bin")), is("w", "w"))
	theirs := pack(t, jar(is("a", "a=1\n"), is("b", "bin 2"), is("c", "c")), is("w", "w2"))
	out, result := merge(t, sides(base, mine, theirs), false)
	inner := unpack(t, out)["lib/a.jar"]
	if d := cmp.Diff(w("a", "a=2\n", "b", "bin 2", "c", "c"), unpack(t, []byte(inner))); d != "" || len(result.Conflicts) > 0 {
		t.Errorf("nested (-want +got): %s; conflicts %v", d, result.Conflicts)
	}
	if !bytes.Contains(out, []byte(inner)) {
		t.Error("the nested archive was stored and is not any more")
	}
	checkUnzip(t, out)

	wrap := func(depth int, items ...item) []byte {
		b := pack(t, items...)
		for range depth {
			b = pack(t, item{name: "in.jar", content: string(b)})
		}
		return b
	}
	deep := func(depth int) Result {
		_, result := merge(t, sides(wrap(depth, is("a", "a=1\n")), wrap(depth, is("a", "a=2\n")), wrap(depth, is("a", "a=3\n"))), false)
		return result
	}
	if d := cmp.Diff([]string{"in.jar!/in.jar!/a a key"}, told(deep(2))); d != "" {
		t.Errorf("depth 2 (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"in.jar!/in.jar!/in.jar  both-changed"}, told(deep(3))); d != "" {
		t.Errorf("depth 3 (-want +got):\n%s", d)
	}

	broken := func(text string) []byte { return pack(t, is("in.jar", text), is("a", text)) }
	_, result = merge(t, sides(broken("x=1\n"), broken("x=2\n"), broken("x=3\n")), false)
	if d := cmp.Diff([]string{"a x key", "in.jar  both-changed"}, told(result)); d != "" {
		t.Errorf("nested that is no archive (-want +got):\n%s", d)
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	signed := func(v string, more ...item) []item {
		return append([]item{is("META-INF/", ""), is(manifest, "m="+v), is("META-INF/K.SF", "sf="+v), is("META-INF/K.RSA", "bin"+v), is("a", "a="+v+"\n")}, more...)
	}
	edited := append(signed("1")[:4:4], is("a", "a=1\nx=1\n"))
	unsigned := []item{is("META-INF/", ""), is(manifest, "m=1"), is("a", "a=1\nx=1\n")}
	conflict := []string{"  signature"}
	for name, c := range map[string]struct {
		base, mine, theirs []item
		conflicts          []string
	}{
		"edited, vendor signs anew":   {signed("1"), edited, signed("2"), conflict},
		"added, vendor signs anew":    {signed("1"), signed("1", is("b", "b")), signed("2"), conflict},
		"signature taken out, edited": {signed("1"), unsigned, signed("2"), conflict},
		"vendor signs first":          {unsigned[:2], unsigned, signed("2"), conflict},
		"only vendor changed":         {signed("1"), signed("1"), signed("2"), nil},
		"only mine changed":           {signed("1"), edited, signed("1"), nil},
		"only a folder more":          {signed("1"), signed("1", is("f/", "")), signed("2"), nil},
	} {
		mine, theirs := pack(t, c.mine...), pack(t, c.theirs...)
		s := sides(pack(t, c.base...), mine, theirs)
		out, result := merge(t, s, false)
		if d := cmp.Diff(c.conflicts, told(result)); d != "" {
			t.Errorf("%s: conflicts (-want +got):\n%s", name, d)
		}
		if len(c.conflicts) == 0 {
			continue
		}
		if !bytes.Equal(out, mine) {
			t.Errorf("%s: the result is not mine", name)
		}
		if out, _ := merge(t, s, true); !bytes.Equal(out, theirs) {
			t.Errorf("%s: the result is not theirs", name)
		}
		war := func(items []item) []byte {
			return pack(t, is("lib/s.jar", string(pack(t, items...))), is("w", "w="+items[1].content+"\n"))
		}
		if _, result := merge(t, sides(war(c.base), war(c.mine), war(c.theirs)), false); told(result)[0] != "lib/s.jar  signature" {
			t.Errorf("%s, nested: %v", name, told(result))
		}
	}
}

func TestTooLargeIsAConflict(t *testing.T) {
	t.Parallel()
	large := func(text string) []byte {
		return pack(t, is("l", strings.Repeat(text, maxLoad/len(text)+1)), is("a", "a="+text))
	}
	out, result := merge(t, sides(large("x"), large("y"), large("z")), false)
	if d := cmp.Diff([]string{"a a key", "l  too-large"}, told(result)); d != "" || stored(t, out, "l") != stored(t, large("y"), "l") {
		t.Errorf("conflicts (-want +got):\n%s", d)
	}
}

func TestErrorsAreHandedUp(t *testing.T) {
	t.Parallel()
	s := func() Sides {
		return sides(pack(t, is("a", "1")), pack(t, is("a", "2")), pack(t, is("a", "3")))
	}
	mine := errors.New("of members")
	_, err := Merge(t.Context(), s(), io.Discard, false, func(string, []byte, []byte, []byte) (Text, error) { return Text{}, mine })
	if !errors.Is(err, mine) || errors.Is(err, ErrWhole) {
		t.Errorf("of members: %v", err)
	}
	if _, err := Merge(t.Context(), s(), fullDisk{}, false, byLine); !errors.Is(err, io.ErrShortWrite) || errors.Is(err, ErrWhole) {
		t.Errorf("of out: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Merge(ctx, s(), io.Discard, false, byLine); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Merge(t.Context(), Sides{Mine: section(nil)}, io.Discard, false, byLine); err == nil || errors.Is(err, ErrWhole) {
		t.Errorf("a side is missing: %v", err)
	}
	r, err := Merge(t.Context(), s(), io.Discard, false, nil)
	if err != nil || len(r.Conflicts) != 1 {
		t.Errorf("without members: %v %v", r, err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

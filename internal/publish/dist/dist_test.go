package dist

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
)

// member is one entry of a test archive.
type entry struct {
	name    string
	content string
	mode    fs.FileMode
	method  uint16
}

func pack(t testing.TB, members ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: m.method}
		if m.mode != 0 {
			h.SetMode(m.mode)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, m.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) entry {
	return entry{name: name, content: content, mode: 0o644, method: zip.Deflate}
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "build.zip")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, name string) (*Build, error) {
	t.Helper()
	b, err := Open(t.Context(), name, Options{})
	if err == nil {
		t.Cleanup(func() { _ = b.Close() })
	}
	return b, err
}

func paths(tree manifest.Tree) []string {
	var all []string
	for _, e := range tree.Entries() {
		all = append(all, e.Path)
	}
	return all
}

func TestArchiveBecomesTree(t *testing.T) {
	t.Parallel()
	b, err := open(t, write(t, pack(t,
		entry{name: "shop-1.0/", mode: fs.ModeDir | 0o755},
		entry{name: "shop-1.0/bin/shop", content: "#!/bin/sh\n", mode: 0o755, method: zip.Deflate},
		file("shop-1.0/bin/uplevel", "tool"), file("shop-1.0/bin/wso2update_linux", "tool"),
		file("shop-1.0/updates/product.txt", "shop-1.0\n"), file("shop-1.0/updates/config.json", "{}"),
		file("shop-1.0/lib/größe.jar", strings.Repeat("x", 1<<20)),
		entry{name: "shop-1.0/current", content: "bin", mode: fs.ModeSymlink | 0o777},
		entry{name: "shop-1.0/empty/", mode: fs.ModeDir | 0o700},
	)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"bin", "bin/shop", "current", "empty", "lib", "lib/größe.jar"}, paths(b.Tree)); d != "" {
		t.Error(d)
	}
	shop, _ := b.Tree.Lookup("bin/shop")
	if shop.Mode != 0o755 || shop.Sum != digest.Of([]byte("#!/bin/sh\n")) {
		t.Errorf("%+v", shop)
	}
	if b.Product != "shop-1.0" {
		t.Errorf("product %q", b.Product)
	}
	r, err := b.Open("bin/shop")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(r); err != nil || string(content) != "#!/bin/sh\n" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestTopFolderIsDroppedOnlyWhenItHoldsAll(t *testing.T) {
	t.Parallel()
	b, err := open(t, write(t, pack(t, file("a/x", "1"), file("b/y", "2"))))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "a/x", "b", "b/y"}, paths(b.Tree)); d != "" {
		t.Error(d)
	}
}

func TestLinksThatLeaveAloneOrTogether(t *testing.T) {
	t.Parallel()
	link := func(name, target string) entry {
		return entry{name: "top/" + name, content: target, mode: fs.ModeSymlink | 0o777}
	}
	b, err := open(t, write(t, pack(t, file("top/d/e/f", "x"),
		link("inside", "d/e"), link("round", "round"), link("d/e/up", "../.."),
		link("out", "../x"), link("absolute", "/etc/passwd"), link("d/deep", "e/../../../x"),
		link("together", "d/e/up/.."), link("through", "inside/../../.."), link("drive", `C:\x`),
	)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range b.Outward {
		got = append(got, e.Path)
	}
	want := []string{"absolute", "d/deep", "drive", "out", "through", "together"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSetUserIDIsNamed(t *testing.T) {
	t.Parallel()
	b, err := open(t, write(t, pack(t, entry{name: "t/su", content: "x", mode: fs.ModeSetuid | 0o755}, file("t/x", "y"))))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"su"}, b.SetID); d != "" {
		t.Error(d)
	}
	if e, _ := b.Tree.Lookup("su"); e.Mode != 0o755 {
		t.Errorf("mode %o", e.Mode)
	}
}

// Signatures of a zip's records, and where a name begins.
const (
	signLocal   = 0x04034b50
	signCentral = 0x02014b50
	signEnd     = 0x06054b50
	lenLocal    = 30
)

// patch returns a copy with the bytes at the n-th occurrence of a record's signature
// plus offset replaced.
func patch(t *testing.T, data []byte, signature uint32, offset int, with ...byte) []byte {
	t.Helper()
	i := bytes.LastIndex(data, binary.LittleEndian.AppendUint32(nil, signature))
	if i < 0 {
		t.Fatalf("no record %08x", signature)
	}
	out := bytes.Clone(data)
	copy(out[i+offset:], with)
	return out
}

func TestHostileArchivesAreRefused(t *testing.T) {
	t.Parallel()
	plain := pack(t, file("t/a", "aaaa"), file("t/b", strings.Repeat("b", 5000)))
	stored := pack(t, entry{name: "t/a", content: "aaaa", mode: 0o644}, entry{name: "t/b", content: "bbbb", mode: 0o644})
	named := func(name string) []byte { return pack(t, file(name, "x"), file("other", "y")) }
	kind := func(mode fs.FileMode) []byte { return pack(t, entry{name: "t/x", mode: mode}, file("t/y", "")) }
	secondOffset := bytes.LastIndex(stored, binary.LittleEndian.AppendUint32(nil, signLocal))
	for what, data := range map[string][]byte{
		"not a zip":            []byte("PK, but no archive"),
		"empty":                pack(t),
		"parent":               named("../x"),
		"parent inside":        named("a/../../x"),
		"dot":                  named("./x"),
		"absolute":             named("/etc/passwd"),
		"double slash":         named("a//x"),
		"unc":                  named("//server/share/x"),
		"backslash":            named(`..\x`),
		"drive":                named("C:/x"),
		"control character":    named("a\nb"),
		"not UTF-8":            named("a\xff"),
		"too long":             named(strings.Repeat("x", manifest.MaxPath+1)),
		"twice":                pack(t, file("t/x", "1"), file("t/x", "2")),
		"file and folder":      pack(t, file("t/x", "1"), file("t/x/y", "2")),
		"below a link":         pack(t, entry{name: "t/x", content: "y", mode: fs.ModeSymlink | 0o777}, file("t/x/y", "2")),
		"device":               kind(fs.ModeDevice | 0o644),
		"pipe":                 kind(fs.ModeNamedPipe | 0o644),
		"socket":               kind(fs.ModeSocket | 0o644),
		"folder named as file": kind(fs.ModeDir | 0o755),
		"long link":            pack(t, entry{name: "t/x", content: strings.Repeat("y", 2000), mode: fs.ModeSymlink | 0o777}, file("t/y", "")),
		"prefix":               append([]byte("#!/bin/sh\n"), plain...),
		"suffix":               append(bytes.Clone(plain), "more"...),
		"cut off":              plain[:len(plain)-5],
		"encrypted":            patch(t, plain, signCentral, 8, 0x09, 0),
		"other method":         patch(t, plain, signCentral, 10, 12, 0),
		"local name differs":   patch(t, plain, signLocal, lenLocal, 'T'),
		"local method differs": patch(t, plain, signLocal, 8, 0, 0),
		"checksum":             patch(t, plain, signCentral, 16, 1, 2, 3, 4),
		"longer than it says":  patch(t, plain, signCentral, 24, 0x10, 0, 0, 0),
		"shorter than it says": patch(t, plain, signCentral, 24, 0xff, 0xff, 0, 0),
		"bomb":                 patch(t, plain, signCentral, 24, 0xff, 0xff, 0xff, 0x7f),
		"compressed too long":  patch(t, plain, signCentral, 20, 0xff, 0xff, 0, 0),
		"overlap":              patch(t, stored, signCentral, 42, 0, 0, 0, 0),
		"offset outside":       patch(t, stored, signCentral, 42, 0xff, 0xff, 0xff, 0x0f),
		"directory elsewhere":  patch(t, plain, signEnd, 16, 1, 0, 0, 0),
		"more members claimed": patch(t, plain, signEnd, 8, 3, 0, 3, 0),
		"one of several parts": patch(t, plain, signEnd, 4, 1, 0),
		"zip64 without record": patch(t, plain, signEnd, 8, 0xff, 0xff, 0xff, 0xff),
		"local header missing": patch(t, stored, signCentral, 42, byte(secondOffset+1)),
		"store of two sizes":   patch(t, stored, signCentral, 20, 3, 0, 0, 0),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, err := open(t, write(t, data))
			if err == nil {
				t.Fatalf("accepted: %q", paths(b.Tree))
			}
			if problem.KindOf(err) != problem.Refused {
				t.Errorf("kind %s: %v", problem.KindOf(err), err)
			}
		})
	}
	if _, err := open(t, write(t, plain)); err != nil {
		t.Errorf("the archive they are made from: %v", err)
	}
	if _, err := Open(t.Context(), write(t, plain), Options{MaxTotal: 1000}); err == nil {
		t.Error("more than MaxTotal was accepted")
	}
}

func TestFolderRefusesWhatCannotBePublished(t *testing.T) {
	t.Parallel()
	if _, err := open(t, filepath.Join(t.TempDir(), "nothing")); problem.KindOf(err) != problem.Failed {
		t.Errorf("missing: %v", err)
	}
	if _, err := open(t, t.TempDir()); problem.KindOf(err) != problem.Refused {
		t.Errorf("empty: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, `a\b`), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir); problem.KindOf(err) != problem.Refused {
		t.Errorf("backslash: %v", err)
	}
}

// tree draws a small distribution: path → content, all in folder top.
func drawTree(t *rapid.T) map[string]string {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zäø][a-z0-9 ._é-]{0,6}[a-z0-9]`), 1, 8, rapid.ID[string]).Draw(t, "names")
	files := map[string]string{}
	for i, n := range names {
		dir := rapid.SampledFrom([]string{"", "lib/", "conf/deep/"}).Draw(t, "dir")
		files[dir+"f"+n] = strings.Repeat(n, rapid.IntRange(0, 2000).Draw(t, "size")) + string(rune('a'+i))
	}
	return files
}

func TestFolderAndArchiveGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		files := drawTree(rt)
		dir, err := os.MkdirTemp(base, "") //nolint:usetesting // many runs of one test
		if err != nil {
			rt.Fatal(err)
		}
		members := []entry{{name: "top/", mode: fs.ModeDir | 0o755}}
		for name, content := range files {
			full := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				rt.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
				rt.Fatal(err)
			}
			members = append(members, file("top/"+name, content))
		}
		archive := filepath.Join(base, filepath.Base(dir)+".zip")
		if err := os.WriteFile(archive, pack(t, members...), 0o600); err != nil {
			rt.Fatal(err)
		}
		a, err := Open(t.Context(), dir, Options{Workers: 3})
		if err != nil {
			rt.Fatal(err)
		}
		defer a.Close()
		b, err := Open(t.Context(), archive, Options{Workers: 1})
		if err != nil {
			rt.Fatal(err)
		}
		defer b.Close()
		if d := cmp.Diff(string(a.Tree.Bytes()), string(b.Tree.Bytes())); d != "" {
			rt.Fatal(d)
		}
	})
}

func TestUnchangedFilesAreNotReadTwice(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opts := Options{CacheDir: cache, Now: func() time.Time { return time.Now().Add(time.Hour) }}
	scan := func() *Build {
		t.Helper()
		b, err := Open(t.Context(), dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
		return b
	}
	first := scan()
	again := scan()
	if first.Read != 3 || again.Read != 0 || !bytes.Equal(first.Tree.Bytes(), again.Tree.Bytes()) {
		t.Errorf("read %d, then %d", first.Read, again.Read)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("B"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := scan()
	if e, _ := changed.Tree.Lookup("b"); changed.Read != 1 || e.Sum != digest.Of([]byte("B")) {
		t.Errorf("read %d, %+v", changed.Read, e)
	}
	if err := os.WriteFile(cacheName(cache, dir), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b := scan(); b.Read != 3 {
		t.Errorf("a damaged cache was believed: %d read", b.Read)
	}
	opts.Now = time.Now // the files changed a moment ago: not believed
	scan()
	if b := scan(); b.Read != 3 {
		t.Errorf("files that had not settled were believed: %d read", b.Read)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(pack(f, file("t/a", "aaaa"), file("t/b", strings.Repeat("b", 5000))))
	f.Add(pack(f, entry{name: "t/a", content: "b", mode: fs.ModeSymlink | 0o777}, entry{name: "t/b/", mode: fs.ModeDir | 0o755}))
	f.Add(pack(f, entry{name: "t/su", content: "x", mode: fs.ModeSetuid | 0o755}, file("t/updates/product.txt", "shop-1.0")))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Open(t.Context(), write(t, data), Options{MaxTotal: 16 << 20})
		if err != nil {
			return
		}
		defer b.Close()
		if err := b.Tree.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := manifest.Parse(b.Tree.Bytes())
		if err != nil || again.Len() != b.Tree.Len() {
			t.Fatalf("what was scanned does not read back: %v", err)
		}
	})
}

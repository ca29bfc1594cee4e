package delta_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/archive/deflater"
	"uplevel/internal/delta"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// files are a tree in memory, by path.
type files map[string][]byte

func (f files) tree(t interface{ Fatal(...any) }) manifest.Tree {
	entries := make([]manifest.Entry, 0, len(f))
	for path, content := range f {
		entries = append(entries, manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of(content)})
	}
	tree, err := manifest.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// memory is a content in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (f files) open(c delta.Content) (delta.File, error) {
	return memory{bytes.NewReader(f[c.Path])}, nil
}

// made is where now contents go.
type made struct {
	mu  sync.Mutex
	all map[digest.Digest][]byte
}

type sink struct {
	bytes.Buffer
	made *made
	want delta.Content
}

func (s *sink) Close() error {
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	s.made.all[s.want.Sum] = s.Bytes()
	return nil
}

func (m *made) create(c delta.Content) (io.WriteCloser, error) { return &sink{made: m, want: c}, nil }

func scratch() (*os.File, error) {
	file, err := os.CreateTemp("", "delta-test-*")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// making makes the delta between two trees.
func making(t rapid.TB, old, now files) []byte {
	t.Helper()
	var code bytes.Buffer
	m := delta.Maker{Old: old.tree(t), New: now.tree(t), OpenOld: old.open, OpenNew: now.open, Scratch: scratch, Workers: 2}
	if err := m.Write(context.Background(), &code); err != nil {
		t.Fatal(err)
	}
	return code.Bytes()
}

// applying applies a delta and returns what it makes, and the first error.
func applying(t rapid.TB, old files, wanted manifest.Tree, base manifest.Tree, code []byte) (map[digest.Digest][]byte, error) {
	t.Helper()
	got := &made{all: map[digest.Digest][]byte{}}
	p, err := delta.Open(bytes.NewReader(code), int64(len(code)), base, wanted)
	if err != nil {
		return nil, err
	}
	for _, b := range p.Blocks {
		if err := p.Apply(context.Background(), b, old.open, got.create, scratch); err != nil {
			return got.all, err
		}
	}
	return got.all, nil
}

// round makes a delta, applies it, compares, and returns its length.
func round(t rapid.TB, old, now files) int {
	t.Helper()
	code := making(t, old, now)
	got, err := applying(t, old, now.tree(t), old.tree(t), code)
	if err != nil {
		t.Fatal(err)
	}
	wanted := delta.Wanted(delta.Contents(old.tree(t)), delta.Contents(now.tree(t)))
	for _, c := range wanted {
		if !bytes.Equal(got[c.Sum], now[c.Path]) {
			t.Fatalf("%s comes to other bytes", c.Path)
		}
	}
	if len(got) != len(wanted) {
		t.Fatalf("%d contents are made, %d are wanted", len(got), len(wanted))
	}
	return len(code)
}

// text is a text of so many lines, some of them drawn.
func text(r *rand.Rand, lines int) []byte {
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "setting.%d = %d and some words %x\n", i, r.IntN(5), r.Uint32())
	}
	return b.Bytes()
}

// member is a member of a zip archive.
type member struct {
	name    string
	content []byte
	method  uint16
	level   int
}

// zipped is an archive, deflated as zlib does.
func zipped(t rapid.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
			if m.level == 0 {
				return flate.NewWriter(out, 6) // another one than zlib
			}
			return deflater.NewWriter(out, deflater.Params{Level: m.level, MemLevel: 8})
		})
		out, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: m.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// edited is content with a few bytes changed, put in and taken out.
func edited(r *rand.Rand, content []byte, edits int) []byte {
	b := bytes.Clone(content)
	for range edits {
		if len(b) < 10 {
			return b
		}
		at := r.IntN(len(b) - 5)
		switch r.IntN(3) {
		case 0:
			b[at] ^= byte(1 + r.IntN(255))
		case 1:
			b = append(b[:at:at], append([]byte("inserted"), b[at:]...)...)
		default:
			b = append(b[:at:at], b[at+3:]...)
		}
	}
	return b
}

func TestAnArchiveOfArchives(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var oldInner, newInner []member
	for i := range 50 {
		content := text(r, 200)
		m := member{fmt.Sprintf("com/example/C%d.txt", i), content, zip.Deflate, 6}
		oldInner = append(oldInner, m)
		if i%7 == 0 {
			m.content = edited(r, content, 3)
		}
		newInner = append(newInner, m)
	}
	foreign := member{"foreign.txt", text(r, 500), zip.Deflate, 0}
	war := func(inner []member, version string) []byte {
		jar := zipped(t, inner...)
		return zipped(t,
			member{"WEB-INF/lib/a-" + version + ".jar", jar, zip.Deflate, 9},
			member{"WEB-INF/lib/b.jar", jar, zip.Store, 0},
			foreign,
			member{"WEB-INF/web.xml", text(r, 10), zip.Deflate, 1})
	}
	old, now := files{"app.war": war(oldInner, "1.2")}, files{"app.war": war(newInner, "1.3")}
	size := round(t, old, now)
	if most := len(now["app.war"]) / 50; size > most {
		t.Errorf("the delta has %d bytes, more than %d", size, most)
	}
}

func TestTreesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		old, now := files{}, files{}
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			name := fmt.Sprintf("dir/f%d.txt", i)
			content := text(r, rapid.IntRange(0, 60).Draw(t, "lines"))
			if rapid.Bool().Draw(t, "archive") {
				name += ".jar"
				content = zipped(t, member{"x.txt", content, zip.Deflate, 6}, member{"y/z.class", text(r, 9), zip.Store, 0})
			}
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0: // gone
				old[name] = content
			case 1: // new
				now[name] = content
			case 2:
				old[name], now[name] = content, edited(r, content, 4)
			case 3: // renamed
				old[name], now[strings.Replace(name, "f", "renamed-9.", 1)] = content, edited(r, content, 1)
			default:
				old[name], now[name] = content, content
			}
		}
		round(t, old, now)
	})
}

func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	content := text(r, 300)
	old := files{"a.jar": zipped(t, member{"x", content, zip.Deflate, 6}, member{"y", text(r, 90), zip.Deflate, 6}), "b": text(r, 50)}
	now := files{"a.jar": zipped(t, member{"x", edited(r, content, 5), zip.Deflate, 6}), "b": text(r, 50)}
	code := making(t, old, now)
	right := now.tree(t)
	for range 150 {
		bad := bytes.Clone(code)
		switch r.IntN(3) {
		case 0:
			bad = bad[:r.IntN(len(bad))]
		case 1:
			bad[r.IntN(len(bad))] ^= byte(1 + r.IntN(255))
		default:
			bad = append(bad, 0)
		}
		got, err := applying(t, old, right, old.tree(t), bad)
		if err != nil && !errors.Is(err, delta.ErrDamaged) {
			t.Fatalf("%v", err)
		}
		for _, c := range delta.Contents(right) {
			if len(got[c.Sum]) > int(c.Size) {
				t.Fatalf("%s has %d bytes, more than %d", c.Path, len(got[c.Sum]), c.Size)
			}
		}
	}
	base := files{"a.jar": edited(r, old["a.jar"], 3), "b": old["b"]}
	if _, err := applying(t, base, right, old.tree(t), code); err != nil && !errors.Is(err, delta.ErrDamaged) {
		t.Errorf("with another base: %v", err)
	}
}

package deflater

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// opener opens content anew, as a plain reader, and counts how often.
func opener(content []byte, opened *int) func() io.Reader {
	return func() io.Reader {
		*opened++
		return io.MultiReader(bytes.NewReader(content))
	}
}

func TestFindTellsHowZlibWasCalled(t *testing.T) {
	t.Parallel()
	f := NewFinder()
	rapid.Check(t, func(r *rapid.T) {
		content, p := draw(r), rapid.SampledFrom(every()).Draw(r, "params")
		content = content[:min(len(content), 5000)]
		packed := ours(t, content, p)
		opened := 0
		found, ok, err := f.Find(section(packed), opener(content, &opened))
		if err != nil || !ok || !bytes.Equal(ours(t, content, found), packed) {
			r.Fatalf("%v was found as %v, %v, %v", p, found, ok, err)
		}
		again := 0
		if same, ok, err := f.Find(section(packed), opener(content, &again)); same != found || !ok || err != nil || again != 1 {
			r.Fatalf("found again as %v, %v, %v, with %d tries", same, ok, err, again)
		}
	})
}

// TestFindIsExact: of content in which they differ it tells the very parameters.
func TestFindIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	content := text(r, class(r, copies(r, nil, 10000), 4000), 4000)
	for range 200 {
		content = append(content, bytes.Repeat([]byte{byte(r.Uint32())}, 2+r.IntN(9))...)
	}
	for _, p := range []Params{
		{6, 8, Default}, {9, 8, Default}, {2, 8, Default}, {6, 8, Filtered}, {6, 8, HuffmanOnly}, {6, 9, HuffmanOnly}, {6, 8, RLE}, {2, 8, Fixed},
	} {
		opened := 0
		found, ok, err := NewFinder().Find(section(ours(t, content, p)), opener(content, &opened))
		if found != p || !ok || err != nil {
			t.Errorf("%v was found as %v, %v, %v", p, found, ok, err)
		}
	}
}

func TestFindRefusesWhatZlibDidNotMake(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	content := copies(r, nil, 6000)
	right := ours(t, content, Params{6, 8, Default})
	var others bytes.Buffer
	w, err := flate.NewWriter(&others, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(content)
	_ = w.Close()
	late := bytes.Clone(right)
	late[len(late)-1] ^= 0x80
	for name, packed := range map[string][]byte{
		"nothing":            {},
		"one byte":           {3},
		"another deflater's": others.Bytes(),
		"cut":                right[:len(right)-1],
		"more":               append(bytes.Clone(right), 0),
		"changed late":       late,
		"another's":          ours(t, content[1:], Params{6, 8, Default}),
		"no block":           bytes.Repeat([]byte{6}, 100),
	} {
		opened := 0
		f := NewFinder()
		if p, ok, err := f.Find(section(packed), opener(content, &opened)); ok || err != nil {
			t.Errorf("%s: found as %v, %v", name, p, err)
		}
		if opened > 52 || opened < 34 {
			t.Errorf("%s: the content was opened %d times", name, opened)
		}
	}
}

// counting reads content and counts.
type counting struct {
	io.Reader
	n *int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// TestAWrongGuessIsCheap: of a large member it reads what the first block and the window
// take, for each wrong guess.
func TestAWrongGuessIsCheap(t *testing.T) {
	t.Parallel()
	content := makers()["skewed"](rand.New(rand.NewPCG(2, 2)), nil, 1<<20)
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(content)
	_ = w.Close()
	var read int64
	tries := int64(0)
	if _, ok, err := NewFinder().Find(section(packed.Bytes()), func() io.Reader {
		tries++
		return counting{bytes.NewReader(content), &read}
	}); ok || err != nil {
		t.Fatal(ok, err)
	}
	if read > tries*128<<10 {
		t.Fatalf("%d bytes were read in %d tries", read, tries)
	}
}

func TestFindSaysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	content := []byte("some content, some content")
	packed := ours(t, content, Params{6, 8, Default})
	if _, ok, err := NewFinder().Find(section(packed), func() io.Reader { return iotest.ErrReader(broken) }); ok || !errors.Is(err, broken) {
		t.Error("content:", ok, err)
	}
	opened := 0
	if _, ok, err := NewFinder().Find(io.NewSectionReader(brokenAt{broken}, 0, 9), opener(content, &opened)); ok || !errors.Is(err, broken) {
		t.Error("packed:", ok, err)
	}
}

type brokenAt struct{ err error }

func (b brokenAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// TestRealJar closes the members of a jar again that Gradle made with Java's zlib; it comes
// with a module that the product is built from.
func TestRealJar(t *testing.T) {
	t.Parallel()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/protobuf-specs").Output()
	if err != nil {
		t.Fatal(err)
	}
	jar, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(dir)), "java/gradle/wrapper/gradle-wrapper.jar"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = jar.Close() }()
	f, n := NewFinder(), 0
	for _, m := range jar.File {
		if m.Method != zip.Deflate {
			continue
		}
		raw, err := m.OpenRaw()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(raw)
		if err != nil {
			t.Fatal(err)
		}
		p, ok, err := f.Find(section(packed), func() io.Reader {
			r, err := m.Open()
			if err != nil {
				t.Fatal(err)
			}
			return r
		})
		if !ok || err != nil {
			t.Errorf("%s: not found: %v %v", m.Name, p, err)
		}
		n++
	}
	if n < 20 {
		t.Fatalf("only %d members were looked at", n)
	}
}

package layout_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/archive/layout"
)

// jar is an archive with members of these contents; those of even places are deflated.
func jar(t rapid.TB, contents ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, content := range contents {
		method := zip.Deflate
		if i%2 == 1 {
			method = zip.Store
		}
		out, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("m%d", i), Method: method})
		if err == nil {
			_, err = out.Write(content)
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

func gzipped(t rapid.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "a.tar", "made by a test", []byte("abcd")
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parts(t rapid.TB, content []byte) []layout.Part {
	t.Helper()
	all, err := layout.Of(context.Background(), io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content))))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// whole sees that parts are all of a content, one after the other, and returns the contents of
// those that are no frames.
func whole(t rapid.TB, content []byte, all []layout.Part) [][]byte {
	t.Helper()
	var at int64
	var found [][]byte
	var o layout.Opener
	for _, p := range all {
		if p.At != at || p.Len < 0 {
			t.Fatalf("a part begins at %d, the one before ends at %d", p.At, at)
		}
		at += p.Len
		got, err := io.ReadAll(o.Content(bytes.NewReader(content), p))
		if err != nil && !errors.Is(err, layout.ErrOther) {
			t.Fatal(err)
		}
		if err == nil && int64(len(got)) != p.Size {
			t.Fatalf("a content has %d bytes, and %d are told", len(got), p.Size)
		}
		if p.Within != nil {
			whole(t, got, p.Within)
		}
		if !p.Frame {
			found = append(found, got)
		}
	}
	if at != int64(len(content)) {
		t.Fatalf("the parts end at %d of %d", at, len(content))
	}
	return found
}

// text is a text that does not pack to next to nothing.
func text() []byte {
	var b bytes.Buffer
	for i := range 40 {
		fmt.Fprintf(&b, "line %d of a text, %x\n", i, i*i*7919)
	}
	return b.Bytes()
}

func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var contents [][]byte
		for range rapid.IntRange(0, 6).Draw(t, "members") {
			content := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 20, 60).Draw(t, "content"), rapid.IntRange(1, 40).Draw(t, "times"))
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				content = jar(t, content, content)
			case 1:
				content = gzipped(t, content)
			}
			contents = append(contents, content)
		}
		archive := jar(t, contents...)
		got := whole(t, archive, parts(t, archive))
		if len(got) != len(contents) {
			t.Fatalf("%d contents are found of %d", len(got), len(contents))
		}
		for i := range got {
			if !bytes.Equal(got[i], contents[i]) {
				t.Errorf("content %d is another one", i)
			}
		}
	})
}

func TestArchivesWithinArchives(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("a text that is long enough "), 10)
	content, depth := text, 0
	for range 8 {
		content = jar(t, content)
	}
	for all := parts(t, content); all != nil; depth++ {
		inner := all[len(all)/2]
		all = inner.Within
	}
	if depth != 4 {
		t.Errorf("%d archives were opened, one in the other", depth)
	}
}

func TestWhatIsOnePart(t *testing.T) {
	t.Parallel()
	good := jar(t, text())
	twice := gzipped(t, text())
	for name, content := range map[string][]byte{
		"nothing":                    nil,
		"a byte":                     {1},
		"a text":                     bytes.Repeat([]byte("PK"), 40),
		"an archive that is cut off": good[:len(good)-1],
		"something after an archive": append(bytes.Clone(good), 0),
		"two archives":               append(bytes.Clone(good), good...),
		"a head of gzip":             twice[:40],
	} {
		if got := parts(t, content); len(got) != 1 || got[0].Deflate || got[0].Frame || got[0].Within != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAStreamThatIsNone(t *testing.T) {
	t.Parallel()
	var o layout.Opener
	content := gzipped(t, text())
	all := parts(t, content)
	stream := all[1]
	for name, bad := range map[string]layout.Part{
		"longer":  {At: stream.At, Len: stream.Len, Size: stream.Size + 1, Deflate: true},
		"shorter": {At: stream.At, Len: stream.Len, Size: stream.Size - 1, Deflate: true},
		"cut off": {At: stream.At, Len: stream.Len - 3, Size: stream.Size, Deflate: true},
		"garbage": {At: stream.At + 1, Len: stream.Len - 1, Size: stream.Size, Deflate: true},
	} {
		if _, err := io.ReadAll(o.Content(bytes.NewReader(content), bad)); !errors.Is(err, layout.ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := io.ReadAll(o.Content(bytes.NewReader(content), stream))
	if err != nil || !bytes.Equal(got, text()) {
		t.Errorf("after those: %q, %v", got, err)
	}
}

func FuzzOf(f *testing.F) {
	content := text()
	f.Add(jar(f, content, content, jar(f, content)))
	f.Add(gzipped(f, content))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, content []byte) {
		whole(t, content, parts(t, content))
	})
}

package statefile_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
)

func state(files ...statefile.File) statefile.State {
	return statefile.State{
		Format: 1, Product: "shop", Version: "1.2", Channel: "full", Level: 3, Hotfixes: []string{"Bank-hf1"},
		Record: &release.Ref{Sum: digest.Of([]byte("r")), Size: 9}, System: "linux/amd64", Compared: true, Files: files,
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	want := state(statefile.File{Path: "a", Kind: manifest.File, Sum: digest.Of([]byte("a"))}, statefile.File{Path: "b/c", Kind: statefile.Missing})
	data, err := want.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := statefile.Read(bytes.NewReader(data))
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
	if _, err := statefile.Read(strings.NewReader(strings.Replace(string(data), `[
  "Bank-hf1"
 ]`, "null", 1))); err != nil {
		t.Error(err)
	}
	for n := 0; n < len(data)-1; n += 5 {
		if _, err := statefile.Read(bytes.NewReader(data[:n])); problem.KindOf(err) != problem.Refused {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	file := func(path, content string) manifest.Entry {
		return manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: digest.Of([]byte(content))}
	}
	tree, err := manifest.NewTree([]manifest.Entry{file("a", "a"), file("b", "b"), file("c", "c"), file("d", "d")})
	if err != nil {
		t.Fatal(err)
	}
	compared := state(statefile.File{Path: "b", Kind: manifest.File}, statefile.File{Path: "d", Kind: statefile.Missing}, statefile.File{Path: "z", Kind: manifest.File})
	if got := compared.Differs(tree); !slices.Equal(got, []string{"b", "d"}) {
		t.Error(got)
	}
	all := state(
		statefile.File{Path: "a", Kind: manifest.File, Sum: digest.Of([]byte("a"))}, statefile.File{Path: "b", Kind: manifest.File, Sum: digest.Of([]byte("mine"))},
		statefile.File{Path: "c", Kind: manifest.Link}, statefile.File{Path: "z", Kind: manifest.File})
	all.Compared = false
	if got := all.Differs(tree); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Error(got)
	}
}

func TestHostileStateFiles(t *testing.T) {
	t.Parallel()
	whole, err := state(statefile.File{Path: "a", Kind: manifest.File}, statefile.File{Path: "b", Kind: manifest.File}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"format": 1`, `"format": 2`},
		{`"product": "shop"`, `"product": "../shop"`},
		{`"level": 3`, `"level": -3`},
		{`"level": 3`, `"level": 3000000000`},
		{`"channel": "full"`, `"channel": ""`},
		{`"system": "linux/amd64"`, `"system": "host.example"`},
		{`"path": "a"`, `"path": "../a"`},
		{`"path": "a"`, `"path": "/etc/passwd"`},
		{`"path": "b"`, `"path": "a"`},
		{`"kind": "file"`, `"kind": "device"`},
		{`"Bank-hf1"`, `"a b"`},
		{`"size": 9`, `"size": 99999999`},
		{"}\n", "} {}"},
	} {
		if !strings.Contains(string(whole), edit[0]) {
			t.Fatalf("no %s", edit[0])
		}
		text := strings.Replace(string(whole), edit[0], edit[1], 1)
		if edit[0] == "}\n" {
			text = strings.TrimSpace(string(whole)) + "{}"
		}
		if _, err := statefile.Read(strings.NewReader(text)); problem.KindOf(err) != problem.Refused {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
	if _, err := statefile.Read(&endless{}); problem.KindOf(err) != problem.Refused {
		t.Errorf("endless: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func FuzzRead(f *testing.F) {
	whole, err := state(statefile.File{Path: "a", Kind: manifest.File}).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := statefile.Read(bytes.NewReader(data))
		if err != nil {
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Kind != problem.Refused || p.Next == "" {
				t.Fatalf("%v says no next step", err)
			}
			return
		}
		text, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := statefile.Read(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, text)
		}
		if twice, err := again.Bytes(); err != nil || !bytes.Equal(twice, text) {
			t.Fatalf("%s\nbecomes\n%s\n%v", text, twice, err)
		}
	})
}

// TestWhatCannotBeAStateFileIsRefusedWhereItBegins: a device of zeros is not read for 64 MB,
// a text without an end not for more than a path can be long, and no list without an end.
func TestWhatCannotBeAStateFileIsRefusedWhereItBegins(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		begin, on, says string
		most            int
	}{
		"zeros":          {"", "\x00", "invalid character", 4 << 10},
		"an endless one": {`{"product":"`, "a", "is longer", 200 << 10},
		"endless keys":   {`{"`, "a", "is longer", 200 << 10},
		"unknown values": {`{"new":[`, "1,", "is longer", 200 << 10},
		"many files":     {`{"files":[`, `{"path":"a","kind":"file"},`, "too much", 30 * statefile.MaxFiles},
		"many hotfixes":  {`{"hotfixes":[`, `"a",`, "too much", 300 << 10},
		"spaces":         {"", " ", "is longer", 200 << 10},
	} {
		r := &repeated{[]byte(c.begin), []byte(c.on), 0}
		_, err := statefile.Read(r)
		if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), c.says) || r.read > c.most {
			t.Errorf("%s: %d bytes read: %v", what, r.read, err)
		}
	}
}

// repeated is a text, and then another one without end, as much of it as is asked for.
type repeated struct {
	rest, on []byte
	read     int
}

func (r *repeated) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if len(r.rest) == 0 {
			r.rest = r.on
		}
		took := copy(p[n:], r.rest)
		r.rest, r.read, n = r.rest[took:], r.read+took, n+took
	}
	return len(p), nil
}

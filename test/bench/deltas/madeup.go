package deltas

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uplevel/internal/archive/deflater"
)

// MadeUp writes a small made-up product at two releases below dir: a jar that was rebuilt,
// native code, texts; files that come, go and move; modes, links and empty files.
func MadeUp(dir string) ([]Pair, error) {
	p := Pair{Name: "made up", Old: filepath.Join(dir, "old"), New: filepath.Join(dir, "new")}
	for release, tree := range []string{p.Old, p.New} {
		if err := madeUp(tree, release); err != nil {
			return nil, err
		}
	}
	return []Pair{p}, nil
}

func madeUp(tree string, release int) error {
	jar, err := madeUpJar(release)
	if err != nil {
		return err
	}
	native := make([]byte, 200_000)
	_, _ = rand.NewChaCha8([32]byte{'n'}).Read(native)
	for at := 100; release > 0 && at < len(native); at += 5000 {
		native[at] += 3
	}
	modes := map[string]os.FileMode{"bin/native": 0o755, "bin/start": []os.FileMode{0o644, 0o755}[release]}
	files := map[string][]byte{
		"lib/app.jar": jar, "bin/native": native, "bin/start": []byte("#!/bin/sh\nexec ./native\n"),
		"doc/manual.txt": prose(1, 40_000, release), "doc/kept.txt": prose(2, 10_000, 0), "empty": nil,
	}
	if release == 0 {
		files["doc/gone.txt"], files["moved.txt"] = prose(3, 5000, 0), prose(4, 5000, 0)
	} else {
		files["doc/[new] file.txt"], files["doc/moved.txt"], files["doc/empty"] = prose(5, 5000, 0), prose(4, 5000, 0), nil
	}
	for name, content := range files {
		full := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, content, max(modes[name], 0o644)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(tree, "data"), 0o755); err != nil {
		return err
	}
	return os.Symlink([]string{"app.jar", "../bin/native"}[release], filepath.Join(tree, "lib", "current"))
}

// prose returns words, the same for the same seed; a later release says something else here
// and there.
func prose(seed uint64, size, release int) []byte {
	words := strings.Fields("bundle class service that of return public the level void static import file new string value")
	r := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, "%s%d ", words[r.IntN(len(words))], r.IntN(50))
		if n%500 == 250 {
			fmt.Fprintf(&b, "release %d\n", release)
		}
	}
	return b.Bytes()
}

// madeUpJar returns a jar as a build makes it, with zlib: every member has a new time, few
// have another content.
func madeUpJar(release int) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return deflater.NewWriter(w, deflater.Params{Level: 6, MemLevel: 8})
	})
	for n := range 60 {
		changes := 0
		if n%20 == 7 {
			changes = release
		}
		member, err := w.CreateHeader(&zip.FileHeader{
			Name: fmt.Sprintf("com/acme/Part%02d.class", n), Method: zip.Deflate,
			Modified: time.Date(2026, 10, 11+4*release, 12, n, 0, 0, time.UTC),
		})
		if err != nil {
			return nil, err
		}
		if _, err := member.Write(prose(uint64(100+n), 12_000, changes)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

package crashservice

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestEveryDamageOfAnInstallationIsNamed: the real uplevel verify names each damage, with
// its exit code and the next step.
func TestEveryDamageOfAnInstallationIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.fresh(t, "", false)
	t.Cleanup(func() { s.remove(t) })
	s.start(t)
	s.must(t, "uplevel", "--dir", s.path("home"), "update", "--yes")
	s.must(t, "uplevel", "--dir", s.path("home"), "verify")
	for _, d := range homeDamages() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			home := filepath.Join(t.TempDir(), "home")
			copied(t, s.path("home"), home)
			d.inflict(t, home)
			r := s.run(t.Context(), "uplevel", "--dir", home, "verify", "--offline")
			d.judge(t, r)
		})
	}
}

const repair = "verify --repair"

func homeDamages() []damage {
	file := func(name, words string, inflict func(*testing.T, string)) damage {
		return damage{name, inflict, words, 14, repair}
	}
	keep := func(name string) func(string) string {
		return func(home string) string { return filepath.Join(home, "updates", name) }
	}
	return []damage{
		{"nothing", func(*testing.T, string) {}, "", 0, ""},
		{"file changed", func(t *testing.T, home string) { write(t, filepath.Join(home, "bin/start"), "mine") }, "bin/start", 0, ""},
		{"file missing", func(t *testing.T, home string) { ok(t, os.Remove(filepath.Join(home, "bin/start"))) }, "bin/start", 0, ""},
		file("file empty", "bin/start", func(t *testing.T, home string) { write(t, filepath.Join(home, "bin/start"), "") }),
		file("file of zeros", "bin/start", func(t *testing.T, home string) { write(t, filepath.Join(home, "bin/start"), strings.Repeat("\x00", 6)) }),
		file("folder in place of a file", "bin/start", func(t *testing.T, home string) {
			ok(t, os.Remove(filepath.Join(home, "bin/start")))
			ok(t, os.Mkdir(filepath.Join(home, "bin/start"), 0o755))
		}),
		file("file for all to write", "bin/start", func(t *testing.T, home string) { ok(t, os.Chmod(filepath.Join(home, "bin/start"), 0o666)) }),
		file("folder for all to write", "conf", func(t *testing.T, home string) { ok(t, os.Chmod(filepath.Join(home, "conf"), 0o777)) }),
		file("bit flipped in a stored object", "updates/store/", func(t *testing.T, home string) { flip(t, kept(t, home, "shop 0")) }),
		file("stored objects swapped", "updates/store/", func(t *testing.T, home string) { swap(t, kept(t, home, "shop 0"), kept(t, home, "a=0")) }),
		{"manifest damaged", func(t *testing.T, home string) { flip(t, kept(t, home, "uplevel-manifest/")) }, "updates/store is damaged", 14, "it fetches what is missing"},
		{"manifest missing", func(t *testing.T, home string) { ok(t, os.Remove(kept(t, home, "uplevel-manifest/"))) }, "updates/store is missing", 14, "it fetches what is missing"},
		{"state cut short", func(t *testing.T, home string) { ok(t, os.Truncate(keep("state.json")(home), 20)) }, "updates/state.json is damaged", 14, "back from a backup"},
		{"wrong level in the state", func(t *testing.T, home string) {
			replaced(t, keep("state.json")(home), `"level": 1`, `"level": 0`)
		}, "is not the one that the vendor signed", 14, "Compare with a fresh pack"},
		{"config says another level", func(t *testing.T, home string) { replaced(t, keep("config.json")(home), `"1"`, `"0"`) }, `updates/config.json is not what the tool wrote: it has update-level "0", and the product is at 1`, 14, "Correct updates/config.json"},
		{"config cut short", func(t *testing.T, home string) { ok(t, os.Truncate(keep("config.json")(home), 5)) }, "updates/config.json is not what the tool wrote", 14, "back from a backup"},
		{"history missing", func(t *testing.T, home string) { ok(t, os.Remove(keep("history/000001.json")(home))) }, "updates/history/000001.json is not what the tool wrote: it is missing", 14, "back from a backup"},
		{"history cut short", func(t *testing.T, home string) { ok(t, os.Truncate(keep("history/000001.json")(home), 30)) }, "updates/history/000001.json is damaged", 14, "back from a backup"},
		{"trusted root damaged", func(t *testing.T, home string) { flip(t, keep("trust/root.json")(home)) }, "root.json is damaged", 14, repair},
	}
}

// kept finds an object of the local store by its content.
func kept(t *testing.T, home, text string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(home, "updates/store/*"))
	ok(t, err)
	for _, name := range names {
		if content, err := decode(name); err == nil && strings.Contains(string(content), text) {
			return name
		}
	}
	t.Fatalf("no object holds %q", text)
	return ""
}

func replaced(t *testing.T, name, from, to string) {
	t.Helper()
	text := read(t, name)
	if !strings.Contains(text, from) {
		t.Fatalf("%s has no %q: %s", name, from, text)
	}
	write(t, name, strings.Replace(text, from, to, 1))
}

func decode(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(data, nil)
}

// encode is a content in its stored form, and its digest.
func encode(t *testing.T, content string) (name string, stored []byte) {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	ok(t, err)
	defer e.Close()
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:]), e.EncodeAll([]byte(content), nil)
}

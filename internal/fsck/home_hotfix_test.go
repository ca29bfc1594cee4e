package fsck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// keepObject puts a content into the store of a home and returns its name.
func keepObject(t *testing.T, dir, content string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	var stored bytes.Buffer
	enc, err := zstd.NewWriter(&stored)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	name := hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(dir, "updates/store", name), stored.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// hotfixedHome is soundHome under a hotfix that changes bin/run, adds bin/fix and removes
// the link; record may change before it is kept.
func hotfixedHome(t *testing.T, change func(string) string) string {
	t.Helper()
	dir := soundHome(t)
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	record := fmt.Sprintf(`{"name":"Bank-hf1","files":[{"path":"bin/fix","want":{"kind":"link","target":"run"}},`+
		`{"path":"bin/run","base":{"kind":"file","mode":420,"size":3,"sum":%q},"want":{"kind":"file","mode":493,"size":5,"sum":%q}},`+
		`{"path":"l","base":{"kind":"link","target":"bin"}}]}`, sum("run"), sum("fixed"))
	record = change(record)
	name := keepObject(t, dir, record)
	ledger := fmt.Sprintf(`[{"name":"Bank-hf1","record":{"sum":%q,"size":%d}}]`, name, len(record))
	for file, replace := range map[string][2]string{
		"updates/state.json":          {`{"level": 3,`, `{"hotfixes": ` + ledger + `, "level": 3,`},
		"updates/config.json":         {`"3"}`, `"3", "hotfixes": ["Bank-hf1"]}`},
		"updates/history/000001.json": {`"level": 3}`, `"level": 3, "hotfixes": ` + ledger + `}`},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(text), replace[0], replace[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "bin/run"), []byte("fixed"), 0o755), os.Chmod(filepath.Join(dir, "bin/run"), 0o755),
		os.Symlink("run", filepath.Join(dir, "bin/fix")), os.Remove(filepath.Join(dir, "l")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestHotfixesAreLaidOverTheManifest: the judge knows what must stand there.
func TestHotfixesAreLaidOverTheManifest(t *testing.T) {
	t.Parallel()
	asItIs := func(record string) string { return record }
	dir := hotfixedHome(t, asItIs)
	r, err := Home(dir)
	if err != nil || len(r.Findings)+len(r.Missing)+len(r.Customised)+len(r.Modes) > 0 || r.Pristine != 2 || !slices.Equal(r.Hotfixes, []string{"Bank-hf1"}) {
		t.Errorf("%+v, %v", r, err)
	}
	for name, damage := range map[string]func(dir string) error{
		"not in config": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "updates/config.json"), []byte(`{"update-level": "3"}`), 0o644)
		},
		"not in the history": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "updates/history/000001.json"), []byte(`{"to": {"level": 3}}`), 0o644)
		},
		"record lost": func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, "updates/state.json"))
			if err != nil {
				return err
			}
			_, after, _ := strings.Cut(string(text), `"record":{"sum":"`)
			return os.Remove(filepath.Join(dir, "updates/store", after[:64]))
		},
	} {
		dir := hotfixedHome(t, asItIs)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if r, err := Home(dir); err != nil || len(r.Findings) == 0 {
			t.Errorf("%s: not found: %+v, %v", name, r, err)
		}
	}
	for name, change := range map[string]func(string) string{
		"another name":     func(s string) string { return strings.Replace(s, "Bank-hf1", "Bank-hf2", 1) },
		"another base":     func(s string) string { return strings.Replace(s, `"size":3`, `"size":4`, 1) },
		"base not there":   func(s string) string { return strings.Replace(s, `"path":"l"`, `"path":"m"`, 1) },
		"no base, but one": func(s string) string { return strings.Replace(s, `"path":"bin/fix"`, `"path":"bin"`, 1) },
		"no record":        func(string) string { return "no JSON" },
	} {
		if r, err := Home(hotfixedHome(t, change)); err != nil || len(r.Findings) == 0 {
			t.Errorf("%s: not found: %+v, %v", name, r, err)
		}
	}
}

package fsck

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// soundHome is an installation at level 3 with one file, one folder and one link.
func soundHome(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, content string) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte("run"))
	text := fmt.Sprintf("uplevel-manifest/1\ndir\t0755\tbin\nfile\t0644\t3\t%s\tbin/run\nlink\tl\tbin\n", hex.EncodeToString(sum[:]))
	of := sha256.Sum256([]byte(text))
	name := hex.EncodeToString(of[:])
	var stored bytes.Buffer
	enc, err := zstd.NewWriter(&stored)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	put("bin/run", "run")
	put("updates/store/"+name, stored.String())
	put("updates/state.json", fmt.Sprintf(`{"level": 3, "history": 1, "manifest": {"sum": %q, "size": %d}}`, name, len(text)))
	put("updates/config.json", `{"update-level": "3"}`)
	put("updates/history/000001.json", `{"to": {"level": 3}}`)
	if err := os.Symlink("bin", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSoundHomeIsSound(t *testing.T) {
	t.Parallel()
	r, err := Home(soundHome(t))
	if err != nil || len(r.Findings)+len(r.Missing)+len(r.Customised) > 0 || r.Level != 3 || r.Pristine != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEachDamageIsFound plants one damage at a time.
func TestEachDamageIsFound(t *testing.T) {
	t.Parallel()
	write := func(name, content string) func(string) error {
		return func(dir string) error {
			full := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				return err
			}
			return os.WriteFile(full, []byte(content), 0o644)
		}
	}
	for name, damage := range map[string]func(dir string) error{
		"journal left":       write("updates/COMMITTING", "{}"),
		"lock left":          write("updates/lock", ""),
		"staging left":       write("updates/staging/new-1", ""),
		"mount staging left": write("bin/.uplevel-staging-1/new-1", ""),
		"partial left":       write("updates/.state.json.partial-1", ""),
		"foreign object":     write("updates/store/"+strings.Repeat("0", 64), "no zstd"),
		"config disagrees":   write("updates/config.json", `{"update-level": "2"}`),
		"config unreadable":  write("updates/config.json", "{"),
		"history disagrees":  write("updates/history/000001.json", `{"to": {"level": 2}}`),
		"history ahead":      write("updates/history/000002.json", `{}`),
		"pending unreadable": write("updates/staging/pending.json", "{"),
		"nobody waits":       write("updates/staging/pending.json", `{"held": false}`),
		"staged is gone":     write("updates/staging/pending.json", `{"held": true, "staged": {"bin/run": {"new": "updates/staging/new-1"}}}`),
		"side file is gone":  write("updates/staging/pending.json", `{"held": true, "sides": ["bin/run.new"]}`),
		"no digest":          write("updates/store/readme", "no object"),
		"history missing":    func(dir string) error { return os.Remove(filepath.Join(dir, "updates/history/000001.json")) },
	} {
		dir := soundHome(t)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if r, err := Home(dir); err != nil || len(r.Findings) == 0 {
			t.Errorf("%s: not found: %+v, %v", name, r, err)
		}
	}
	for name, damage := range map[string]func(dir string) error{
		"state unreadable": write("updates/state.json", "{"),
		"no manifest":      func(dir string) error { return os.RemoveAll(filepath.Join(dir, "updates/store")) },
	} {
		dir := soundHome(t)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Home(dir); err == nil {
			t.Errorf("%s: judged all the same", name)
		}
	}
}

func TestChangedAndMissingFilesAreNamed(t *testing.T) {
	t.Parallel()
	dir := soundHome(t)
	if err := os.WriteFile(filepath.Join(dir, "bin/run"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	r, err := Home(dir)
	if err != nil || len(r.Customised) != 1 || r.Customised[0] != "bin/run" || len(r.Missing) != 1 || r.Missing[0] != "l" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestModesLinksAndHalfChangesAreNamed looks at what is neither litter nor content.
func TestModesLinksAndHalfChangesAreNamed(t *testing.T) {
	t.Parallel()
	dir := soundHome(t)
	before := sha256.Sum256([]byte("run"))
	entry := fmt.Sprintf(`{"to": {"level": 3}, "files": [{"path": "bin/run", "before": {"kind": "file", "sum": "%x"}, "after": {"kind": "file", "sum": "00"}},
		{"path": "l", "before": {"kind": "link", "target": "elsewhere"}}]}`, before)
	if err := os.WriteFile(filepath.Join(dir, "updates/history/000001.json"), []byte(entry), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "bin/run"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Home(dir)
	if err != nil || len(r.Findings) > 0 || len(r.Stale) != 1 || r.Stale[0] != "bin/run" || len(r.Modes) != 1 || r.Modes[0] != "bin/run" {
		t.Errorf("%+v, %v", r, err)
	}
	// The same bytes behind a link are another thing.
	if err := os.Rename(filepath.Join(dir, "bin/run"), filepath.Join(dir, "bin/real")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "bin/run")); err != nil {
		t.Fatal(err)
	}
	if r, err = Home(dir); err != nil || len(r.Customised) != 1 || r.Customised[0] != "bin/run" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestALostWayBackIsSeen: what the last change replaced must be in the store.
func TestALostWayBackIsSeen(t *testing.T) {
	t.Parallel()
	dir := soundHome(t)
	entry := `{"to": {"level": 3}, "files": [{"path": "gone", "before": {"kind": "file", "sum": "00"}}, {"path": "mode", "before": {"kind": "file", "sum": "11"}, "after": {"kind": "file", "sum": "11"}}]}`
	if err := os.WriteFile(filepath.Join(dir, "updates/history/000001.json"), []byte(entry), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Home(dir); err != nil || strings.Join(r.Lost, " ") != "gone" {
		t.Errorf("%+v, %v", r, err)
	}
}

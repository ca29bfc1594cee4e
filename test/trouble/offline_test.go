package trouble

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uplevel/test/lab"
)

// withUpdate makes the offline update from level 0 to 2 and returns it.
func (w *world) withUpdate() string {
	w.t.Helper()
	w.must("uplevel", "--dir", w.pack, "create-update")
	return w.Path("shop-1.0-1.2.zip")
}

func TestOfflineTroubleHasItsCodeAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zip := w.withUpdate()
	whole, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	part := func(name string, data []byte) string {
		w.write(w.Path(name), string(data))
		return w.Path(name)
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)/2] ^= 1
	nobody := []string{"UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="}
	lies := w.liar()
	lapsed := []string{"UPDATE_TOOL_USERNAME=lapsed@example.com", "UPDATE_TOOL_PASSWORD=lapsed passw0rd"}
	out := "--out=" + w.Path("made.zip")
	for _, r := range []row{
		{name: "cut off", env: nobody, args: []string{"apply-update", part("cut.zip", whole[:len(whole)-9])}, exit: 14, words: "Next: Copy the file again"},
		{name: "one bit flipped", env: nobody, args: []string{"apply-update", part("flipped.zip", flipped)}, exit: 14},
		{name: "twice", env: nobody, args: []string{"apply-update", part("twice.zip", append(append([]byte{}, whole...), whole...))}, exit: 14},
		{name: "empty", env: nobody, args: []string{"apply-update", part("empty.zip", nil)}, exit: 14},
		{name: "no zip", env: nobody, args: []string{"apply-update", part("page.zip", []byte("<html>Not found"))}, exit: 14},
		{name: "a hotfix", env: nobody, args: []string{"apply-update", w.withHotfix()}, exit: 14, words: "it is the zip of a hotfix"},
		{name: "as a hotfix", env: nobody, args: []string{"apply-hotfix", zip}, exit: 1, words: "is an offline update, no hotfix"},
		{name: "a folder", env: nobody, args: []string{"apply-update", "bin"}, exit: 1, words: "it is no file"},
		{name: "into a copy", env: nobody, args: []string{"apply-update", zip, "--to", "../copy"}, exit: 10, words: "--to makes a copy"},
		{name: "a backup inside", env: nobody, args: []string{"apply-update", zip, "--backup", "."}, exit: 15, words: "cannot be inside the product directory"},
		{name: "read-only home", make: func(home string) { w.readOnly(home) }, undo: func(home string) { w.unmount(home) }, env: nobody, args: []string{"apply-update", zip}, exit: 15},
		{name: "dry run", env: nobody, args: []string{"apply-update", zip, "--dry-run"}, exit: 0, words: "would go from level 1.0 to 1.2"},
		{name: "credentials and no service", args: []string{"apply-update", zip, "--dry-run", "--service", "https://127.0.0.1:1"}, exit: 0, words: "would go"},
		{name: "make: not subscribed any more", env: lapsed, args: []string{"create-update", out}, exit: 12},
		{name: "make: wrong password", args: []string{"create-update", out, "-p", "wrong"}, exit: 11, words: "Invalid credentials"},
		{name: "make: service down", args: []string{"create-update", out, "--service", "https://127.0.0.1:1"}, exit: 13},
		{name: "make: metadata changed on the way", args: []string{"create-update", out, "--service", lies("/tuf/timestamp.json")}, exit: 14},
		{name: "make: wrong byte in an object", make: func(string) { w.flip("lib/big.jar") }, undo: func(string) { w.flip("lib/big.jar") }, args: []string{"create-update", out}, exit: 14, words: "signed"},
	} {
		made := strings.HasPrefix(r.name, "make") && r.exit != 0
		w.try(r)
		if made && lab.Exists(w.Path("made.zip")) {
			t.Errorf("%s: there is a zip", r.name)
		}
		if hidden, _ := filepath.Glob(w.Path(".made.zip.partial-*")); len(hidden) > 0 {
			t.Errorf("%s: %q is left", r.name, hidden)
		}
		if err := os.RemoveAll(w.Path("made.zip")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFullDiskLeavesNoHalfUpdate makes an offline update where there is no room for it.
func TestAFullDiskLeavesNoHalfUpdate(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting needs root: run sudo make test")
	}
	w := newWorld(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Fatal(err)
	}
	defer w.unmount(dir)
	home := w.home()
	code, said := w.said(home, nil, "", "create-update", "--out", dir)
	if code != 15 || !strings.Contains(said, "Next: Make room, or name another folder with --out.") {
		t.Errorf("exit %d: %s", code, said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestAnIslandHasNoRoute applies an offline update where no packet can go anywhere.
func TestAnIslandHasNoRoute(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "unshare", "-n", "true").Run(); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatal("unshare -n does not work here: ", err)
		}
		t.Skip("SKIPPED: a network of its own needs root: run sudo make test")
	}
	w := newWorld(t)
	zip := w.withUpdate()
	home := w.home()
	for _, line := range [][]string{
		{"current-state", "--out", "../state.json"},
		{"apply-update", zip, "--no-backup"},
		{"apply-update", zip, "-u", "operator@lab.example", "-p", "anything"},
		{"verify", "--strict"},
	} {
		begun := time.Now()
		run, err := w.Do(t.Context(), home, "unshare", append([]string{"-n", w.Path("bin/uplevel")}, line...)...)
		if err != nil || run.Exit != 0 {
			t.Errorf("%q: exit %d, %v", line, run.Exit, err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%q waits for a network: %s", line, took)
		}
	}
	if got, err := os.ReadFile(filepath.Join(home, "bin/run")); err != nil || string(got) != "run 2" {
		t.Errorf("%q, %v", got, err)
	}
}

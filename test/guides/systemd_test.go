package guides

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/test/lab"
)

const unitFile = "deploy/systemd/product@.service"

// needs ends a test that a missing program makes impossible: in CI as a failure.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: scripts/install-deps installs it", p)
		}
		t.Skipf("SKIPPED, and nothing was tried: %s is missing: run scripts/install-deps", p)
	}
}

// TestTheUnitRecoversBeforeTheProductStarts: systemd finds nothing wrong with the unit
// file, and its ExecStartPre, run as it is written, ends with 0 on a whole product and on
// one whose update was cut, which is whole afterwards.
func TestTheUnitRecoversBeforeTheProductStarts(t *testing.T) {
	t.Parallel()
	needs(t, "systemd-analyze", "strace")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, unitFile))
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	opt := installed(t, l)
	unit := strings.ReplaceAll(string(text), "/opt/", opt+"/")
	verifyUnit(t, unit)
	line := preLine(t, unit)
	recovers := func(when string) {
		t.Helper()
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Env = []string{} // as systemd starts it: no home, no path
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "The product is whole") {
			t.Fatalf("%s: %v: %s", when, err, out)
		}
	}
	recovers("a whole product")
	home := filepath.Join(opt, "shop-1")
	for range 20 { // strace counts by thread: not every run is cut
		_, _ = l.Do(t.Context(), home, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat",
			"-e", "inject=renameat:signal=SIGKILL:when=12", "uplevel", "update")
		if lab.Exists(filepath.Join(home, "updates/COMMITTING")) {
			recovers("an update that was cut")
			if lab.Exists(filepath.Join(home, "updates/COMMITTING")) {
				t.Fatal("the commit is still open")
			}
			return
		}
		_, _ = l.Do(t.Context(), home, "uplevel", "revert")
	}
	t.Fatal("no update could be cut")
}

// installed makes a product below a folder that stands for /opt, and returns that folder.
func installed(t *testing.T, l *lab.Lab) string {
	t.Helper()
	for level, content := range []string{"#!/bin/sh\nsleep 1\n", "#!/bin/sh\nsleep 2\n"} {
		dist := l.Path("dist", string(rune('0'+level)))
		for _, name := range []string{"bin/start", "lib/a", "lib/b", "lib/c", "lib/d", "lib/e", "lib/f", "lib/g", "lib/h"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dist, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dist, name), []byte(content+name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	home, _, err := l.PublishTwo(t.Context(), "shop", l.Path("dist", "0"), l.Path("dist", "1"))
	if err != nil {
		t.Fatal(err)
	}
	opt := l.Path("opt")
	if err := os.Mkdir(opt, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", home, filepath.Join(opt, "shop-1")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return opt
}

// verifyUnit has systemd judge the unit as the instance shop-1.
func verifyUnit(t *testing.T, unit string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "product@shop-1.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--generators=no", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "product@") {
			t.Errorf("systemd finds: %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
}

// preLine is the command of ExecStartPre with its specifiers filled in.
func preLine(t *testing.T, unit string) []string {
	t.Helper()
	for line := range strings.Lines(unit) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStartPre="); ok {
			return strings.Fields(strings.ReplaceAll(command, "%i", "shop-1"))
		}
	}
	t.Fatal("the unit has no ExecStartPre")
	return nil
}

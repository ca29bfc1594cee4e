// Package guides runs every command of the guides, in the order a reader would.
package guides

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestEveryCommandOfTheGuidesWorks runs the shell blocks of all guides as one script,
// the release engineer's first, with the built programs on the path. A line that ends
// in "# exits N" must end with that code; every other line must succeed.
func TestEveryCommandOfTheGuidesWorks(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/uplevel", "./cmd/upleveld", "./cmd/uplevel-publish")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	var script strings.Builder
	script.WriteString("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n")
	for _, guide := range []string{"release-engineer.md", "operator.md", "from-u2.md", "many-servers.md", "locked-down.md", "trouble.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", "guides", guide))
		if err != nil {
			t.Fatal(err)
		}
		commands := shellBlocks(string(text))
		if len(commands) < 10 {
			t.Fatalf("%s: only %d lines of commands found", guide, len(commands))
		}
		for _, line := range commands {
			script.WriteString(expectExit(line) + "\n")
		}
	}
	run(t, dir, bin, script.String())
}

func run(t *testing.T, dir, bin, script string) {
	t.Helper()
	if _, err := exec.LookPath("unzip"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("unzip is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED: unzip is missing: run scripts/install-deps")
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-x", "-c", script)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "UPLEVEL_LISTEN="+freeAddress(t),
		"UPLEVEL_CACHE="+filepath.Join(dir, "cache"), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(work, "service.log"))
		t.Fatalf("the guides do not work as written: %v\n%s\nservice: %.4000s", err, out, log)
	}
}

// shellBlocks returns the lines of all ```sh blocks.
func shellBlocks(markdown string) []string {
	var lines []string
	inside := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "```sh":
			inside = true
		case line == "```":
			inside = false
		case inside:
			lines = append(lines, line)
		}
	}
	return lines
}

func expectExit(line string) string {
	m := regexp.MustCompile(`^(.*?)\s+# exits (\d+)$`).FindStringSubmatch(line)
	if m == nil {
		return line
	}
	return fmt.Sprintf("code=0; %s || code=$?; test $code -eq %s", m[1], m[2])
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Package u2 runs the command sequences of scripts that were written for U2, with the
// tool under U2's name, on products that U2 left.
package u2

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"uplevel/test/lab"
)

// version is the one of every product here; its levels are written 3.1.0.4.
const version = "3.1.0"

const notes = "updates:\n  - {id: 4711, type: regular, description: 'A change.', instructions: 'Read the manual.', files: ['**']}\n"

// toolName is U2's file name of the tool for this system.
func toolName() string {
	name := "wso2update_" + runtime.GOOS
	if runtime.GOARCH != "amd64" {
		name += "_" + runtime.GOARCH
	}
	return name
}

// world is the lab with what all pages share.
type world struct {
	*lab.Lab

	tools   string // what uplevel-publish tools made
	targets sync.Mutex
}

func newWorld(t *testing.T) *world {
	t.Helper()
	for _, program := range []string{"zip", "unzip", "dash", "setpriv", "cmp", "unshare", "stat"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatal(program + " is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED: " + program + " is missing: run scripts/install-deps")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	// The subtests run on after the test's function returned.
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Admit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{Lab: l, tools: l.Path("tools")}
	if _, err := l.Do(t.Context(), l.Dir, "uplevel-publish", "tools", "--out", w.tools, "--tool-name", "wso2update", "--publish"); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestSequences runs testdata/*.txtar. Commands beside the usual ones: "vendor NAME"
// publishes the numbered folders, "publish ARGUMENTS…" is uplevel-publish, "left NAME LEVEL HOME" makes a home as U2 leaves it at a
// level, "take HOME" copies the tools into its bin, "ends CODE COMMAND…" runs a command
// that must end with the code, "types …" runs one at a terminal.
func TestSequences(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) < 10 {
		t.Fatalf("only %d scripts found (%v)", len(scripts), err)
	}
	w := newWorld(t)
	testscript.Run(t, testscript.Params{
		Files: scripts,
		Setup: func(e *testscript.Env) error {
			own := []string{
				"WORK=" + e.WorkDir, "HOME=" + e.WorkDir, "UPLEVEL_CACHE=" + filepath.Join(e.WorkDir, ".cache"), "NO_COLOR=1",
				"TOOL=" + toolName(), "TOOLS=" + w.tools, "LAB=" + w.Dir, "USER_NAME=" + lab.Operator, "USER_PASSWORD=" + lab.Password, "UPLEVEL_TOKEN_FILE=",
			}
			e.Vars = append(append(e.Vars, w.Env...), own...)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "mounts" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			mounts := exec.Command("unshare", "-mr", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).Run() == nil
			if !mounts && os.Getenv("CI") != "" {
				t.Error("mounting in a name space of its own is not allowed here")
			}
			return mounts, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"vendor": func(ts *testscript.TestScript, _ bool, args []string) { w.vendor(ts, args[0]) },
			"left":   func(ts *testscript.TestScript, _ bool, args []string) { left(ts, args[0], args[1], args[2]) },
			"take": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(copyOver(w.tools, filepath.Join(ts.MkAbs(args[0]), "bin")))
			},
			"publish": func(ts *testscript.TestScript, _ bool, args []string) {
				must(ts, w.publisher(), "uplevel-publish", args...)
			},
			"ends":  ends,
			"types": types,
		},
	})
}

// vendor publishes the numbered folders of the script as levels of their own
// numbers; 0 is the first release.
func (w *world) vendor(ts *testscript.TestScript, name string) {
	w.targets.Lock() // every new product changes the one role that names all of them
	defer w.targets.Unlock()
	publisher := w.publisher()
	must(ts, publisher, "uplevel-publish", "product", "add", name, version, "--platform", "unix", "--dist", ts.MkAbs("0"))
	must(ts, publisher, "upleveld", "admin", "subscription", "add", "--organisation", "Lab", "--product", name, "--kind", "paid", "--eula-accepted-by", "Lab")
	file := ts.MkAbs("notes.yaml")
	if !lab.Exists(file) {
		ts.Check(os.WriteFile(file, []byte(notes), 0o600))
	}
	for _, n := range numbered(ts) {
		must(ts, publisher, "uplevel-publish", "level", name, version, "--number", strconv.Itoa(n), "--dist", ts.MkAbs(strconv.Itoa(n)), "--notes", file)
	}
}

// publisher is the variable that the vendor's commands need, and an operator has not.
func (w *world) publisher() string {
	const name = "UPLEVEL_TOKEN_FILE="
	return w.Env[slices.IndexFunc(w.Env, func(v string) bool { return strings.HasPrefix(v, name) && v != name })]
}

// numbered returns the folders whose names are numbers above 0, ascending.
func numbered(ts *testscript.TestScript) []int {
	entries, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && e.IsDir() {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func must(ts *testscript.TestScript, env, name string, args ...string) {
	if err := ts.Exec("env", append([]string{env, name}, args...)...); err != nil {
		ts.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
}

// left makes a home as U2 leaves it: the level's files, what U2 keeps in updates/ and its
// own programs in bin/. What the page has in u2/ comes on top.
func left(ts *testscript.TestScript, name, level, home string) {
	home = ts.MkAbs(home)
	ts.Check(copyOver(ts.MkAbs(level), home))
	for file, text := range map[string]string{
		"bin/wso2update_linux":                            "#!/bin/sh\necho U2\n",
		"bin/wso2update_darwin":                           "U2's own\n",
		"updates/product.txt":                             name + "-" + version + "\n",
		"updates/config.json":                             fmt.Sprintf(u2Config, level, name),
		"updates/logs/wso2update-15-05-2025.log":          "[15-05-2025 15:06:55] DEBUG - started\n",
		"updates/changelog-0000-00" + level + ".md":       "# Changelog\n",
		"updates/update-summary-0000-00" + level + ".md":  "# Update Summary\n",
		"updates/temp/" + name + "/partial.zip":           "left by U2",
		"updates/" + name + "-" + version + "-backup/a":   "left by U2",
		"../backup/" + name + "-" + version + "-1f/lib/x": "as it was",
	} {
		path := filepath.Join(home, file)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, []byte(text), 0o755))
	}
	if own := ts.MkAbs("u2"); lab.Exists(own) {
		ts.Check(copyOver(own, home))
	}
}

const u2Config = `{
  "username": "operator@lab.example",
  "update-level": "%s",
  "channel": "full",
  "environment": "",
  "backup-dir": "",
  "product": {
    "pattern": "%[2]s-*",
    "name": "%[2]s",
    "version": "3.1.0",
    "backup": "../backup/%[2]s-3.1.0-1f",
    "backup-size": 9
  },
  "service": {
    "url": "https://updates.u2.example",
    "token-url": "https://token.u2.example",
    "app-key": "planted-app-key",
    "access-token": "planted-access-token",
    "refresh-token": "planted-refresh-token"
  },
  "hotfixes": null
}
`

// copyOver copies a folder's content into another, over what is there.
func copyOver(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		if err := os.WriteFile(at, data, info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chmod(at, info.Mode().Perm())
	})
}

// ends runs a command that must end with a code, and keeps what it printed for stdout and
// stderr.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", fmt.Sprint(args[1:]), got, want)
	}
}

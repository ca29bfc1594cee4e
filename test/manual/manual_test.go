// Package manual runs the scripts of testdata: each reads like a page of a manual, runs
// the built programs against a real service, and shows one thing that operators do.
package manual

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"uplevel/test/lab"
)

// notes explain any level of any script.
const notes = "updates:\n  - {id: 1, type: regular, description: Changed for this page., files: ['**']}\n"

// TestManual runs every script. In a script,
//
//	publish NAME   publishes the folders 0, 1, … as levels of NAME-1 (rules.yaml, notes-N.yaml
//	               if they are there), and unpacks level 0 into the folder home
//	level NAME N   publishes the folder N as the next level later on
//	ends CODE CMD  runs a command that must end with CODE
//	inside CODE CMD  is ends, in a network of its own that leads nowhere
func TestManual(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) < 9 {
		t.Fatalf("only %d scripts found (%v)", len(scripts), err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	// The subtests run on after this function returned.
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Admit(t.Context()); err != nil {
		t.Fatal(err)
	}
	locked, reason := lockedIn()
	if reason != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(reason)
		}
		t.Logf("LEFT OUT: the pages that need a network of their own: %v", reason)
		scripts = slices.DeleteFunc(scripts, needsLock)
	}
	var targets sync.Mutex
	testscript.Run(t, testscript.Params{
		Files: scripts,
		Setup: func(e *testscript.Env) error {
			own := []string{"WORK=" + e.WorkDir, "HOME=" + e.WorkDir, "UPLEVEL_CACHE=" + filepath.Join(e.WorkDir, ".cache"), "NO_COLOR=1"}
			e.Vars = append(append(e.Vars, l.Env...), own...)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Getuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"publish": func(ts *testscript.TestScript, _ bool, args []string) {
				targets.Lock() // every new product changes the one role that names all of them
				defer targets.Unlock()
				publish(ts, args[0])
			},
			"level": func(ts *testscript.TestScript, _ bool, args []string) { level(ts, args[0], args[1]) },
			"ends":  ends,
			"inside": func(ts *testscript.TestScript, neg bool, args []string) {
				ends(ts, neg, append(args[:1:1], append(locked, args[1:]...)...))
			},
		},
	})
}

// publish publishes the numbered folders of the script and makes a home of level 0.
func publish(ts *testscript.TestScript, name string) {
	add := []string{"product", "add", name, "1", "--platform", "unix", "--dist", ts.MkAbs("0")}
	if rules := ts.MkAbs("rules.yaml"); lab.Exists(rules) {
		add = append(add, "--rules", rules)
	}
	must(ts, "uplevel-publish", add...)
	must(ts, "upleveld", "admin", "subscription", "add", "--organisation", "Lab", "--product", name, "--kind", "paid", "--eula-accepted-by", "Lab")
	for n := 1; lab.Exists(ts.MkAbs(strconv.Itoa(n))); n++ {
		level(ts, name, strconv.Itoa(n))
	}
	must(ts, "uplevel-publish", "pack", name, "1", "--level", "0", "--out", ts.MkAbs("home"))
}

func level(ts *testscript.TestScript, name, n string) {
	file := ts.MkAbs("notes-" + n + ".yaml")
	if !lab.Exists(file) {
		ts.Check(os.WriteFile(file, []byte(notes), 0o600))
	}
	must(ts, "uplevel-publish", "level", name, "1", "--dist", ts.MkAbs(n), "--notes", file)
}

func must(ts *testscript.TestScript, name string, args ...string) {
	if err := ts.Exec(name, args...); err != nil {
		ts.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
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

// lockedIn is what goes before a command so that it runs in a network of its own, without
// even a loopback that is up.
func lockedIn() ([]string, error) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return nil, fmt.Errorf("%w: run scripts/install-deps", err)
	}
	for _, way := range [][]string{{unshare, "--net"}, {unshare, "--map-root-user", "--net"}} {
		if err = exec.Command(way[0], append(way[1:], "true")...).Run(); err == nil {
			return way, nil
		}
	}
	return nil, fmt.Errorf("no network of its own can be made here: %w", err)
}

// needsLock reports whether a page uses inside.
func needsLock(page string) bool {
	text, err := os.ReadFile(page)
	return err != nil || bytes.Contains(text, []byte("\ninside "))
}

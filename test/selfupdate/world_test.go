// Package selfupdate_test has installed update tools meet newer ones, through their
// command line and a real service: the file of the tool is always wholly the old one or
// wholly the new one, and the product gets its level all the same.
package selfupdate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/fsck"
	"uplevel/test/lab"
)

// The versions: of the tool in the pack, of the newer one, and of one that is broken.
const (
	oldVersion    = "1.0.0"
	newVersion    = "1.1.0"
	brokenVersion = "1.2.0"
)

// tool is what the tool is called in bin/.
const tool = "wso2update_linux"

// world is a service that gave out a pack with the old tool.
type world struct {
	*lab.Lab
	t    *testing.T
	pack string
	old  string // digest
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
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
	w := &world{Lab: l, t: t, pack: l.Path("pack")}
	for _, level := range []string{"0", "1"} {
		w.write(l.Path("dist", level, "conf/a.properties"), "a="+level)
		w.write(l.Path("dist", level, "LICENSE"), "free")
	}
	if _, _, err = l.PublishTwo(t.Context(), "shop", l.Path("dist/0"), l.Path("dist/1")); err != nil {
		t.Fatal(err)
	}
	w.build(oldVersion, root, "./cmd/uplevel")
	w.build(newVersion, root, "./cmd/uplevel")
	w.must("uplevel-publish", "tools", "--from", w.dir(oldVersion), "--out", l.Path("tools"), "--tool-name", "wso2update", "--publish")
	w.must("uplevel-publish", "pack", "shop", "1", "--level", "0", "--out", w.pack, "--tool", tool+"="+l.Path("tools", tool))
	w.old = w.sum(filepath.Join(w.pack, "bin", tool))
	return w
}

func (w *world) dir(version string) string { return w.Path("built", version) }

// build builds a program as a version of the tool.
func (w *world) build(version, dir, what string) {
	w.t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+version, "-o", filepath.Join(w.dir(version), "uplevel-"+runtime.GOOS+"-"+runtime.GOARCH), what)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// publish publishes a version of the tool.
func (w *world) publish(version string, options ...string) {
	w.t.Helper()
	w.must("uplevel-publish", append([]string{"tools", "--from", w.dir(version), "--publish"}, options...)...)
}

func (w *world) must(name string, args ...string) string {
	w.t.Helper()
	r, err := w.Do(w.t.Context(), w.Dir, name, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Output
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// fresh unpacks a home.
func (w *world) fresh(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "shop")
	if out, err := exec.Command("cp", "-a", w.pack, home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return home
}

func (w *world) sum(name string) string {
	w.t.Helper()
	f, err := os.Open(name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		w.t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ended is how a run of the tool ended.
type ended struct {
	exit        int
	out, errors string
}

// run runs a program in a home.
func (w *world) run(t *testing.T, dir, program string, args ...string) ended {
	t.Helper()
	return w.with(t, dir, nil, program, args...)
}

// with runs it with more in the environment.
func (w *world) with(t *testing.T, dir string, env []string, program string, args ...string) ended {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, slices.Concat(w.Env, env)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	e := ended{out: out.String(), errors: errs.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		e.exit = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return e
}

// ends fails unless the run ended with a code and said all of texts.
func (e ended) ends(t *testing.T, exit int, texts ...string) {
	t.Helper()
	if e.exit != exit {
		t.Fatalf("exit %d, want %d\n%s\n%s", e.exit, exit, e.out, e.errors)
	}
	for _, text := range texts {
		if !strings.Contains(e.out+e.errors, text) {
			t.Errorf("it does not say %q:\n%s\n%s", text, e.out, e.errors)
		}
	}
}

// is fails unless the home's tool and level are these, the home is sound, and nothing lies
// beside the tool.
func (w *world) is(t *testing.T, home, version string, level int) {
	t.Helper()
	want := w.old
	if version != oldVersion {
		want = w.sum(filepath.Join(w.dir(version), "uplevel-"+runtime.GOOS+"-"+runtime.GOARCH))
	}
	if got := w.sum(filepath.Join(home, "bin", tool)); got != want {
		t.Errorf("the tool is not that of version %s", version)
	}
	entries, err := os.ReadDir(filepath.Join(home, "bin"))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the tool lies %v, %v", entries, err)
	}
	report, err := fsck.Home(home)
	if err != nil || len(report.Findings)+len(report.Lost) > 0 || report.Level != level {
		t.Errorf("level %d, want %d: %v %v %v", report.Level, level, report.Findings, report.Lost, err)
	}
}

// says parses what a run printed as JSON.
func (e ended) says(t *testing.T) map[string]any {
	t.Helper()
	var said map[string]any
	if err := json.Unmarshal([]byte(e.out), &said); err != nil {
		t.Fatalf("%v:\n%s\n%s", err, e.out, e.errors)
	}
	return said
}

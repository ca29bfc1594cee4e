package selfupdate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// built returns the bytes of a program that says its version as the tool does, after body.
func built(t *testing.T, version, body string) []byte {
	t.Helper()
	dir := t.TempDir()
	text := "package main\nimport (\"os\"; \"time\")\nvar _ = time.Second\nfunc main() {\n" + body + "\n" +
		"os.Stdout.WriteString(`{\"version\":\"" + version + "\",\"os\":\"" + strings.Replace(system(), "/", "\",\"architecture\":\"", 1) + "\"}`)\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "program", "main.go")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// installed writes an old program into a folder of its own.
func installed(t *testing.T) Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wso2update_linux")
	if err := os.WriteFile(file, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Locate(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func from(data []byte) Content {
	return func(context.Context, release.Ref) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
}

// holds fails unless the program holds this and nothing lies beside it.
func (p Program) is(t *testing.T, content []byte) {
	t.Helper()
	if got, err := os.ReadFile(p.file); err != nil || !bytes.Equal(got, content) {
		t.Errorf("it holds %.20q, %v", got, err)
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside it lies %v, %v", entries, err)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	next := built(t, "1.1", "")
	p := installed(t)
	if err := os.Chmod(p.file, 0o710); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(p.file, link); err != nil {
		t.Fatal(err)
	}
	through, err := Locate(link)
	if err != nil || through.File() != p.file {
		t.Fatalf("%+v, %v", through, err)
	}
	want := tool("1.1", system(), "", string(next))
	for range 2 { // again: another was faster
		if err := through.Replace(t.Context(), want, from(next)); err != nil {
			t.Fatal(err)
		}
		p.is(t, next)
	}
	if info, err := os.Lstat(p.file); err != nil || info.Mode() != 0o710 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	t.Parallel()
	good := built(t, "1.1", "")
	unreachable := problem.New(problem.Unreachable, "Try again.", "no network")
	for what, c := range map[string]struct {
		version string
		content []byte // signed
		get     Content
		kind    problem.Kind
		says    string
	}{
		"another digest": {"1.1", good, from([]byte("forged")), problem.Verification, "not what the vendor signed"},
		"longer":         {"1.1", good, from(append(bytes.Clone(good), 0)), problem.Verification, "not what the vendor signed"},
		"cut":            {"1.1", good, from(good[:len(good)-1]), problem.Verification, "not what the vendor signed"},
		"no network":     {"1.1", good, func(context.Context, release.Ref) (io.ReadCloser, error) { return nil, unreachable }, problem.Unreachable, "no network"},
		"breaks off": {"1.1", good, func(context.Context, release.Ref) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(good[:100]), iotest.ErrReader(unreachable))), nil
		}, problem.Unreachable, "no network"},
		"no program":      {"1.1", []byte("text"), from([]byte("text")), problem.Verification, "does not work here"},
		"another version": {"1.2", good, from(good), problem.Verification, "it says that it is 1.1"},
		"ends badly":      {"1.1", built(t, "1.1", "defer os.Exit(3)"), nil, problem.Verification, "exit status 3"},
		"says nothing":    {"1.1", built(t, "1.1", "os.Exit(0)"), nil, problem.Verification, "does not say its version"},
		"says more":       {"1.1", built(t, "1.1", "for range 100000 { os.Stdout.WriteString(`{}`) }"), nil, problem.Verification, "does not say its version"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := installed(t)
			if c.get == nil {
				c.get = from(c.content)
			}
			err := p.Replace(t.Context(), tool(c.version, system(), "", string(c.content)), c.get)
			refusal, ok := errors.AsType[*problem.Error](err)
			if !ok || refusal.Kind != c.kind || refusal.Next == "" || !strings.Contains(refusal.Text, c.says) {
				t.Errorf("%v", err)
			}
			p.is(t, []byte("old"))
		})
	}
}

// TestTryEnds: a program that never ends is given up, and an interruption is one.
func TestTryEnds(t *testing.T) {
	t.Parallel()
	sleeper := built(t, "1.1", "time.Sleep(time.Hour)")
	p := installed(t)
	want := tool("1.1", system(), "", string(sleeper))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := p.Replace(ctx, want, from(sleeper)); problem.KindOf(err) != problem.Verification {
		t.Errorf("%v", err)
	}
	p.is(t, []byte("old"))
	stopped, stop := context.WithCancel(t.Context())
	go func() { time.Sleep(time.Second); stop() }()
	if err := p.Replace(stopped, want, from(sleeper)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	p.is(t, []byte("old"))
}

func TestAnotherToolRenews(t *testing.T) {
	t.Parallel()
	p := installed(t)
	lock, err := durable.TryLock(p.lock(), "the other")
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{p.staged(), filepath.Join(p.dir, "."+filepath.Base(p.staged())+".partial-1"), p.aside()} {
		if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err = p.Replace(t.Context(), tool("1.1", system(), "", "x"), from([]byte("x")))
	if problem.KindOf(err) != problem.Refused || !strings.Contains(err.Error(), "locked by the other") {
		t.Errorf("%v", err)
	}
	if err := p.Sweep(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.staged()); err != nil {
		t.Error("what another tool is at work on was swept away")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := p.Sweep(); err != nil { // a file that was renamed aside is enough to look
		t.Error(err)
	}
	p.is(t, []byte("old"))
}

func TestWordsOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	p := installed(t)
	for err, next := range map[error]string{
		durable.ErrLocked: "Wait until it is done", syscall.ENOSPC: "Make room in " + p.dir, syscall.EROFS: "as who may write into " + p.dir,
		fs.ErrPermission: "by hand", errors.New("odd"): "Look at the folder",
	} {
		refusal, ok := errors.AsType[*problem.Error](p.cannot(err))
		if !ok || refusal.Kind != problem.Refused || !strings.Contains(refusal.Next, next) || !strings.Contains(refusal.Text, p.file) {
			t.Errorf("%v: %+v", err, refusal)
		}
	}
	if _, err := Locate(p.file + "-gone"); err == nil {
		t.Error("a file that is not there is located")
	}
}

func TestEnvironmentOfTheNewTool(t *testing.T) {
	t.Parallel()
	got := environment([]string{"A=1", Mark + "=0.9", "B=" + Mark}, "1.1")
	if strings.Join(got, " ") != "A=1 B="+Mark+" "+Mark+"=1.1" {
		t.Errorf("%q", got)
	}
}

package concurrent

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/test/lab"
)

// at is a point in a program's life: the n-th time that a call touches a path.
type at struct {
	call, path string
	n          int
}

// held is a program that stopped right behind a system call.
type held struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  bytes.Buffer
	pid  int // of the program itself
	over chan error
}

// hold starts a program and returns once it stands still at a point.
func hold(t *testing.T, l *lab.Lab, dir string, point at, name string, args ...string) *held {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	strace := []string{
		"-f", "-qq", "-o", trace, "-P", point.path, "-e", "trace=" + point.call,
		"-e", "inject=" + point.call + ":signal=SIGSTOP:when=" + strconv.Itoa(max(point.n, 1)), l.Path("bin", name),
	}
	h := &held{t: t, cmd: exec.Command("strace", append(strace, args...)...), over: make(chan error, 1)}
	h.cmd.Dir, h.cmd.Stdout, h.cmd.Stderr = dir, &h.out, &h.out
	h.cmd.Env = append(l.Env, "GOMAXPROCS=1") // strace counts calls by thread
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.over <- h.cmd.Wait() }()
	t.Cleanup(h.end)
	for {
		if text, err := os.ReadFile(trace); err == nil && bytes.Contains(text, []byte("--- stopped by SIGSTOP ---")) {
			h.pid = h.child()
			return h
		}
		select {
		case err := <-h.over:
			h.over <- err
			t.Fatalf("%s %q ended before it came to %+v: %v\n%s", name, args, point, err, h.out.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// child is the program that strace runs.
func (h *held) child() int {
	h.t.Helper()
	tracer := strconv.Itoa(h.cmd.Process.Pid)
	text, err := os.ReadFile(filepath.Join("/proc", tracer, "task", tracer, "children"))
	if err != nil {
		h.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// ends lets the program go on and returns what it said; it must end so.
func (h *held) ends(exit int, says ...string) string {
	h.t.Helper()
	err := h.goOn()
	h.over <- err
	if got := h.cmd.ProcessState.ExitCode(); got != exit {
		h.t.Fatalf("%q: exit %d, want %d\n%s", h.cmd.Args[12:], got, exit, h.out.String())
	}
	mustSay(h.t, h.out.String(), says...)
	return h.out.String()
}

// goOn lets it run to its end. Another thread may come to the same point and stop again.
func (h *held) goOn() error {
	for {
		_ = syscall.Kill(h.pid, syscall.SIGCONT)
		select {
		case err := <-h.over:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// kill ends the program where it stands, as kill -9 does.
func (h *held) kill() {
	h.t.Helper()
	if err := syscall.Kill(h.pid, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	err := <-h.over
	h.over <- err
}

// end lets nothing run on behind a test that failed.
func (h *held) end() {
	select {
	case <-h.over:
		return
	default:
	}
	if pid := h.pid; pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			h.t.Error(err)
		}
	}
	_ = h.cmd.Process.Kill()
	<-h.over
}

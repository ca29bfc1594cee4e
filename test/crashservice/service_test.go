package crashservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// syncBelow writes out the file system of a folder, and no other: a cut that another test is about
// to make must lose what it would lose.
func syncBelow(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// patience is how long a start may take on a machine that is busy with other things.
const patience = 5 * time.Minute

// service is a process of upleveld serve, perhaps under strace from its first call on.
type service struct {
	cmd   *exec.Cmd
	log   *listening
	ended chan struct{} // closed when it is over
}

// listening keeps what a service says and tells when it serves.
type listening struct {
	mutex sync.Mutex
	text  bytes.Buffer
	up    chan string // gets its address
	told  bool
}

var serving = regexp.MustCompile(`"msg":"serving","listen":"([^"]+)"`)

func (l *listening) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.text.Write(p)
	if m := serving.FindSubmatch(l.text.Bytes()); m != nil && !l.told {
		l.told = true
		l.up <- string(m[1])
	}
	return len(p), nil
}

func (l *listening) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// serve is the command line of the service.
func (s *site) serve() []string {
	return []string{
		"upleveld", "serve", "--listen", "127.0.0.1:0", "--public-url", s.env["UPLEVEL_SERVICE"],
		"--tls-cert", s.Path("cert.pem"), "--tls-key", s.Path("key.pem"),
	}
}

// begin starts a service with a command line and waits until it serves or is over.
func (s *site) begin(args ...string) (up bool, err error) {
	log := &listening{up: make(chan string, 1)}
	cmd := s.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return false, err
	}
	svc := &service{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(svc.ended)
	}()
	s.service = svc
	select {
	case address := <-log.up:
		s.door.to(address)
		return true, nil
	case <-svc.ended:
		return false, nil
	case <-time.After(patience):
		s.kill()
		return false, fmt.Errorf("the service hangs: %s", log)
	}
}

// start starts the service, which must come up.
func (s *site) start(t *testing.T) {
	t.Helper()
	if up, err := s.begin(s.serve()...); !up {
		t.Fatalf("the service does not come up: %v: %s", err, s.service.log)
	}
}

// pid is the service's own process, also below strace.
func (s *service) pid() int {
	pid := s.cmd.Process.Pid
	if filepath.Base(s.cmd.Path) != "strace" {
		return pid
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	child, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return child
}

// over reports whether the service has ended.
func (s *service) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal and waits for the end.
func (s *service) signal(sig syscall.Signal) error {
	if pid := s.pid(); pid > 0 && !s.over() {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		return fmt.Errorf("the service does not end: %s", s.log)
	}
}

// kill kills the service, if it runs.
func (s *site) kill() {
	s.door.to("")
	if s.service != nil {
		_ = s.service.signal(syscall.SIGKILL)
		s.service = nil
	}
}

// end asks the service to end, which it must do well.
func (s *site) end(t *testing.T) {
	t.Helper()
	s.door.to("")
	if err := s.service.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := s.service.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("asked to end, the service ends with %d: %s", code, s.service.log)
	}
	s.service = nil
}

// tracer is a strace that looks at a running service.
type tracer struct {
	cmd   *exec.Cmd
	trace string
}

// attached tells when strace has hold of its process.
type attached struct {
	once sync.Once
	here chan struct{}
}

func (a *attached) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("attached")) {
		a.once.Do(func() { close(a.here) })
	}
	return len(p), nil
}

// attach has strace look at the running service with these options.
func (s *site) attach(t *testing.T, options []string) *tracer {
	t.Helper()
	tr := &tracer{trace: s.path("trace")}
	says := &attached{here: make(chan struct{})}
	tr.cmd = exec.Command("strace", append([]string{"-f", "-o", tr.trace, "-p", strconv.Itoa(s.service.pid())}, options...)...)
	tr.cmd.Stderr = says
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-says.here:
	case <-time.After(patience):
		t.Fatal("strace does not get hold of the service")
	}
	return tr
}

// detach lets the service go and returns what strace saw.
func (tr *tracer) detach(t *testing.T) string {
	t.Helper()
	_ = tr.cmd.Process.Signal(syscall.SIGINT)
	_ = tr.cmd.Wait()
	return read(t, tr.trace)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

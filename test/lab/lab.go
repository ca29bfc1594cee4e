// Package lab is a folder with the built programs and a real service, for the tests and
// benchmarks that run them as their users would.
package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Lab is a folder with the built programs, a real service and a counting door to it.
type Lab struct {
	Dir     string
	Env     []string // of every program that runs
	service *exec.Cmd
	Wire    atomic.Int64 // bytes that the service answered with
	Door    net.Listener // in front of the service; counts what passes
	listen  string
}

// Run is one finished process.
type Run struct {
	Wall, CPU time.Duration
	PeakKB    int64 // 0 where the system does not say
	Output    string
	Exit      int
}

// New builds the programs of the repository at root and starts the service.
func New(ctx context.Context, root string) (*Lab, error) {
	return started(ctx, root, "-trimpath", "-ldflags=-s -w")
}

// raceExit is how a program ends in which the race detector found a race.
const raceExit = 66

// NewRacing is New with programs that watch themselves for data races: a program that has
// one ends with 66, the service too. Their packages are built as go test -race builds them,
// so that one build serves both.
func NewRacing(ctx context.Context, root string) (*Lab, error) {
	l, err := started(ctx, root, "-race")
	if l != nil {
		l.Set("GORACE", fmt.Sprintf("halt_on_error=1 exitcode=%d", raceExit))
	}
	return l, err
}

func started(ctx context.Context, root string, flags ...string) (*Lab, error) {
	l, err := build(ctx, root, flags...)
	if err != nil {
		return nil, err
	}
	return l, l.startService(ctx)
}

// Build builds the programs alone: for who starts services of their own.
func Build(ctx context.Context, root string) (*Lab, error) {
	return build(ctx, root, "-trimpath", "-ldflags=-s -w")
}

func build(ctx context.Context, root string, flags ...string) (*Lab, error) {
	dir, err := os.MkdirTemp("", "uplevel-bench-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, Env: os.Environ()}
	if err := os.MkdirAll(l.Path("bin"), 0o755); err != nil {
		return nil, err
	}
	if err := programs(ctx, root, l.Path("bin"), flags...); err != nil {
		return nil, err
	}
	l.Set("PATH", l.Path("bin")+":"+os.Getenv("PATH"))
	return l, nil
}

// Path returns a path in the lab's folder.
func (l *Lab) Path(parts ...string) string {
	return filepath.Join(append([]string{l.Dir}, parts...)...)
}

// Set gives every program that follows a variable.
func (l *Lab) Set(name, value string) { l.Env = append(l.Env, name+"="+value) }

func (l *Lab) startService(ctx context.Context) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l.listen = free.Addr().String()
	free.Close()
	log, err := os.Create(l.Path("service.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	l.service = exec.Command(l.Path("bin", "upleveld"), "serve", "--dev", "--data", l.Path("service"), "--listen", l.listen)
	l.service.Stdout, l.service.Stderr = log, log
	l.service.Env = append(os.Environ(), fmt.Sprintf("GORACE=halt_on_error=1 exitcode=%d", raceExit)) // only a racing build reads it
	if err := l.service.Start(); err != nil {
		return err
	}
	for range 100 {
		if text, err := os.ReadFile(l.Path("service", "demo.env")); err == nil && len(text) > 0 {
			l.readEnv(string(text))
			if l.Door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return err
			}
			go l.countAll()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("the service did not come up: see %s", l.Path("service.log"))
}

// Restart ends the service and starts it again on its data and its address, with another
// certificate.
func (l *Lab) Restart(ctx context.Context) error {
	now := time.Now()
	authority, err := NewAuthority("lab", now, now.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	if err := authority.WriteCertificate("127.0.0.1", l.Path("cert.pem"), l.Path("key.pem"), now, now.AddDate(0, 0, 1)); err != nil {
		return err
	}
	if err := os.WriteFile(l.Path("service", "dev-ca.pem"), authority.PEM, 0o644); err != nil {
		return err
	}
	return l.RestartAsItIs(ctx)
}

// RestartAsItIs is [Lab.Restart] with the certificate of the one before.
func (l *Lab) RestartAsItIs(ctx context.Context) error {
	return l.RestartAfter(ctx, func() error { return nil })
}

// RestartAfter is [Lab.RestartAsItIs] with something done while the service does not run.
func (l *Lab) RestartAfter(ctx context.Context, do func() error) error {
	if err := l.service.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := l.service.Wait(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	log, err := os.Create(l.Path("service-again.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	l.service = exec.Command(l.Path("bin", "upleveld"), "serve", "--data", l.Path("service"), "--listen", l.listen, "--tls-cert", l.Path("cert.pem"), "--tls-key", l.Path("key.pem"))
	l.service.Stdout, l.service.Stderr = log, log
	if err := l.service.Start(); err != nil {
		return err
	}
	for range 100 {
		if c, err := net.Dial("tcp", l.listen); err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("the service did not come up again: see %s", l.Path("service-again.log"))
}

func (l *Lab) readEnv(text string) {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			l.Set(name, strings.Trim(value, `'"`))
		}
	}
	l.Set("UPLEVEL_KEYS", l.Path("keys"))
	l.Set("UPLEVEL_CACHE", l.Path("cache"))
}

// countAll passes connections on and counts what the service answers.
func (l *Lab) countAll() {
	for {
		c, err := l.Door.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			up, err := net.Dial("tcp", l.listen)
			if err != nil {
				return
			}
			defer up.Close()
			go func() {
				_, _ = io.Copy(up, c)
				_ = up.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(io.MultiWriter(c, counting{&l.Wire}), up)
		}()
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// Do runs a program in dir and measures it; an exit other than 0 is an error.
func (l *Lab) Do(ctx context.Context, dir, name string, args ...string) (Run, error) {
	return l.DoWith(ctx, nil, dir, name, args...)
}

// DoWith is [Lab.Do] with further variables.
func (l *Lab) DoWith(ctx context.Context, env []string, dir, name string, args ...string) (Run, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if !strings.Contains(name, "/") {
		if own := l.Path("bin", name); Exists(own) {
			cmd = exec.CommandContext(ctx, own, args...)
		}
	}
	cmd.Dir, cmd.Env = dir, append(slices.Clone(l.Env), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Start()
	peak := int64(0)
	if err == nil {
		stop := watchPeak(cmd.Process.Pid)
		err = cmd.Wait()
		peak = stop()
	}
	r := Run{Wall: time.Since(began), Output: out.String(), PeakKB: peak}
	if cmd.ProcessState != nil {
		r.Exit = cmd.ProcessState.ExitCode()
		r.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if err != nil {
		return r, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, r.Output)
	}
	return r, nil
}

// ServicePeak returns the most memory that the service held so far, in KiB; 0 where the
// system does not say.
func (l *Lab) ServicePeak() int64 {
	kb, _ := highWater(l.service.Process.Pid)
	return kb
}

// Median runs work n times and returns the run with the median wall time.
func Median(n int, work func() (Run, error)) (Run, error) {
	var runs []Run
	for range n {
		r, err := work()
		if err != nil {
			return r, err
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b Run) int { return int(a.Wall - b.Wall) })
	return runs[n/2], nil
}

// WriteFile writes size bytes that do not compress, the same for the same seed.
func WriteFile(name string, seed uint64, size int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)}), size)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Close stops the service, if there is one, and removes everything.
func (l *Lab) Close() error {
	if l.service == nil {
		return os.RemoveAll(l.Dir)
	}
	l.Door.Close()
	if err := l.service.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := l.service.Wait(); err != nil {
		return err
	}
	return os.RemoveAll(l.Dir)
}

// Exists reports whether something is there.
func Exists(name string) bool { _, err := os.Stat(name); return err == nil }

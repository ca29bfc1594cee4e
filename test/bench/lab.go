package main

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

// lab is a folder with the built programs, a real service and a counting door to it.
type lab struct {
	dir     string
	env     []string
	service *exec.Cmd
	wire    atomic.Int64 // bytes that the service answered with
	door    net.Listener
	listen  string
}

// run is one finished process.
type run struct {
	wall, cpu time.Duration
	peakKB    int64
	output    string
	exit      int
}

func newLab(ctx context.Context, root string) (*lab, error) {
	dir, err := os.MkdirTemp("", "uplevel-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, env: os.Environ()}
	if err := os.MkdirAll(l.path("bin"), 0o755); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", l.path("bin")+"/",
		"./cmd/uplevel", "./cmd/upleveld", "./cmd/uplevel-publish")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building: %w\n%s", err, said)
	}
	l.set("PATH", l.path("bin")+":"+os.Getenv("PATH"))
	return l, l.startService(ctx)
}

func (l *lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l *lab) set(name, value string) { l.env = append(l.env, name+"="+value) }

func (l *lab) startService(ctx context.Context) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l.listen = free.Addr().String()
	free.Close()
	log, err := os.Create(l.path("service.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	l.service = exec.Command(l.path("bin", "upleveld"), "serve", "--dev", "--data", l.path("service"), "--listen", l.listen)
	l.service.Stdout, l.service.Stderr = log, log
	if err := l.service.Start(); err != nil {
		return err
	}
	for range 100 {
		if text, err := os.ReadFile(l.path("service", "demo.env")); err == nil && len(text) > 0 {
			l.readEnv(string(text))
			if l.door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
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
	return fmt.Errorf("the service did not come up: see %s", l.path("service.log"))
}

func (l *lab) readEnv(text string) {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			l.set(name, strings.Trim(value, `'"`))
		}
	}
	l.set("UPLEVEL_KEYS", l.path("keys"))
	l.set("UPLEVEL_CACHE", l.path("cache"))
}

// countAll passes connections on and counts what the service answers.
func (l *lab) countAll() {
	for {
		c, err := l.door.Accept()
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
			_, _ = io.Copy(io.MultiWriter(c, counting{&l.wire}), up)
		}()
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// do runs a program in dir and measures it; an exit other than 0 is an error.
func (l *lab) do(ctx context.Context, dir, name string, args ...string) (run, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if !strings.Contains(name, "/") {
		if own := l.path("bin", name); exists(own) {
			cmd = exec.CommandContext(ctx, own, args...)
		}
	}
	cmd.Dir, cmd.Env = dir, l.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	r := run{wall: time.Since(began), output: out.String()}
	if cmd.ProcessState != nil {
		r.exit = cmd.ProcessState.ExitCode()
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.peakKB = u.Maxrss
		}
	}
	if err != nil {
		return r, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, r.output)
	}
	return r, nil
}

// median runs work n times and returns the run with the median wall time.
func median(n int, work func() (run, error)) (run, error) {
	var runs []run
	for range n {
		r, err := work()
		if err != nil {
			return r, err
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b run) int { return int(a.wall - b.wall) })
	return runs[n/2], nil
}

// writeFile writes size bytes that do not compress, the same for the same seed.
func writeFile(name string, seed uint64, size int64) error {
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

func (l *lab) close() error {
	l.door.Close()
	if err := l.service.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := l.service.Wait(); err != nil {
		return err
	}
	return os.RemoveAll(l.dir)
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

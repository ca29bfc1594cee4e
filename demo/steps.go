package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// stage shows what a person types, what they see, and what it moved.
type stage struct {
	out  io.Writer
	dir  string   // working folder of the commands
	env  []string // their environment
	home string   // product home whose files are watched; may be empty
	wire *meter   // counts what crosses the network; may be nil

	journey *journey // collects what is typed; nil: nothing
}

func (s *stage) title(text string) {
	fmt.Fprintf(s.out, "\n── %s\n", text)
}

func (s *stage) note(format string, args ...any) {
	fmt.Fprintf(s.out, "   %s\n", fmt.Sprintf(format, args...))
}

// typed runs a command line as typed at a shell, shows it with all that it prints and
// moves, and fails unless it ends with the exit code wanted. It returns what it printed.
func (s *stage) typed(ctx context.Context, want int, line string) (string, error) {
	fmt.Fprintf(s.out, "\n$ %s\n", line)
	before, sent := s.look(), s.wire.total()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	printed, err := s.run(cmd)
	code := cmd.ProcessState.ExitCode()
	if err != nil && code < 0 {
		return printed, fmt.Errorf("%s: %w", line, err)
	}
	fmt.Fprintf(s.out, "   → exit %d, %.1f s%s%s\n", code, time.Since(began).Seconds(),
		s.wire.since(sent), moved(before, s.look()))
	if s.journey != nil {
		s.journey.add(line, printed, code)
	}
	if code != want {
		return printed, fmt.Errorf("%q ended with exit %d, want %d", line, code, want)
	}
	return printed, nil
}

// run passes on what cmd prints, indented, and says every 3 s that it still waits.
func (s *stage) run(cmd *exec.Cmd) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return "", errors.Join(err, w.Close())
	}
	w.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(r)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			lines <- scan.Text()
		}
	}()
	var all bytes.Buffer
	began := time.Now()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return all.String(), cmd.Wait()
			}
			fmt.Fprintln(&all, line)
			fmt.Fprintf(s.out, "   %s\n", line)
		case <-time.After(3 * time.Second):
			fmt.Fprintf(s.out, "   … still at it (%.0f s)\n", time.Since(began).Seconds())
		}
	}
}

// waiting runs work and says every 3 s what it waits for.
func waiting(out io.Writer, what *atomic.Value, work func() error) error {
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- work() }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(3 * time.Second):
			fmt.Fprintf(out, "   … %v (%.0f s)\n", what.Load(), time.Since(began).Seconds())
		}
	}
}

// look is a picture of the product's files, the update tool's own left out.
func (s *stage) look() map[string][32]byte {
	seen := map[string][32]byte{}
	if s.home == "" {
		return seen
	}
	_ = filepath.WalkDir(s.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "updates" {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			if content, err := os.ReadFile(path); err == nil {
				seen[strings.TrimPrefix(path, s.home+"/")] = sha256.Sum256(content)
			}
		}
		return nil
	})
	return seen
}

func moved(before, after map[string][32]byte) string {
	var added, changed, removed int
	for path, sum := range after {
		if old, was := before[path]; !was {
			added++
		} else if old != sum {
			changed++
		}
	}
	for path := range before {
		if _, is := after[path]; !is {
			removed++
		}
	}
	if added+changed+removed == 0 {
		return ", no product file touched"
	}
	return fmt.Sprintf(", product files: %d added, %d changed, %d removed", added, changed, removed)
}

// meter is a door in front of the service that counts what passes.
type meter struct {
	listener net.Listener
	to       string
	bytes    atomic.Int64
}

func newMeter(to string) (*meter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &meter{listener: l, to: to}
	go m.serve()
	return m, nil
}

func (m *meter) serve() {
	for {
		c, err := m.listener.Accept()
		if err != nil {
			return
		}
		go m.pass(c)
	}
}

func (m *meter) pass(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", m.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, c)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(io.MultiWriter(c, counter{&m.bytes}), up)
}

func (m *meter) total() int64 {
	if m == nil {
		return 0
	}
	return m.bytes.Load()
}

func (m *meter) since(before int64) string {
	if m == nil {
		return ""
	}
	n := m.total() - before
	switch {
	case n == 0:
		return ", no network"
	case n < 10_000:
		return fmt.Sprintf(", %d bytes received", n)
	}
	return fmt.Sprintf(", %.2f MB received", float64(n)/1e6)
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

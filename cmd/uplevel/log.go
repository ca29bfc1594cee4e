package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/update"
)

// openLog opens today's log of the product. A log that cannot be written, or not safely, is
// no reason not to update; it is said once.
func (t *tool) openLog() {
	name := t.stem() + "-" + t.now().Format("02-01-2006") + ".log"
	f, err := t.home.OpenLog(name)
	if err != nil {
		next := ""
		if p, ok := errors.AsType[*problem.Error](err); ok {
			next = ". " + p.Next
		}
		t.tellf("%s: no log is written: %v%s\n", t.name(), err, next)
		return
	}
	t.later(f.Close)
	t.logFile = filepath.Join(t.home.Dir(), "updates", "logs", name)
	t.log = slog.New(&lines{out: f, mu: &sync.Mutex{}})
	t.log.Debug("started", "program", t.name(), "version", toolVersion(), "command", safeArguments(t.args[1:]))
	s := t.home.State()
	t.log.Debug("product", "home", t.home.Dir(), "product", s.Line().ProductVersion(), "channel", s.Channel,
		"level", s.Line().LevelName(s.Level), "service", t.options.service, "system", runtime.GOOS+"/"+runtime.GOARCH)
}

// logResult has the outcome of a change in the log, file by file, for support.
func (t *tool) logResult(r *update.Result) {
	if r == nil || t.logFile == "" {
		return
	}
	f := r.Files
	t.log.Info("result", "operation", r.Operation, "outcome", r.Outcome, "from", r.From.Name, "to", r.To.Name,
		"added", len(f.Added), "modified", len(f.Modified), "removed", len(f.Removed), "conflicts", len(f.Conflicts),
		"download", r.Download, "disk_need", r.DiskNeed, "commit_ms", r.CommitMillis, "history", r.History, "report_error", r.ReportError)
	for _, list := range []struct {
		what  string
		paths []string
	}{
		{"added", f.Added},
		{"modified", f.Modified},
		{"removed", f.Removed},
		{"merged", f.Merged},
		{"conflict", f.Conflicts},
		{"customised", f.Customised},
		{"absent", f.Absent},
		{"adopted", f.Adopted},
		{"rescued", f.Rescued},
	} {
		for _, p := range list.paths {
			t.log.Debug("file", "what", list.what, "path", p)
		}
	}
}

// noted writes phases to the log and hands them on.
type noted struct {
	update.Progress // nil: nobody else is told

	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	phase string
	began time.Time
}

// Start begins a phase.
func (p *noted) Start(phase string, items int, bytes int64) {
	p.mu.Lock()
	p.phase, p.began = phase, p.now()
	p.mu.Unlock()
	p.log.Debug("phase begins", "phase", phase, "items", items, "bytes", bytes)
	if p.Progress != nil {
		p.Progress.Start(phase, items, bytes)
	}
}

// Item names what is done now.
func (p *noted) Item(name string) {
	p.log.Debug("item", "name", name)
	if p.Progress != nil {
		p.Progress.Item(name)
	}
}

// Bytes counts.
func (p *noted) Bytes(n int64) {
	if p.Progress != nil {
		p.Progress.Bytes(n)
	}
}

// Done ends the phase.
func (p *noted) Done() {
	p.mu.Lock()
	phase, took := p.phase, p.now().Sub(p.began)
	p.mu.Unlock()
	p.log.Debug("phase ends", "phase", phase, "took", took)
	if p.Progress != nil {
		p.Progress.Done()
	}
}

// safeArguments is the command line with what may be secret left out.
func safeArguments(args []string) string {
	out := make([]string, 0, len(args))
	hide := false
	for _, a := range args {
		name, _, assigned := strings.Cut(a, "=")
		switch {
		case hide:
			out, hide = append(out, "***"), false
		case name == "--password" || name == "--password-command":
			out, hide = append(out, name), !assigned
		case len(a) > 1 && a[0] == '-' && a[1] != '-' && strings.Contains(a, "p"):
			out, hide = append(out, "-…p"), strings.HasSuffix(a, "p") // -p secret, -psecret, -vp secret
		default:
			out = append(out, a)
		}
	}
	return strings.Join(out, " ")
}

// lines is a log handler that writes lines as U2 does:
// [15-05-2025 15:06:55] DEBUG - text key=value.
type lines struct {
	out   io.Writer
	mu    *sync.Mutex
	attrs []slog.Attr
}

// Enabled lets everything through: the log is for support, who want it all.
func (*lines) Enabled(context.Context, slog.Level) bool { return true }

// Handle writes one line.
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s - %s", r.Time.Format("02-01-2006 15:04:05"), r.Level, r.Message)
	write := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%q", a.Key, a.Value.String())
		return true
	}
	for _, a := range l.attrs {
		write(a)
	}
	r.Attrs(write)
	b.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.out, b.String())
	return err
}

// WithAttrs returns a handler that adds attrs to every line.
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lines{out: l.out, mu: l.mu, attrs: append(append([]slog.Attr{}, l.attrs...), attrs...)}
}

// WithGroup returns the same handler: lines have no groups.
func (l *lines) WithGroup(string) slog.Handler { return l }

// elapsed is a duration as people read it.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"uplevel/internal/update"
)

// every is how often plain and JSON progress is told within a phase.
const every = 2 * time.Second

// newProgress returns what tells progress on standard error, nil for nothing.
func (t *tool) newProgress() update.Progress {
	form := t.options.progress
	if form == "auto" {
		form = "plain"
		if f, ok := t.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) && t.getenv("TERM") != "dumb" {
			form = "bars"
		}
	}
	switch form {
	case "bars":
		return &bars{out: t.stderr}
	case "plain", "json":
		return &told{out: t.stderr, now: t.now, json: form == "json"}
	}
	return nil
}

// told tells progress as lines: at each phase's start and end, and now and then.
type told struct {
	out  io.Writer
	now  func() time.Time
	json bool

	mu           sync.Mutex
	phase, item  string
	items, done  int
	bytes, moved int64
	began, last  time.Time
}

// Start begins a phase.
func (p *told) Start(phase string, items int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.items, p.bytes, p.item = phase, items, bytes, ""
	p.done, p.moved = 0, 0
	p.began, p.last = p.now(), p.now()
}

// Item names what is done now.
func (p *told) Item(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.item = name
	p.done++
	p.tell(false)
}

// Bytes counts.
func (p *told) Bytes(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved += n
	p.tell(false)
}

// Done ends the phase.
func (p *told) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(true)
}

func (p *told) tell(always bool) {
	now := p.now()
	if !always && now.Sub(p.last) < every {
		return
	}
	p.last = now
	took := now.Sub(p.began)
	if p.json {
		line, _ := json.Marshal(map[string]any{
			"phase": p.phase, "item": p.item, "done": p.done, "total": p.items,
			"bytes": p.moved, "total_bytes": p.bytes, "seconds": took.Seconds(), "finished": always,
		})
		fmt.Fprintf(p.out, "%s\n", line)
		return
	}
	if always && took < every && p.moved < 1_000_000 {
		return // short phases are not worth a line
	}
	text := p.phase
	if p.bytes > 0 {
		text += fmt.Sprintf(": %s of %s", size(p.moved), size(p.bytes))
	}
	if speed := float64(p.moved) / took.Seconds(); p.moved > 0 && took > 0 {
		text += fmt.Sprintf(", %s/s", size(int64(speed)))
		if left := p.bytes - p.moved; left > 0 && !always {
			text += fmt.Sprintf(", %s left", elapsed(time.Duration(float64(left)/speed*float64(time.Second))))
		}
	}
	if always {
		text += ", " + elapsed(took)
	}
	fmt.Fprintf(p.out, "%s\n", text)
}

// bars draws progress on a terminal: one line for the phase at work, gone when it ends.
type bars struct {
	out io.Writer

	mu    sync.Mutex
	all   *mpb.Progress
	bar   *mpb.Bar
	bytes bool
	done  atomic.Int64 // items; read while drawing
}

// Start begins a phase. One within another takes its place.
func (p *bars) Start(phase string, items int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.done.Store(0)
	p.bytes = bytes > 0
	p.all = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(24), mpb.WithRefreshRate(120*time.Millisecond))
	name := decor.Name(pad(phase, 12))
	if !p.bytes {
		// Nothing tells how far such a phase is: only that it is at work, and since when.
		p.bar = p.all.New(0, mpb.SpinnerStyle().PositionLeft(), mpb.BarWidth(3),
			mpb.PrependDecorators(name), mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
		return
	}
	count := decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%d/%d ", p.done.Load(), items) })
	moved := decor.Any(func(s decor.Statistics) string { return size(s.Current) + " of " + size(s.Total) })
	p.bar = p.all.AddBar(bytes, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(name, count, moved), mpb.AppendDecorators(
		decor.AverageSpeed(decor.SizeB1000(0), "% .1f", decor.WC{W: 10}), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
}

// Item counts what is begun.
func (p *bars) Item(string) { p.done.Add(1) }

// Bytes counts.
func (p *bars) Bytes(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil && p.bytes {
		p.bar.IncrInt64(n)
	}
}

// Done ends the phase.
func (p *bars) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// clear takes the line away, full or not: a bar that is waited for until it is full
// would wait for ever where fewer items come than were announced.
func (p *bars) clear() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.all.Wait()
	p.bar, p.all = nil, nil
}

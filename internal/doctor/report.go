// Package doctor looks at what an update needs, one thing after the other: the
// installation, disk, clock, trust, and each step of the way to the service. It writes
// nothing and asks for nothing. The checks are in docs/design/network.md.
package doctor

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"uplevel/internal/problem"
)

// State is how a check came out.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // works, but may not always
	Failure State = "failure"
	Skipped State = "skipped" // not looked at; Found says why
)

// Check is one thing that was looked at.
type Check struct {
	Name  string `json:"name"`  // stable, such as "tls"
	Title string `json:"title"` // for people
	State State  `json:"state" enum:"ok,warning,failure,skipped"`
	Found string `json:"found"`
	Next  string `json:"next,omitempty"` // step to take after a warning or failure
	Kind  string `json:"kind,omitempty"` // of a failure, as in errors

	kind problem.Kind
}

// Endpoint is an address that firewalls and proxies must let through.
type Endpoint struct {
	Host    string   `json:"host"`
	Port    int      `json:"port"`
	Scheme  string   `json:"scheme"`
	Purpose string   `json:"purpose"`
	Paths   []string `json:"paths" nullable:"false"` // prefixes
}

// Report is what was found. It holds no credential.
type Report struct {
	Program   string     `json:"program"`
	Version   string     `json:"version"`
	System    string     `json:"system"`
	Time      time.Time  `json:"time"`
	Offline   bool       `json:"offline"` // only what needs no network was looked at
	Checks    []Check    `json:"checks" nullable:"false"`
	Endpoints []Endpoint `json:"endpoints" nullable:"false"`
	Failures  int        `json:"failures"`
	Warnings  int        `json:"warnings"`
}

// Err is the first failure as an error of its kind; nil when there is none.
func (r *Report) Err() error {
	for _, c := range r.Checks {
		if c.State == Failure {
			return problem.New(c.kind, c.Next, "%s: %s", c.Title, c.Found)
		}
	}
	return nil
}

// Text writes the report for people; colour marks a state's word, nil leaves it plain.
func (r *Report) Text(w io.Writer, colour func(State, string) string) error {
	if colour == nil {
		colour = func(_ State, word string) string { return word }
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s on %s, %s\n\n", r.Program, r.Version, r.System, r.Time.Local().Format("2006-01-02 15:04 MST"))
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%s %-22s %s\n", colour(c.State, fmt.Sprintf("%-8s", c.State)), c.Title, c.Found)
		if c.Next != "" {
			fmt.Fprintf(&b, "%31s Next: %s\n", "", c.Next)
		}
	}
	if len(r.Endpoints) > 0 {
		b.WriteString("\nEndpoints to allow:\n")
	}
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, "  %s:%d  %s  %s", e.Host, e.Port, e.Scheme, e.Purpose)
		if len(e.Paths) > 0 {
			fmt.Fprintf(&b, " (below %s)", strings.Join(e.Paths, ", "))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%s, %s.\n", plural(r.Failures, "failure"), plural(r.Warnings, "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// finding is how one look came out.
type finding struct {
	state State
	kind  problem.Kind
	next  string
	found string
}

func fine(format string, args ...any) finding {
	return finding{state: OK, found: fmt.Sprintf(format, args...)}
}

func doubt(next, format string, args ...any) finding {
	return finding{state: Warning, next: next, found: fmt.Sprintf(format, args...)}
}

func wrong(kind problem.Kind, next, format string, args ...any) finding {
	return finding{state: Failure, kind: kind, next: next, found: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) finding {
	return finding{state: Skipped, found: fmt.Sprintf(format, args...)}
}

// failed is the finding of an error; kind is that of one that has none.
func failed(kind problem.Kind, next string, err error) finding {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return wrong(p.Kind, p.Next, "%s", oneLine(p.Text))
	}
	return wrong(kind, next, "%s", oneLine(err.Error()))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// harmless takes out what would move a terminal's cursor or turn the direction of
// writing: much of what is told comes from whoever answers.
func harmless(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) {
			return '?'
		}
		return c
	}, text)
}

// add puts a check at the end.
func (r *Report) add(name, title string, f finding) {
	c := Check{Name: name, Title: title, State: f.state, Found: harmless(f.found), Next: harmless(f.next), kind: f.kind}
	switch f.state {
	case Failure:
		r.Failures++
		c.Kind = f.kind.String()
	case Warning:
		r.Warnings++
	case OK, Skipped:
	}
	r.Checks = append(r.Checks, c)
}

// passed reports whether a check came out well enough for what depends on it.
func (r *Report) passed(name string) bool {
	for _, c := range r.Checks {
		if c.Name == name {
			return c.State == OK || c.State == Warning
		}
	}
	return false
}

// title returns a check's title.
func (r *Report) title(name string) string {
	for _, c := range r.Checks {
		if c.Name == name {
			return c.Title
		}
	}
	return name
}

// Package support makes the zip that a customer attaches to a ticket, and reads it at the
// vendor's. A bundle holds what a ticket needs (logs, state, plan, environment, facts of
// the system) with secrets, names and addresses taken out; docs/design/support.md lists
// its members. Making one changes nothing and recovers nothing: it works on a home that
// is damaged, half committed or not to be read, and names what it could not read.
package support

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"uplevel/internal/plain"
	"uplevel/internal/support/document"
	"uplevel/internal/support/machine"
	"uplevel/internal/support/redact"
)

// Format is the version of summary.json.
const Format = 1

// Bounds of a bundle, in bytes before they are compressed.
const (
	maxDecoded  = 8 << 20  // of a document of which a few facts are told
	maxDocument = 1 << 20  // of each document of the tool; the beginning is kept
	maxLog      = 4 << 20  // of each log; the end is kept
	maxLogs     = 16 << 20 // of all logs, the newest first
	maxText     = 4 << 20  // of each text that is made for the bundle
	maxLogFiles = 30
	maxHistory  = 20 // newest entries
	maxListed   = 2000
	maxPaths    = 500 // of each list of the product's files
)

// maxDiagnosis bounds how long a doctor may take: it waits for a network that may be why
// there is a ticket.
const maxDiagnosis = 90 * time.Second

// Doctor looks at what an update needs of its surroundings. Its findings are told as
// text and as JSON; with an error they may be partial.
type Doctor interface {
	Diagnose(ctx context.Context) (text string, json []byte, err error)
}

// Request is what a bundle is made of.
type Request struct {
	Home    string    // product home; "": none was found
	Trouble []Trouble // what was found out on the way here, such as why the home cannot be opened
	Program string    // the tool's name
	Version string    // the tool's
	Support string    // where the vendor wants it; "": not known
	Now     time.Time
	Environ []string        // NAME=VALUE
	Args    string          // the command line, for what was typed
	Secrets []string        // values the tool was given
	Had     func() []string // and those that it had to get on the way; nil: none
	Users   []string
	Hosts   []string // of this machine
	Domains []string // that its hosts are in
	Keep    []string // addresses of the vendor's, which stay
	Doctor  Doctor   // nil: none
	Verify  func(context.Context) (Verified, error)
}

// Verified is the product's files against the signed manifest: counts, and paths without
// contents.
type Verified struct {
	Pristine   int      `json:"pristine"`
	Hotfixed   int      `json:"hotfixed"`
	Generated  int      `json:"generated"`
	Foreign    int      `json:"foreign"`
	Modes      int      `json:"modes"`
	Customised []string `json:"customised"`
	Merged     []string `json:"merged"`
	Missing    []string `json:"missing"`
	Damaged    []string `json:"damaged"`
}

// Trouble is something that could not be read or found out.
type Trouble struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// source is a member before it is redacted.
type source struct {
	name string
	from string // where it is from, for people; "": made for the bundle
	size int64  // of what it is from
	left int64  // bytes of it left out
	tail bool   // its beginning is cut off
	open func() io.Reader
}

func text(name, content string) source {
	return source{name: name, size: int64(len(content)), open: func() io.Reader { return strings.NewReader(content) }}
}

// collector gathers what a bundle is made of.
type collector struct {
	req     Request
	root    *os.Root // nil: the home cannot be opened
	sources []source
	trouble []Trouble
	files   []io.Closer
	secrets []string

	logBytes int64         // the most of each log
	patience time.Duration // with the doctor
	summary  Summary
}

func (c *collector) add(s source) { c.sources = append(c.sources, s) }

// failed notes what could not be had, once.
func (c *collector) failed(what string, err error) {
	if t := (Trouble{what, err.Error()}); !slices.Contains(c.trouble, t) {
		c.trouble = append(c.trouble, t)
	}
}

func (c *collector) close() {
	for _, f := range c.files {
		_ = f.Close()
	}
	if c.root != nil {
		_ = c.root.Close()
	}
}

// Make gathers, redacts and packs. Nothing is written: the bundle is in memory, and small.
// It fails only when it is interrupted.
func Make(ctx context.Context, req Request) (*Bundle, error) {
	return makeOf(ctx, req, maxLog, maxDiagnosis)
}

// makeOf is [Make] with the most bytes of each log, and the patience with the doctor.
func makeOf(ctx context.Context, req Request, logBytes int64, patience time.Duration) (*Bundle, error) {
	c := &collector{req: req, logBytes: logBytes, patience: patience, trouble: slices.Clone(req.Trouble)}
	defer c.close()
	c.summary = Summary{
		Format: Format, Created: req.Now.UTC().Truncate(time.Second), Program: req.Program, Tool: req.Version, Support: req.Support,
		Failures: []string{}, Hotfixes: []string{},
	}
	c.verify(ctx) // both read what may be large: before there is more
	c.diagnose(ctx)
	c.product()
	c.environment()
	c.logs()
	c.json("system.json", c.machine())
	c.metadata()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.secrets = append(c.secrets, req.Secrets...)
	if req.Had != nil {
		c.secrets = append(c.secrets, req.Had()...)
	}
	r := redact.New(redact.Config{
		Secrets: c.secrets, Users: req.Users, Hosts: req.Hosts, Domains: req.Domains, Keep: req.Keep, Version: c.summary.Version,
	})
	return c.pack(ctx, r)
}

func (c *collector) machine() machine.System {
	s := machine.Look(c.req.Home, c.req.Now, c.failed)
	c.summary.System = strings.TrimSpace(s.OS + "/" + s.Architecture + " " + s.Distribution)
	return s
}

func (c *collector) verify(ctx context.Context) {
	if c.req.Verify == nil {
		return
	}
	found, err := c.req.Verify(ctx)
	if err != nil {
		c.failed("comparing the product's files with the manifest", err)
		return
	}
	for _, list := range []*[]string{&found.Customised, &found.Merged, &found.Missing, &found.Damaged} {
		if n := len(*list); n > maxPaths {
			*list = append((*list)[:maxPaths:maxPaths], fmt.Sprintf("… and %d more", n-maxPaths))
		}
		if *list == nil {
			*list = []string{}
		}
	}
	c.summary.Verified = &found
	c.json("verify.json", found)
}

func (c *collector) diagnose(ctx context.Context) {
	if c.req.Doctor == nil {
		return
	}
	said, data, err := c.patient(ctx)
	if err != nil {
		c.failed("doctor", err)
	}
	if said != "" {
		c.summary.Doctor = said[:min(len(said), maxDocument)]
		c.add(text("doctor.txt", c.summary.Doctor))
	}
	if len(data) > 0 {
		c.add(text("doctor.json", string(document.Lines(data[:min(len(data), maxText)], maxText))))
	}
}

// patient asks the doctor, who is not waited for longer than that: a disk that hangs
// minds no context.
func (c *collector) patient(ctx context.Context) (said string, data []byte, err error) {
	type findings struct {
		said string
		data []byte
		err  error
	}
	limited, stop := context.WithTimeout(ctx, c.patience)
	defer stop()
	found := make(chan findings, 1)
	go func() {
		said, data, err := c.req.Doctor.Diagnose(limited)
		found <- findings{said, data, err}
	}()
	late := time.NewTimer(c.patience + c.patience/8)
	defer late.Stop()
	select {
	case f := <-found:
		return f.said, f.data, f.err
	case <-ctx.Done():
		return "", nil, ctx.Err()
	case <-late.C:
		return "", nil, fmt.Errorf("it did not end within %v", c.patience)
	}
}

// clean makes a member's name of a path: nothing in it leads anywhere else.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) || plain.Unsafe(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

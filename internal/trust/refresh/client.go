// Package refresh keeps the trusted metadata of one installation up to date: it
// fetches what is new, has package trust verify it, and keeps it in a folder. A refresh
// holds a lock, everything kept is synced, and length, number and time of what a
// service can make it fetch are bounded. What each file means and which damage is
// healed is described in docs/design/trust.md.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Remote is where metadata come from: the service, a mirror, an offline zip.
type Remote interface {
	// Metadata returns a file such as 2.root.json, at most limit bytes of it or one
	// more. What is not there is an error that is fs.ErrNotExist; of a service that
	// can not be reached, one of kind problem.Unreachable. It must end with ctx.
	Metadata(ctx context.Context, file string, limit int64) ([]byte, error)
}

// TargetRemote is where target files come from. Only [Client.Download] uses it.
type TargetRemote interface {
	// Target opens a target file by its path in the repository, hash prefix included.
	Target(ctx context.Context, path string) (io.ReadCloser, error)
}

// Config is what a [Client] needs.
type Config struct {
	Dir     string           // folder of the trusted metadata; made when missing
	Root    []byte           // root that came with pack or tool; used while Dir has none
	Remote  Remote           // required by Refresh
	Targets TargetRemote     // required by Download
	Now     func() time.Time // the clock; required

	// Mode is how expiry is judged: trust.Online (also when empty) or trust.Carried.
	Mode string
	// Allowance is how old carried metadata may be; 0 allows any age. Only with
	// trust.Carried.
	Allowance time.Duration

	Holder   string        // named to whoever finds the lock taken; empty: "another refresh"
	LockWait time.Duration // how long to wait for the lock; 0: 30 s
	Grace    time.Duration // time every file has, whatever its length; 0: 20 s
	MinRate  int64         // bytes per second expected beyond that; 0: 16 KiB
	Timeout  time.Duration // time a whole refresh has, lock included; 0: 10 min
}

// Client refreshes and reads the trusted metadata in one folder. It is safe for
// concurrent use, by several processes too.
type Client struct {
	cfg     Config
	passing map[string][]byte // what would be kept, by role; nil for what is removed. Only of [Client.Carried]
	void    []string          // roles that a new root made void, likewise
}

// New checks the configuration and fills in what is zero. Nothing is read yet.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.Dir == "":
		return nil, errors.New("refresh: Dir is empty")
	case cfg.Now == nil:
		return nil, errors.New("refresh: Now is missing")
	case cfg.Mode != "" && cfg.Mode != trust.Online && cfg.Mode != trust.Carried:
		return nil, fmt.Errorf("refresh: Mode %q: want %s or %s", cfg.Mode, trust.Online, trust.Carried)
	case cfg.Allowance != 0 && cfg.Mode != trust.Carried:
		return nil, errors.New("refresh: Allowance is for Mode carried")
	case cfg.Allowance < 0 || cfg.LockWait < 0 || cfg.Grace < 0 || cfg.MinRate < 0 || cfg.Timeout < 0:
		return nil, errors.New("refresh: a limit is negative")
	}
	setDefault(&cfg.Mode, trust.Online)
	setDefault(&cfg.Holder, "another refresh")
	setDefault(&cfg.LockWait, 30*time.Second)
	setDefault(&cfg.Grace, 20*time.Second)
	setDefault(&cfg.MinRate, 16<<10)
	setDefault(&cfg.Timeout, 10*time.Minute)
	return &Client{cfg: cfg}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Refresh brings the trusted metadata up to date, with the roles that lead to lines,
// and returns a view of them. When nothing changed it makes two requests: the next
// root, which is not there, and the timestamp. What was verified is kept even when a
// later file is refused. A line that is not published is no error; the view says so.
func (c *Client) Refresh(ctx context.Context, lines ...release.Line) (*trust.View, error) {
	var view *trust.View
	err := c.locked(ctx, func(ctx context.Context, s *session) (err error) {
		view, err = s.view(ctx, lines)
		return err
	})
	if err != nil {
		return nil, err
	}
	return view, c.checkAge(view)
}

// checkAge refuses carried metadata that are older than the operator allows.
func (c *Client) checkAge(view *trust.View) error {
	if c.cfg.Allowance == 0 {
		return nil
	}
	now := c.cfg.Now()
	if made := view.Reference().Add(-trust.Lifetime(trust.RoleTimestamp) - maxSkew); now.Before(made) {
		return problem.New(problem.Verification,
			"Set this machine's clock. Without freshness in updates/policy.yaml the age does not matter.",
			"The policy allows metadata to be %s old, and how old they are cannot be told: it is %s by this machine's clock, and they were made after %s",
			days(c.cfg.Allowance), now.UTC().Format(time.DateOnly), made.UTC().Format(time.DateOnly))
	}
	if age := view.Age(now); age > c.cfg.Allowance {
		return problem.New(problem.Verification,
			"Carry in newer metadata, or raise freshness in updates/policy.yaml. If this machine's clock is wrong, set it.",
			"The metadata ceased to be fresh %s ago, by the clock of today, %s; the policy allows %s",
			days(age), now.UTC().Format(time.DateOnly), days(c.cfg.Allowance))
	}
	return nil
}

// maxSkew is how far a clock may lag behind and still be taken for one that goes right.
const maxSkew = 24 * time.Hour

// days writes a length of time as people do.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// Trusted returns a view of what is kept in the folder, without any request and without
// writing. Expiry is not judged: the view tells (View.Expired). Metadata that are
// missing or damaged are an error of kind problem.Verification; missing ones are
// fs.ErrNotExist too. While another process refreshes, what it has half done is waited
// for; what one that was cut off has half done is no hindrance.
func (c *Client) Trusted(lines ...release.Line) (*trust.View, error) {
	view, err := c.settled(func() (*trust.View, error) {
		view, _, err := c.trusted(lines)
		return view, err
	})
	if err != nil {
		return c.cutOff(lines, err)
	}
	return view, nil
}

// settled looks again while another process is at work and what it has half done fails.
func (c *Client) settled(look func() (*trust.View, error)) (*trust.View, error) {
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for waited := time.Duration(0); ; waited += lockPause {
		working := c.lockPresent()
		view, err := look()
		if err == nil || !working && !c.lockPresent() || waited >= min(c.cfg.LockWait, maxTrustedWait) {
			return view, err
		}
		<-pause.C
	}
}

// maxTrustedWait bounds the wait of [Client.Trusted]: a killed refresh leaves its lock
// file behind, which says no more than that somebody was there.
const maxTrustedWait = 2 * time.Second

package doctor

import (
	"context"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// checkTimeout bounds one look; a sixth more, and it is left behind.
const checkTimeout = 30 * time.Second

// Doctor is what is looked at.
type Doctor struct {
	Program, Version, System string
	Now                      func() time.Time
	Offline                  bool          // leave out what needs the network
	Patience                 time.Duration // with one look; 0: 30 s

	Product  func() (Product, error) // what is installed here
	User     string                  // who runs this
	Cache    string                  // folder of downloads, there or not
	Temp     string                  // folder of temporary files
	Disk     func(dir string) (Disk, error)
	Writable func(dir string) error
	// Root returns the fingerprint of the trusted root and where it comes from; empty
	// when there is none.
	Root func() (fingerprint, from string, err error)
	// Trusted returns what is trusted already, with its age; fs.ErrNotExist before the
	// first update.
	Trusted func() (*trust.View, error)

	Service Service
}

// Product is what is installed. The zero value means that there is none to look at.
type Product struct {
	Home       string
	Line       release.Line
	Number     int       // of the level
	LastChange time.Time // zero: none yet
	Cut        bool      // a commit was interrupted and is not yet completed or undone
	Pending    string    // level of a prepared change; empty: none
	Conflicts  int       // of it, to be decided
	Locked     string    // who holds the lock; empty: nobody
	Mounts     []string  // mount points below it
}

// look is one check: what it needs to have passed before it, and how it is made.
type look struct {
	name, title string
	needs       []string
	do          func(ctx context.Context) finding
}

// run is one examination: what is learned on the way is used by what follows.
type run struct {
	*Doctor

	report  Report
	product Product
	way     way
	before  map[string]string // check left out → title of the one that is in its way
	hangs   string            // title of the one that was left behind
}

// Run looks at everything, in an order in which one failure explains the next. What
// depends on a check that failed is left out and says so.
func (d *Doctor) Run(ctx context.Context) Report {
	r := &run{Doctor: d, before: map[string]string{}, report: Report{
		Program: d.Program, Version: d.Version, System: d.System, Time: d.Now().UTC().Truncate(time.Second),
		Offline: d.Offline, Checks: []Check{}, Endpoints: []Endpoint{},
	}}
	looks := r.local()
	if !d.Offline {
		looks = append(looks, r.network()...)
	}
	for _, l := range looks {
		r.report.add(l.name, l.title, r.one(ctx, l))
	}
	r.endpoints()
	return r.report
}

func (r *run) one(ctx context.Context, l look) finding {
	switch {
	case r.hangs != "":
		return skip("not looked at: %q hangs", r.hangs)
	case ctx.Err() != nil: // what fails now says nothing
		return skip("not looked at: there was no time left")
	}
	for _, name := range l.needs {
		if r.report.passed(name) {
			continue
		}
		if r.before[l.name] = r.before[name]; r.before[name] == "" {
			r.before[l.name] = r.report.title(name)
		}
		return skip("cannot be looked at before %q", r.before[l.name])
	}
	patience := r.Patience
	if patience == 0 {
		patience = checkTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := make(chan finding, 1)
	go func() { found <- l.do(ctx) }()
	select {
	case f := <-found:
		return overdue(ctx, f)
	case <-ctx.Done():
	}
	select {
	case f := <-found:
		return overdue(ctx, f)
	case <-time.After(patience / 6):
	}
	// It may still write to what others read: nothing more is looked at.
	r.hangs = l.title
	return wrong(problem.Refused, "See whether its disk or network drive answers.", "it hangs: no answer within %v", patience+patience/6)
}

// overdue is a finding whose look was told to end: that says why it failed.
func overdue(ctx context.Context, f finding) finding {
	if ctx.Err() != nil && f.state == Failure {
		f.kind = problem.Unreachable
	}
	return f
}

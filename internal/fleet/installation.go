package fleet

import (
	"context"
	"errors"
	"time"
)

// OperationReport is the operation of a report that no change led to.
const OperationReport = "report"

// Told is a report as it came.
type Told struct {
	Report

	Received time.Time // by the service's clock
	Carried  bool      // it came as a file, some time after it was made
}

// Check refuses a report that is malformed, or carried without the time it was made. No
// clock says a year before 1970; such a one could be stored, and not be told in JSON.
func (t Told) Check() error {
	if t.Carried && t.Made.IsZero() {
		return errors.New("report: it does not say when it was made")
	}
	if !t.Made.IsZero() && t.Made.Unix() < 0 {
		return errors.New("report: it was made before 1970, as it says")
	}
	return t.Report.Check()
}

// At returns the instant that a report counts as of. One that came directly was made just
// then, whatever the clock there says. A carried one was made before it was received: a
// clock that runs ahead must not make it newer than what is made after it. Instants count
// to the microsecond, as they are stored.
func (t Told) At() time.Time {
	at := t.Received
	if t.Carried && t.Made.Before(at) {
		at = t.Made
	}
	return at.UTC().Truncate(time.Microsecond)
}

// Fate is what became of a report.
type Fate string

// The fates of a report.
const (
	New     Fate = "new"     // it is the installation's last now
	Older   Fate = "older"   // kept; what is known of the installation is newer
	Known   Fate = "known"   // the very same came before
	Refused Fate = "refused" // malformed
)

// Change is the last change that an installation told of, made or only tried.
type Change struct {
	Operation string
	Outcome   string // ok, or the kind of problem
	FromLevel int
	At        time.Time // zero: none was told
}

// Drift is how far an installation was from what its level holds.
type Drift struct {
	Customised int
	Missing    int
	At         time.Time // zero: not known
}

// Installation is what is known of one installation.
type Installation struct {
	Report // the last

	Organisation string
	First, Last  time.Time // that its reports count as of
	Received     time.Time // when the last one came
	Reports      int       // how many came
	Change       Change
	Drift        Drift
}

// Learn takes a report in. What is older than what is known replaces nothing.
func (i *Installation) Learn(t Told) Fate {
	at := t.At()
	if i.First.IsZero() || at.Before(i.First) {
		i.First = at
	}
	if t.Operation != OperationReport && !at.Before(i.Change.At) {
		i.Change = Change{Operation: t.Operation, Outcome: t.Outcome, FromLevel: t.FromLevel, At: at}
	}
	if !t.DriftUnknown && !at.Before(i.Drift.At) {
		i.Drift = Drift{Customised: t.Customised, Missing: t.Missing, At: at}
	}
	i.Reports++
	if at.Before(i.Last) {
		return Older
	}
	i.Report, i.Last, i.Received = t.Report, at, t.Received
	return New
}

// Query says which installations are wanted, in the order of their ids.
type Query struct {
	Organisation string // opaque id; "" is the vendor's own staff
	Everyone     bool   // of every organisation
	Product      string // "" is any
	After        string // id to begin after, within one organisation
	Limit        int    // 0: no limit
}

// Store keeps reports by organisation. A report acknowledged is kept.
type Store interface {
	// AddReports stores reports, all or none, and says of each what became of it.
	AddReports(ctx context.Context, organisation string, reports []Told) ([]Fate, error)
	// Installations returns what is known.
	Installations(ctx context.Context, q Query) ([]Installation, error)
}

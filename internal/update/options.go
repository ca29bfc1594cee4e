package update

import (
	"fmt"

	"uplevel/internal/reconcile"
	"uplevel/internal/release"
)

// Options say what change is wanted. The zero value brings the product to the latest
// live level of its channel, stops at conflicts, and keeps what it replaces.
type Options struct {
	Level          string           // as typed: "" or "0" is the latest, else "8" or "7.1.0.8"
	Channel        string           // "" is the installation's own
	AtLeast        bool             // nothing to do when the product is at Level or above
	StopAtFloor    bool             // go no further than the first floor on the way
	States         []release.State  // testing or verifying: levels asked for besides live ones
	OnConflict     reconcile.Policy // zero: stop
	WholeFiles     bool             // with mine: a file with a conflict stays as it is, wholly
	DecideAnew     bool             // take no earlier decision on the same contents again
	RestoreRemoved bool             // bring back what the operator removed
	AcceptEULA     bool             // accept the terms in force for the organisation first
	DryRun         bool             // change nothing; the result and the error are the real run's
	NoBackup       bool             // keep no pristine content that is replaced
	Backup         string           // folder for a full copy of the home; "" is none
	NoChangelog    bool             // write no changelog and no summary
	Keep           int              // levels to keep for going back; 0 is 3
	NoReport       bool             // tell the service nothing afterwards
	Offline        bool             // no network at all: for commands that can do without
	Diffs          bool             // fill the differences of merged files in

	passing bool // what fails is removed again, and not worth telling the service of
}

// silent reports whether a failure is not to be told.
func (o Options) silent() bool { return o.NoReport || o.DryRun || o.Offline || o.passing }

// DefaultKeep is how many levels are kept for going back.
const DefaultKeep = 3

func (o Options) keep() int {
	if o.Keep <= 0 {
		return DefaultKeep
	}
	return o.Keep
}

// RevertOptions say how far to go back.
type RevertOptions struct {
	To           string // "" is the change before; else a level ("7" or "7.1.0.7") or "#12", a history id
	DiscardEdits bool   // former bytes also where the operator edited since
	OnConflict   reconcile.Policy
	WholeFiles   bool // see [Options]
	DecideAnew   bool // see [Options]
	NoReport     bool
	DryRun       bool
	Keep         int // levels to keep for going back; 0 is 3
}

// Resolution is the operator's choice for one conflict.
type Resolution struct {
	Mine   bool   // keep what is there
	Theirs bool   // take what the vendor ships
	File   string // take this file's content
}

func (r Resolution) check() error {
	n := 0
	for _, given := range []bool{r.Mine, r.Theirs, r.File != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("want exactly one of mine, theirs and a file")
	}
	return nil
}

// CheckOptions say what to look for.
type CheckOptions struct {
	Channel    string
	States     []release.State
	AcceptEULA bool // accept the terms in force for the organisation first
}

// VerifyOptions say how strict to be.
type VerifyOptions struct {
	Strict bool // customised and missing files and other modes are failures too
}

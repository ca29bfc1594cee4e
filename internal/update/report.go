package update

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"uplevel/internal/api"
	"uplevel/internal/fleet"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
)

// How long the service is told of a change: it is made, or it failed, and who waits for
// the command does not wait for that.
const (
	reportTime  = 10 * time.Second
	failureTime = 2 * time.Second
)

// Committing is the outcome of a report on a home whose commit is open: it is at work, or
// it was cut.
const Committing = "committing"

// InstallationID is the name an installation has in reports: a keyed hash of the pack's
// id, the machine's and the home's path. It is computed at each report and
// stored nowhere, so that a pack shipped to many servers is seen on each of them.
func InstallationID(pack, machine, home string) string {
	mac := hmac.New(sha256.New, []byte(pack))
	for _, part := range []string{"uplevel installation 1", machine, home} {
		// Each part ends with a byte that none can hold: no two look alike.
		_, _ = io.WriteString(mac, part)
		_, _ = mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// identity is the installation's name in reports. Links in the home's path are followed,
// so that it has one name however the home is called.
func (u *Updater) identity(state State) (string, error) {
	machine := ""
	if u.Machine != nil {
		id, err := u.Machine()
		if err != nil {
			u.Log.Info("this machine has no id", "error", err)
		}
		machine = id
	}
	home, err := filepath.EvalSymlinks(u.Home.Dir())
	if err != nil {
		return "", problem.New(problem.Refused, "Look at the permissions of the folders above the product.", "The product's place cannot be told: %w", err)
	}
	return InstallationID(state.Pack, machine, home), nil
}

// reportOf tells where the installation stands; drift is not among it.
func (u *Updater) reportOf(operation, outcome string, from int) (api.Report, error) {
	state := u.Home.State()
	id, err := u.identity(state)
	return api.Report{
		Made: u.Now().UTC().Truncate(time.Millisecond), Installation: id, Host: u.Host,
		Product: state.Product, Version: state.Version, Channel: state.Channel, Level: state.Level,
		Hotfixes: hotfixesOf(state), DriftUnknown: true,
		Operation: operation, Outcome: outcome, FromLevel: from, Tool: u.Tool, OS: u.System,
	}, err
}

// hotfixesOf names what is applied. Names of another tool may be anything, and are made to
// fit into a report.
func hotfixesOf(state State) []string {
	names := append([]string(nil), plan.Names(state.Hotfixes)...)
	for _, text := range state.Others {
		text = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, text)
		for len(text) > fleet.MaxHotfix {
			_, last := utf8.DecodeLastRuneInString(text)
			text = text[:len(text)-last]
		}
		names = append(names, text)
	}
	return names[:min(len(names), fleet.MaxHotfixes)]
}

// send tells the service of a change, within a time limit.
func (u *Updater) send(ctx context.Context, res *Result, outcome string, limit time.Duration) error {
	r, err := u.reportOf(res.Operation, outcome, res.From.Level)
	if err != nil {
		return err
	}
	if res.drift {
		r.Customised, r.Missing, r.DriftUnknown = len(res.Files.Customised), len(res.Files.Absent), false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return u.Service.Report(ctx, r)
}

// report tells the service of a change that was committed. That it cannot be told is
// said in the result and is no failure: the change is done.
func (u *Updater) report(ctx context.Context, res *Result) {
	if u.Service == nil {
		return
	}
	if err := u.send(ctx, res, "ok", reportTime); err != nil {
		u.Log.Warn("report was not delivered", "error", err)
		res.ReportError = err.Error()
		return
	}
	res.Reported = true
}

// reportFailure tells the service that a change failed, and how; it decides nothing. What
// failed for lack of the service, of credentials or of sense is not told: it could not be,
// or says nothing about the installation.
func (u *Updater) reportFailure(ctx context.Context, res *Result, err error, silent bool) {
	kind := problem.KindOf(err)
	told := []problem.Kind{
		problem.Failed, problem.Conflicts, problem.NotEntitled, problem.Verification, problem.Refused, problem.RolledBack, problem.Broken,
	}
	if _, renewing := errors.AsType[renewalError](err); renewing {
		return
	}
	if err == nil || silent || u.Service == nil || ctx.Err() != nil || !slices.Contains(told, kind) {
		return
	}
	if err := u.send(ctx, res, kind.String(), failureTime); err != nil {
		u.Log.Info("the failure was not reported", "error", err)
	}
}

// How often a home is looked at that changes meanwhile, how long is waited between, and
// how long a look at the files may take: who starts a product waits for it.
const (
	looks     = 5
	lookPause = 500 * time.Millisecond
	lookTime  = 20 * time.Second
)

// Described is where an installation stands, ready to be sent.
type Described struct {
	Report api.Report
	Why    string // the drift is not known; empty: it is
}

// Describe tells where the installation stands, without writing anything: an update may be
// at work here, and the disk may be read-only. Each look opens the home anew.
func (u *Updater) Describe(ctx context.Context, open func() (Home, error)) (Described, error) {
	for n := 1; ; n++ {
		d, steady, err := u.describe(ctx, open)
		if err != nil || steady || n == looks {
			return d, err
		}
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(lookPause):
		}
	}
}

// describe looks once, and says whether the home stood still meanwhile.
func (u *Updater) describe(ctx context.Context, open func() (Home, error)) (d Described, steady bool, err error) {
	own := *u
	own.Fetch = nil
	if own.Home, err = open(); err != nil {
		return d, false, err
	}
	state := own.Home.State()
	if d.Report, err = own.reportOf(fleet.OperationReport, "ok", state.Level); err != nil {
		return d, false, err
	}
	lookErr := own.driftInTime(ctx, &d.Report)
	if ctx.Err() != nil {
		return d, false, ctx.Err()
	}
	after, err := open()
	if err != nil {
		return d, false, err
	}
	d.Why = ""
	switch {
	case own.Home.CommitOpen():
		d.Report.Outcome, d.Why = Committing, "a change is being committed, or was cut"
	case !reflect.DeepEqual(state, after.State()):
		d.Why = "the product was changed meanwhile"
	case lookErr != nil:
		d.Why, steady = lookErr.Error(), true
	default:
		steady = true
	}
	if d.Why != "" {
		d.Report.Customised, d.Report.Missing, d.Report.DriftUnknown = 0, 0, true
	}
	return d, steady, nil
}

func (u *Updater) driftInTime(ctx context.Context, r *api.Report) error {
	limit := u.LookTime
	if limit <= 0 {
		limit = lookTime
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := u.drift(limited, r)
	if err != nil && limited.Err() != nil {
		return fmt.Errorf("looking at the files took longer than %s", limit)
	}
	return err
}

// drift counts the files that are not as the level has them.
func (u *Updater) drift(ctx context.Context, r *api.Report) error {
	at, err := u.installed(ctx, nil)
	if err != nil {
		return err
	}
	rules, err := reconcile.CompileRules(at.record.Rules, release.Rules{})
	if err != nil {
		return fmt.Errorf("the level's rules: %w", err)
	}
	disk, err := u.look(ctx, pathsOf(at.tree), true)
	if err != nil {
		return err
	}
	fixed := at.hotfixed()
	for _, e := range at.tree.Entries() {
		have, there := disk.Lookup(e.Path)
		switch f := fixed[e.Path]; {
		case e.Kind == manifest.Dir || there && have.SameContent(e) || f != nil && there && have.SameContent(*f):
		case rules.Generated.Match(e.Path) || rules.Data.Match(e.Path):
		case !there:
			r.Missing++
		default:
			r.Customised++
		}
	}
	r.DriftUnknown = false
	return nil
}

package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// extraOf is what comes with a plan to level l into the same commit.
func (u *Updater) extraOf(l level, opts Options) Extra {
	record, err := l.record.Bytes()
	if err != nil {
		panic("update: a record that was parsed cannot be written: " + err.Error())
	}
	return Extra{
		Record: record, Manifest: l.published.Bytes(), Hotfixes: payloads(l.hotfixes), Rules: l.record.Rules, Documents: map[string][]byte{},
		User: u.User, Keep: opts.keep(), NoBackup: opts.NoBackup, Backup: opts.Backup,
	}
}

// extras adds notes, changelog and summary of the wanted level.
func (j *job) extras(ctx context.Context) (Extra, error) {
	x := j.u.extraOf(j.to, j.opts)
	if j.still {
		return x, nil
	}
	notes, err := j.u.object(ctx, j.line, j.target.Level, j.to.record.Notes, release.MaxNotes)
	if err != nil {
		return Extra{}, err
	}
	x.Notes = notes
	if x.Former, err = former(j.state, j.from); err != nil {
		return Extra{}, err
	}
	if j.opts.NoChangelog {
		return x, nil
	}
	x.Documents[changelogName(j.res.From.Level, j.res.To.Level)] = changelog(j.res)
	x.Documents[summaryName(j.res.From.Level, j.res.To.Level)] = summary(j.res)
	j.res.Changelog = "updates/" + changelogName(j.res.From.Level, j.res.To.Level)
	j.res.Summary = "updates/" + summaryName(j.res.From.Level, j.res.To.Level)
	return x, nil
}

// withoutLostSides gets the published sides of conflicts, which are there to be looked
// at. A base that cannot be had any more, because its level was withdrawn or the
// network is not to be used, is left out of the plan: the conflict stands without it.
func (u *Updater) withoutLostSides(ctx context.Context, p *plan.Plan, from, to level) error {
	former, err := u.publishedSides(ctx, p, from, to)
	if err != nil {
		return err
	}
	for i := range p.Outcomes {
		o := &p.Outcomes[i]
		if o.Action == plan.Conflict && o.Base != nil &&
			slices.Contains(former, release.Ref{Sum: o.Base.Sum, Size: o.Base.Size}) {
			o.Base = nil
		}
	}
	return nil
}

func (u *Updater) fetchPart(ctx context.Context, l level, refs []release.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	if u.Fetch == nil {
		return errors.New("the network is not to be used")
	}
	return u.Fetch.Fetch(ctx, l.record.Line(), l.record.Level, refs)
}

// lost refuses a plan that puts in place what can be had nowhere: content of a hotfix
// that was applied earlier, which is neither in the store nor of any level.
func (u *Updater) lost(p *plan.Plan, to level) error {
	published := sumsOf(to.published)
	for _, o := range p.Outcomes {
		if !o.Action.Changes() || o.Source != plan.FromObject || o.Result.Kind != manifest.File || published[o.Result.Sum] {
			continue
		}
		if ref := (release.Ref{Sum: o.Result.Sum, Size: o.Result.Size}); !u.whole(ref) {
			return problem.New(problem.Refused, "Take the hotfix back with revert-hotfix and apply it again, or do without --restore-removed.",
				"What a hotfix has at %s is not kept here", o.Path)
		}
	}
	return nil
}

// firstDifference returns the first path at which two plans do not do the same.
func firstDifference(a, b *plan.Plan) (string, bool) {
	for i, o := range a.Outcomes {
		if i >= len(b.Outcomes) || !sameOutcome(o, b.Outcomes[i]) {
			return o.Path, true
		}
	}
	if len(b.Outcomes) > len(a.Outcomes) {
		return b.Outcomes[len(a.Outcomes)].Path, true
	}
	return "", false
}

func sameOutcome(a, b plan.Outcome) bool {
	if a.Path != b.Path || a.Action != b.Action || a.Source != b.Source {
		return false
	}
	return sameEntry(a.Base, b.Base) && sameEntry(a.Disk, b.Disk) && sameEntry(a.Want, b.Want) && sameEntry(a.Result, b.Result)
}

// pendingInfo describes the prepared change; nil when none waits.
func (u *Updater) pendingInfo() *PendingInfo {
	pending, err := u.Home.Pending()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			u.Log.Warn("prepared change is not usable", "error", err)
		}
		return nil
	}
	info := &PendingInfo{
		Operation: string(pending.Plan.Kind), To: u.point(nil, pending.Plan.To),
		Conflicts: pending.Plan.Conflicts(), Unresolved: []string{},
	}
	for _, p := range info.Conflicts {
		if pending.Resolved[p] == "" {
			info.Unresolved = append(info.Unresolved, p)
		}
	}
	return info
}

// pendingResult is the result of a change that was prepared earlier. What it brought is
// in the summary that comes with it.
func (u *Updater) pendingResult(operation string, pending Pending) *Result {
	res := u.newResult(operation, u.Home.State())
	res.To = u.point(nil, pending.Plan.To)
	res.show(pending.Plan, nil)
	res.DiskNeed = pending.Plan.DiskNeed
	res.Gain.Floors = append(res.Gain.Floors, pending.Plan.Floors...)
	for _, name := range pending.Documents {
		switch name {
		case changelogName(res.From.Level, res.To.Level):
			res.Changelog = "updates/" + name
		case summaryName(res.From.Level, res.To.Level):
			res.Summary = "updates/" + name
		}
	}
	return res
}

func (u *Updater) fillConflicts(res *ConflictsResult, pending Pending) {
	res.To = u.point(nil, pending.Plan.To)
	for _, o := range pending.Plan.Outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		c := ConflictInfo{Path: o.Path, Why: o.Why, Resolved: pending.Resolved[o.Path], Final: o.Path + ".final"}
		if o.Inside != nil {
			c.How, c.Disputes = o.Inside.How, o.Inside.Disputes
		}
		if o.Base != nil {
			c.Original = o.Path + ".original"
		}
		if o.Want != nil {
			c.New = o.Path + ".new"
		}
		if c.Resolved == "" {
			res.Unresolved++
		}
		res.Conflicts = append(res.Conflicts, c)
	}
}

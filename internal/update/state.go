package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
)

// CurrentState says what is installed, what waits and what was done last. It needs
// neither network nor metadata, and writes nothing.
func (u *Updater) CurrentState(ctx context.Context) (StateResult, error) {
	messages, err := u.readable(ctx)
	state := u.Home.State()
	res := StateResult{
		Home: u.Home.Dir(), Product: state.Product, Version: state.Version,
		At: u.here(nil), Hotfixes: append(plan.Names(state.Hotfixes), state.Others...), Messages: messages,
	}
	if err != nil {
		return res, err
	}
	if view, why := u.trusted(state.Line()); view != nil {
		res.At = u.here(view)
		res.Freshness = new(u.freshness(view, why))
	}
	res.Pending = u.pendingInfo()
	history, err := u.Home.History()
	if err != nil {
		return res, err
	}
	if len(history) > 0 {
		res.LastUpdate = new(u.changeInfo(history[len(history)-1]))
	}
	if o, err := u.Home.Organisation(); err != nil {
		u.Log.Warn("the organisation is not known", "error", err)
	} else if o.ID != "" {
		res.Organisation = &o
	}
	res.Store, err = u.Home.Store()
	return res, err
}

// History lists every change of the installation, the oldest first.
func (u *Updater) History(ctx context.Context) (HistoryResult, error) {
	_, err := u.readable(ctx)
	state := u.Home.State()
	res := HistoryResult{Home: u.Home.Dir(), Product: state.Product, Version: state.Version, Changes: []ChangeInfo{}}
	if err != nil {
		return res, err
	}
	history, err := u.Home.History()
	for _, c := range history {
		res.Changes = append(res.Changes, u.changeInfo(c))
	}
	return res, err
}

// HistoryEntry shows one change with its files.
func (u *Updater) HistoryEntry(ctx context.Context, id int) (ChangeInfo, error) {
	if _, err := u.readable(ctx); err != nil {
		return ChangeInfo{}, err
	}
	history, err := u.Home.History()
	if err != nil {
		return ChangeInfo{}, err
	}
	i := slices.IndexFunc(history, func(c Change) bool { return c.ID == id })
	if i < 0 {
		return ChangeInfo{}, problem.New(problem.Failed, "See the changes with history.", "There is no change #%d", id)
	}
	info := u.changeInfo(history[i])
	info.Files = new(changedFiles(history[i]))
	info.Files.Hotfixed = u.hotfixedBy(history[i])
	return info, nil
}

func (u *Updater) changeInfo(c Change) ChangeInfo {
	f := changedFiles(c)
	return ChangeInfo{
		ID: c.ID, Kind: string(c.Kind), Time: c.Time, From: u.point(nil, c.From), To: u.point(nil, c.To),
		User: c.User, Outcome: c.Outcome,
		Added: len(f.Added), Modified: len(f.Modified), Removed: len(f.Removed),
	}
}

func changedFiles(c Change) Files {
	f := noFiles()
	for _, change := range c.Files {
		switch before, after := change.Before, change.After; {
		case isDir(before) && isDir(after), before == nil && isDir(after), isDir(before) && after == nil:
		case before == nil:
			f.Added = append(f.Added, change.Path)
		case after == nil:
			f.Removed = append(f.Removed, change.Path)
		default:
			f.Modified = append(f.Modified, change.Path)
		}
		switch change.Why {
		case reconcile.Merging, reconcile.Renamed:
			if change.After != nil {
				f.Merged = append(f.Merged, change.Path)
			}
		case reconcile.Resolved:
			f.Resolved = append(f.Resolved, change.Path)
		}
		if change.Customised {
			f.Customised = append(f.Customised, change.Path)
		}
	}
	return f
}

func isDir(e *manifest.Entry) bool { return e != nil && e.Kind == manifest.Dir }

// Recover completes or undoes an interrupted commit; a whole home is left as it is.
func (u *Updater) Recover(ctx context.Context) (RecoverResult, error) {
	res := RecoverResult{Home: u.Home.Dir(), Outcome: "clean", Rescued: []string{}}
	unlock, err := u.Home.Lock()
	if err != nil {
		return res, err
	}
	defer u.unlock(unlock)
	done, err := u.Home.Recover(ctx)
	res.At = u.here(nil)
	if err != nil {
		return res, err
	}
	res.Outcome = done.Outcome
	res.Rescued = append(res.Rescued, done.Rescued...)
	return res, nil
}

// Conflicts lists the conflicts of the pending change; none when nothing is pending.
// With diffs, each comes with what the vendor changed.
func (u *Updater) Conflicts(ctx context.Context, diffs bool) (ConflictsResult, error) {
	err := u.ready(ctx)
	state := u.Home.State()
	at := u.here(nil)
	res := ConflictsResult{Product: state.Product, Version: state.Version, From: at, To: at, Conflicts: []ConflictInfo{}}
	if err != nil {
		return res, err
	}
	pending, err := u.Home.Pending()
	if errors.Is(err, fs.ErrNotExist) {
		return res, nil
	}
	if err != nil {
		return res, err
	}
	u.fillConflicts(&res, pending)
	if diffs {
		u.conflictDiffs(&res)
	}
	return res, nil
}

// Discard drops the pending change; what the operator wrote stays.
func (u *Updater) Discard(ctx context.Context) (*Result, error) {
	res := u.newResult("prepare", u.Home.State())
	err := u.exclusive(ctx, false, func() error {
		pending, err := u.Home.Pending()
		if errors.Is(err, fs.ErrNotExist) {
			res.Outcome = Nothing
			return nil
		}
		if err != nil {
			return err
		}
		return u.drop(pending, res, false)
	})
	return res, err
}

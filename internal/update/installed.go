package update

import (
	"context"
	"io"
	"os"

	"uplevel/internal/install"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// installed is a [Home] on disk.
type installed struct{ *install.Home }

// OnDisk returns the installation that package install opened as the updater uses it.
func OnDisk(h *install.Home) Home { return installed{h} }

func (i installed) State() State {
	s := i.Home.State()
	return State{
		Product: s.Product, Version: s.Version, Channel: s.Channel, Level: s.Level,
		Record: s.Record, Pack: s.Pack, Hotfixes: s.Hotfixes, Others: s.Others, Copy: s.Copy,
	}
}

func (i installed) History() ([]Change, error) {
	entries, err := i.Home.History()
	changes := make([]Change, 0, len(entries))
	for _, e := range entries {
		c := Change{
			ID: e.ID, Kind: e.Kind, RevertTo: e.RevertTo, Time: e.Time,
			From: e.From, To: e.To, User: e.User, Outcome: e.Outcome,
		}
		for _, f := range e.Files {
			c.Files = append(c.Files, FileChange(f))
		}
		changes = append(changes, c)
	}
	return changes, err
}

func (i installed) Decided() ([]Decision, error) {
	all, err := i.Home.Decided()
	out := make([]Decision, 0, len(all))
	for _, d := range all {
		out = append(out, Decision(d))
	}
	return out, err
}

func (i installed) Import(made []Decision, content func(release.Ref) (io.ReadCloser, error)) error {
	all := make([]install.Decision, 0, len(made))
	for _, d := range made {
		all = append(all, install.Decision(d))
	}
	return i.Home.Import(all, content)
}

func (i installed) Organisation() (Organisation, error) {
	o, err := i.Home.Organisation()
	return Organisation(o), err
}

func (i installed) Learn(o Organisation) error { return i.Home.Learn(install.Organisation(o)) }

func (i installed) Free(keep int, look bool) (int64, error) {
	freed, err := i.Home.Free(keep, look)
	return freed.Bytes, err
}

func (i installed) Inspect(ctx context.Context, paths []string, remember bool) (Inspection, error) {
	seen, err := i.Home.Inspect(ctx, paths, remember)
	return Inspection(seen), err
}

func (i installed) Recover(ctx context.Context) (Recovery, error) {
	r, err := i.Home.Recover(ctx)
	return Recovery(r), err
}

func (i installed) Store() (Store, error) {
	s, err := i.Home.Store()
	if err != nil {
		return Store{}, err
	}
	return i.storeOf(s)
}

// storeOf counts the levels that can be gone back to, besides what install counts.
func (i installed) storeOf(s install.Store) (Store, error) {
	history, err := i.History()
	if err != nil {
		return Store{}, err
	}
	levels := 0
	for _, c := range inForce(history) {
		if i.hasAll(c) {
			levels++
		}
	}
	return Store{Bytes: s.Bytes, Levels: levels}, nil
}

func (i installed) hasAll(c Change) bool {
	for _, f := range c.Files {
		if b := f.Before; b != nil && !b.Sum.IsZero() && !i.HasObject(release.Ref{Sum: b.Sum, Size: b.Size}) {
			return false
		}
	}
	return true
}

func (i installed) CheckStore(ctx context.Context) ([]Damage, error) {
	found, err := i.Home.CheckStore(ctx)
	damaged := make([]Damage, 0, len(found))
	for _, d := range found {
		damaged = append(damaged, Damage(d))
	}
	return damaged, err
}

func (i installed) CheckRecords() []Damage {
	var damaged []Damage
	for _, d := range i.Home.CheckRecords() {
		damaged = append(damaged, Damage(d))
	}
	return damaged
}

func (i installed) DiskNeed(p *plan.Plan, x Extra) (int64, string, error) {
	return i.Home.DiskNeed(p, install.Extra(x))
}

func (i installed) Check(p *plan.Plan, x Extra) error { return i.Home.Check(p, install.Extra(x)) }

func (i installed) Prepare(ctx context.Context, p *plan.Plan, src Source, x Extra) error {
	return i.Home.Prepare(ctx, p, src, install.Extra(x))
}

func (i installed) Commit(ctx context.Context) (Committed, error) {
	done, err := i.Home.Commit(ctx)
	if err != nil {
		return Committed{}, err
	}
	store, err := i.storeOf(done.Store)
	if err != nil {
		store = Store{Bytes: done.Store.Bytes} // it is committed: not to be able to count makes no failure of it
	}
	return Committed{
		ID: done.ID, Rescued: done.Rescued, Store: store,
		Backup: done.Backup, BackupBytes: done.Bytes, Duration: done.Duration,
	}, nil
}

func (i installed) Pending() (Pending, error) {
	p, err := i.Home.Pending()
	if err != nil {
		return Pending{}, err
	}
	out := Pending{Plan: p.Plan, Resolved: map[string]string{}}
	for path, r := range p.Resolved {
		out.Resolved[path] = r.Choice
	}
	for _, path := range p.Plan.Conflicts() {
		final, err := i.HasFinal(p, path)
		if err != nil {
			return Pending{}, err
		}
		if final {
			out.Resolved[path] = "final"
		}
	}
	for name := range p.Documents {
		out.Documents = append(out.Documents, name)
	}
	return out, nil
}

func (i installed) Resolve(path string, choice Resolution) error {
	switch {
	case choice.Mine:
		return i.Home.Resolve(path, install.Mine, nil)
	case choice.Theirs:
		return i.Home.Resolve(path, install.Theirs, nil)
	}
	f, err := os.Open(choice.File)
	if err != nil {
		return problem.New(problem.Failed, "Name a file that can be read with --file.", "The resolution of %s cannot be read: %w", path, err)
	}
	defer f.Close()
	return i.Home.Resolve(path, install.Given, io.Reader(f))
}

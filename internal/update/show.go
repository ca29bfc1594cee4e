package update

import (
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

func (u *Updater) newResult(operation string, state State) *Result {
	at := u.here(nil)
	return &Result{
		Operation: operation, Outcome: Failed, Home: u.Home.Dir(),
		Product: state.Product, Version: state.Version, From: at, To: at,
		Files:    noFiles(),
		Merges:   []MergeInfo{},
		Gain:     Gain{Updates: []UpdateNote{}, Floors: []plan.Floor{}, Absorbed: []string{}},
		Hotfixes: noFate(),
		Messages: []api.Message{},
	}
}

func noFiles() Files {
	return Files{
		Added: []string{}, Modified: []string{}, Removed: []string{}, Merged: []string{}, Resolved: []string{}, Conflicts: []string{}, Decided: []string{},
		Kept: []string{}, Absent: []string{}, Adopted: []string{}, Hotfixed: []string{}, Customised: []string{}, Rescued: []string{},
	}
}

// place describes a level; with a view also its signed state.
func (u *Updater) place(view *trust.View, line release.Line, level int) Place {
	p := Place{Channel: line.Channel, Level: level, Name: line.LevelName(level)}
	if view == nil {
		return p
	}
	if listed, err := view.Level(line, level); err == nil {
		p.State, p.Reason = listed.State, listed.Reason
	}
	return p
}

// here describes what is installed.
func (u *Updater) here(view *trust.View) Place { return u.point(view, u.Home.State().point()) }

// point describes a state of the installation: a level with the hotfixes on it.
func (u *Updater) point(view *trust.View, p plan.Point) Place {
	line := u.Home.State().Line()
	line.Channel = p.Channel
	place := u.place(view, line, p.Level)
	if len(p.Hotfixes) > 0 {
		place.Name, place.Hotfixes = p.Name(line), p.HotfixNames()
	}
	return place
}

func (u *Updater) freshness(view *trust.View, why string) Freshness {
	role, at := view.Expires()
	return Freshness{
		Mode: view.Mode(), Reference: view.Reference(), Age: int64(view.Age(u.Now()).Seconds()), Role: role, Expires: at,
		Expired: view.Expired(), Why: why,
	}
}

// show fills the result from a plan. Files that were changed in content are modified;
// changed permission bits count too, as they do in the vendor's notes. customised is nil
// where it was not looked for.
func (r *Result) show(p *plan.Plan, customised []string) {
	r.Plan, r.Download, r.DiskNeed = p, p.Download, p.DiskNeed
	r.Files = filesOf(p)
	r.Merges = []MergeInfo{}
	for _, o := range p.Outcomes {
		if i := o.Inside; i != nil {
			r.Merges = append(r.Merges, MergeInfo{Path: o.Path, How: i.How, RenamedFrom: i.RenamedFrom, Disputes: i.Disputes})
		}
	}
	r.Files.Customised, r.drift = append([]string{}, customised...), customised != nil
}

func filesOf(p *plan.Plan) Files {
	f := noFiles()
	f.Added = p.FilePaths(plan.Add)
	f.Removed = p.FilePaths(plan.Remove)
	f.Conflicts = p.Conflicts()
	f.Kept = p.FilePaths(plan.Kept)
	f.Absent = p.FilePaths(plan.Absent)
	f.Adopted = p.FilePaths(plan.Adopt)
	for _, o := range p.Outcomes {
		switch {
		case o.Why == reconcile.Merging, o.Why == reconcile.Renamed && o.Action == plan.Add:
			f.Merged = append(f.Merged, o.Path)
		case o.Why == reconcile.Resolved:
			f.Resolved = append(f.Resolved, o.Path)
		}
		switch {
		case o.Action == plan.Replace || o.Action == plan.Mode && o.Disk.Kind != manifest.Dir:
			f.Modified = append(f.Modified, o.Path)
		}
	}
	return f
}

// command is what to type to have the change made.
func (r *Result) command() string {
	switch r.Operation {
	case "apply-update", "apply-hotfix", "revert-hotfix", "revert":
		return r.Operation
	}
	return "update"
}

// decided turns conflicts that were committed into what was decided about them.
func (r *Result) decided(pending Pending) {
	for _, o := range pending.Plan.Outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		merged := o.Inside != nil && o.Inside.Mine.Sum != o.Disk.Sum
		switch choice := pending.Resolved[o.Path]; {
		case choice == "mine" && !merged:
			r.Files.Kept = append(r.Files.Kept, o.Path)
		case choice == "theirs" && o.Want == nil:
			r.Files.Removed = append(r.Files.Removed, o.Path)
		default:
			r.Files.Modified = append(r.Files.Modified, o.Path)
		}
	}
	r.Files.Decided, r.Files.Conflicts = r.Files.Conflicts, []string{}
	for _, list := range [][]string{r.Files.Kept, r.Files.Removed, r.Files.Modified} {
		slices.Sort(list)
	}
}

// customised returns the paths whose content is not the manifest's: changed by the
// operator and left by the plan.
func customised(tree, disk manifest.Tree, p *plan.Plan, rules reconcile.Rules) []string {
	paths := []string{}
	for _, e := range tree.Entries() {
		have, there := disk.Lookup(e.Path)
		if !there || have.SameContent(e) || rules.Generated.Match(e.Path) || rules.Data.Match(e.Path) {
			continue
		}
		if o, ok := outcomeAt(p, e.Path); ok && (o.Action == plan.Replace || o.Action == plan.Remove || o.Action == plan.Adopt) {
			continue
		}
		paths = append(paths, e.Path)
	}
	return paths
}

func outcomeAt(p *plan.Plan, path string) (plan.Outcome, bool) {
	i, ok := slices.BinarySearchFunc(p.Outcomes, path, func(o plan.Outcome, path string) int {
		switch {
		case o.Path < path:
			return -1
		case o.Path > path:
			return 1
		}
		return 0
	})
	if !ok {
		return plan.Outcome{}, false
	}
	return p.Outcomes[i], true
}

func sameEntry(a, b *manifest.Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Same(*b)
}

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
	at := u.place(nil, state.Line(), state.Level)
	return &Result{
		Operation: operation, Outcome: Failed, Home: u.Home.Dir(),
		Product: state.Product, Version: state.Version, From: at, To: at,
		Files:    noFiles(),
		Gain:     Gain{Updates: []UpdateNote{}, Floors: []plan.Floor{}, Absorbed: []string{}},
		Messages: []api.Message{},
	}
}

func noFiles() Files {
	return Files{
		Added: []string{}, Modified: []string{}, Removed: []string{}, Merged: []string{}, Conflicts: []string{},
		Kept: []string{}, Absent: []string{}, Adopted: []string{}, Customised: []string{}, Rescued: []string{},
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

func freshness(view *trust.View, why string) Freshness {
	role, at := view.Expires()
	return Freshness{
		Mode: view.Mode(), Reference: view.Reference(), Role: role, Expires: at,
		Expired: view.Expired(), Why: why,
	}
}

// show fills the result from a plan. Files that were changed in content are modified;
// changed permission bits count too, as they do in the vendor's notes.
func (r *Result) show(p *plan.Plan, customised []string) {
	r.Plan, r.Download, r.DiskNeed = p, p.Download, p.DiskNeed
	r.Files = filesOf(p)
	r.Files.Customised = append([]string{}, customised...)
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
		case o.Action == plan.Replace && o.Source == plan.FromFile:
			f.Merged = append(f.Merged, o.Path)
		case o.Action == plan.Replace || o.Action == plan.Mode && o.Disk.Kind != manifest.Dir:
			f.Modified = append(f.Modified, o.Path)
		}
	}
	return f
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

package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// applied is a hotfix on a level.
type applied struct {
	plan.Applied

	payload []byte // what the vendor signed
	record  hotfix.Record
}

func payloads(hotfixes []applied) [][]byte {
	var all [][]byte
	for _, a := range hotfixes {
		all = append(all, a.payload)
	}
	return all
}

// kept reads an applied hotfix from the store, which had it from a verified zip.
func (u *Updater) kept(a plan.Applied) (applied, error) {
	data, err := u.stored(a.Record)
	if err != nil && u.brought != nil && u.brought.Has(a.Record.Sum) {
		data, err = readOpened(u.brought.Open(a.Record))
	}
	var record hotfix.Record
	if err == nil {
		record, err = hotfix.Parse(data)
	}
	if err == nil {
		return applied{a, data, record}, nil
	}
	why := "is damaged"
	if errors.Is(err, fs.ErrNotExist) {
		why = "is missing"
	}
	return applied{}, problem.New(problem.Verification, "Run verify --repair --from with the zip of that hotfix, or bring this file back from a backup of the product.",
		"The record of hotfix %s, updates/store/%s, %s: %w", a.Name, a.Record.Sum, why, err)
}

// laid returns the level with hotfixes on it.
func (u *Updater) laid(l level, ledger []plan.Applied) (level, error) {
	for _, a := range ledger {
		h, err := u.kept(a)
		if err != nil {
			return level{}, err
		}
		if l, err = l.with(h); err != nil {
			return level{}, err
		}
	}
	return l, nil
}

// with returns the level with one more hotfix, which must fit.
func (l level) with(h applied) (level, error) {
	over, err := h.record.Overlay(l.tree)
	if err != nil {
		return level{}, err
	}
	l.tree = over
	l.hotfixes = append(slices.Clone(l.hotfixes), h)
	return l, nil
}

// hotfixed returns what the hotfixes have at each path that they change: nil where they
// remove something.
func (l level) hotfixed() map[string]*manifest.Entry {
	have := map[string]*manifest.Entry{}
	for _, h := range l.hotfixes {
		for _, f := range h.record.Files {
			have[f.Path] = nil
			if f.Want != nil {
				have[f.Path] = new(f.Want.At(f.Path))
			}
		}
	}
	return have
}

func noFate() Fate { return Fate{Absorbed: []string{}, Kept: []string{}, Blocking: []string{}} }

// fate tells what becomes of the applied hotfixes at an update to a level, over levels
// with the notes way.
func (u *Updater) fate(ctx context.Context, to release.Listed, way []release.Notes) (Fate, error) {
	state := u.Home.State()
	names := append(plan.Names(state.Hotfixes), state.Others...)
	out := noFate()
	if len(names) == 0 {
		return out, nil
	}
	wanted, err := u.notes(ctx, to)
	if err != nil {
		return out, err
	}
	f := hotfix.Absorb(names, way, wanted)
	for _, name := range state.Others { // there is no record to lay over the level
		if i := slices.Index(f.Kept, name); i >= 0 {
			f.Kept, f.Refused = slices.Delete(f.Kept, i, i+1), append(f.Refused, name)
		}
	}
	out.Absorbed, out.Kept, out.Blocking = append(out.Absorbed, f.Absorbed...), append(out.Kept, f.Kept...), append(out.Blocking, f.Refused...)
	return out, nil
}

// carryOver decides about the applied hotfixes: what no level contains refuses the
// update, what the wanted level keeps is laid over it.
func (j *job) carryOver(ctx context.Context, way []release.Notes) (err error) {
	if j.res.Hotfixes, err = j.u.fate(ctx, j.target, way); err != nil {
		return err
	}
	blocking := j.res.Hotfixes.Blocking
	if others := slices.DeleteFunc(slices.Clone(j.state.Others), func(n string) bool { return !slices.Contains(blocking, n) }); len(others) > 0 {
		return ofAnotherTool(others)
	}
	if len(blocking) > 0 {
		return blocked(j.line.LevelName(j.target.Level), blocking)
	}
	if j.to, err = j.u.carried(j.to, j.res.Hotfixes); err != nil {
		return err
	}
	j.res.To = j.u.point(j.view, j.to.point())
	return nil
}

// carried returns a level with those of the applied hotfixes on it that are carried over.
// One that does not fit refuses the update: nothing here is damaged, the vendor has to act.
func (u *Updater) carried(to level, fate Fate) (level, error) {
	for _, a := range u.Home.State().Hotfixes {
		if !slices.Contains(fate.Kept, a.Name) {
			continue
		}
		h, err := u.kept(a)
		if err != nil {
			return level{}, err
		}
		if to, err = to.with(h); err != nil {
			return level{}, problem.New(problem.Refused, "Ask the vendor for a level or a hotfix that fits, or take it back with revert-hotfix.", "%w", err)
		}
	}
	return to, nil
}

// ofAnotherTool refuses a change that would forget hotfixes which another tool applied.
func ofAnotherTool(names []string) error {
	return problem.New(problem.Refused,
		"Take them back with that tool, then try again. If what they changed may go, empty hotfixes in updates/config.json.",
		"Hotfixes that another tool applied would be forgotten: %.400s", strings.Join(names, ", "))
}

func blocked(level string, names []string) error {
	them, contains := "it", "is not contained in"
	if len(names) > 1 {
		them, contains = "them", "are not contained in"
	}
	return problem.New(problem.Refused,
		"Ask the vendor for a level that contains "+them+", or take "+them+" back, the last first, with revert-hotfix.",
		"Hotfix %s %s level %s, which does not carry %s over either", strings.Join(names, ", "), contains, level, them)
}

// hotfixedBy returns the paths of a change at which a hotfix's file stood before, or
// stands since. Records of hotfixes that are not kept any more tell nothing.
func (u *Updater) hotfixedBy(c Change) []string {
	before, after := u.knownOn(c.From), u.knownOn(c.To)
	paths := []string{}
	for _, f := range c.Files {
		b, a := before[f.Path], after[f.Path]
		if b != nil && f.Before != nil && b.SameContent(*f.Before) || a != nil && f.After != nil && a.SameContent(*f.After) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func (u *Updater) knownOn(p plan.Point) map[string]*manifest.Entry {
	var l level
	for _, a := range p.Hotfixes {
		if h, err := u.kept(a); err == nil {
			l.hotfixes = append(l.hotfixes, h)
		}
	}
	return l.hotfixed()
}

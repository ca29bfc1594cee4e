package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
)

// Committed says what a commit did beyond its plan.
type Committed struct {
	ID       int
	Rescued  []string // files of the operator's that came in the way meanwhile
	Store    Store
	Backup   string
	Bytes    int64         // of the backup
	Duration time.Duration // from the commit point to its end
}

// Commit brings the prepared change about, wholly or not at all. Unresolved conflicts
// are an error of kind [problem.Conflicts], something changed meanwhile is refused; in
// both cases nothing happened. Once the commit point is passed ctx no longer matters.
func (h *Home) Commit(ctx context.Context) (Committed, error) {
	p, err := h.Pending()
	if err != nil {
		return Committed{}, err
	}
	open, err := h.Unresolved(p)
	if err != nil {
		return Committed{}, err
	}
	if len(open) > 0 {
		return Committed{}, h.unresolved(p, open)
	}
	if err := h.startsHere(p.Plan.From); err != nil {
		return Committed{}, err
	}
	c := &committer{home: h, pending: p, journal: journal{
		Format: 1, ID: p.ID, Direction: forward,
		What: fmt.Sprintf("%s %s → %s", p.Plan.Kind, h.state.Line().LevelName(p.Plan.From.Level), p.Plan.Line().LevelName(p.Plan.To.Level)),
	}}
	backup, err := h.backUp(ctx, p)
	if err == nil {
		err = c.build()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = backup.keep(h, p)
	}
	if err != nil {
		backup.drop()
		return Committed{}, h.standing(errors.Join(err, h.dropUnheld()))
	}
	return backup.after(c.commit())
}

type committer struct {
	home    *Home
	pending *Pending
	journal journal
	files   []FileChange
	decided []Decision // remembered after this commit
	n       int
}

// build makes everything that the journal will name, without touching the product.
func (c *committer) build() error {
	resolved, err := c.resolve()
	if err != nil {
		return err
	}
	if err := c.operations(resolved); err != nil {
		return err
	}
	if err := c.remember(resolved); err != nil {
		return err
	}
	if c.journal.Operations, err = c.openClosed(resolved, c.journal.Operations); err != nil {
		return err
	}
	if err := c.tidySides(); err != nil {
		return err
	}
	if err := c.ownFiles(); err != nil {
		return err
	}
	if err := c.secondNames(); err != nil {
		return err
	}
	if err := c.identify(); err != nil {
		return err
	}
	if c.journal.Staging, err = c.existing(); err != nil {
		return err
	}
	back := c.journal
	back.Direction = undo
	if err := c.home.writeJournal(undoFile, back); err != nil {
		return err
	}
	return c.home.syncFolders(c.journal.Staging)
}

// resolve replaces conflicts by the operator's decisions.
func (c *committer) resolve() ([]plan.Outcome, error) {
	outcomes := slices.Clone(c.pending.Plan.Outcomes)
	for i, o := range outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		decided, err := c.decide(o)
		if err != nil {
			return nil, err
		}
		outcomes[i] = decided
	}
	return outcomes, nil
}

func (c *committer) decide(o plan.Outcome) (plan.Outcome, error) {
	h, path := c.home, o.Path
	if final, err := h.HasFinal(c.pending, path); err != nil || final {
		return c.takeFinal(o)
	}
	r := c.pending.Resolved[path]
	o.Why = "resolved"
	switch r.Choice {
	case Mine:
		o.Action, o.Result = plan.Kept, o.Disk
		if st, ok := c.pending.Mine[path]; ok {
			mine := choice(o, *o.Disk, o.Inside.Mine)
			o.Action, o.Result, c.pending.Staged[path] = plan.Replace, &mine, st
		}
	case Theirs:
		o.Action, o.Result = plan.Remove, nil
		if o.Want != nil {
			theirs := choice(o, *o.Want, theirsOf(o))
			o.Action, o.Result, c.pending.Staged[path] = plan.Replace, &theirs, c.pending.Theirs[path]
		}
	case Given:
		entry := r.Entry
		o.Action, o.Result = plan.Replace, &entry
		c.pending.Staged[path] = staged{New: r.New, Was: c.pending.Staged[path].Was}
	default:
		return o, fmt.Errorf("%s: unknown resolution %.40q", path, r.Choice)
	}
	return o, nil
}

// takeFinal stages a copy of F.final; the file itself goes with the other side files.
func (c *committer) takeFinal(o plan.Outcome) (plan.Outcome, error) {
	h := c.home
	f, err := h.OpenFile(o.Path + ".final")
	if err != nil {
		return o, err
	}
	defer f.Close()
	m, err := h.findMounts()
	if err != nil {
		return o, err
	}
	c.n++
	st := staged{New: fmt.Sprintf("%s/final-%d", m.staging(o.Path), c.n), Was: c.pending.Staged[o.Path].Was}
	if err := ignoreMissing(h.root.Remove(st.New)); err != nil {
		return o, err
	}
	entry, err := h.stageFile(st.New, o.Path, o.Path, f, modeOf(o))
	if err != nil {
		return o, err
	}
	c.pending.Staged[o.Path] = st
	o.Action, o.Result, o.Why = plan.Replace, &entry, "resolved"
	return o, nil
}

// operations turns outcomes into steps: what goes first, then what comes, then folders
// that became empty; bits last, for they may close a folder to further change.
func (c *committer) operations(outcomes []plan.Outcome) error {
	var gone, folders, come, bits, emptied []operation
	turned := "" // the last folder that becomes something else; what it held goes first
	for _, o := range outcomes {
		if !o.Action.Changes() {
			continue
		}
		st := c.pending.Staged[o.Path]
		if err := c.home.asPlanned(o, st); err != nil {
			return err
		}
		c.files = append(c.files, fileChange(o))
		wasDir := o.Disk != nil && o.Disk.Kind == manifest.Dir
		becomesDir := o.Result != nil && o.Result.Kind == manifest.Dir
		if becomesDir && !wasDir && (st.Tree == "" || st.Tree == o.Path) && fs.FileMode(o.Result.Mode)&ownerWrites == 0 {
			bits = append(bits, operation{Kind: chmod, Path: o.Path, Mode: o.Result.Mode, OldMode: o.Result.Mode | uint32(ownerWrites)})
		}
		switch {
		case o.Action == plan.Mode:
			bits = append(bits, operation{Kind: chmod, Path: o.Path, Mode: o.Result.Mode, OldMode: o.Disk.Mode})
		case o.Action == plan.Remove && wasDir && turned != "" && strings.HasPrefix(o.Path, turned+"/"):
			folders = append(folders, operation{Kind: rmdir, Path: o.Path, OldMode: o.Disk.Mode})
		case o.Action == plan.Remove && wasDir:
			emptied = append(emptied, operation{Kind: rmdir, Path: o.Path, OldMode: o.Disk.Mode})
		case o.Action == plan.Remove:
			gone = append(gone, operation{Kind: remove, Path: o.Path, Was: st.Was})
		case wasDir && !becomesDir:
			turned = o.Path
			folders = append(folders, operation{Kind: rmdir, Path: o.Path, OldMode: o.Disk.Mode})
			come = append(come, operation{Kind: place, Path: o.Path, New: st.New})
		case becomesDir && o.Disk != nil && !wasDir:
			gone = append(gone, operation{Kind: remove, Path: o.Path, Was: st.Was})
			come = append(come, operation{Kind: place, Path: o.Path, New: st.New, Tree: true})
		case st.Tree != "" && st.Tree != o.Path:
			// It comes in with the new folder it lies in.
		default:
			come = append(come, operation{Kind: place, Path: o.Path, New: st.New, Was: st.Was, Tree: becomesDir})
		}
	}
	slices.Reverse(folders) // the deepest first
	slices.Reverse(emptied)
	c.journal.Operations = slices.Concat(gone, folders, come, emptied, bits)
	return nil
}

func fileChange(o plan.Outcome) FileChange {
	f := FileChange{Path: o.Path, Before: o.Disk, After: o.Result, Why: o.Why}
	f.Customised = o.Disk != nil && o.Base != nil && !o.Disk.SameContent(*o.Base)
	return f
}

// asPlanned refuses when what stands at a path is not what was prepared for.
func (h *Home) asPlanned(o plan.Outcome, st staged) error {
	info, err := h.lstat(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if o.Disk == nil {
			return nil
		}
		return changedMeanwhile(o.Path, err)
	}
	if err != nil {
		return err
	}
	switch {
	case o.Disk == nil:
		return changedMeanwhile(o.Path, fs.ErrExist)
	case o.Disk.Kind == manifest.Dir:
		if !info.IsDir() || uint32(info.Mode().Perm()) != o.Disk.Mode {
			return changedMeanwhile(o.Path, nil)
		}
		return nil
	case st.Was != nil && st.Was.is(identityOf(info)) && st.Was.Mode == identityOf(info).Mode:
		return nil
	}
	return changedMeanwhile(o.Path, nil)
}

// tidySides removes side files, and every F.final that was taken, in the same commit.
func (c *committer) tidySides() error {
	sides := slices.Clone(c.pending.Sides)
	for _, path := range c.pending.Plan.Conflicts() {
		if final, err := c.home.HasFinal(c.pending, path); err != nil {
			return err
		} else if final {
			sides = append(sides, path+".final")
		}
	}
	for _, side := range append(sides, pendingFile) {
		info, err := c.home.lstat(side)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		id := identityOf(info)
		c.journal.Operations = append(c.journal.Operations, operation{Kind: remove, Path: side, Was: &id})
	}
	return nil
}

// identify notes what lies ready, so that an undo can tell it from what somebody puts in its
// place. What a running product writes into a new folder changes that, so folders go without.
func (c *committer) identify() error {
	for i := range c.journal.Operations {
		o := &c.journal.Operations[i]
		if o.Kind != place || o.Tree {
			continue
		}
		info, err := c.home.lstat(o.New)
		if err != nil {
			return fmt.Errorf("what lies ready for %s: %w", o.Path, err)
		}
		id := identityOf(info)
		o.Now = &id
	}
	return nil
}

// existing returns the staging folders that are there.
func (c *committer) existing() ([]string, error) {
	var there []string
	for _, folder := range c.pending.Staging {
		stands, err := c.home.present(folder)
		if err != nil {
			return nil, err
		}
		if stands {
			there = append(there, folder)
		}
	}
	return there, nil
}

// commit passes the commit point and does every operation, or takes all of them back.
func (c *committer) commit() (Committed, error) {
	h := c.home
	began := h.opts.Now()
	done := Committed{ID: c.pending.ID}
	if err := h.writeJournal(journalFile, c.journal); err != nil {
		// The journal may have its name: only where it is gone for certain, nothing began.
		gone := durable.Remove(h.abs(journalFile))
		if gone == nil {
			return done, h.standing(err)
		}
		_, err = h.rollBack(c.journal, errors.Join(err, gone), nil)
		return done, err
	}
	rescued, err := h.forward(c.journal)
	if err != nil {
		done.Rescued, err = h.rollBack(c.journal, err, rescued)
		return done, err
	}
	done.Rescued, done.Duration = rescued, h.opts.Now().Sub(began)
	// It is committed and durable: nothing below makes a failure of it, and the next
	// command cleans what is left.
	_ = h.removeStagingFolders(c.pending.Staging)
	h.state = c.pending.State
	done.Store, _ = h.Store()
	return done, nil
}

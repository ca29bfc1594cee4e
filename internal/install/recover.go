package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// Recovery says what a recovery found.
type Recovery struct {
	Outcome string   `json:"outcome"` // clean, completed or undone
	Rescued []string `json:"rescued"`
}

// Recover completes or undoes a commit that was cut, and removes what staging left. It
// needs renames and unlinks only, and can itself be cut. The home must be locked.
func (h *Home) Recover(ctx context.Context) (Recovery, error) {
	done := Recovery{Outcome: "clean", Rescued: []string{}}
	if h.CommitOpen() {
		if err := h.recoverCommit(&done); err != nil {
			return done, err
		}
	}
	if err := h.dropUnheld(); err != nil {
		return done, err
	}
	if err := h.cleanLitter(ctx); err != nil {
		return done, fmt.Errorf("removing what a cut left: %w", err)
	}
	return done, h.readState()
}

func (h *Home) recoverCommit(done *Recovery) error {
	j, err := h.readJournal()
	if err != nil {
		return err
	}
	if err := h.reachable(j); err != nil {
		return err
	}
	if j.Direction == undo {
		done.Outcome = "undone"
		if done.Rescued, err = h.undoAll(j); err != nil {
			return h.broken(err)
		}
		return nil
	}
	done.Outcome = "completed"
	if done.Rescued, err = h.forward(j); err == nil {
		return nil
	}
	done.Outcome = "undone"
	done.Rescued, err = h.rollBack(j, err, done.Rescued)
	if problem.KindOf(err) != problem.RolledBack {
		return err
	}
	return nil
}

// reachable refuses to recover while a file system that the commit touched is not
// mounted: what lies ready there would be taken for done.
func (h *Home) reachable(j journal) error {
	for _, f := range j.Staging {
		if f == stagingDir {
			continue // beside the journal
		}
		there, err := h.present(f)
		if err != nil {
			return h.broken(fmt.Errorf("looking at %s: %w", f, err))
		}
		if !there {
			return problem.New(problem.Broken, "Mount what is mounted below the product, then run recover.",
				"A commit was cut, and %s, which it needs, is not there", f).Standing(openCommit)
		}
	}
	return nil
}

// dropUnheld drops a prepared change that no later command waits for.
func (h *Home) dropUnheld() error {
	p, err := h.Pending()
	if err != nil || p.Held {
		return ignoreRefused(ignoreMissing(err))
	}
	return h.Discard()
}

func ignoreRefused(err error) error {
	if problem.KindOf(err) == problem.Refused {
		return nil // damaged: the command that uses it says so
	}
	return err
}

// forward does every operation of a journal that is not done yet, makes all of it
// durable, and closes the journal.
func (h *Home) forward(j journal) ([]string, error) {
	rescued := []string{}
	for _, o := range j.Operations {
		if err := h.fault(); err != nil {
			return rescued, err
		}
		name, err := h.do(o, j.ID)
		if name != "" {
			rescued = append(rescued, name)
		}
		if err != nil {
			return rescued, fmt.Errorf("%s %s: %w", o.Kind, o.Path, err)
		}
	}
	written, err := h.keepWritten(j)
	rescued = append(rescued, written...)
	if err != nil {
		return rescued, err
	}
	return rescued, h.closeJournal(j)
}

func (h *Home) fault() error {
	if h.opts.Fault == nil {
		return nil
	}
	return h.opts.Fault()
}

// closeJournal makes what was done durable, then takes the journal away, durably.
func (h *Home) closeJournal(j journal) error {
	if err := h.syncDone(j); err != nil {
		return err
	}
	return durable.Remove(h.abs(journalFile))
}

// syncDone syncs one folder of every file system that the journal touched.
func (h *Home) syncDone(j journal) error {
	m, err := h.findMounts()
	if err != nil {
		return err
	}
	byMount := map[string]map[string]bool{}
	for _, o := range j.Operations {
		at := m.of(o.Path)
		if byMount[at] == nil {
			byMount[at] = map[string]bool{}
		}
		byMount[at][parent(o.Path)] = true
	}
	for at, folders := range byMount {
		err := durable.SyncFS(h.abs(at))
		if errors.Is(err, errors.ErrUnsupported) {
			err = h.syncDirs(folders)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Home) syncDirs(folders map[string]bool) error {
	for f := range folders {
		if err := durable.SyncDir(h.abs(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rollBack turns the journal to undo, by one rename, and takes every operation back. It
// returns rescued with the names of more files of the operator's that were.
func (h *Home) rollBack(j journal, cause error, rescued []string) ([]string, error) {
	if err := durable.Rename(h.abs(undoFile), h.abs(journalFile)); err != nil && !h.undoing() {
		return rescued, h.broken(errors.Join(cause, err))
	}
	more, err := h.undoAll(j)
	rescued = append(h.stillAside(rescued), more...)
	if err != nil {
		return rescued, h.broken(errors.Join(cause, err))
	}
	stands := "The product is wholly at its old level."
	if len(rescued) > 0 {
		stands += " Put aside, for it came in the way: " + strings.Join(rescued, ", ") + "."
	}
	return rescued, problem.New(problem.RolledBack, "Look at the cause, then run the command again.",
		"The change failed and was taken back: %w", cause).Standing(stands)
}

// stillAside returns those of names that an undo did not give back.
func (h *Home) stillAside(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		there, err := h.present(name)
		return err == nil && !there
	})
}

func (h *Home) undoing() bool {
	j, err := h.readJournal()
	return err == nil && j.Direction == undo
}

// undoAll takes every operation back, the last first, and stops at the first that
// cannot be: those before it may build on it.
func (h *Home) undoAll(j journal) ([]string, error) {
	rescued := []string{}
	for _, o := range slices.Backward(j.Operations) {
		name, err := h.back(o, j.ID)
		if name != "" {
			rescued = append(rescued, name)
		}
		if err != nil {
			return rescued, fmt.Errorf("taking back %s %s: %w", o.Kind, o.Path, err)
		}
	}
	return rescued, h.closeJournal(j)
}

const openCommit = "updates/COMMITTING lists what was under way; do not start the product before recover ends with 0."

// broken says that a change stands half done, or is done and the disk does not confirm it.
func (h *Home) broken(cause error) error {
	said := problem.New(problem.Broken, "Mend the cause (a disk that is full, read-only or failing), then run recover.",
		"The change failed and could not be taken back yet: %w", cause)
	if !h.CommitOpen() {
		return said.Standing("The product is whole, but the disk does not confirm it; do not start the product before recover and verify end with 0.")
	}
	return said.Standing(openCommit)
}

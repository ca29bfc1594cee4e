package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	if j.Direction == undo {
		done.Outcome = "undone"
		return h.undoAll(j)
	}
	done.Outcome = "completed"
	rescued, err := h.forward(j)
	done.Rescued = append(done.Rescued, rescued...)
	if err == nil {
		return nil
	}
	done.Outcome = "undone"
	if rolled := h.rollBack(j, err); problem.KindOf(rolled) != problem.RolledBack {
		return rolled
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
	var rescued []string
	for _, o := range j.Operations {
		if err := h.fault(); err != nil {
			return nil, err
		}
		name, err := h.do(o, j.ID)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Kind, o.Path, err)
		}
		if name != "" {
			rescued = append(rescued, name)
		}
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

// rollBack turns the journal to undo, by one rename, and takes every operation back.
func (h *Home) rollBack(j journal, cause error) error {
	if err := durable.Rename(h.abs(undoFile), h.abs(journalFile)); err != nil && !h.undoing() {
		return broken(errors.Join(cause, err))
	}
	if err := h.undoAll(j); err != nil {
		return broken(errors.Join(cause, err))
	}
	return problem.New(problem.RolledBack, "Look at the cause, then run the command again.",
		"The change failed and was taken back: %w", cause).
		Standing("The product is wholly at its old level.")
}

func (h *Home) undoing() bool {
	j, err := h.readJournal()
	return err == nil && j.Direction == undo
}

// undoAll takes every operation back, the last first, and stops at the first that
// cannot be: those before it may build on it.
func (h *Home) undoAll(j journal) error {
	for _, o := range slices.Backward(j.Operations) {
		if err := h.back(o); err != nil {
			return fmt.Errorf("taking back %s %s: %w", o.Kind, o.Path, err)
		}
	}
	return h.closeJournal(j)
}

func broken(cause error) error {
	return problem.New(problem.Broken, "Mend the cause (a disk that is full, read-only or failing), then run recover.",
		"The change failed and could not be taken back yet: %w", cause).
		Standing("updates/COMMITTING lists what was under way; do not start the product before recover ends with 0.")
}

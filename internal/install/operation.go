package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// kind is what an operation of a commit does. Each can be done again, and taken back,
// any number of times.
type kind string

const (
	place  kind = "place"  // rename New to Path
	remove kind = "remove" // unlink Path
	rmdir  kind = "rmdir"  // remove the folder Path if it is empty
	chmod  kind = "chmod"  // set the permission bits of Path
)

// operation is one step of a commit. Paths are relative to the home.
type operation struct {
	Kind    kind      `json:"kind"`
	Path    string    `json:"path"`
	New     string    `json:"new,omitempty"`  // where the staged result lies
	Now     *identity `json:"now,omitempty"`  // of that; nil: of a whole new folder, or not known
	Tree    bool      `json:"tree,omitempty"` // the staged result is a whole new folder
	Old     string    `json:"old,omitempty"`  // second name of what stood at Path; of a folder: its empty twin
	Was     *identity `json:"was,omitempty"`  // of what stood at Path; nil: nothing
	Mode    uint32    `json:"mode,omitempty"`
	OldMode uint32    `json:"old_mode,omitempty"`
}

// direction is where recovery goes. It changes once, from forward to undo.
type direction string

const (
	forward direction = "forward"
	undo    direction = "undo"
)

// journal is updates/COMMITTING: everything recovery needs to know.
type journal struct {
	Format     int         `json:"format"` // 1
	ID         int         `json:"id"`     // of the history entry
	What       string      `json:"what"`   // for people: "update 1.0.0 → 1.0.4"
	Direction  direction   `json:"direction"`
	Staging    []string    `json:"staging"`
	Operations []operation `json:"operations"`
}

func (h *Home) writeJournal(rel string, j journal) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return durable.WriteFile(h.abs(rel), append(data, '\n'), 0o644)
}

func (h *Home) readJournal() (journal, error) {
	data, err := h.readJournalBytes()
	if err != nil {
		return journal{}, err
	}
	var j journal
	err = json.Unmarshal(data, &j)
	if err == nil {
		err = j.check()
	}
	if err != nil {
		return journal{}, problem.New(problem.Broken, "Send updates/COMMITTING to support; change nothing by hand.",
			"updates/COMMITTING cannot be understood by this tool: %w", err)
	}
	return j, nil
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("unknown format")
	}
	return err
}

// do carries an operation out, or finds it done. It returns the name under which a file
// of the operator's was rescued that came to stand in the way meanwhile.
func (h *Home) do(o operation, id int) (rescued string, err error) {
	switch o.Kind {
	case place:
		return h.place(o, id)
	case remove:
		return "", h.unlinkIf(o)
	case rmdir:
		return "", h.removeFolder(o.Path)
	case chmod:
		return "", h.setMode(o.Path, o.Mode)
	}
	return "", fmt.Errorf("unknown operation %q", o.Kind)
}

// removeFolder removes an empty folder. One that is not empty stays, for a foreign file
// lives there; what is no folder any more was replaced before the cut.
func (h *Home) removeFolder(path string) error {
	info, err := h.lstat(path)
	if err != nil || !info.IsDir() {
		return ignoreMissing(err)
	}
	if err := h.root.Remove(path); err != nil && !notEmpty(err) {
		return ignoreMissing(err)
	}
	return nil
}

func (h *Home) place(o operation, id int) (rescued string, err error) {
	staged, err := h.present(o.New)
	if err != nil {
		return "", err
	}
	info, err := h.lstat(o.Path)
	if err := ignoreMissing(err); err != nil {
		return "", err
	}
	there := err == nil
	former := there && o.Was != nil && o.Was.is(identityOf(info))
	switch {
	case !staged && there && !former:
		return "", nil // renamed before the cut; whatever became of it since is somebody's work
	case !staged:
		return "", fmt.Errorf("what lay ready for it in %s is gone", o.New)
	case there && !former:
		if rescued, err = h.rescue(o.Path, id); err != nil {
			return "", err
		}
	}
	return rescued, h.root.Rename(o.New, o.Path)
}

// rescue gives what the operator put in the way another name, one that is free.
func (h *Home) rescue(path string, id int) (string, error) {
	name := rescuedName(path, id)
	for n := 2; ; n++ {
		taken, err := h.present(name)
		if err != nil {
			return "", fmt.Errorf("rescuing %s: %w", path, err)
		}
		if !taken {
			break
		}
		name = fmt.Sprintf("%s.rescued-%d-%d", path, id, n)
	}
	if err := h.root.Rename(path, name); err != nil {
		return "", fmt.Errorf("rescuing %s: %w", path, err)
	}
	return name, nil
}

func rescuedName(path string, id int) string { return fmt.Sprintf("%s.rescued-%d", path, id) }

// special are the bits of a mode that no level speaks of.
const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// setMode sets the permission bits of what stands at path; special ones stay.
func (h *Home) setMode(path string, mode uint32) error {
	info, err := h.lstat(path)
	if err != nil {
		return ignoreMissing(err)
	}
	return ignoreMissing(h.root.Chmod(path, fs.FileMode(mode)&fs.ModePerm|info.Mode()&special))
}

// unlinkIf removes what stood there when the commit began, and nothing else.
func (h *Home) unlinkIf(o operation) error {
	info, err := h.lstat(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.Was == nil || !o.Was.is(identityOf(info)) {
		return nil
	}
	return h.root.Remove(o.Path)
}

// back takes an operation back, or finds it never done. It returns the name under which
// a file of the operator's was rescued.
func (h *Home) back(o operation, id int) (rescued string, err error) {
	switch o.Kind {
	case place:
		return h.unplace(o, id)
	case remove:
		return h.restoreOld(o, id)
	case rmdir:
		return "", h.restoreFolder(o)
	case chmod:
		return "", h.setMode(o.Path, o.OldMode)
	}
	return "", fmt.Errorf("unknown operation %q", o.Kind)
}

// unplace takes back what came where nothing stood. What somebody put in its place since stays
// there: it is in nobody's way.
func (h *Home) unplace(o operation, id int) (rescued string, err error) {
	if o.Old != "" {
		return h.restoreOld(o, id)
	}
	if staged, err := h.present(o.New); err != nil || staged {
		return "", err // was never placed
	}
	info, err := h.lstat(o.Path)
	if err := ignoreMissing(err); err != nil {
		return "", err
	}
	// What was placed goes back to where it was staged: a folder may hold by now what a
	// running product wrote into it.
	if err == nil && o.placed(info) {
		if err := h.root.Rename(o.Path, o.New); err != nil {
			return "", err
		}
	}
	return "", h.unrescue(o.Path, id)
}

// placed reports whether what stands at the path now is what this operation put there. A
// number of a file may change with a mount; its time does not.
func (o operation) placed(info fs.FileInfo) bool {
	if o.Now == nil {
		return o.Tree == info.IsDir()
	}
	now := identityOf(info)
	return now.Size == o.Now.Size && now.Modified == o.Now.Modified
}

// unrescue gives what was rescued from a place its name again, now that the place is as
// it was.
func (h *Home) unrescue(path string, id int) error {
	if stands, err := h.present(path); err != nil || stands {
		return err
	}
	return ignoreMissing(h.root.Rename(rescuedName(path, id), path))
}

// restoreFolder brings back a folder that was removed, in the shape of its twin.
func (h *Home) restoreFolder(o operation) error {
	stands, err := h.present(o.Path)
	if err != nil {
		return err
	}
	if !stands {
		if err := h.root.Rename(o.Old, o.Path); err != nil {
			return err
		}
	}
	if fs.FileMode(o.OldMode)&ownerWrites == 0 {
		return h.setMode(o.Path, o.OldMode)
	}
	return nil
}

// restoreOld brings back what stood at a path. Nothing is concluded from a look that
// failed: only from what is there, or certainly is not.
func (h *Home) restoreOld(o operation, id int) (rescued string, err error) {
	kept, err := h.present(o.Old)
	if err != nil {
		return "", err
	}
	staged := false
	if o.Kind == place {
		if staged, err = h.present(o.New); err != nil {
			return "", err
		}
	}
	info, err := h.lstat(o.Path)
	came := err == nil && o.Kind == place && !staged && o.placed(info)
	switch {
	case ignoreMissing(err) != nil:
		return "", err
	case !kept && came:
		return "", fmt.Errorf("what stood there is gone from %s", o.Old)
	case !kept:
		return "", nil // restored before the cut
	case err != nil: // nothing stands there
	case o.Was.is(identityOf(info)):
		return "", h.root.Remove(o.Old) // never replaced: both are names of one file
	case came:
		if err := h.root.Rename(o.Path, o.New); err != nil {
			return "", err
		}
	default: // somebody put something there while the commit lay open
		if rescued, err = h.rescue(o.Path, id); err != nil {
			return "", err
		}
	}
	return rescued, h.root.Rename(o.Old, o.Path)
}

// present reports whether something is at rel, or why that cannot be known.
func (h *Home) present(rel string) (bool, error) {
	_, err := h.lstat(rel)
	return err == nil, ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

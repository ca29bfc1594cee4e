package install

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"uplevel/internal/plan"
)

// closed are the folders that exist, in which something changes, and which their owner
// may not write: a level may ship such, and must be possible to leave.
func (c *committer) closed(outcomes []plan.Outcome) (map[string]uint32, error) {
	found := map[string]uint32{}
	for _, o := range outcomes {
		dir := parent(o.Path)
		if _, known := found[dir]; known || dir == "" || !o.Action.Changes() || o.Action == plan.Mode {
			continue
		}
		info, err := c.home.lstat(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && canOpen(info) {
			found[dir] = uint32(info.Mode().Perm())
		}
	}
	return found, nil
}

// openClosed puts around operations those that open such folders before and close them
// after. What takes a mode back within leaves a folder open: the first operation, taken
// back last, closes it.
func (c *committer) openClosed(outcomes []plan.Outcome, within []operation) ([]operation, error) {
	closed, err := c.closed(outcomes)
	if err != nil || len(closed) == 0 {
		return within, err
	}
	settled := map[string]bool{} // what stands there in the end has its mode already
	for i := range within {
		o := &within[i]
		settled[o.Path] = settled[o.Path] || o.Kind == chmod || o.Kind == place
		if _, is := closed[o.Path]; is && (o.Kind == rmdir || o.Kind == chmod) {
			o.OldMode |= uint32(ownerWrites)
		}
	}
	var before, after []operation
	for _, dir := range slices.Sorted(maps.Keys(closed)) {
		mode, open := closed[dir], closed[dir]|uint32(ownerWrites)
		before = append(before, operation{Kind: chmod, Path: dir, Mode: open, OldMode: mode})
		if !settled[dir] {
			after = append(after, operation{Kind: chmod, Path: dir, Mode: mode, OldMode: open})
		}
	}
	return slices.Concat(before, within, after), nil
}

// canOpen reports whether this user may give the folder's owner the right to write it,
// which he lacks.
func canOpen(info fs.FileInfo) bool {
	uid, _, ok := owner(info)
	return ok && info.IsDir() && info.Mode()&ownerWrites == 0 && (uid == os.Geteuid() || os.Geteuid() == 0)
}

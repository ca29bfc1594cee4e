package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// keepWritten gives everything that a running product wrote into while it was replaced a
// name of its own: what it wrote lies in the file that has only the second name by now,
// and that goes with the staging folder. It returns the names.
func (h *Home) keepWritten(j journal) ([]string, error) {
	var kept []string
	for _, o := range j.Operations {
		if o.Old == "" || o.Was == nil || !fs.FileMode(o.Was.Mode).IsRegular() {
			continue
		}
		info, err := h.lstat(o.Old)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return kept, err
		}
		// Another inode is a copy, made where there are no second names: it tells nothing.
		now := identityOf(info)
		if now.Inode != o.Was.Inode || now.is(*o.Was) {
			continue
		}
		still, err := h.lstat(o.Path)
		if err == nil && os.SameFile(still, info) {
			continue // it was not replaced after all
		}
		name, err := h.nameWritten(o, info, j.ID)
		if err != nil {
			return kept, fmt.Errorf("keeping what was written into %s meanwhile: %w", o.Path, err)
		}
		kept = append(kept, name)
	}
	return kept, nil
}

// nameWritten gives the file a free name beside its old one; the second name stays, for an
// undo. A run that was cut may have given it one.
func (h *Home) nameWritten(o operation, info fs.FileInfo, id int) (string, error) {
	if dir := parent(o.Path); dir != "." && dir != "" {
		if err := h.root.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	name := rescuedName(o.Path, id)
	for n := 2; ; n++ {
		taken, err := h.lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, h.root.Link(o.Old, name)
		}
		if err != nil {
			return "", err
		}
		if os.SameFile(taken, info) {
			return name, nil
		}
		name = fmt.Sprintf("%s-%d", rescuedName(o.Path, id), n)
	}
}

package install

import (
	"fmt"
	"io"
	"io/fs"
)

// secondNames gives everything that will be replaced or removed a second name, from
// which an undo brings it back by renaming alone, and folders that go a twin.
func (c *committer) secondNames() error {
	m, err := c.home.findMounts()
	if err != nil {
		return err
	}
	for i := range c.journal.Operations {
		o := &c.journal.Operations[i]
		if o.Kind != rmdir && (o.Was == nil || o.Kind == chmod) {
			continue
		}
		o.Old = fmt.Sprintf("%s/old-%d", m.staging(o.Path), i)
		if err := ignoreMissing(c.home.root.Remove(o.Old)); err != nil {
			return err
		}
		if err := c.home.secondName(o); err != nil {
			return fmt.Errorf("keeping %s for an undo: %w", o.Path, err)
		}
	}
	return nil
}

func (h *Home) secondName(o *operation) error {
	if o.Kind == rmdir {
		return h.twin(o)
	}
	if err := h.root.Link(o.Path, o.Old); err == nil {
		return h.seenAgain(o)
	}
	info, err := h.lstat(o.Path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := h.root.Readlink(o.Path)
		if err != nil {
			return err
		}
		return h.stageLink(o.Old, o.Path, o.Path, target)
	}
	f, err := h.root.Open(o.Path) // a file system without second names: a copy does
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := h.stageFile(o.Old, o.Path, o.Path, io.Reader(f), uint32(info.Mode().Perm())); err != nil {
		return err
	}
	return h.root.Chtimes(o.Old, info.ModTime(), info.ModTime())
}

// seenAgain takes the identity anew: on overlayfs a second name copies the file up, and
// its inode changes.
func (h *Home) seenAgain(o *operation) error {
	info, err := h.lstat(o.Path)
	if err != nil {
		return err
	}
	id := identityOf(info)
	if id.Size != o.Was.Size || id.Modified != o.Was.Modified {
		return changedMeanwhile(o.Path, nil)
	}
	o.Was = &id
	return nil
}

// twin makes an empty folder with owner, mode and attributes of the one that will be
// removed: an undo needs no space for it, and what the folder was is kept.
func (h *Home) twin(o *operation) error {
	info, err := h.lstat(o.Path)
	if err != nil {
		return err
	}
	if err := h.root.Mkdir(o.Old, 0o700); err != nil {
		return err
	}
	if err := h.dressAs(o.Old, info); err != nil {
		return err
	}
	if err := copyAttributes(h.abs(o.Path), h.abs(o.Old)); err != nil {
		return err
	}
	return h.root.Chmod(o.Old, info.Mode()&(fs.ModePerm|special)|ownerWrites)
}

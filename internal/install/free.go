package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// Free removes what only serves going back over more than keep levels; with keep 0
// everything that a fresh pack of the installed level would not have. With look nothing
// is removed, only counted. The home must be locked, with no change prepared.
func (h *Home) Free(keep int, look bool) (freed Store, err error) {
	used, err := h.used()
	if err != nil {
		return Store{}, err
	}
	history, err := h.History()
	if err != nil {
		return Store{}, err
	}
	if keep == 0 {
		history = nil
	}
	decided, err := h.Decided()
	if err != nil {
		return Store{}, err
	}
	names, err := h.unneeded(used, decided, history, keep)
	if err != nil {
		return Store{}, err
	}
	for _, name := range names {
		info, err := h.lstat(storeDir + "/" + name)
		if err != nil {
			return freed, err
		}
		if !look {
			if err := h.root.Remove(storeDir + "/" + name); err != nil {
				return freed, fmt.Errorf("freeing: %w", err)
			}
		}
		freed.Objects++
		freed.Bytes += info.Size()
	}
	if look || len(names) == 0 {
		return freed, nil
	}
	return freed, durable.SyncDir(h.abs(storeDir))
}

// used returns the digests of the installed level's records and files.
func (h *Home) used() ([]digest.Digest, error) {
	var sums []digest.Digest
	for _, ref := range []release.Ref{h.state.Record, h.state.Manifest, h.state.Notes} {
		if !ref.Sum.IsZero() {
			sums = append(sums, ref.Sum)
		}
	}
	for _, a := range h.state.Hotfixes {
		named, err := h.hotfixSums(a.Record)
		if err != nil {
			return nil, fmt.Errorf("the applied hotfix %s: %w", a.Name, err)
		}
		sums = append(sums, named...)
	}
	if h.state.Manifest.Sum.IsZero() {
		return sums, nil
	}
	text, err := h.objectBytes(h.state.Manifest, manifest.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("the installed level's manifest: %w", err)
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return nil, err
	}
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			sums = append(sums, e.Sum)
		}
	}
	return sums, nil
}

// freeStore has what nothing needs any more go with the commit.
func (c *committer) freeStore(history []Change) error {
	names, err := c.home.unneeded(c.pending.Used, c.decided, history, max(c.pending.Keep, 1))
	if err != nil {
		return err
	}
	for _, name := range names {
		path := storeDir + "/" + name
		if slices.Contains(c.pending.Damaged, path) {
			continue // goes already
		}
		info, err := c.home.lstat(path)
		if err != nil {
			return err
		}
		id := identityOf(info)
		c.journal.Operations = append(c.journal.Operations, operation{Kind: remove, Path: path, Was: &id})
	}
	return nil
}

// storeObjects brings in what is kept from now on; damaged objects give way or go.
func (c *committer) storeObjects() error {
	damaged := map[string]*identity{}
	for _, path := range c.pending.Damaged {
		info, err := c.home.lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		id := identityOf(info)
		damaged[path] = &id
	}
	for _, name := range c.pending.Store {
		path := storeDir + "/" + name
		c.journal.Operations = append(c.journal.Operations, operation{Kind: place, Path: path, New: stagedObject(name), Was: damaged[path]})
		delete(damaged, path)
	}
	for _, path := range slices.Sorted(maps.Keys(damaged)) {
		c.journal.Operations = append(c.journal.Operations, operation{Kind: remove, Path: path, Was: damaged[path]})
	}
	return nil
}

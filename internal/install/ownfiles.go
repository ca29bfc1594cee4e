package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"uplevel/internal/release"
)

// ownFiles stages what the tool itself keeps: state, config, history, documents and
// store, so that it comes and goes with the product's files.
func (c *committer) ownFiles() error {
	h, p := c.home, c.pending
	change := c.change()
	history, err := h.History()
	if err != nil {
		return err
	}
	config, err := h.configBytes(p.State)
	if err != nil {
		return err
	}
	files := map[string][]byte{configFile: config}
	for name, data := range p.Documents {
		files[updatesDir+"/"+name] = data
	}
	if files[stateFile], err = json.MarshalIndent(p.State, "", "  "); err != nil {
		return err
	}
	if files[historyName(p.ID)], err = json.MarshalIndent(change, "", " "); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := c.own(name, files[name]); err != nil {
			return err
		}
	}
	if err := c.storeObjects(); err != nil {
		return err
	}
	return c.freeStore(append(history, change))
}

// own stages a file of the tool's. One that is there keeps its permission bits: who closed
// config.json to others did so on purpose.
func (c *committer) own(path string, data []byte) error {
	h := c.home
	c.n++
	o := operation{Kind: place, Path: path, New: fmt.Sprintf("%s/own-%d", stagingDir, c.n)}
	if err := ignoreMissing(h.root.Remove(o.New)); err != nil {
		return err
	}
	info, err := h.lstat(path)
	if err := ignoreMissing(err); err != nil {
		return err // nothing is concluded from a look that failed
	}
	mode := fs.FileMode(0o644)
	if err == nil {
		id := identityOf(info)
		o.Was = &id
		if info.Mode().IsRegular() {
			mode = info.Mode().Perm()
		}
	}
	if _, err := h.stageFile(o.New, path, path, bytes.NewReader(data), uint32(mode)); err != nil {
		return err
	}
	c.journal.Operations = append(c.journal.Operations, o)
	return nil
}

func (c *committer) change() Change {
	h, p := c.home, c.pending
	change := Change{
		Format: 1, ID: p.ID, Kind: p.Plan.Kind, RevertTo: p.Plan.RevertTo, Time: h.opts.Now().UTC().Truncate(time.Second),
		From: p.Plan.From, To: p.Plan.To, User: p.User, Outcome: "ok", Files: c.files,
	}
	for _, ref := range []release.Ref{h.state.Record, h.state.Manifest, h.state.Notes} {
		if !ref.Sum.IsZero() {
			change.Kept = append(change.Kept, ref)
		}
	}
	return change
}

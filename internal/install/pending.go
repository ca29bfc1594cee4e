package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Source gives verified content.
type Source interface {
	// Open returns the content, or an error that is fs.ErrNotExist.
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Extra is what comes with a plan into the same commit.
type Extra struct {
	Record    []byte            // release record of the level gone to
	Manifest  []byte            // its canonical text
	Notes     []byte            // canonical JSON; nil: none, or what there is already
	Former    [][]byte          // record and manifest of the level gone from, where they are not kept yet
	Hotfixes  [][]byte          // payloads of the hotfixes on it, in order
	Rules     release.Rules     // of the level gone to
	Documents map[string][]byte // Markdown files of updates/, by name
	User      string            // for the history
	Keep      int               // levels to keep for going back
	NoBackup  bool              // keep no pristine content that is replaced
	Backup    string            // folder for a full copy; "": none
	Hold      bool              // keep the prepared change for a later command
	Damaged   []string          // paths of objects in the store that go, or come anew
	Renew     []release.Ref     // of those: what the source has
}

// Pending is a prepared change: everything is fetched, verified and staged.
type Pending struct {
	Format    int                   `json:"format"` // 1
	ID        int                   `json:"id"`     // of the history entry it will be
	Plan      *plan.Plan            `json:"plan"`
	Staging   []string              `json:"staging"`
	Staged    map[string]staged     `json:"staged"`    // path → what lies ready for it
	Store     []string              `json:"store"`     // staged objects, by digest
	Sides     []string              `json:"sides"`     // side files written for conflicts
	Theirs    map[string]staged     `json:"theirs"`    // conflict path → the vendor's side, ready
	Mine      map[string]staged     `json:"mine"`      // conflict path → the operator's side with what could be merged
	Resolved  map[string]Resolution `json:"resolved"`  // conflict path → decision
	Documents map[string][]byte     `json:"documents"` // files of updates/
	State     State                 `json:"state"`     // after the commit
	User      string                `json:"user"`
	Keep      int                   `json:"keep"`
	Backup    string                `json:"backup,omitempty"`  // folder for the full copy that the commit begins with; "": none
	Earlier   map[string]identity   `json:"earlier,omitempty"` // conflict path → an F.final that decides nothing here
	Held      bool                  `json:"held"`              // waits for a later command; otherwise recovery drops it
	Used      []digest.Digest       `json:"used"`              // digests of the new level's tree and records
	Damaged   []string              `json:"damaged,omitempty"` // paths of objects in the store that go, or come anew
}

// staged is a result that lies ready.
type staged struct {
	New  string    `json:"new"`            // relative to the home
	Tree string    `json:"tree,omitempty"` // top of the new folder it comes in with
	Was  *identity `json:"was,omitempty"`  // of what stands at the path now; nil: nothing
}

// The choices of a [Resolution].
const (
	Mine   = "mine"   // what is there stays
	Theirs = "theirs" // the vendor's new version, or its removal
	Given  = "file"   // other content, staged
)

// Resolution is the operator's decision on one conflict.
type Resolution struct {
	Choice string         `json:"choice"`
	New    string         `json:"new,omitempty"` // staged content of Given
	Entry  manifest.Entry `json:"entry,omitzero"`
}

// Pending returns the prepared change, or an error that is fs.ErrNotExist.
func (h *Home) Pending() (*Pending, error) {
	data, err := h.read(pendingFile, 2048*manifest.MaxEntries)
	if err != nil {
		return nil, err
	}
	var p Pending
	err = json.Unmarshal(data, &p)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, problem.New(problem.Refused, "Drop it with prepare --discard, then update again.",
			"The prepared change is damaged: %w", err)
	}
	if p.Staged == nil {
		p.Staged = map[string]staged{}
	}
	return &p, nil
}

func (h *Home) writePending(p *Pending) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.WriteFile(h.abs(pendingFile), append(data, '\n'), 0o600)
}

// Resolve records the decision on one conflict of the prepared change. For [Given],
// content is what will stand there, with the mode of what stands there now.
func (h *Home) Resolve(path, choice string, content io.Reader) error {
	p, err := h.Pending()
	if err != nil {
		return err
	}
	o, ok := p.conflict(path)
	if !ok {
		return problem.New(problem.Failed, "See the conflicts with conflicts.", "%s is no conflict of the prepared change", path)
	}
	r := Resolution{Choice: choice}
	if choice == Given {
		m, err := h.findMounts()
		if err != nil {
			return err
		}
		r.New = fmt.Sprintf("%s/given-%s", m.staging(path), digest.Of([]byte(path)))
		if err := ignoreMissing(h.root.Remove(r.New)); err != nil {
			return err
		}
		if r.Entry, err = h.stageFile(r.New, path, path, content, modeOf(o)); err != nil {
			return err
		}
		if err := h.syncFolders([]string{parent(r.New)}); err != nil {
			return err
		}
	}
	if p.Resolved == nil {
		p.Resolved = map[string]Resolution{}
	}
	p.Resolved[path] = r
	if err := h.setFinalAside(p, path); err != nil { // what is said last counts
		return err
	}
	return h.writePending(p)
}

// OpenChoice opens what a choice on a conflict of the prepared change would put there:
// the operator's or, with theirs, the vendor's side, with all that could be merged.
func (h *Home) OpenChoice(path string, theirs bool) (io.ReadCloser, error) {
	p, err := h.Pending()
	if err != nil {
		return nil, err
	}
	if _, ok := p.conflict(path); !ok {
		return nil, fs.ErrNotExist
	}
	ready := p.Mine[path]
	if theirs {
		ready = p.Theirs[path]
	}
	switch {
	case ready.New != "":
		return h.OpenFile(ready.New)
	case theirs:
		return nil, fs.ErrNotExist // the vendor removes it
	}
	return h.OpenFile(path)
}

func (p *Pending) conflict(path string) (plan.Outcome, bool) {
	for _, o := range p.Plan.Outcomes {
		if o.Path == path && o.Action == plan.Conflict {
			return o, true
		}
	}
	return plan.Outcome{}, false
}

// Discard drops the prepared change with its side files; an operator's F.final stays.
// Nothing prepared is no error.
func (h *Home) Discard() error {
	p, err := h.Pending()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p = &Pending{}
	case err != nil && problem.KindOf(err) != problem.Refused:
		return err
	case err != nil:
		p = &Pending{} // damaged: its side files cannot be known and stay
	}
	for _, side := range p.Sides {
		if err := ignoreMissing(h.root.Remove(side)); err != nil {
			return err
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(parentsOf(p.Sides))) {
		if err := durable.SyncDir(h.abs(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := durable.Remove(h.abs(pendingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m, err := h.findMounts()
	if err != nil {
		return err
	}
	return h.removeStagingFolders(slices.Concat(p.Staging, m.folders()))
}

func parentsOf(paths []string) map[string]bool {
	dirs := map[string]bool{}
	for _, p := range paths {
		dirs[parent(p)] = true
	}
	return dirs
}

func modeOf(o plan.Outcome) uint32 {
	for _, e := range []*manifest.Entry{o.Disk, o.Want, o.Base} {
		if e != nil && e.Kind == manifest.File {
			return e.Mode
		}
	}
	return 0o644
}

// choice is what one choice on a conflict results in: of a file that could be merged in
// part the content named by merged, with the operator's permission bits.
func choice(o plan.Outcome, side manifest.Entry, merged *release.Ref) manifest.Entry {
	if o.Disk != nil && o.Disk.Kind == manifest.File && side.Kind == manifest.File {
		side.Mode = o.Disk.Mode
	}
	if merged != nil {
		side.Sum, side.Size = merged.Sum, merged.Size
	}
	return side
}

func theirsOf(o plan.Outcome) *release.Ref {
	if o.Inside == nil {
		return nil
	}
	return o.Inside.Theirs
}

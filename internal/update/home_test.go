package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// plainHome is an installation in a folder whose own state is in memory. It does what
// plans say, in the installer's order, without its safety: package install is tested
// for that by itself.
type plainHome struct {
	t       testing.TB
	dir     string
	state   State
	store   map[digest.Digest][]byte
	history []Change
	pending *Pending
	staged  map[string][]byte // path → content
	extra   Extra
	docs    map[string][]byte
	sides   []string // files beside conflicts
	locked  bool
	refuse  error // what Check refuses with
	decided []Decision
	owner   Organisation
}

func newPlainHome(t testing.TB, v *vendor, l release.Line, level int) *plainHome {
	t.Helper()
	h := &plainHome{
		t: t, dir: t.TempDir(), store: map[digest.Digest][]byte{}, docs: map[string][]byte{},
		state: State{Product: l.Product, Version: l.Version, Channel: l.Channel, Level: level, Pack: "pack"},
	}
	record, err := v.levels[l][level].Bytes()
	v.must(err)
	h.state.Record = h.keep(record)
	h.keep(v.Objects[v.levels[l][level].Manifest.Sum])
	tree := v.trees[l][level]
	for _, e := range tree.tree(t).Entries() {
		h.place(e, []byte(tree[e.Path]))
	}
	return h
}

func (h *plainHome) keep(data []byte) release.Ref {
	h.store[digest.Of(data)] = data
	return release.Ref{Sum: digest.Of(data), Size: int64(len(data))}
}

func (h *plainHome) path(p string) string { return filepath.Join(h.dir, filepath.FromSlash(p)) }

func (h *plainHome) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *plainHome) place(e manifest.Entry, content []byte) {
	h.t.Helper()
	name := h.path(e.Path)
	switch e.Kind {
	case manifest.Dir:
		h.must(os.MkdirAll(name, 0o755))
		h.must(os.Chmod(name, os.FileMode(e.Mode)))
	case manifest.Link:
		h.must(os.Symlink(e.Target, name))
	case manifest.File:
		h.must(os.MkdirAll(filepath.Dir(name), 0o755))
		h.must(os.WriteFile(name, content, 0o644))
		h.must(os.Chmod(name, os.FileMode(e.Mode)))
	case manifest.Other:
		h.t.Fatalf("%s cannot be placed", e.Path)
	}
}

func (h *plainHome) Dir() string { return h.dir }

func (h *plainHome) State() State { return h.state }

func (h *plainHome) History() ([]Change, error) { return h.history, nil }

func (h *plainHome) Lock() (func() error, error) {
	if h.locked {
		return nil, problem.New(problem.Refused, "", "locked")
	}
	h.locked = true
	return func() error { h.locked = false; return nil }, nil
}

func (h *plainHome) Recover(context.Context) (Recovery, error) {
	if !h.locked {
		return Recovery{}, errors.New("recovering a home that is not locked")
	}
	return Recovery{Outcome: "clean"}, nil
}

func (h *plainHome) CommitOpen() bool { return false }

func (h *plainHome) Moved() bool { return false }

func (h *plainHome) Look(_ context.Context, paths []string, _ bool) (manifest.Tree, error) {
	var found []manifest.Entry
	for _, p := range paths {
		if e, ok := h.lookAt(p); ok {
			found = append(found, e)
		}
	}
	return manifest.NewTree(found)
}

func (h *plainHome) Inspect(ctx context.Context, paths []string, _ bool) (Inspection, error) {
	tree, err := h.Look(ctx, paths, false)
	return Inspection{Tree: tree}, err
}

func (h *plainHome) lookAt(p string) (manifest.Entry, bool) {
	for i := range p {
		if p[i] != '/' {
			continue
		}
		if info, err := os.Lstat(h.path(p[:i])); err != nil || !info.IsDir() {
			return manifest.Entry{}, false
		}
	}
	info, err := os.Lstat(h.path(p))
	if err != nil {
		return manifest.Entry{}, false
	}
	e := manifest.Entry{Path: p, Mode: uint32(info.Mode().Perm())}
	switch {
	case info.IsDir():
		e.Kind = manifest.Dir
	case info.Mode()&fs.ModeSymlink != 0:
		e.Kind, e.Mode = manifest.Link, 0
		e.Target, err = os.Readlink(h.path(p))
		h.must(err)
	case info.Mode().IsRegular():
		data, err := os.ReadFile(h.path(p))
		h.must(err)
		e.Kind, e.Size, e.Sum = manifest.File, int64(len(data)), digest.Of(data)
	default:
		e.Kind = manifest.Other
	}
	return e, true
}

func (h *plainHome) OpenObject(ref release.Ref) (io.ReadCloser, error) {
	data, ok := h.store[ref.Sum]
	if !ok {
		return nil, fmt.Errorf("%s: %w", ref.Sum, fs.ErrNotExist)
	}
	return io.NopCloser(digest.NewReader(bytes.NewReader(data), ref.Sum, ref.Size)), nil
}

func (h *plainHome) Store() (Store, error) { return Store{Levels: len(h.history)}, nil }

func (h *plainHome) CheckRecords() []Damage { return nil }

func (h *plainHome) CheckStore(context.Context) ([]Damage, error) {
	var found []Damage
	for sum, data := range h.store {
		if digest.Of(data) != sum {
			found = append(found, Damage{What: "updates/store/" + sum.String(), Why: "other bytes"})
		}
	}
	return found, nil
}

func (h *plainHome) DiskNeed(*plan.Plan, Extra) (int64, string, error) { return 4096, "something", nil }

func (h *plainHome) Check(*plan.Plan, Extra) error { return h.refuse }

func (h *plainHome) Prepare(_ context.Context, p *plan.Plan, src Source, x Extra) error {
	if h.pending != nil {
		h.must(h.Discard())
	}
	h.extra, h.staged = x, map[string][]byte{}
	h.pending = &Pending{Plan: p, Resolved: map[string]string{}}
	for name := range x.Documents {
		h.pending.Documents = append(h.pending.Documents, name)
	}
	for _, o := range p.Outcomes {
		if o.Source != "" && o.Action.Changes() {
			data, err := h.read(src, *o.Result)
			if err != nil {
				return err
			}
			h.staged[o.Path] = data
		}
		if o.Action != plan.Conflict {
			continue
		}
		if o.Inside != nil {
			h.variant(src, o.Path+"=mine", *o.Inside.Mine)
			h.variant(src, o.Path+"=theirs", *o.Inside.Theirs)
		}
		for suffix, side := range map[string]*manifest.Entry{".original": o.Base, ".new": o.Want} {
			if side == nil || side.Kind != manifest.File {
				continue
			}
			data, err := h.read(src, *side)
			if err != nil {
				return err
			}
			h.must(os.WriteFile(h.path(o.Path+suffix), data, 0o644))
			h.sides = append(h.sides, o.Path+suffix)
		}
	}
	return nil
}

func (h *plainHome) variant(src Source, name string, ref release.Ref) {
	data, err := h.read(src, manifest.Entry{Sum: ref.Sum, Size: ref.Size})
	h.must(err)
	h.staged[name] = data
}

func (h *plainHome) OpenChoice(path string, theirs bool) (io.ReadCloser, error) {
	name := path + map[bool]string{false: "=mine", true: "=theirs"}[theirs]
	return io.NopCloser(bytes.NewReader(h.staged[name])), nil
}

func (h *plainHome) Import(made []Decision, _ func(release.Ref) (io.ReadCloser, error)) error {
	h.decided = append(h.decided, made...)
	return nil
}

func (h *plainHome) Organisation() (Organisation, error) { return h.owner, nil }

func (h *plainHome) Learn(o Organisation) error {
	if !h.locked {
		return errors.New("learning in a home that is not locked")
	}
	h.owner = o
	return nil
}

func (h *plainHome) Free(int, bool) (int64, error) { return 0, nil }

func (h *plainHome) OpenFile(path string) (io.ReadCloser, error) { return os.Open(h.path(path)) }

func (h *plainHome) Decided() ([]Decision, error) { return h.decided, nil }

func (h *plainHome) read(src Source, e manifest.Entry) ([]byte, error) {
	r, err := src.Open(release.Ref{Sum: e.Sum, Size: e.Size})
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

func (h *plainHome) Pending() (Pending, error) {
	if h.pending == nil {
		return Pending{}, fs.ErrNotExist
	}
	p := *h.pending
	for _, path := range p.Plan.Conflicts() {
		if _, err := os.Lstat(h.path(path + ".final")); err == nil {
			p.Resolved[path] = "final"
		}
	}
	return p, nil
}

func (h *plainHome) Resolve(path string, choice Resolution) error {
	switch {
	case choice.Mine:
		h.pending.Resolved[path] = "mine"
		if data, ok := h.staged[path+"=mine"]; ok {
			h.pending.Resolved[path], h.staged[path] = "merged", data
		}
	case choice.Theirs:
		h.pending.Resolved[path] = "theirs"
		data, err := os.ReadFile(h.path(path + ".new"))
		h.must(err)
		if merged, ok := h.staged[path+"=theirs"]; ok {
			data = merged
		}
		h.staged[path] = data
	default:
		data, err := os.ReadFile(choice.File)
		h.must(err)
		h.pending.Resolved[path], h.staged[path] = "file", data
	}
	return nil
}

func (h *plainHome) Discard() error {
	for _, side := range h.sides {
		h.must(os.Remove(h.path(side)))
	}
	h.pending, h.sides = nil, nil
	return nil
}

func (h *plainHome) Commit(context.Context) (Committed, error) {
	pending, err := h.Pending()
	h.must(err)
	p := pending.Plan
	if err := h.resolve(p, pending.Resolved); err != nil {
		return Committed{}, err
	}
	change := Change{ID: len(h.history) + 1, Kind: p.Kind, RevertTo: p.RevertTo, From: p.From, To: p.To, User: h.extra.User, Outcome: "done"}
	for _, o := range p.Outcomes {
		if o.Action.Changes() {
			change.Files = append(change.Files, FileChange{Path: o.Path, Before: o.Disk, After: o.Result})
			h.keepReplaced(o)
		}
	}
	h.carryOut(p)
	h.must(h.Discard())
	h.keep(h.extra.Record)
	h.keep(h.extra.Manifest)
	for _, payload := range h.extra.Hotfixes {
		h.keep(payload)
	}
	maps.Copy(h.docs, h.extra.Documents)
	h.history = append(h.history, change)
	h.state.Channel, h.state.Level, h.state.Record = p.To.Channel, p.To.Level, p.To.Record
	h.state.Hotfixes = p.To.Hotfixes
	return Committed{ID: change.ID, Store: Store{Levels: len(h.history)}}, nil
}

func (h *plainHome) resolve(p *plan.Plan, resolved map[string]string) error {
	var open []string
	for i := range p.Outcomes {
		o := &p.Outcomes[i]
		if o.Action != plan.Conflict {
			continue
		}
		switch resolved[o.Path] {
		case "":
			open = append(open, o.Path)
			continue
		case "mine":
			o.Action, o.Result = plan.Kept, o.Disk
			continue
		case "final":
			data, err := os.ReadFile(h.path(o.Path + ".final"))
			h.must(err)
			h.must(os.Remove(h.path(o.Path + ".final")))
			h.staged[o.Path] = data
		}
		data := h.staged[o.Path]
		o.Action = plan.Replace
		o.Result = &manifest.Entry{Path: o.Path, Kind: manifest.File, Mode: o.Disk.Mode, Size: int64(len(data)), Sum: digest.Of(data)}
	}
	if len(open) > 0 {
		return problem.New(problem.Conflicts, "", "unresolved: %s", strings.Join(open, ", "))
	}
	return nil
}

func (h *plainHome) keepReplaced(o plan.Outcome) {
	if o.Disk == nil || o.Disk.Kind != manifest.File {
		return
	}
	pristine := o.Base != nil && o.Base.SameContent(*o.Disk)
	if pristine && h.extra.NoBackup {
		return
	}
	data, err := os.ReadFile(h.path(o.Path))
	h.must(err)
	h.keep(data)
}

func (h *plainHome) carryOut(p *plan.Plan) {
	for _, o := range slices.Backward(p.Outcomes) {
		if o.Action == plan.Remove || o.Action == plan.Replace {
			if o.Disk.Kind == manifest.Dir {
				_ = os.Remove(h.path(o.Path)) // what became occupied stays
				continue
			}
			h.must(os.Remove(h.path(o.Path)))
		}
	}
	for _, o := range p.Outcomes {
		switch o.Action {
		case plan.Add, plan.Replace:
			h.place(*o.Result, h.staged[o.Path])
		case plan.Mode:
			h.must(os.Chmod(h.path(o.Path), os.FileMode(o.Result.Mode)))
		case plan.Remove, plan.Adopt, plan.Kept, plan.Absent, plan.Conflict:
		}
	}
}

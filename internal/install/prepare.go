package install

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Prepare stages everything of a plan and writes the side files of its conflicts. When
// it returns nil the prepared change is durable; after an error nothing is left of it.
// An earlier prepared change is dropped, an operator's F.final stays.
func (h *Home) Prepare(ctx context.Context, p *plan.Plan, src Source, x Extra) error {
	before, err := h.Pending()
	if err := ignoreRefused(ignoreMissing(err)); err != nil {
		return err
	}
	if err := h.Discard(); err != nil {
		return err
	}
	if err := h.Check(p, x); err != nil {
		return err
	}
	s := &stager{home: h, src: src, extra: x, before: before, trees: map[string]string{}}
	if err = s.run(ctx, p); err != nil {
		err = leaving(h.standing(err), errors.Join(h.Discard(), h.removeStaging(context.WithoutCancel(ctx))))
	}
	return err
}

// leaving tells of a preparation that failed what could not be cleared away after it. A later
// start may take that for a prepared change that waits, so it must not be said that there is
// nothing.
func leaving(err, left error) error {
	if left == nil {
		return err
	}
	said := problem.New(problem.KindOf(err), "Run the command again once the disk can be written; or drop what is left with prepare --discard.", "%w", err)
	if p, ok := errors.AsType[*problem.Error](err); ok {
		said.Next = p.Next
	}
	return said.Standing(fmt.Sprintf("The product is as it was. What was prepared beside it could not be removed, prepare --discard drops it: %v", left))
}

// standing tells a full disk and an interruption by their names.
func (h *Home) standing(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return problem.New(problem.Interrupted, "Run the command again; what was downloaded is kept.", "Interrupted before anything was changed: %w", err)
	case isFull(err):
		return problem.New(problem.Refused, "Free some space, then run the command again.", "Insufficient disk space: %w", err)
	}
	return err
}

type stager struct {
	home   *Home
	src    Source
	extra  Extra
	before *Pending // the change that was prepared earlier; nil: none
	mounts mounts
	out    *Pending
	trees  map[string]string // new folder → where it is staged
	n      int
}

func (s *stager) run(ctx context.Context, p *plan.Plan) error {
	h := s.home
	var err error
	if s.mounts, err = h.findMounts(); err != nil {
		return err
	}
	next := h.state
	next.Channel, next.Level = p.To.Channel, p.To.Level
	next.Record, next.Manifest, next.Hotfixes = p.To.Record, p.To.Manifest, p.To.Hotfixes
	next.History++
	if next.Pack == "" {
		next.Pack = takenOverPack(next.Line())
	}
	backup := s.extra.Backup
	if backup != "" {
		next.Backup = backup
		if backup, err = filepath.Abs(backup); err != nil { // who commits may be in another folder
			return err
		}
	}
	s.out = &Pending{
		Format: 1, ID: next.History, Plan: p, Staging: s.mounts.folders(), State: next,
		Staged: map[string]staged{}, Theirs: map[string]staged{}, Mine: map[string]staged{}, Documents: s.extra.Documents,
		User: s.extra.User, Keep: s.extra.Keep, Backup: backup, Damaged: s.extra.Damaged, Held: s.extra.Hold || len(p.Conflicts()) > 0,
	}
	s.out.Earlier = map[string]identity{}
	if err := h.inheritFinals(s.out, s.before); err != nil {
		return err
	}
	if err := s.makeFolders(); err != nil {
		return err
	}
	for _, o := range p.Outcomes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.outcome(o); err != nil {
			return err
		}
	}
	if err := errors.Join(s.records(), s.renew()); err != nil {
		return err
	}
	if err := h.setTreeModes(s.out); err != nil {
		return err
	}
	if err := h.syncFolders(s.used()); err != nil {
		return err
	}
	return s.publish(ctx)
}

// makeFolders makes the staging folders that the plan needs, and those of the state.
func (s *stager) makeFolders() error {
	for _, dir := range []string{storeDir, historyDir, stagingDir} {
		if err := s.makeFolder(dir); err != nil {
			return err
		}
	}
	if len(s.mounts.points) == 0 {
		return nil
	}
	var err error
	if s.mounts.own, err = s.home.nameElsewhere(); err != nil {
		return err
	}
	s.out.Staging = s.mounts.folders()
	for _, dir := range s.used() {
		if err := s.makeFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *stager) makeFolder(dir string) error {
	there, err := s.home.present(dir)
	if err != nil || there {
		return err
	}
	if err := s.home.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := s.home.dress(dir, dir, dir); err != nil {
		return err
	}
	return durable.SyncDir(s.home.abs(parent(dir)))
}

// used returns the staging folders of the paths that change.
func (s *stager) used() []string {
	folders := []string{stagingDir}
	for _, o := range s.out.Plan.Outcomes {
		if f := s.mounts.staging(o.Path); (o.Action.Changes() || o.Action == plan.Conflict) && !slices.Contains(folders, f) {
			folders = append(folders, f)
		}
	}
	return folders
}

func (s *stager) outcome(o plan.Outcome) error {
	var was *identity
	if o.Disk != nil && (o.Action.Changes() || o.Action == plan.Conflict) {
		keep := o.Action != plan.Mode && (!s.extra.NoBackup || o.Base == nil || !o.Disk.SameContent(*o.Base))
		id, err := s.home.stands(s.out, *o.Disk, keep)
		if err != nil {
			return err
		}
		was = id
	}
	switch o.Action {
	case plan.Add, plan.Replace:
		st, err := s.stage(o.Path, *o.Result, was)
		if err != nil {
			return err
		}
		s.out.Staged[o.Path] = st
		return errors.Join(s.keepMerged(o), s.pristine(o))
	case plan.Remove, plan.Mode:
		s.out.Staged[o.Path] = staged{Was: was}
	case plan.Conflict:
		return s.conflict(o, was)
	case plan.Adopt, plan.Kept, plan.Absent:
	}
	return nil
}

// stage makes the result that will stand at path ready.
func (s *stager) stage(path string, want manifest.Entry, was *identity) (staged, error) {
	st := staged{Was: was}
	like := path
	if top, ok := s.trees[parent(path)]; ok {
		st.Tree = s.treeTop(path)
		st.New = top + "/" + path[len(parent(path))+1:]
		like = st.Tree
	} else {
		s.n++
		st.New = fmt.Sprintf("%s/new-%d", s.mounts.staging(path), s.n)
	}
	switch want.Kind {
	case manifest.Dir:
		s.trees[path] = st.New
		return st, s.home.stageFolder(st.New, path, like)
	case manifest.Link:
		return st, s.home.stageLink(st.New, path, like, want.Target)
	case manifest.File:
		content, err := s.src.Open(release.Ref{Sum: want.Sum, Size: want.Size})
		if err != nil {
			return st, fmt.Errorf("content of %s: %w", path, err)
		}
		defer content.Close()
		got, err := s.home.stageFile(st.New, path, like, content, want.Mode)
		if err == nil && got.Sum != want.Sum {
			err = problem.New(problem.Verification, "Run the command again.", "content of %s: %w", path, digest.ErrMismatch)
		}
		return st, err
	case manifest.Other:
	}
	return st, fmt.Errorf("%s: cannot make a %s", path, want.Kind)
}

// treeTop returns the topmost new folder that path lies in.
func (s *stager) treeTop(path string) string {
	for {
		up := parent(path)
		if _, ok := s.trees[up]; !ok || up == "" {
			return path
		}
		path = up
	}
}

func (s *stager) conflict(o plan.Outcome, was *identity) error {
	s.out.Staged[o.Path] = staged{Was: was}
	var err error
	if o.Want != nil {
		if s.out.Theirs[o.Path], err = s.stage(o.Path, choice(o, *o.Want, theirsOf(o)), was); err != nil {
			return err
		}
	}
	if o.Inside != nil && o.Inside.Mine != nil && o.Inside.Mine.Sum != o.Disk.Sum {
		if s.out.Mine[o.Path], err = s.stage(o.Path, choice(o, *o.Disk, o.Inside.Mine), was); err != nil {
			return err
		}
	}
	for suffix, e := range map[string]*manifest.Entry{".original": o.Base, ".new": o.Want} {
		if e != nil && e.Kind == manifest.File {
			s.out.Sides = append(s.out.Sides, o.Path+suffix)
		}
	}
	slices.Sort(s.out.Sides)
	return s.pristine(o)
}

// records keeps record, manifest and notes of the level gone to, and notes what its
// tree names.
func (s *stager) records() error {
	for _, data := range [][]byte{s.extra.Record, s.extra.Manifest, s.extra.Notes} {
		if data == nil {
			continue
		}
		ref, err := s.home.keepBytes(s.out, data)
		if err != nil {
			return err
		}
		s.out.Used = append(s.out.Used, ref.Sum)
	}
	for _, data := range s.extra.Former { // the way back needs them
		if _, err := s.home.keepBytes(s.out, data); err != nil {
			return err
		}
	}
	if s.extra.Notes != nil {
		s.out.State.Notes = release.Ref{Sum: digest.Of(s.extra.Notes), Size: int64(len(s.extra.Notes))}
	}
	if notes := s.out.State.Notes.Sum; !notes.IsZero() {
		s.out.Used = append(s.out.Used, notes) // of the same level as before, where only hotfixes change
	}
	if err := s.hotfixes(); err != nil {
		return err
	}
	if s.extra.Manifest == nil {
		return nil
	}
	tree, err := manifest.Parse(s.extra.Manifest)
	if err != nil {
		return err
	}
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			s.out.Used = append(s.out.Used, e.Sum)
		}
	}
	return nil
}

// renew makes objects ready that come in place of damaged ones.
func (s *stager) renew() error {
	for _, ref := range s.extra.Renew {
		content, err := s.src.Open(ref)
		if err != nil {
			return fmt.Errorf("content %s for the store: %w", ref.Sum, err)
		}
		err = s.home.keepCopy(s.out, ref, published, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	return nil
}

// publish makes the prepared change visible, then writes the side files it names.
func (s *stager) publish(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // from here on it is carried through
		return err
	}
	if len(s.out.Sides) == 0 {
		return s.home.writePending(s.out)
	}
	// A cut before the last side file is there must drop all of them: until then nobody
	// waits for the change.
	if err := s.sidesFree(); err != nil {
		return err
	}
	held := s.out.Held
	s.out.Held = false
	if err := s.home.writePending(s.out); err != nil {
		return err
	}
	for _, o := range s.out.Plan.Outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		if err := errors.Join(s.side(o, ".original", o.Base), s.side(o, ".new", o.Want)); err != nil {
			return err
		}
	}
	if err := s.home.syncFolders(s.used()); err != nil {
		return err
	}
	s.out.Held = held
	return s.home.writePending(s.out)
}

// sidesFree looks once more, after all that took time: what stands where a side file is
// to be written must not be listed as ours, to be removed.
func (s *stager) sidesFree() error {
	for _, o := range s.out.Plan.Outcomes {
		if o.Action != plan.Conflict {
			continue
		}
		if err := s.home.checkSides(o, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *stager) side(o plan.Outcome, suffix string, e *manifest.Entry) error {
	if e == nil || e.Kind != manifest.File {
		return nil
	}
	content, err := s.src.Open(release.Ref{Sum: e.Sum, Size: e.Size})
	if err != nil {
		return fmt.Errorf("content of %s%s: %w", o.Path, suffix, err)
	}
	defer content.Close()
	_, err = s.home.stageFile(o.Path+suffix, o.Path+suffix, o.Path, content, modeOf(o))
	return err
}

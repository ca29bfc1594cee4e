package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"uplevel/internal/copytree"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

// Disk need of one change: see [Home.DiskNeed].
const (
	perOperation = 8 << 10 // a block of the file, one of its folder
	ownNeed      = 4 << 20 // journal, state, history, documents
)

// DiskNeed returns the bytes that must be free on all file systems for a plan, and how they
// are computed.
func (h *Home) DiskNeed(p *plan.Plan, x Extra) (int64, string, error) {
	var results, replaced, operations int64
	for _, o := range p.Outcomes {
		if !o.Action.Changes() && o.Action != plan.Conflict {
			continue
		}
		operations++
		results += sizeOf(o.Result)
		if o.Action == plan.Conflict {
			results += 2*sizeOf(o.Want) + sizeOf(o.Base)
			if i := o.Inside; i != nil && i.Mine != nil {
				results += i.Mine.Size + max(0, i.Theirs.Size-o.Want.Size)
			}
		}
		if !x.NoBackup {
			replaced += sizeOf(o.Disk)
		}
	}
	need := results + replaced + operations*perOperation + ownNeed
	formula := fmt.Sprintf("%d new content + %d replaced content kept for going back + %d changes × %d + %d for the tool",
		results, replaced, operations, perOperation, ownNeed)
	copied, err := h.backupNeed(x)
	if copied > 0 {
		formula += fmt.Sprintf(" + %d for the full copy", copied)
	}
	return need + copied, formula, err
}

// backupNeed returns what a full copy takes on its disk; 0 where none is wanted.
func (h *Home) backupNeed(x Extra) (int64, error) {
	if x.Backup == "" {
		return 0, nil
	}
	return copytree.Size(h.root, notBackedUp)
}

func sizeOf(e *manifest.Entry) int64 {
	if e == nil {
		return 0
	}
	return e.Size
}

// Check refuses, as [Home.Prepare] would, without writing: folders that may not be
// written, mount points and links in the way, side files that are not ours, a disk that
// is too small, a backup folder inside the product.
func (h *Home) Check(p *plan.Plan, x Extra) error {
	if err := h.checkBackup(x.Backup); err != nil {
		return err
	}
	if err := h.checkConfig(); err != nil {
		return err
	}
	m, err := h.findMounts()
	if err != nil {
		return err
	}
	if err := h.checkFolder(updatesDir); err != nil {
		return err
	}
	checked := map[string]bool{}
	ours, err := h.ourSides()
	if err != nil {
		return err
	}
	for _, o := range p.Outcomes {
		if !o.Action.Changes() && o.Action != plan.Conflict {
			continue
		}
		if err := m.refuseMountPoint(o.Path); err != nil && (o.Result == nil || o.Result.Kind != manifest.Dir) {
			return err
		}
		if dir := parent(o.Path); !checked[dir] || o.Action == plan.Conflict {
			checked[dir] = true
			if err := h.checkFolder(dir); err != nil && (o.Action == plan.Conflict || !h.opens(dir, err)) {
				return err
			}
		}
		if o.Action == plan.Conflict {
			if err := h.checkSides(o, ours); err != nil {
				return err
			}
		}
	}
	return h.checkDisk(p, x, m)
}

// checkFolder refuses a folder that is a link (what lies below it is not the product's
// own) or may not be written. One that does not exist yet is judged by the one above.
func (h *Home) checkFolder(dir string) error {
	for at := dir; at != ""; at = parent(at) {
		info, err := h.lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			if dir == at {
				dir = parent(dir)
			}
			continue
		}
		if err != nil {
			return problem.New(problem.Refused, "Run it as the user who owns the product's folder.", "%s cannot be looked at: %w", at, err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return problem.New(problem.Refused, "Put a folder in place of the link, or keep the link and remove the folder from the product.",
				"%s is a link, and something below it would have to change", at)
		}
		if !info.IsDir() && dir == at {
			dir = parent(dir) // a file that becomes a folder
		}
	}
	if err := writable(h.abs(dir)); err != nil {
		return problem.New(problem.Refused, "Run it as the user who owns the product's folder, on a disk that may be written.",
			"%s cannot be written: %w", orTop(dir), err)
	}
	return nil
}

// opens reports whether a folder that may not be written can be opened for a commit.
func (h *Home) opens(dir string, why error) bool {
	info, err := h.lstat(dir)
	return err == nil && errors.Is(why, syscall.EACCES) && canOpen(info)
}

func (h *Home) ourSides() (map[string]bool, error) {
	ours := map[string]bool{}
	p, err := h.Pending()
	if err != nil {
		return ours, ignoreRefused(ignoreMissing(err))
	}
	for _, s := range p.Sides {
		ours[s] = true
	}
	return ours, nil
}

func (h *Home) checkSides(o plan.Outcome, ours map[string]bool) error {
	for _, suffix := range []string{".original", ".new"} {
		side := o.Path + suffix
		there, err := h.present(side)
		if err != nil {
			return problem.New(problem.Refused, "Run it as the user who owns the product's folder.", "%s cannot be looked at: %w", side, err)
		}
		if there && !ours[side] {
			return problem.New(problem.Refused, "Move it away, then run the command again.",
				"%s is there already and would be written for the conflict", side)
		}
	}
	return nil
}

// checkDisk compares what each file system must take with what is free on it: results
// go to the file system of their target, a full copy to that of its folder, all else to that
// of updates/. Blocks that a copy may share count in full: whether it can is known afterwards.
func (h *Home) checkDisk(p *plan.Plan, x Extra, m mounts) error {
	total, formula, err := h.DiskNeed(p, x)
	if err != nil {
		return err
	}
	own := h.abs(m.of(stagingDir))
	need := map[string]int64{own: total}
	for _, o := range p.Outcomes {
		if at := h.abs(m.of(o.Path)); o.Action.Changes() && at != own {
			need[at] += sizeOf(o.Result) + perOperation
			need[own] -= sizeOf(o.Result)
		}
	}
	copied, err := h.backupNeed(x)
	if err != nil {
		return err
	}
	need[own] -= copied
	if copied > 0 {
		backup, err := filepath.Abs(x.Backup)
		if err != nil {
			return err
		}
		need[diskOf(backup, slices.Sorted(maps.Keys(need)))] += copied
	}
	for _, at := range slices.Sorted(maps.Keys(need)) {
		free, err := freeBytes(at)
		if err != nil {
			return fmt.Errorf("asking for the free space: %w", err)
		}
		if free < need[at] {
			return problem.New(problem.Refused, "Free some space, then run the command again.",
				"Insufficient disk space: %d bytes are free in %s, %d are needed (in all: %s)", free, at, need[at], formula)
		}
	}
	return nil
}

// diskOf returns which of folders lies on the same disk as dir, or where dir will lie.
func diskOf(dir string, folders []string) string {
	at := existing(dir)
	i := slices.IndexFunc(folders, func(f string) bool { return sameDisk(at, f) })
	if i < 0 {
		return at
	}
	return folders[i]
}

// existing returns the absolute folder dir, or the nearest above it that is there.
func existing(dir string) string {
	for at := followed(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			return at
		}
	}
}

func (h *Home) checkBackup(dir string) error {
	if dir == "" {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	is, err := Inside(abs, h.dir)
	if err != nil {
		return err
	}
	if is {
		return problem.New(problem.Refused, "Name a folder outside the product with --backup, or none with --backup ''.",
			"Backup directory %s cannot be inside the product directory %s", abs, h.dir)
	}
	return nil
}

// Inside reports whether the absolute path, which need not exist, is dir or lies in it, as
// written or with links followed.
func Inside(path, dir string) (bool, error) {
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	return inside(path, dir) || inside(followed(path), target), nil
}

func inside(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// followed returns path with the links on the way followed, as far as it exists.
func followed(path string) string {
	if at, err := filepath.EvalSymlinks(path); err == nil || filepath.Dir(path) == path {
		return at
	}
	return filepath.Join(followed(filepath.Dir(path)), filepath.Base(path))
}

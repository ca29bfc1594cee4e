package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"uplevel/internal/copytree"
	"uplevel/internal/durable"
	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// ToDirectory copies the home to dir, which must not exist or be empty, and brings the
// copy to the wanted level; the original stays as it is. Whatever fails, what was
// copied is removed again, but for conflicts: then the copy waits with a prepared change.
func (u *Updater) ToDirectory(ctx context.Context, dir string, opts Options) (*Result, error) {
	res := u.newResult("update", u.Home.State())
	if opts.DryRun {
		return u.Update(ctx, opts)
	}
	dir, err := u.freeDirectory(dir)
	if err != nil {
		return res, err
	}
	if err := u.renewFirst(ctx); err != nil {
		return res, err
	}
	var to *claim
	err = u.exclusive(ctx, false, func() (err error) {
		if to, err = claimed(dir); err != nil {
			return err
		}
		return u.copyHome(ctx, to)
	})
	if err == nil {
		res, err = u.updateCopy(ctx, res, dir, opts)
	}
	if err == nil || to == nil || problem.KindOf(err) == problem.Conflicts {
		return res, err
	}
	if left := to.drop(); left != nil {
		err = errors.Join(err, fmt.Errorf("what was copied to %s could not be removed: %w", dir, left))
	}
	return res, err
}

func (u *Updater) updateCopy(ctx context.Context, res *Result, dir string, opts Options) (*Result, error) {
	other, err := u.Other(ctx, dir)
	if err != nil {
		return res, fmt.Errorf("opening the copy %s: %w", dir, err)
	}
	opts.passing = true
	return other.Update(ctx, opts)
}

const freeName = "Name a directory that does not exist yet."

// freeDirectory returns dir as an absolute path, or refuses one that is in use.
func (u *Updater) freeDirectory(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	switch inside, err := install.Inside(full, u.Home.Dir()); {
	case err != nil:
		return "", err
	case inside:
		return "", problem.New(problem.Refused, "Name a directory beside the product.",
			"%s is inside the product directory %s", full, u.Home.Dir())
	}
	entries, err := os.ReadDir(full)
	if errors.Is(err, fs.ErrNotExist) {
		return full, nil
	}
	return full, onlyHolds(full, entries, err)
}

// onlyHolds refuses a directory that has other entries than those named, or cannot be read.
func onlyHolds(dir string, entries []fs.DirEntry, err error, names ...string) error {
	if err != nil {
		return problem.New(problem.Refused, freeName, "Unable to use %s: %w", dir, err)
	}
	for _, e := range entries {
		switch {
		case slices.Contains(names, e.Name()):
		case e.Name() == unfinished:
			return notWhole(dir)
		default:
			return problem.New(problem.Refused, freeName, "%s is not empty", dir)
		}
	}
	return nil
}

// unfinished is what the folder updates of a copy is called until all of the copy is there:
// without updates/product.txt a directory is no product, to this tool and to people.
const unfinished = ".updates.partial"

func notWhole(dir string) error {
	return problem.New(problem.Refused, "See that no other run is making it, remove it, then run the command again; or name another directory.",
		"%s holds a copy that is not whole: another run is at work on it, or was cut off", dir)
}

// claim is the directory of a copy: nobody else makes one there.
type claim struct {
	dir  string
	made bool        // by this run; else it was there, empty
	mode fs.FileMode // that it had
}

// claimed takes a directory for a copy, which is closed to others until it is whole.
func claimed(dir string) (*claim, error) {
	if err := durable.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, cannotMake(dir, err)
	}
	err := os.Mkdir(dir, 0o700)
	c := &claim{dir: dir, made: err == nil}
	if c.made || errors.Is(err, fs.ErrExist) {
		err = os.Mkdir(filepath.Join(dir, unfinished), 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, notWhole(dir)
	}
	if err != nil {
		return nil, cannotMake(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err := onlyHolds(dir, entries, err, unfinished); err != nil { // it came since we looked
		return nil, errors.Join(err, os.Remove(filepath.Join(dir, unfinished)))
	}
	info, err := os.Stat(dir)
	if err == nil {
		c.mode = info.Mode().Perm()
		err = os.Chmod(dir, 0o700) //nolint:gosec // 0600 would close a folder to its owner, too
	}
	if err == nil && c.made {
		err = durable.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return nil, errors.Join(cannotMake(dir, err), c.drop())
	}
	return c, nil
}

func cannotMake(dir string, err error) error {
	return problem.New(problem.Refused, "Name a directory that you may write.", "Unable to make %s: %w", dir, err)
}

// publish makes a product of what was copied, in one step.
func (c *claim) publish() error {
	top, err := os.Stat(c.dir)
	if err != nil {
		return err
	}
	if err := os.Chmod(c.dir, top.Mode()|0o700); err != nil { // a product may be closed even to its owner
		return err
	}
	if err := durable.Rename(filepath.Join(c.dir, unfinished), filepath.Join(c.dir, "updates")); err != nil {
		return err
	}
	return errors.Join(os.Chmod(c.dir, top.Mode()), os.Chtimes(c.dir, top.ModTime(), top.ModTime()))
}

// drop removes what was copied, and the directory where this run made it. Cut off, it leaves
// no half of a product.
func (c *claim) drop() error {
	partial := filepath.Join(c.dir, unfinished)
	_ = os.Chmod(c.dir, 0o700) //nolint:gosec // a folder; where it counts, removing says so
	if err := durable.Rename(filepath.Join(c.dir, "updates"), partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != unfinished {
			err = errors.Join(err, copytree.Remove(filepath.Join(c.dir, e.Name())))
		}
	}
	if err = errors.Join(err, copytree.Remove(partial)); err != nil { // last: it says what the rest is
		return err
	}
	if c.made {
		return durable.Remove(c.dir)
	}
	_ = os.Chmod(c.dir, c.mode)
	return nil
}

// sideFiles returns what the pending change wrote beside conflicting files: like the
// change itself it stays with the original.
func (u *Updater) sideFiles() []string {
	var sides []string
	pending, err := u.Home.Pending()
	if err != nil {
		return nil
	}
	for _, p := range pending.Plan.Conflicts() {
		sides = append(sides, p+".original", p+".new", p+".final")
	}
	return sides
}

// copyHome copies everything but what belongs to a tool at work, or to the disk that the
// original is on.
func (u *Updater) copyHome(ctx context.Context, to *claim) error {
	home, err := os.OpenRoot(u.Home.Dir())
	if err != nil {
		return err
	}
	defer home.Close()
	updates, err := home.OpenRoot("updates")
	if err != nil {
		return err
	}
	defer updates.Close()
	sides := u.sideFiles()
	u.begin("copy", 0)
	defer u.end()
	_, err = copytree.Copy(ctx, updates, filepath.Join(to.dir, unfinished), func(p string) bool {
		return p == "lock" || p == "staging" || p == "scan-cache"
	})
	if err == nil {
		_, err = copytree.Copy(ctx, home, to.dir, func(p string) bool {
			return p == "updates" || isStaging(path.Base(p)) || slices.Contains(sides, p)
		})
	}
	if err == nil {
		err = to.publish()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return problem.New(problem.Interrupted, "Run the command again.", "Interrupted while the product was copied: %w", err)
	}
	return problem.New(problem.Refused, "See that the disk has room and everything is readable.", "Unable to copy the product to %s: %w", to.dir, err)
}

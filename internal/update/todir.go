package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"uplevel/internal/durable"
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
	copied := false
	defer func() {
		if !copied {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := u.exclusive(ctx, false, func() error { return u.copyHome(ctx, dir) }); err != nil {
		return res, err
	}
	other, err := u.Other(ctx, dir)
	if err != nil {
		return res, fmt.Errorf("opening the copy %s: %w", dir, err)
	}
	result, err := other.Update(ctx, opts)
	copied = err == nil || problem.KindOf(err) == problem.Conflicts
	return result, err
}

// freeDirectory returns dir as an absolute path, or refuses one that is in use.
func (u *Updater) freeDirectory(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	inside, err := filepath.Rel(u.Home.Dir(), full)
	if err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
		return "", problem.New(problem.Refused, "Name a directory beside the product.",
			"%s is inside the product directory %s", full, u.Home.Dir())
	}
	switch entries, err := os.ReadDir(full); {
	case errors.Is(err, fs.ErrNotExist):
		return full, nil
	case err != nil:
		return "", problem.New(problem.Refused, "Name a directory that does not exist yet.", "Unable to use %s: %w", full, err)
	case len(entries) > 0:
		return "", problem.New(problem.Refused, "Name a directory that does not exist yet.", "%s is not empty", full)
	}
	return full, nil
}

// notCopied reports what belongs to a tool at work, or to the disk that the original
// is on.
func notCopied(path string) bool {
	return path == "updates/lock" || path == "updates/staging" || path == "updates/scan-cache"
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

// copyHome copies everything: modes, times, links, and owners where it may.
func (u *Updater) copyHome(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return problem.New(problem.Refused, "Name a directory that you may write.", "Unable to make %s: %w", dir, err)
	}
	from, err := os.OpenRoot(u.Home.Dir())
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	c := copier{from: from, to: to, each: errors.Is(durable.SyncFS(dir), errors.ErrUnsupported)}
	sides := u.sideFiles()
	u.begin("copy", 0)
	defer u.end()
	err = fs.WalkDir(from.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if notCopied(p) || entry.Name() == stagingName || slices.Contains(sides, p) {
			return skip(entry)
		}
		return c.entry(p, entry)
	})
	if err != nil {
		return problem.New(problem.Refused, "See that the disk has room and everything is readable.", "Unable to copy the product to %s: %w", dir, err)
	}
	return c.finish(dir)
}

type copier struct {
	from, to *os.Root
	folders  []fs.FileInfo // whose modes and times are set last
	paths    []string
	each     bool // sync each file: the system cannot sync them all at once
}

func (c *copier) entry(p string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch {
	case entry.IsDir():
		c.folders, c.paths = append(c.folders, info), append(c.paths, p)
		if p == "." {
			return nil
		}
		return c.to.Mkdir(p, 0o700)
	case info.Mode().IsRegular():
		return c.file(p, info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := c.from.Readlink(p)
		if err != nil {
			return err
		}
		return c.to.Symlink(target, p)
	}
	return nil // sockets and pipes belong to whoever runs
}

func (c *copier) file(p string, info fs.FileInfo) error {
	in, err := c.from.Open(p)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.to.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil && c.each {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return c.attributes(p, info)
}

// finish gives the folders their attributes, the deepest first: before, they might have
// been closed to writing, and each entry made in them set their time. Then it syncs.
func (c *copier) finish(dir string) error {
	for i, v := range slices.Backward(c.paths) {
		if err := c.attributes(v, c.folders[i]); err != nil {
			return err
		}
		if !c.each {
			continue
		}
		if err := durable.SyncDir(filepath.Join(dir, v)); err != nil {
			return err
		}
	}
	if c.each {
		return nil
	}
	return durable.SyncFS(dir)
}

func (c *copier) attributes(p string, info fs.FileInfo) error {
	if uid, gid, ok := owner(info); ok {
		_ = c.to.Lchown(p, uid, gid) // only root may; others own what they copy
	}
	if err := c.to.Chmod(p, info.Mode().Perm()); err != nil {
		return err
	}
	return c.to.Chtimes(p, time.Time{}, info.ModTime())
}

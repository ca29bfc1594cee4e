// Package copytree copies a folder as it is: modes, times, links, extended attributes, and
// owners where it may. Content is shared where the file system can (reflinks), so that a copy
// costs what is written later; it is never a second name of a file, which both would write.
package copytree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"uplevel/internal/durable"
)

// Copy copies what lies in from, but for what skip names, to the empty folder to, and makes
// it durable. To gets mode, owner, attributes and times of from at the end: whoever makes it
// for its owner alone keeps all of the copy closed until then. What goes while it is copied is
// passed over, for a product may run; so is to itself where it lies in from, by whatever name.
// It returns the bytes of the files copied.
func Copy(ctx context.Context, from *os.Root, to string, skip func(path string) bool) (int64, error) {
	top, err := os.Stat(to)
	if err != nil {
		return 0, err
	}
	into, err := os.OpenRoot(to)
	if err != nil {
		return 0, err
	}
	defer into.Close()
	c := copier{from: from, to: into, each: errors.Is(durable.SyncFS(to), errors.ErrUnsupported)}
	err = walk(from, skip, func(p string, info fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.entry(p, info, top)
	})
	if err != nil {
		return 0, err
	}
	return c.bytes, c.finish(to)
}

// Size returns the bytes that a copy of from takes: files, and a block for each entry.
func Size(from *os.Root, skip func(path string) bool) (int64, error) {
	const block = 4 << 10
	var bytes int64
	err := walk(from, skip, func(_ string, info fs.FileInfo) error {
		bytes += block
		if info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, err
}

// Remove removes a folder with all in it, also folders that their owner may not write.
// What is not there is no error.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	// What stays closed is told by the second try.
	_ = fs.WalkDir(root.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = root.Chmod(p, 0o700)
		}
		return err
	})
	return os.RemoveAll(dir)
}

// walk does something with every entry that skip does not name. What went meanwhile is passed
// over.
func walk(from *os.Root, skip func(path string) bool, do func(string, fs.FileInfo) error) error {
	return fs.WalkDir(from.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		if p != "." && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if skip(p) {
			return past(entry)
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return past(entry)
		}
		if err != nil {
			return err
		}
		return do(p, info)
	})
}

func past(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// unlessGone returns err, but none where what was to be copied went.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type copier struct {
	from, to *os.Root
	folders  []folder
	bytes    int64
	each     bool // sync each file: the system cannot sync them all at once
}

// folder is one whose mode and times are set last.
type folder struct {
	path string
	info fs.FileInfo
}

func (c *copier) entry(p string, info, top fs.FileInfo) error {
	switch {
	case info.IsDir() && os.SameFile(info, top):
		return fs.SkipDir
	case info.IsDir():
		c.folders = append(c.folders, folder{p, info})
		if p == "." {
			return nil
		}
		return c.to.Mkdir(p, 0o700)
	case info.Mode().IsRegular():
		return c.file(p, info)
	case info.Mode()&fs.ModeSymlink != 0:
		return c.link(p, info)
	}
	return nil // sockets and pipes belong to whoever runs
}

func (c *copier) link(p string, info fs.FileInfo) error {
	target, err := c.from.Readlink(p)
	if err != nil {
		return unlessGone(err)
	}
	if err := c.to.Symlink(target, p); err != nil {
		return err
	}
	c.own(p, info)
	return nil
}

func (c *copier) file(p string, info fs.FileInfo) error {
	in, err := c.from.Open(p)
	if err != nil {
		return unlessGone(err)
	}
	defer in.Close()
	out, shared, err := create(c.to, p, in)
	if err != nil {
		return err
	}
	if !shared {
		_, err = io.Copy(out, in)
	}
	owned := c.own(p, info) // first: it takes bits and attributes away
	if err == nil {
		err = copyAttributes(out, in)
	}
	if err == nil && c.each {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	c.bytes += info.Size()
	return c.dress(p, info, owned)
}

// finish gives the folders their attributes, the deepest first: before, they might have
// been closed to writing, and each entry made in them set their time. Then it syncs.
func (c *copier) finish(to string) error {
	for _, f := range slices.Backward(c.folders) {
		if err := c.folder(f); err != nil {
			return fmt.Errorf("attributes of %s: %w", f.path, err)
		}
		if !c.each {
			continue
		}
		if err := durable.SyncDir(filepath.Join(to, f.path)); err != nil {
			return err
		}
	}
	if c.each {
		return nil
	}
	return durable.SyncFS(to)
}

func (c *copier) folder(f folder) error {
	owned := c.own(f.path, f.info)
	in, err := c.from.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.dress(f.path, f.info, owned) // went while we copied
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.to.Open(f.path)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := copyAttributes(out, in); err != nil {
		return err
	}
	return c.dress(f.path, f.info, owned)
}

// own gives p its owner, which only root may: others own what they copy.
func (c *copier) own(p string, info fs.FileInfo) bool {
	uid, gid, ok := owner(info)
	return ok && c.to.Lchown(p, uid, gid) == nil
}

// dress gives p mode and times. Bits that lend rights go only with the owner and group who
// lend them.
func (c *copier) dress(p string, info fs.FileInfo, owned bool) error {
	mode := info.Mode() & (fs.ModePerm | fs.ModeSticky)
	if owned {
		mode |= info.Mode() & (fs.ModeSetuid | fs.ModeSetgid)
	}
	if err := c.to.Chmod(p, mode); err != nil {
		return err
	}
	return c.to.Chtimes(p, time.Time{}, info.ModTime())
}

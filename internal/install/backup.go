package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"uplevel/internal/durable"
)

// backup makes a full copy of the home below dir, staging left out, and returns where
// it lies and its size in bytes. It gets its name only when it is whole.
func (h *Home) backup(ctx context.Context, dir, pack string) (string, int64, error) {
	name := fmt.Sprintf("%s-%s-%d", filepath.Base(h.dir), pack, h.state.History+1)
	to, err := filepath.Abs(filepath.Join(dir, "backup", name))
	if err != nil {
		return "", 0, err
	}
	if to, err = freeName(to); err != nil {
		return "", 0, err
	}
	partial := to + ".partial" // of this home and change: one that a cut left is ours
	if err := os.RemoveAll(partial); err != nil {
		return "", 0, err
	}
	if err := durable.MkdirAll(partial, 0o755); err != nil {
		return "", 0, err
	}
	n, err := h.copyTo(ctx, partial)
	if err == nil {
		err = durable.Rename(partial, to)
	}
	if err != nil {
		return "", 0, errors.Join(fmt.Errorf("backing up to %s: %w", to, err), os.RemoveAll(partial))
	}
	return to, n, nil
}

// freeName returns name, or name with a number where an earlier attempt at the same
// change left its copy.
func freeName(name string) (string, error) {
	for n, free := 2, name; ; n++ {
		_, err := os.Lstat(free)
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
}

// copyTo copies the home into the empty folder to, without staging, lock and scan
// cache, and makes the copy durable.
func (h *Home) copyTo(ctx context.Context, to string) (int64, error) {
	var bytes int64
	err := fs.WalkDir(h.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == "." {
			return err
		}
		switch {
		case p == stagingDir || d.Name() == mountStaging:
			return fs.SkipDir
		case p == lockFile || p == cacheFile:
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return h.copyOne(p, filepath.Join(to, filepath.FromSlash(p)), d)
	})
	if err != nil {
		return 0, err
	}
	if err := durable.SyncFS(to); err != nil && !isUnsupported(err) {
		return 0, err
	}
	return bytes, nil
}

func (h *Home) copyOne(p, to string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		err = os.Mkdir(to, info.Mode().Perm()|0o700)
	case info.Mode()&fs.ModeSymlink != 0:
		var target string
		if target, err = h.root.Readlink(p); err == nil {
			err = os.Symlink(target, to)
		}
	case info.Mode().IsRegular():
		err = h.copyFile(p, to, info)
	default:
		return nil // sockets and pipes are no content
	}
	if err != nil {
		return err
	}
	if uid, gid, ok := owner(info); ok && os.Geteuid() == 0 {
		if err := os.Lchown(to, uid, gid); err != nil {
			return err
		}
	}
	return copyAttributes(h.abs(p), to)
}

func (h *Home) copyFile(p, to string, info fs.FileInfo) error {
	from, err := h.root.Open(p)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := durable.Create(to, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

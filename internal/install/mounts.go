package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// mounts are the mount points below the home.
type mounts []string

func (h *Home) findMounts() (mounts, error) {
	below, err := mountsBelow(h.dir)
	if err != nil {
		return nil, fmt.Errorf("looking for mounts below %s: %w", h.dir, err)
	}
	return below, nil
}

// of returns the mount point that path lies on, "" for the home's own.
func (m mounts) of(path string) string {
	at := ""
	for _, p := range m {
		if strings.HasPrefix(path, p+"/") && len(p) > len(at) {
			at = p
		}
	}
	return at
}

// staging returns the folder from which a rename to path is possible.
func (m mounts) staging(path string) string {
	at := m.of(path)
	switch {
	case at == m.of(stagingDir):
		return stagingDir
	case at == "":
		return mountStaging
	}
	return at + "/" + mountStaging
}

// folders returns every staging folder there may be, this home's first.
func (m mounts) folders() []string {
	all := []string{stagingDir}
	for _, p := range append([]string{""}, m...) {
		if f := m.staging(join(p, "x")); !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// refuseMountPoint refuses a path that is itself a mount point: no rename can replace it.
func (m mounts) refuseMountPoint(path string) error {
	if slices.Contains(m, path) {
		return problem.New(problem.Refused, "Unmount it, or see to what is mounted there by its own means.",
			"%s is a mount point and would have to be replaced", path)
	}
	return nil
}

// removeStaging removes every staging folder below the home.
func (h *Home) removeStaging(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := h.findMounts()
	if err != nil {
		return err
	}
	return h.removeStagingFolders(m.folders())
}

func (h *Home) removeStagingFolders(folders []string) error {
	var all error
	for _, f := range folders {
		if _, err := h.lstat(f); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := h.removeTree(f); err != nil {
			all = errors.Join(all, err)
			continue
		}
		all = errors.Join(all, durable.SyncDir(h.abs(parent(f))))
	}
	return all
}

// removeTree removes a folder with all in it, also folders of a level that their owner
// may not write.
func (h *Home) removeTree(dir string) error {
	err := h.root.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = fs.WalkDir(h.root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = h.root.Chmod(p, 0o700)
		}
		return err
	})
	return h.root.RemoveAll(dir)
}

// syncFolders makes everything on the file systems of these folders durable: in one
// call each where the system has one, else file by file below the folders.
func (h *Home) syncFolders(folders []string) error {
	for _, f := range folders {
		err := durable.SyncFS(h.abs(f))
		if errors.Is(err, errors.ErrUnsupported) {
			err = h.syncEach(f)
		}
		if err != nil {
			return fmt.Errorf("syncing %s: %w", f, err)
		}
	}
	return nil
}

func (h *Home) syncEach(folder string) error {
	return fs.WalkDir(h.root.FS(), folder, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return durable.SyncDir(h.abs(p))
		case !d.Type().IsRegular():
			return nil
		}
		f, err := h.root.OpenFile(p, openForSync, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

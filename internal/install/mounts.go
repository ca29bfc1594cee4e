package install

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// mounts are the mount points below the home.
type mounts struct {
	points []string
	own    string // name of the staging folder of this preparation beside targets of another mount
}

func (h *Home) findMounts() (mounts, error) {
	below, err := mountsBelow(h.dir)
	if err != nil {
		return mounts{}, fmt.Errorf("looking for mounts below %s: %w", h.dir, err)
	}
	data, err := h.read(elsewhereFile, 100)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !isStaging(string(data)) {
		return mounts{points: below}, nil
	}
	return mounts{points: below, own: string(data)}, err
}

// isStaging reports whether a name is one that nameElsewhere gives.
func isStaging(name string) bool {
	return strings.HasPrefix(name, mountStaging) && !strings.ContainsAny(name, "/\\")
}

// nameElsewhere gives the staging folders beside targets of other mounts a name that no other
// home has, for two homes may have one folder mounted below them. It is written down before
// there is such a folder, so that whatever a cut leaves can be found.
func (h *Home) nameElsewhere() (string, error) {
	name := mountStaging + strings.ToLower(rand.Text())
	return name, durable.WriteFile(h.abs(elsewhereFile), []byte(name), 0o600)
}

// Mounts returns the mount points below the home, relative to it, as far as the system
// tells them.
func (h *Home) Mounts() ([]string, error) {
	m, err := h.findMounts()
	return m.points, err
}

// of returns the mount point that path lies on, "" for the home's own.
func (m mounts) of(path string) string {
	at := ""
	for _, p := range m.points {
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
	case at == m.of(stagingDir), m.own == "":
		return stagingDir
	case at == "":
		return m.own
	}
	return at + "/" + m.own
}

// folders returns every staging folder there may be, this home's last: it says what the others
// are called.
func (m mounts) folders() []string {
	all := []string{}
	for _, p := range append([]string{""}, m.points...) {
		if f := m.staging(join(p, "x")); f != stagingDir && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return append(all, stagingDir)
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// refuseMountPoint refuses a path that is itself a mount point: no rename can replace it.
func (m mounts) refuseMountPoint(path string) error {
	if slices.Contains(m.points, path) {
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

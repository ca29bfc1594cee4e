package deltas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// change is a file of the new tree whose content has to be made.
type change struct {
	path  string
	fresh bool // nothing, or something empty, was at its path before
}

// entry is a folder, a file or a link.
type entry struct {
	mode   fs.FileMode
	target string // of a link
	size   int64  // of a file
}

// list returns what lies in a tree, by path.
func list(dir string) (map[string]entry, error) {
	all := map[string]entry{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{mode: info.Mode()}
		switch {
		case d.Type() == fs.ModeSymlink:
			e.target, err = os.Readlink(name)
		case d.Type().IsRegular():
			e.size = info.Size()
		}
		rel, relErr := filepath.Rel(dir, name)
		all[rel] = e
		return errors.Join(err, relErr)
	})
	return all, err
}

// differing returns the files of the new tree that are not as they were. An empty one needs
// nothing that travels.
func differing(old, next string) ([]change, error) {
	before, err := list(old)
	if err != nil {
		return nil, err
	}
	now, err := list(next)
	if err != nil {
		return nil, err
	}
	var all []change
	for _, path := range slices.Sorted(maps.Keys(now)) {
		was, is := before[path], now[path]
		if !is.mode.IsRegular() || is.size == 0 {
			continue
		}
		if fresh := !was.mode.IsRegular() || was.size == 0; fresh {
			all = append(all, change{path, true})
			continue
		}
		equal, err := equalFiles(filepath.Join(old, path), filepath.Join(next, path))
		if err != nil {
			return nil, err
		}
		if !equal {
			all = append(all, change{path, false})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing changes from %s to %s: there is nothing to measure", old, next)
	}
	return all, nil
}

// same returns what tells two trees apart, as an error: kinds, modes, links, contents.
func same(want, got string) error {
	wanted, err := list(want)
	if err != nil {
		return err
	}
	made, err := list(got)
	if err != nil {
		return err
	}
	for path := range made {
		if _, ok := wanted[path]; !ok {
			return fmt.Errorf("%s is too much in the applied tree", path)
		}
	}
	for path, e := range wanted {
		if made[path] != e {
			return fmt.Errorf("%s is %v in the applied tree, not %v", path, made[path], e)
		}
		if !e.mode.IsRegular() {
			continue
		}
		if equal, err := equalFiles(filepath.Join(want, path), filepath.Join(got, path)); err != nil || !equal {
			return errors.Join(err, fmt.Errorf("%s has another content in the applied tree", path))
		}
	}
	return nil
}

func equalFiles(a, b string) (bool, error) {
	one, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(b)
	return bytes.Equal(one, other), err
}

// lay makes the new tree without the changed files, for tools that make nothing but those.
func lay(old, next, out string, changed []change) error {
	all, err := list(next)
	if err != nil {
		return err
	}
	for _, c := range changed {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(out, c.path)), 0o755); err != nil {
			return err
		}
	}
	for path, e := range all {
		to := filepath.Join(out, path)
		switch {
		case e.mode.IsDir():
			err = os.MkdirAll(to, 0o755)
		case e.mode.IsRegular() && slices.ContainsFunc(changed, func(c change) bool { return c.path == path }):
		case e.mode.IsRegular() && e.size == 0:
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, nil, 0o644))
		case e.mode.IsRegular():
			err = copyFile(filepath.Join(old, path), to)
		default:
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Symlink(e.target, to))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setModes gives what lies in out the modes that it has in next.
func setModes(next, out string) error {
	all, err := list(next)
	if err != nil {
		return err
	}
	for path, e := range all {
		if e.mode.Type() == fs.ModeSymlink {
			continue
		}
		if err := os.Chmod(filepath.Join(out, path), e.mode.Perm()); err != nil {
			return err
		}
	}
	return nil
}

// size returns the bytes of all files in a folder.
func size(dir string) (int64, error) {
	all, err := list(dir)
	sum := int64(0)
	for _, e := range all {
		sum += e.size
	}
	return sum, err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

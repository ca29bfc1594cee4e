package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"uplevel/internal/manifest"
)

// errFound ends a walk early.
var errFound = errors.New("found")

// glance looks into folders of the home for what no tree lists.
type glance struct {
	home  string
	trees []manifest.Tree
	err   error // the first look that failed: then nothing may be concluded
}

// occupied reports whether a folder of the home holds, at any depth, something that no
// tree lists.
func (g *glance) occupied(dir string) bool {
	root, err := os.OpenRoot(g.home)
	if err != nil {
		g.failed(err)
		return true
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), dir, func(p string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // went while we looked
		}
		if err != nil {
			return err
		}
		if p != dir && !listed(p, g.trees) {
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		g.failed(err)
	}
	return err != nil
}

func (g *glance) failed(err error) {
	if g.err == nil {
		g.err = fmt.Errorf("looking into the product's folders: %w", err)
	}
}

func listed(p string, trees []manifest.Tree) bool {
	return slices.ContainsFunc(trees, func(t manifest.Tree) bool {
		_, ok := t.Lookup(p)
		return ok
	})
}

// foreign returns what lies in the home and stands in no manifest: files and links by
// their path, a folder with nothing listed in it by its path and a slash. What belongs
// to the tool is left out.
func (u *Updater) foreign(ctx context.Context, tree manifest.Tree) ([]string, error) {
	root, err := os.OpenRoot(u.Home.Dir())
	if err != nil {
		return nil, fmt.Errorf("looking for foreign files: %w", err)
	}
	defer root.Close()
	found := []string{}
	err = fs.WalkDir(root.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && errors.Is(err, fs.ErrNotExist):
			return nil // went while we looked
		case err != nil:
			return err
		case p == ".":
			return nil
		case manifest.Reserved(p) || isStaging(path.Base(p)):
			return skip(entry)
		}
		e, ok := tree.Lookup(p)
		switch {
		case !entry.IsDir() && !ok:
			found = append(found, p)
		case entry.IsDir() && (!ok || e.Kind != manifest.Dir):
			found = append(found, p+"/")
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for foreign files: %w", err)
	}
	return found, nil
}

// isStaging reports whether a name is of a folder that the installer of some home puts beside
// mount points while at work.
func isStaging(name string) bool { return strings.HasPrefix(name, ".uplevel-staging-") }

func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// above returns paths with every folder above them, sorted, each once.
func above(paths []string) []string {
	var all []string
	for _, p := range paths {
		for p != "." && p != "" {
			all = append(all, p)
			i := strings.LastIndexByte(p, '/')
			if i < 0 {
				break
			}
			p = p[:i]
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/statefile"
)

// StateFile tells of the installation what create-update needs to make an offline update
// that fits it. Every file of the level is read; nothing is written.
func (u *Updater) StateFile(ctx context.Context) (statefile.State, error) {
	if err := u.ready(ctx); err != nil {
		return statefile.State{}, err
	}
	s := u.Home.State()
	out := statefile.State{
		Format: 1, Product: s.Product, Version: s.Version, Channel: s.Channel, Level: s.Level, System: u.System,
		Hotfixes: append(append([]string{}, plan.Names(s.Hotfixes)...), s.Others...), Files: []statefile.File{},
	}
	if !s.Record.Sum.IsZero() {
		out.Record = &s.Record
	}
	view, _ := u.trusted(s.Line())
	at, err := u.installed(ctx, view)
	if err != nil && (out.Record != nil || ctx.Err() != nil) {
		return out, err
	}
	if err != nil { // another tool left it: whoever makes the update compares
		u.Log.Info("what the level must hold is not known here", "error", err)
		out.Files, err = u.everything(ctx)
		return out, err
	}
	out.Compared = true
	out.Files, err = u.differing(ctx, at.published)
	return out, err
}

// differing returns what stands at the paths of a tree where something else does.
func (u *Updater) differing(ctx context.Context, tree manifest.Tree) ([]statefile.File, error) {
	files := []statefile.File{}
	disk, err := u.look(ctx, pathsOf(tree), false)
	if err != nil {
		return nil, err
	}
	for _, e := range tree.Entries() {
		have, there := disk.Lookup(e.Path)
		switch {
		case !there:
			files = append(files, statefile.File{Path: e.Path, Kind: statefile.Missing})
		case !have.SameContent(e):
			files = append(files, statefile.File{Path: e.Path, Kind: have.Kind, Sum: have.Sum})
		}
	}
	return files, nil
}

// everything returns all files and links of the home that are not the tool's own.
func (u *Updater) everything(ctx context.Context) ([]statefile.File, error) {
	root, err := os.OpenRoot(u.Home.Dir())
	if err != nil {
		return nil, fmt.Errorf("looking at the product: %w", err)
	}
	defer root.Close()
	var paths []string
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
		case !entry.IsDir() && manifest.CheckPath(p) == nil:
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking at the product: %w", err)
	}
	disk, err := u.look(ctx, paths, false)
	if err != nil {
		return nil, err
	}
	files := []statefile.File{}
	for _, e := range disk.Entries() {
		files = append(files, statefile.File{Path: e.Path, Kind: e.Kind, Sum: e.Sum})
	}
	return files, nil
}

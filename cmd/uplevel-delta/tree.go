package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/delta"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// scan returns what lies in a folder, with the digests of its files.
func scan(ctx context.Context, dir string, workers int) (manifest.Tree, error) {
	var entries []manifest.Entry
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		e, err := entry(dir, name, d)
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return manifest.Tree{}, err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(workers)
	for i := range entries {
		if e := &entries[i]; e.Kind == manifest.File {
			work.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				file, err := os.Open(filepath.Join(dir, e.Path))
				if err != nil {
					return err
				}
				e.Sum, e.Size, err = digest.Copy(io.Discard, file)
				return errors.Join(err, file.Close())
			})
		}
	}
	if err := work.Wait(); err != nil {
		return manifest.Tree{}, err
	}
	return manifest.NewTree(entries)
}

func entry(dir, name string, d fs.DirEntry) (manifest.Entry, error) {
	rel, err := filepath.Rel(dir, name)
	if err != nil {
		return manifest.Entry{}, err
	}
	info, err := d.Info()
	if err != nil {
		return manifest.Entry{}, err
	}
	e := manifest.Entry{Path: filepath.ToSlash(rel), Mode: uint32(info.Mode().Perm())}
	switch {
	case d.IsDir():
		e.Kind = manifest.Dir
	case d.Type() == fs.ModeSymlink:
		e.Kind, e.Mode = manifest.Link, 0
		e.Target, err = os.Readlink(name)
	case d.Type().IsRegular():
		e.Kind = manifest.File
	default:
		err = fmt.Errorf("%s is neither file, folder nor link", name)
	}
	return e, err
}

// scratch makes a file that is gone when it is closed.
func scratch() (*os.File, error) {
	file, err := os.CreateTemp("", "uplevel-delta-*")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// in opens contents of a folder.
func in(dir string) func(delta.Content) (delta.File, error) {
	return func(c delta.Content) (delta.File, error) {
		return os.Open(filepath.Join(dir, filepath.FromSlash(c.Path)))
	}
}

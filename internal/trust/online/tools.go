package online

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// acceptTools compares the programs of the update tool with those that are current: none
// may vanish or change, a new version is higher than all before, and new ones are stored.
func (sub *submission) acceptTools(ctx context.Context, data []byte) error {
	tools, err := trust.ToolPrograms(data)
	if err != nil {
		return err
	}
	known := map[string]release.Tool{}
	newest := ""
	file, err := sub.repo.Current(ctx, trust.RoleTool)
	switch {
	case err == nil:
		before, err := trust.ToolPrograms(file.Data)
		if err != nil {
			return err
		}
		for _, t := range before {
			known[release.ToolPath(t.Version, t.System)], newest = t, t.Version
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading the current %s: %w", trust.RoleTool, err)
	}
	for _, t := range tools {
		path := release.ToolPath(t.Version, t.System)
		old, published := known[path]
		delete(known, path)
		switch {
		case published && old.Program != t.Program:
			return refuse(trust.RoleTool, "%s is not the one published", path)
		case published:
		case newest != "" && t.Version != newest && release.CompareTools(t.Version, newest) <= 0:
			return refuse(trust.RoleTool, "version %s is new and not higher than %s", t.Version, newest)
		default:
			if err := sub.toolStored(ctx, t); err != nil {
				return err
			}
		}
	}
	if len(known) > 0 {
		return refuse(trust.RoleTool, "%s was published and is missing", slices.Min(slices.Collect(maps.Keys(known))))
	}
	return nil
}

// toolStored refuses a program that is not stored or not of the length that is listed.
func (sub *submission) toolStored(ctx context.Context, t release.Tool) error {
	_, err := sub.s.Objects.Content(ctx, t.Program)
	name := "the update tool " + t.Version + " for " + t.System
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return problem.New(problem.Refused, "Upload it first: run the command again.", "The program of %s is not stored", name)
	case errors.Is(err, digest.ErrMismatch):
		return refuse(trust.RoleTool, "%s: %w", name, err)
	case err != nil:
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

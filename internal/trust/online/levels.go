package online

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// missingAtOnce bounds how many objects one question about the store names.
const missingAtOnce = 2000

// acceptLine compares a line's levels with those that are current: none may vanish, change
// its record or go back in its state, new ones are higher than all before and wholly stored.
func (sub *submission) acceptLine(ctx context.Context, line release.Line, data []byte) error {
	levels, err := trust.LineLevels(data, line)
	if err != nil {
		return err
	}
	before, err := sub.currentLevels(ctx, line)
	if err != nil {
		return err
	}
	known := map[int]release.Listed{}
	highest := -1
	for _, l := range before {
		known[l.Level], highest = l, max(highest, l.Level)
	}
	for _, l := range levels {
		if l.State == release.Withdrawn && l.Reason == "" {
			return refuse(line.Role(), "level %d is withdrawn without a reason", l.Level)
		}
		old, published := known[l.Level]
		delete(known, l.Level)
		switch {
		case published && old.Record != l.Record:
			return refuse(line.Role(), "the record of level %d is not the one published", l.Level)
		case published && !old.State.CanBecome(l.State):
			return problem.New(problem.Refused, "Publish the next level, or withdraw this one: states move towards live, or to withdrawn for good.",
				"%s: level %d is %s and cannot become %s", trust.CacheName(line.Role()), l.Level, old.State, l.State)
		case published:
			continue
		case l.Level < highest:
			return refuse(line.Role(), "level %d is new and lower than level %d", l.Level, highest)
		}
		if err := sub.acceptLevel(ctx, line, l); err != nil {
			return err
		}
	}
	if len(known) > 0 {
		return refuse(line.Role(), "published levels are missing, %d among them: withdraw a level instead", slices.Min(slices.Collect(maps.Keys(known))))
	}
	sub.lines = append(sub.lines, Line{Line: line, Levels: levels})
	return nil
}

func (sub *submission) currentLevels(ctx context.Context, line release.Line) ([]release.Listed, error) {
	file, err := sub.repo.Current(ctx, line.Role())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a line that is new has no levels
	}
	if err != nil {
		return nil, fmt.Errorf("reading the current %s: %w", line.Role(), err)
	}
	return trust.LineLevels(file.Data, line)
}

// acceptLevel takes a new level whose record is of it, whose listing agrees with its
// notes, and whose manifest and files are stored.
func (sub *submission) acceptLevel(ctx context.Context, line release.Line, l release.Listed) error {
	record, err := sub.record(ctx, line, l)
	if err != nil {
		return err
	}
	text, err := sub.content(ctx, record.Notes, "notes", l.Level)
	if err != nil {
		return err
	}
	notes, err := release.ParseNotes(text)
	if err != nil {
		return refuse(line.Role(), "level %d: %w", l.Level, err)
	}
	regular, security := notes.Counts()
	if l.RegularN != regular || l.SecurityN != security || len(notes.Updates) > 0 && l.Type != notes.Type() {
		return refuse(line.Role(), "level %d is listed as %s with %d regular and %d security updates, its notes hold %d and %d",
			l.Level, l.Type, l.RegularN, l.SecurityN, regular, security)
	}
	if err := sub.commonStart(ctx, line, l.Level, record); err != nil {
		return err
	}
	return sub.filesStored(ctx, line, l.Level, record)
}

func (sub *submission) record(ctx context.Context, line release.Line, l release.Listed) (release.Record, error) {
	text, err := sub.content(ctx, l.Record, "release record", l.Level)
	if err != nil {
		return release.Record{}, err
	}
	record, err := release.ParseRecord(text, line, l.Level)
	if err != nil {
		return release.Record{}, refuse(line.Role(), "%w", err)
	}
	return record, nil
}

// commonStart refuses a level 0 of another channel that is not the default channel's:
// level 0 is common to all.
func (sub *submission) commonStart(ctx context.Context, line release.Line, level int, record release.Record) error {
	if level != 0 || line.Channel == release.DefaultChannel {
		return nil
	}
	common := line
	common.Channel = release.DefaultChannel
	levels, err := sub.currentLevels(ctx, common)
	if err != nil || len(levels) == 0 || levels[0].Level != 0 {
		return err
	}
	first, err := sub.record(ctx, common, levels[0])
	if err != nil {
		return err
	}
	if first.Manifest != record.Manifest {
		return refuse(line.Role(), "its level 0 is not the one of channel %s", common.Channel)
	}
	return nil
}

// filesStored refuses a level of which a file is not stored.
func (sub *submission) filesStored(ctx context.Context, line release.Line, level int, record release.Record) error {
	text, err := sub.content(ctx, record.Manifest, "manifest", level)
	if err != nil {
		return err
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return refuse(line.Role(), "level %d: %w", level, err)
	}
	seen := map[digest.Digest]bool{}
	var ask []digest.Digest
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File && !seen[e.Sum] {
			seen[e.Sum] = true
			ask = append(ask, e.Sum)
		}
	}
	for len(ask) > 0 {
		n := min(len(ask), missingAtOnce)
		missing, err := sub.s.Objects.Missing(ctx, ask[:n])
		if err != nil {
			return fmt.Errorf("looking for the files of level %d: %w", level, err)
		}
		if len(missing) > 0 {
			return lacking(fmt.Sprintf("%d files, %s among them,", len(missing), missing[0]), level)
		}
		ask = ask[n:]
	}
	return nil
}

func (sub *submission) content(ctx context.Context, ref release.Ref, what string, level int) ([]byte, error) {
	data, err := sub.s.Objects.Content(ctx, ref)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lacking(what, level)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %s of level %d: %w", what, level, err)
	}
	return data, nil
}

func lacking(what string, level int) error {
	return problem.New(problem.Refused, "Upload it first: run the command again.",
		"The %s of level %d is not stored", what, level)
}

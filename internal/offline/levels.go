package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/statefile"
)

// starts reads the levels to begin at.
func (w *work) starts(ctx context.Context) error {
	for _, b := range w.begins {
		listed, err := w.listed(b)
		if err != nil {
			return err
		}
		if b.line == w.opts.Line && b.level > w.to.record.Level {
			return problem.New(problem.Failed, "Name a higher level with --end-level, or none for the latest.",
				"%w %s: it is lower than %s, to begin at", release.ErrLevel, b.line.LevelName(w.to.record.Level), b.line.LevelName(b.level))
		}
		if b.line == w.opts.Line && b.level == w.to.record.Level {
			w.startAtEnd(b)
			continue
		}
		l, err := w.level(ctx, b.line, listed)
		if err != nil {
			return err
		}
		w.from = append(w.from, start{level: l, states: b.states})
	}
	return nil
}

// listed returns the level to begin at as it is signed, which the state files must agree with.
func (w *work) listed(b begin) (release.Listed, error) {
	listed, err := w.view.Level(b.line, b.level)
	if err != nil && errors.Is(err, release.ErrLevel) && len(b.states) > 0 {
		return listed, problem.New(problem.Refused, "Make the state file again there; if it stays so, tell the vendor's support.",
			"A state file is of level %s, which the vendor's signed metadata do not list: %w", b.line.LevelName(b.level), err)
	}
	if err != nil {
		return listed, err
	}
	for _, s := range b.states {
		if s.Record != nil && *s.Record != listed.Record {
			return listed, problem.New(problem.Refused, "Compare that installation with a fresh pack; tell the vendor's support.",
				"A state file names another record for level %s than the vendor signed", b.line.LevelName(b.level))
		}
	}
	return listed, nil
}

// startAtEnd takes a level to begin at that is the wanted one: for installations there that
// differ from it, the update carries what a repair needs.
func (w *work) startAtEnd(b begin) {
	if slices.ContainsFunc(b.states, func(s statefile.State) bool { return len(s.Differs(w.to.tree)) > 0 }) {
		w.from = append(w.from, start{level: w.to, states: b.states})
		return
	}
	w.draft.Left = append(w.draft.Left, b.line.LevelName(b.level))
}

// record reads the record of a listed level.
func (w *work) record(ctx context.Context, line release.Line, l release.Listed) (release.Record, error) {
	data, err := w.object(ctx, line, l.Level, l.Record, release.MaxRecord)
	if err != nil {
		return release.Record{}, err
	}
	record, err := release.ParseRecord(data, line, l.Level)
	if err != nil {
		return release.Record{}, notAsSigned(err)
	}
	return record, nil
}

// level reads record and manifest of a listed level.
func (w *work) level(ctx context.Context, line release.Line, l release.Listed) (level, error) {
	record, err := w.record(ctx, line, l)
	if err != nil {
		return level{}, err
	}
	text, err := w.object(ctx, line, l.Level, record.Manifest, manifest.MaxBytes)
	if err != nil {
		return level{}, err
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return level{}, notAsSigned(err)
	}
	return level{listed: l, record: record, tree: tree}, nil
}

func (w *work) object(ctx context.Context, line release.Line, number int, ref release.Ref, limit int64) ([]byte, error) {
	if ref.Size > limit {
		return nil, notAsSigned(fmt.Errorf("object %s of level %s claims %d bytes, the limit is %d", ref.Sum, line.LevelName(number), ref.Size, limit))
	}
	if err := w.m.Fetch.Fetch(ctx, line, number, []release.Ref{ref}); err != nil {
		return nil, err
	}
	r, err := w.m.Fetch.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("opening what was fetched: %w", err)
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func notAsSigned(err error) error {
	return problem.New(problem.Verification, "Tell the vendor's support.", "What was published is not usable: %w", err)
}

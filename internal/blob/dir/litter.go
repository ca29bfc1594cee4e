package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Litter gives the files that puts left half written which a kill ended: those that nobody
// has written to since before.
func Litter(ctx context.Context, folder string, before time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return errors.Join(gone(err), ctx.Err())
			}
			if !e.Type().IsRegular() || !partial(e.Name()) {
				return nil
			}
			info, err := e.Info()
			if err != nil || !info.ModTime().Before(before) {
				return gone(err)
			}
			if !yield(path, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", fmt.Errorf("looking for partial files: %w", err))
		}
	}
}

// Sweep removes the litter and returns how many files that were.
func Sweep(ctx context.Context, folder string, before time.Time) (int, error) {
	n := 0
	for path, err := range Litter(ctx, folder, before) {
		if err == nil {
			err = os.Remove(path)
		}
		if gone(err) != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// partial reports whether a name is one that package durable gives to what is being written.
func partial(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, ".partial-")
}

// gone takes what vanished meanwhile for what was never there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

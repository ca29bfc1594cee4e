package update

import (
	"context"
	"errors"
	"io/fs"

	"uplevel/internal/problem"
)

// FreeOptions say what of the local store may go.
type FreeOptions struct {
	Keep   int  // levels to keep for going back
	All    bool // everything that a fresh pack of the level would not have
	DryRun bool // only count
}

// FreeResult says what was, or would be, freed.
type FreeResult struct {
	Home   string `json:"home"`
	DryRun bool   `json:"dry_run,omitempty"`
	Freed  int64  `json:"freed"` // bytes
	Left   Store  `json:"left"`
}

// Free frees the local store; what it keeps for going back over more levels than wanted
// is gone afterwards.
func (u *Updater) Free(ctx context.Context, opts FreeOptions) (FreeResult, error) {
	res := FreeResult{Home: u.Home.Dir(), DryRun: opts.DryRun}
	err := u.exclusive(ctx, opts.DryRun, func() error {
		if _, err := u.Home.Pending(); !errors.Is(err, fs.ErrNotExist) {
			return problem.New(problem.Refused, "Go on with --continue or apply, or drop it with prepare --discard.",
				"A prepared change waits, which needs what is kept")
		}
		keep := opts.Keep
		if opts.All {
			keep = 0
		}
		var err error
		if res.Freed, err = u.Home.Free(keep, opts.DryRun); err != nil {
			return err
		}
		res.Left, err = u.Home.Store()
		return err
	})
	if opts.DryRun {
		res.Left.Bytes -= res.Freed
	}
	return res, err
}

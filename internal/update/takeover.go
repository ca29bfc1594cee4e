package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// wasPublished refuses a home that another tool left at a level which the vendor never
// published: nobody knows what its files were like before they were customised.
func (u *Updater) wasPublished(view *trust.View) error {
	state := u.Home.State()
	levels, err := view.Levels(state.Line())
	if err != nil {
		return err
	}
	for _, l := range levels {
		if l.Level == state.Level {
			return nil
		}
	}
	name := state.Line().LevelName(state.Level)
	return problem.New(problem.Failed,
		"If updates/config.json names a wrong level, correct it; else ask the vendor's support for level "+name+
			", or start from a fresh pack of a level there is and carry your configuration and data over.",
		"%w %s: %s has no such level, only %s, so it is not known what this product's files must be",
		release.ErrLevel, name, state.Line(), ranges(levels))
}

// ranges writes levels shortly: 0, 4, 17–20.
func ranges(levels []release.Listed) string {
	var parts []string
	for i := 0; i < len(levels); {
		first := i
		for i++; i < len(levels) && levels[i].Level == levels[i-1].Level+1; i++ {
		}
		part := fmt.Sprint(levels[first].Level)
		if i-first > 1 {
			part += "–" + fmt.Sprint(levels[i-1].Level)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// unknownBasis is the refusal of what needs the manifest of a home that another tool
// left, which keeps none.
func unknownBasis(s State) error {
	return problem.New(problem.Verification, "Run update, or give credentials with --username and --password, with the service reachable.",
		"It is not known what level %s must hold: this product keeps no manifest yet", s.Line().LevelName(s.Level))
}

// basis returns the metadata that a home is verified by: those that it keeps. A home that
// another tool left keeps none; there they are fetched, if the network may be used.
func (u *Updater) basis(ctx context.Context) (*trust.View, string, error) {
	state := u.Home.State()
	if !state.Record.Sum.IsZero() || u.Fetch == nil || u.Trust == nil {
		view, why := u.trusted(state.Line())
		return view, why, nil
	}
	return u.refreshed(ctx, state.Line())
}

// former is what the way back needs of the level gone from, and a home that another
// tool left does not keep.
func former(s State, from level) ([][]byte, error) {
	if !s.Record.Sum.IsZero() {
		return nil, nil
	}
	record, err := from.record.Bytes()
	return [][]byte{record, from.published.Bytes()}, err
}

// nothingToTakeBack says so, and where another tool left a copy of what was before it.
func nothingToTakeBack(s State) error {
	failure := noBackups(errors.New("there is no update to take back"))
	if s.Copy != "" && s.Record.Sum.IsZero() {
		failure.Next = "Another tool made the last update, and kept a copy of the product from before it in " + s.Copy +
			": stop the product and put that copy in this folder's place."
	}
	return failure
}

// conflictsOfAnother refuses to go on with conflicts that another tool left to be decided:
// what it prepared is not known. They are conflicts all the same, and no failure on which
// a script would throw the product away with every .final in it. It is nil where none are.
func (u *Updater) conflictsOfAnother(res *Result) error {
	if !u.Home.State().Record.Sum.IsZero() {
		return nil
	}
	paths, err := sidesIn(u.Home.Dir())
	if len(paths) == 0 && err != nil {
		return problem.New(problem.Refused, "Run it as the user who owns the product, or look at the permissions.",
			"Whether another tool left conflicts cannot be seen: %w", err)
	}
	if len(paths) == 0 {
		return nil
	}
	res.Outcome, res.Files.Conflicts = Conflicts, paths
	return problem.New(problem.Conflicts,
		"Move FILE.original and FILE.new of each away, then run update, which plans again; FILE.final stays, and is taken with resolve FILE --file FILE.final.",
		"Another tool left conflicts that only it could go on with: %s", shorten(paths)).
		Standing("Nothing was changed: the product is at level " + res.From.Name + "; every .final is kept.")
}

// sidesIn returns the files of a home beside which both versions of a conflict lie.
func sidesIn(home string) ([]string, error) {
	root, err := os.OpenRoot(home)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return conflictsIn(root.FS())
}

// conflictsIn also returns the first error of what could not be looked at: what was found is
// there all the same. A home inside the home is not looked into.
func conflictsIn(home fs.FS) (paths []string, unseen error) {
	err := fs.WalkDir(home, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if unseen == nil && !errors.Is(err, fs.ErrNotExist) {
				unseen = err
			}
			return nil
		}
		if d.IsDir() {
			_, nested := fs.Lstat(home, p+"/updates/product.txt")
			if p == "updates" || p != "." && nested == nil {
				return fs.SkipDir
			}
			return nil
		}
		if file, isNew := strings.CutSuffix(p, ".new"); isNew {
			_, original := fs.Lstat(home, file+".original")
			if _, own := fs.Lstat(home, file); own == nil && original == nil {
				paths = append(paths, file)
			}
		}
		return nil
	})
	return paths, errors.Join(err, unseen)
}

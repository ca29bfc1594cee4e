package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// level is one level with its record and trees, all verified.
type level struct {
	record    release.Record
	ref       release.Ref   // of the record
	published manifest.Tree // as the vendor published the level
	tree      manifest.Tree // with the hotfixes on it: what every comparison is with
	hotfixes  []applied
}

// object returns one small object: from the installation's store, or fetched as a part
// of line's level. limit bounds its size in bytes.
func (u *Updater) object(ctx context.Context, line release.Line, number int, ref release.Ref, limit int64) ([]byte, error) {
	if ref.Size > limit {
		return nil, problem.New(problem.Verification, "Tell the vendor's support.",
			"Object %s of level %s claims %d bytes, the limit is %d", ref.Sum, line.LevelName(number), ref.Size, limit)
	}
	data, err := u.stored(ref)
	if err == nil {
		return data, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		u.Log.Warn("stored object is not usable, fetching it", "object", ref.Sum.String(), "error", err)
	}
	if u.Fetch == nil {
		return nil, damagedStore(ref, err)
	}
	if err := u.Fetch.Fetch(ctx, line, number, []release.Ref{ref}); err != nil {
		return nil, err
	}
	r, err := u.Fetch.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("opening what was fetched: %w", err)
	}
	return readAll(r)
}

// stored returns an object of the installation's store; fs.ErrNotExist if it has none.
func (u *Updater) stored(ref release.Ref) ([]byte, error) {
	return readOpened(u.Home.OpenObject(ref))
}

func readOpened(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

// readAll reads what a verifying reader gives: it ends at the signed size.
func readAll(r io.ReadCloser) ([]byte, error) {
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func damagedStore(ref release.Ref, err error) error {
	why := "is damaged"
	if errors.Is(err, fs.ErrNotExist) {
		why = "is missing"
	}
	next := "Run update with the service reachable: it fetches what is missing."
	return &problem.Error{
		Kind: problem.Verification, Next: next, Err: err,
		Text: fmt.Sprintf("Object %s in updates/store %s", ref.Sum, why),
	}
}

// level reads record and manifest of a level whose record has that digest.
func (u *Updater) level(ctx context.Context, line release.Line, number int, ref release.Ref) (level, error) {
	data, err := u.object(ctx, line, number, ref, release.MaxRecord)
	if err != nil {
		return level{}, err
	}
	record, err := release.ParseRecord(data, line, number)
	if err != nil {
		return level{}, notAsSigned(err)
	}
	text, err := u.object(ctx, line, number, record.Manifest, manifest.MaxBytes)
	if err != nil {
		return level{}, err
	}
	tree, err := manifest.Parse(text)
	if err != nil {
		return level{}, notAsSigned(err)
	}
	return level{record: record, ref: ref, published: tree, tree: tree}, nil
}

func notAsSigned(err error) error {
	return problem.New(problem.Verification, "Tell the vendor's support.", "What was published is not usable: %w", err)
}

// notes returns the notes of one level.
func (u *Updater) notes(ctx context.Context, l release.Listed) (release.Notes, error) {
	data, err := u.object(ctx, l.Line(), l.Level, l.Record, release.MaxRecord)
	if err != nil {
		return release.Notes{}, err
	}
	record, err := release.ParseRecord(data, l.Line(), l.Level)
	if err != nil {
		return release.Notes{}, notAsSigned(err)
	}
	data, err = u.object(ctx, l.Line(), l.Level, record.Notes, release.MaxNotes)
	if err != nil {
		return release.Notes{}, err
	}
	notes, err := release.ParseNotes(data)
	if err != nil {
		return release.Notes{}, notAsSigned(err)
	}
	return notes, nil
}

// gain collects what the levels on the way bring, and their notes. Notes of a level that
// is not live may be closed to the caller, and an offline update may have been made before
// it was live; then they are left out.
func (u *Updater) gain(ctx context.Context, levels []release.Listed) (Gain, []release.Notes, error) {
	var way []release.Notes
	g := Gain{Updates: []UpdateNote{}, Floors: append([]plan.Floor{}, floors(levels)...), Absorbed: []string{}}
	g.Regular, g.Security = counts(levels)
	for _, l := range levels {
		notes, err := u.notes(ctx, l)
		if err != nil && (l.State != release.Live || errors.Is(err, errNotCarried)) && ctx.Err() == nil {
			u.Log.Info("notes left out", "level", l.Level, "state", l.State, "error", err)
			continue
		}
		if err != nil {
			return Gain{}, nil, err
		}
		g.add(l.Level, notes)
		way = append(way, notes)
	}
	return g, way, nil
}

func (g *Gain) add(number int, notes release.Notes) {
	for _, n := range notes.Updates {
		g.Updates = append(g.Updates, UpdateNote{
			Level: number, ID: n.ID, Type: n.Type, Headline: n.Headline(), Description: n.Description,
			Implementation: n.Implementation, Impact: n.Impact, Instructions: n.Instructions,
			BugFixes: n.BugFixes, Advisories: n.Advisories,
		})
	}
	g.Absorbed = append(g.Absorbed, notes.AbsorbsHotfixes...)
	if notes.Restart == nil || *notes.Restart {
		g.Restart = true
	}
}

// bytesOf opens the content that a change needs: what was fetched, for then the store
// lacked it or held it damaged, else what is stored. What a zip carries comes first.
type bytesOf struct{ u *Updater }

// Open returns verified content, or an error that is fs.ErrNotExist.
func (b bytesOf) Open(ref release.Ref) (io.ReadCloser, error) {
	if z := b.u.brought; z != nil && z.Has(ref.Sum) {
		return z.Open(ref)
	}
	if b.u.Fetch != nil {
		if r, err := b.u.Fetch.Open(ref); err == nil {
			return r, nil
		}
	}
	return b.u.Home.OpenObject(ref)
}

// missing returns which of refs the store lacks, or holds damaged.
func (u *Updater) missing(refs []release.Ref) []release.Ref {
	var out []release.Ref
	for _, ref := range refs {
		if !u.whole(ref) {
			out = append(out, ref)
		}
	}
	return out
}

// sumsOf returns the digests of a tree's files.
func sumsOf(tree manifest.Tree) map[digest.Digest]bool {
	sums := make(map[digest.Digest]bool, tree.Len())
	for _, e := range tree.Entries() {
		if e.Kind == manifest.File {
			sums[e.Sum] = true
		}
	}
	return sums
}

// has reports whether the installation's store names an object.
func (u *Updater) has(ref release.Ref) bool {
	r, err := u.Home.OpenObject(ref)
	if err != nil {
		return false
	}
	return r.Close() == nil
}

// whole reports whether the store holds an object as it was written: one that is damaged
// counts as missing, so that it is fetched.
func (u *Updater) whole(ref release.Ref) bool {
	if u.brought != nil && u.brought.Has(ref.Sum) {
		return true
	}
	r, err := u.Home.OpenObject(ref)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err != nil {
		u.Log.Warn("stored object is not usable, fetching it", "object", ref.Sum.String(), "error", err)
	}
	return err == nil
}

// Package content looks inside files for package reconcile: it opens the three versions
// of a file, has them merged by key, by line or member by member, and holds the results
// until they are staged. Described in docs/design/merge.md.
package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"uplevel/internal/archive"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Sources gives the contents of files.
type Sources interface {
	// Published opens what the vendor published, or what an earlier change put there.
	Published(ctx context.Context, ref release.Ref) (io.ReadCloser, error)
	// Disk opens a file of the product.
	Disk(file string) (io.ReadCloser, error)
}

// Decision is what was decided once about three contents.
type Decision struct {
	Result release.Ref
	Said   string // "as resolved on 2026-11-24"
}

// Options say how files are looked into.
type Options struct {
	Sources  Sources
	Format   func(name string) merge.Format                                    // nil: merged by line only
	Decided  func(base, mine, theirs digest.Digest) (Decision, bool)           // nil: nothing is remembered
	Resolved func(ctx context.Context, ref release.Ref) (io.ReadCloser, error) // content of decisions
	Dir      string                                                            // for results; "" is the system's temporary folder
	Log      *slog.Logger
}

// Looker looks inside files. It is not safe for concurrent use; its owner closes it.
type Looker struct {
	ctx  context.Context //nolint:containedctx // a looker lives for one plan, behind an interface that is pure
	opts Options
	held *held
	err  error
}

// New returns a looker for one plan.
func New(ctx context.Context, opts Options) *Looker {
	return &Looker{ctx: ctx, opts: opts, held: &held{dir: opts.Dir}}
}

// Err returns the first failure after which nothing may be concluded: content that is
// not what was signed, an interruption, a full disk.
func (l *Looker) Err() error { return l.err }

// Close lets go of the results.
func (l *Looker) Close() error { return l.held.close() }

// Open returns merged content by its digest, or an error that is fs.ErrNotExist.
func (l *Looker) Open(ref release.Ref) (io.ReadCloser, error) { return l.held.open(ref) }

// Merge merges a file that both sides changed: as package reconcile wants it.
func (l *Looker) Merge(base *manifest.Entry, mine, theirs manifest.Entry) (plan.Merged, bool) {
	if l.err != nil {
		return plan.Merged{}, false
	}
	m, err := l.merge(base, mine, theirs)
	if err == nil {
		return m, true
	}
	l.judge(theirs.Path, err)
	return plan.Merged{}, false
}

// judge tells what makes a file a whole from what ends the whole plan: nothing is
// concluded from a look that failed.
func (l *Looker) judge(file string, err error) {
	switch {
	case l.ctx.Err() != nil:
		l.err = l.ctx.Err()
	case errors.Is(err, errHold):
		l.err = problem.New(problem.Refused, "Name a folder with room in the environment variable TMPDIR, then run the command again.",
			"Merged content cannot be kept in the folder for temporary files: %w", err)
	case isWhole(err):
		l.opts.Log.Info("taken as a whole", "file", file, "why", err.Error())
	default:
		l.err = fmt.Errorf("looking into %s: %w", file, err)
	}
}

// isWhole reports whether a file can only be taken as a whole: it cannot be merged, or a
// version of it is not to be had (any more), or changed while it was looked into, which
// the installer sees again.
func isWhole(err error) bool {
	for _, target := range []error{merge.ErrWhole, archive.ErrWhole, fs.ErrNotExist, digest.ErrMismatch} {
		if errors.Is(err, target) {
			return problem.KindOf(err) != problem.Verification
		}
	}
	return slices.Contains([]problem.Kind{problem.Unreachable, problem.NotEntitled, problem.Credentials}, problem.KindOf(err))
}

func (l *Looker) merge(base *manifest.Entry, mine, theirs manifest.Entry) (plan.Merged, error) {
	var baseSum digest.Digest
	if base != nil {
		baseSum = base.Sum
	}
	if l.opts.Decided != nil {
		if d, ok := l.opts.Decided(baseSum, mine.Sum, theirs.Sum); ok {
			m, err := l.decided(d)
			if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, digest.ErrMismatch) {
				return m, err
			}
			l.opts.Log.Warn("an earlier decision cannot be had", "file", theirs.Path, "error", err)
		}
	}
	if Archive(theirs.Path) {
		return l.archive(base, mine, theirs)
	}
	return l.text(base, mine, theirs)
}

// decided takes an earlier decision again.
func (l *Looker) decided(d Decision) (plan.Merged, error) {
	r, err := l.opts.Resolved(l.ctx, d.Result)
	if err != nil {
		return plan.Merged{}, err
	}
	defer r.Close()
	ref, err := l.held.keep(r)
	if err == nil && ref != d.Result {
		err = digest.ErrMismatch
	}
	return plan.Merged{How: d.Said, Mine: ref, Resolved: true}, err
}

// text merges by key or by line.
func (l *Looker) text(base *manifest.Entry, mine, theirs manifest.Entry) (plan.Merged, error) {
	for _, e := range []*manifest.Entry{base, &mine, &theirs} {
		if e != nil && e.Size > merge.MaxText {
			return plan.Merged{}, fmt.Errorf("%w: it has %d bytes, the limit is %d", merge.ErrWhole, e.Size, merge.MaxText)
		}
	}
	var s merge.Sides
	var err error
	if s.Mine, err = l.read(mine, true); err != nil {
		return plan.Merged{}, err
	}
	if bytes.IndexByte(s.Mine, 0) >= 0 && !bytes.HasPrefix(s.Mine, []byte("\xff\xfe")) && !bytes.HasPrefix(s.Mine, []byte("\xfe\xff")) {
		return plan.Merged{}, fmt.Errorf("%w: it is not text", merge.ErrWhole) // and the others need not be fetched
	}
	if base != nil {
		if s.Base, err = l.read(*base, false); err != nil {
			return plan.Merged{}, err
		}
	}
	if s.Theirs, err = l.read(theirs, false); err != nil {
		return plan.Merged{}, err
	}
	r, err := merge.Merge(s, l.format(theirs.Path))
	if err != nil {
		return plan.Merged{}, err
	}
	if base == nil && r.ByLine && len(r.Conflicts) > 0 {
		return plan.Merged{}, fmt.Errorf("%w: both sides added it, and only its lines are known", merge.ErrWhole)
	}
	m := plan.Merged{How: r.How, Disputes: disputes(r.Conflicts)}
	if m.Mine, err = l.held.keep(bytes.NewReader(r.Merged)); err != nil {
		return m, err
	}
	if len(r.Conflicts) > 0 {
		m.Theirs, err = l.held.keep(bytes.NewReader(r.Theirs))
	}
	return m, err
}

func (l *Looker) format(name string) merge.Format {
	if l.opts.Format == nil {
		return nil
	}
	return l.opts.Format(name)
}

// open opens the content of one side.
func (l *Looker) open(e manifest.Entry, disk bool) (io.ReadCloser, error) {
	if disk {
		return l.opts.Sources.Disk(e.Path)
	}
	return l.opts.Sources.Published(l.ctx, release.Ref{Sum: e.Sum, Size: e.Size})
}

// read returns the content of one side, verified.
func (l *Looker) read(e manifest.Entry, disk bool) ([]byte, error) {
	r, err := l.open(e, disk)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(digest.NewReader(r, e.Sum, e.Size))
}

// Alike reports whether much of one text stands in another: as package reconcile wants it.
func (l *Looker) Alike(removed, added manifest.Entry) bool {
	const most = 1 << 20
	if l.err != nil || max(removed.Size, added.Size) > most || 3*min(removed.Size, added.Size) < max(removed.Size, added.Size) {
		return false
	}
	a, err := l.read(removed, false)
	if err == nil && bytes.IndexByte(a, 0) >= 0 {
		return false
	}
	var b []byte
	if err == nil {
		b, err = l.read(added, false)
	}
	if err != nil {
		l.judge(added.Path, err)
		return false
	}
	return sharedLines(a, b) >= 0.5
}

// sharedLines is the part of the longer text's lines that stand in both. Blank ones and
// brackets say nothing.
func sharedLines(a, b []byte) float64 {
	count := map[string]int{}
	total := 0
	for line := range strings.SplitSeq(string(a), "\n") {
		if line = strings.TrimSpace(line); len(line) > 1 {
			count[line]++
			total++
		}
	}
	both, other := 0, 0
	for line := range strings.SplitSeq(string(b), "\n") {
		if line = strings.TrimSpace(line); len(line) <= 1 {
			continue
		}
		other++
		if count[line] > 0 {
			count[line]--
			both++
		}
	}
	return float64(both) / float64(max(total, other, 1))
}

// Archive reports whether the file at p is merged member by member.
func Archive(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".war", ".jar", ".car", ".zip", ".ear", ".aar":
		return true
	}
	return false
}

package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// ApplyUpdate brings the product to the level of an offline update, with what that carries
// and the store has: what comes along proves it, to whoever trusts the product's root.
// Level and channel are the zip's. Conflicts are as in [Updater.Update].
func (u *Updater) ApplyUpdate(ctx context.Context, zip *bundle.Offline, opts Options) (*Result, error) {
	own := *u // so that the zip is what is fetched from for this change only
	from := &zipped{zip: zip}
	own.Fetch = from
	to := zip.Index().To
	opts.AtLeast, opts.Channel, opts.Level = false, to.Channel, strconv.Itoa(to.Level)
	return own.change(ctx, "apply-update", opts, func(j *job, ctx context.Context) error { return j.applyUpdate(ctx, zip, from) })
}

// madeToFit is how to get an offline update that fits this very installation.
const madeToFit = "Get one that fits this product: here, run current-state --out state.json; where the service is reachable: create-update --from-state state.json."

func (j *job) applyUpdate(ctx context.Context, zip *bundle.Offline, from *zipped) error {
	x := zip.Index()
	already, err := j.fitsHere(x)
	if err != nil {
		j.res.Outcome = Nothing
		return err
	}
	if err := j.provedLevel(ctx, zip); err != nil {
		return err
	}
	if already { // which is said of what the vendor signed, never of any zip with this number in it
		j.res.Outcome = Nothing
		return zip.Check(ctx, nil)
	}
	if err := j.gather(ctx); err != nil {
		return err
	}
	if j.to.record.Platform == release.Unix && strings.HasPrefix(j.u.System, "windows/") {
		return problem.New(problem.Refused, "Use it on Linux or macOS.", "Level %s has file names that Windows cannot have", j.line.LevelName(x.To.Level))
	}
	from.trees = []manifest.Tree{j.to.tree, j.from.tree}
	if err := j.checkZip(ctx, zip); err != nil {
		return err
	}
	if err := j.u.renewFrom(j.view, zip); err != nil {
		return err
	}
	if err := j.u.mayGoOn(j.view, api.CheckAnswer{}); err != nil {
		return err
	}
	if err := j.decideUpdate(ctx); err != nil {
		return err
	}
	if err := j.carriedAll(from); err != nil {
		return err
	}
	if staged, err := j.carry(ctx); err != nil || !staged {
		return err
	}
	return j.finish(ctx)
}

// fitsHere refuses an update of another product or for another level. It tells whether the
// product is at its level already.
func (j *job) fitsHere(x bundle.Index) (already bool, err error) {
	s := j.state
	line := s.Line()
	_, begins := x.Start(s.Channel, s.Level)
	switch {
	case x.Product != s.Product || x.Version != s.Version:
		return false, problem.New(problem.Refused, "Get an offline update of "+line.ProductVersion()+", or name the product's home with --dir.",
			"The offline update is of %s, this is %s", x.Line().ProductVersion(), line.ProductVersion())
	case s.Channel == x.To.Channel && s.Level == x.To.Level:
		return true, nil
	case begins:
		return false, nil
	case s.Channel == x.To.Channel && s.Level > x.To.Level:
		return false, problem.New(problem.Refused, "To go back to it, run revert --to "+line.LevelName(x.To.Level)+".",
			"The offline update goes to level %s, below the installed %s", line.LevelName(x.To.Level), line.LevelName(s.Level))
	}
	var starts []string
	for _, p := range x.From {
		name := line.LevelName(p.Level)
		if p.Channel != s.Channel {
			name += " of channel " + p.Channel
		}
		starts = append(starts, name)
	}
	return false, problem.New(problem.Refused,
		madeToFit,
		"The offline update begins at level %s, the product is at %s of channel %s", shortenNames(starts), line.LevelName(s.Level), s.Channel)
}

func shortenNames(names []string) string {
	const most = 10
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// provedLevel judges what the zip carries to prove its level, and the level by it. Older
// metadata than those trusted here count for nothing: then these must list the level.
func (j *job) provedLevel(ctx context.Context, zip *bundle.Offline) error {
	if j.u.Trust == nil {
		return problem.New(problem.Verification, "Bring updates/root.json back from the vendor's pack, or name it with --root.",
			"No trusted root is known, so that no offline update can be verified")
	}
	if j.u.Service != nil && !j.opts.Offline {
		if err := j.renew(ctx); err != nil {
			return err
		}
	}
	j.u.begin("trust", 0)
	defer j.u.end()
	view, err := j.u.Trust.Carried(ctx, zip, lines(j.state.Line(), j.line)...)
	if err != nil {
		return err
	}
	j.view = view
	j.res.Freshness = new(j.u.freshness(view, ""))
	j.res.From = j.u.here(view)
	if err := j.u.checkInstalled(view); err != nil {
		return err
	}
	if j.target, err = signedLevel(view, j.line, zip.Index().To); err != nil {
		return err
	}
	levels, err := view.Levels(j.line)
	if err != nil {
		return err
	}
	j.wish, err = makeWish(j.line, levels, plan.Point{Channel: j.state.Channel, Level: j.state.Level}, j.opts)
	j.res.To = j.u.place(view, j.line, j.target.Level)
	return err
}

// renewal is how long the service has to renew metadata, before an offline update goes on
// without: scripts give credentials also where no network is.
const renewal = 15 * time.Second

// renew refreshes metadata, if the service is there; where not, it is not reported to either.
// What a disk here does not take is an error: it would not take it from the zip either.
func (j *job) renew(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	_, _, err := j.u.refreshed(bounded, lines(j.state.Line(), j.line)...)
	_, atPath := errors.AsType[*fs.PathError](err)
	_, renaming := errors.AsType[*os.LinkError](err)
	if err == nil || !j.opts.DryRun && (atPath || renaming) {
		return err
	}
	j.u.Log.Info("metadata could not be renewed; those in the zip count", "error", err)
	if problem.KindOf(err) == problem.Unreachable || bounded.Err() != nil {
		j.u.Service = nil
	}
	return nil
}

// signedLevel returns the level of an offline update as trusted metadata list it.
func signedLevel(view *trust.View, line release.Line, to bundle.Point) (release.Listed, error) {
	const next = "Get an offline update of today, made by create-update."
	name := line.LevelName(to.Level)
	listed, err := view.Level(line, to.Level)
	switch {
	case err != nil:
		return listed, problem.New(problem.Verification, next, "The vendor's signed metadata do not list level %s of %s: %w", name, line, err)
	case listed.Record != to.Record:
		return listed, problem.New(problem.Verification, next, "Level %s in the offline update is not the one that the vendor signed", name)
	case listed.State == release.Withdrawn:
		return listed, problem.New(problem.Verification, next, "Level %s was withdrawn: %s", name, listed.Reason)
	}
	return listed, nil
}

// checkZip reads all of the zip, before anything of it is staged, and keeps the metadata
// that it brought and whose it is.
func (j *job) checkZip(ctx context.Context, zip *bundle.Offline) error {
	if err := j.wholeZip(ctx, zip); err != nil {
		return err
	}
	if j.opts.DryRun {
		return nil
	}
	if _, err := j.u.Trust.Keep(ctx, zip, lines(j.state.Line(), j.line)...); err != nil {
		return err
	}
	j.u.learned(api.CheckAnswer{Organisation: zip.Index().Organisation}, false)
	return nil
}

func (j *job) wholeZip(ctx context.Context, zip *bundle.Offline) error {
	j.u.begin("verify", 0)
	defer j.u.end()
	var refs []release.Ref
	for _, tool := range j.view.Tools() {
		refs = append(refs, tool.Program)
	}
	for _, l := range []level{j.from, j.to} {
		refs = append(refs, l.ref, l.record.Manifest, l.record.Notes)
		for _, e := range l.published.Entries() {
			if e.Kind == manifest.File {
				refs = append(refs, release.Ref{Sum: e.Sum, Size: e.Size})
			}
		}
	}
	return zip.Check(ctx, refs)
}

// carriedAll refuses a plan that wants content of either level which is in neither zip nor
// store. What only a hotfix had is judged elsewhere.
func (j *job) carriedAll(from *zipped) error {
	published := sumsOf(j.from.published)
	for sum := range sumsOf(j.to.published) {
		published[sum] = true
	}
	for _, ref := range j.u.missing(j.plan.Wanted()) {
		if published[ref.Sum] && !from.zip.Has(ref.Sum) {
			return from.lacks(ref)
		}
	}
	return nil
}

// errNotCarried is wrapped by refusals of what an offline update does not carry.
var errNotCarried = fmt.Errorf("not carried: %w", fs.ErrNotExist)

// zipped is the [Fetcher] of an offline update: what it carries is there already.
type zipped struct {
	zip   *bundle.Offline
	trees []manifest.Tree // by which refusals name files
}

// Sizes is 0: nothing is downloaded.
func (z *zipped) Sizes(context.Context, release.Line, int, []release.Ref) (int64, error) {
	return 0, nil
}

// Fetch refuses what is not carried, naming the file.
func (z *zipped) Fetch(ctx context.Context, _ release.Line, _ int, refs []release.Ref) error {
	for _, ref := range refs {
		if !z.zip.Has(ref.Sum) {
			return z.lacks(ref)
		}
	}
	return ctx.Err()
}

// Open returns verified content, or an error that is fs.ErrNotExist.
func (z *zipped) Open(ref release.Ref) (io.ReadCloser, error) {
	r, err := z.zip.Open(ref)
	if err != nil {
		return nil, err
	}
	return carriedContent{r, ref}, nil
}

func (z *zipped) lacks(ref release.Ref) error {
	return &problem.Error{
		Kind: problem.Refused, Err: errNotCarried,
		Text: "The offline update does not carry what this product needs, and it is not kept here: " + z.what(ref),
		Next: madeToFit,
	}
}

// what names an object by the path that has it.
func (z *zipped) what(ref release.Ref) string {
	for i, tree := range z.trees {
		for _, e := range tree.Entries() {
			if e.Kind == manifest.File && e.Sum == ref.Sum {
				return []string{"the new ", "the original "}[min(i, 1)] + e.Path
			}
		}
	}
	return "object " + ref.Sum.String()
}

// carriedContent says of content that is not what was signed where it came from.
type carriedContent struct {
	io.ReadCloser

	ref release.Ref
}

func (c carriedContent) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if errors.Is(err, digest.ErrMismatch) {
		err = problem.New(problem.Verification, "Copy the file again from where it was made, or make it again there with create-update.",
			"Object %s in the offline update is not what the vendor signed: %w", c.ref.Sum, err)
	}
	return n, err
}

package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"syscall"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/merge"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

// Service is what the updater asks of the update service.
type Service interface {
	Check(context.Context, api.CheckRequest) (api.CheckAnswer, error)
	AcceptEULA(ctx context.Context, version string) error
	Report(context.Context, api.Report) error
}

// Trust gives verified metadata.
type Trust interface {
	// Refresh brings them up to date; what was verified is kept even when it fails.
	Refresh(ctx context.Context, lines ...release.Line) (*trust.View, error)
	// Trusted returns what was kept; fs.ErrNotExist if nothing was. Expiry is told by
	// the view and is no error.
	Trusted(lines ...release.Line) (*trust.View, error)
	// Carried judges metadata that were carried in; older ones than those kept count for
	// nothing. It writes nothing.
	Carried(ctx context.Context, from refresh.Remote, lines ...release.Line) (*trust.View, error)
	// Keep judges them likewise and keeps those that are newer.
	Keep(ctx context.Context, from refresh.Remote, lines ...release.Line) (*trust.View, error)
}

// Fetcher gets objects of one level, verified.
type Fetcher interface {
	// Sizes returns the stored bytes that are still to be fetched.
	Sizes(ctx context.Context, line release.Line, level int, refs []release.Ref) (int64, error)
	// Fetch makes all of refs available to Open; what was fetched before is not again.
	Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error
	// Open returns verified content, or an error that is fs.ErrNotExist.
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Carried gives content that was carried in, verified as it is read.
type Carried interface {
	Has(sum digest.Digest) bool
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Progress is told how work goes on.
type Progress interface {
	Start(phase string, items int, bytes int64)
	Item(name string)
	Bytes(n int64)
	Done()
}

// Updater is the update tool's work as one value. Home, Service, Trust, Log and Now are
// required, but for what needs no network Service and Fetch may be nil. For a dry run
// Trust and Fetch must write to folders that are thrown away. It is not safe for
// concurrent use.
type Updater struct {
	Home     Home
	Trust    Trust // nil: no trusted root is known
	Service  Service
	Fetch    Fetcher  // nil: no network
	Progress Progress // nil: none is told
	Log      *slog.Logger
	Now      func() time.Time
	Tool     string                 // version of the tool, told to the service
	System   string                 // operating system, told to the service
	Host     string                 // told in reports; empty: not told
	User     string                 // who is written into the history
	Machine  func() (string, error) // id of the machine, for reports; nil: none
	LookTime time.Duration          // how long Describe may look at files; 0: 20 s

	// Formats gives the format of the file at path by its name, for merging by key; nil is
	// merging by line. The function itself may be nil.
	Formats func(path string) merge.Format

	// Renew is asked once a newer update tool is known, before a change, with the fingerprint of
	// the root that vouches for it; what it returns ends the change. nil: the tool stays as it is.
	Renew func(newer release.Tool, root string) error

	// Other makes an updater of another home; only ToDirectory uses it.
	Other func(ctx context.Context, home string) (*Updater, error)

	brought Carried // what came with this change, as in the zip of a hotfix; nil: nothing
}

// exclusive runs do with the home locked and whole. A dry run takes no lock, unless a
// cut commit must be recovered first.
func (u *Updater) exclusive(ctx context.Context, dryRun bool, do func() error) error {
	if dryRun {
		if err := u.ready(ctx); err != nil {
			return err
		}
		return u.unmoved(do)
	}
	unlock, err := u.Home.Lock()
	if err != nil {
		return err
	}
	defer u.unlock(unlock)
	if _, err := u.Home.Recover(ctx); err != nil {
		return err
	}
	return do()
}

// ready recovers the home if a commit was cut; otherwise it writes nothing.
func (u *Updater) ready(ctx context.Context) error {
	if !u.Home.CommitOpen() {
		return nil
	}
	unlock, err := u.Home.Lock()
	if err != nil {
		return err
	}
	defer u.unlock(unlock)
	_, err = u.Home.Recover(ctx)
	return err
}

// readable is ready for commands that only look: where this user may not recover the home,
// that is said, and they go on.
func (u *Updater) readable(ctx context.Context) ([]api.Message, error) {
	err := u.ready(ctx)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return []api.Message{{Code: "recovery-needed", Text: "A change was cut off here and waits for recover, by the user who owns the product's folder: what is told may be of two levels."}}, nil
	}
	return []api.Message{}, err
}

// unmoved looks at the product, and refuses the outcome when another tool changed it
// meanwhile: then nothing that was seen counts, damage least of all. A commit that was cut
// before, and that this user may not recover, stands still.
func (u *Updater) unmoved(look func() error) error {
	cut := u.Home.CommitOpen()
	err := look()
	if cut || problem.KindOf(err) == problem.Interrupted || !u.Home.Moved() {
		return err
	}
	return problem.New(problem.Refused, "Wait for it to end, then run the command again.",
		"Another update tool changed this product while it was looked at: what was seen is of two levels")
}

func (u *Updater) unlock(unlock func() error) {
	if err := unlock(); err != nil {
		u.Log.Warn("lock could not be given back", "error", err)
	}
}

// look returns what stands at paths.
func (u *Updater) look(ctx context.Context, paths []string, remember bool) (manifest.Tree, error) {
	u.begin("scan", len(paths))
	defer u.end()
	return u.Home.Look(ctx, paths, remember)
}

// begin and end tell the progress, if there is one.
func (u *Updater) begin(phase string, items int) {
	if u.Progress != nil {
		u.Progress.Start(phase, items, 0)
	}
}

func (u *Updater) end() {
	if u.Progress != nil {
		u.Progress.Done()
	}
}

package update

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/selfupdate"
	"uplevel/internal/trust"
)

// ToolInfo says how the update tool stands to those that the vendor signed.
type ToolInfo struct {
	Version string `json:"version"`           // of the one that runs
	Newer   string `json:"newer,omitempty"`   // the newest for this system, when it is newer
	Minimum string `json:"minimum,omitempty"` // the oldest that may go on
	TooOld  bool   `json:"too_old"`           // the one that runs is older than that
	Unknown string `json:"unknown,omitempty"` // why it is not known which there are
}

// verdict judges the tool by a view and what the service demands.
func (u *Updater) verdict(view *trust.View, demanded string) selfupdate.Verdict {
	return selfupdate.Judge(selfupdate.Facts{Own: u.Tool, System: u.System, Tools: view.Tools(), Demanded: demanded})
}

// toolInfo tells the verdict.
func (u *Updater) toolInfo(view *trust.View, demanded string) ToolInfo {
	v := u.verdict(view, demanded)
	info := ToolInfo{Version: u.Tool, Minimum: v.Minimum, TooOld: v.Below}
	if v.Newer != nil {
		info.Newer = v.Newer.Version
	}
	if err := view.ToolsUnknown(); err != nil {
		info.Unknown = err.Error()
	}
	return info
}

// ErrOldTool is wrapped by the refusal of a tool that is too old to go on.
var ErrOldTool = errors.New("the update tool is too old")

// mayGoOn refuses a tool that is too old, before it asks for deliveries.
func (u *Updater) mayGoOn(view *trust.View, may api.CheckAnswer) error {
	refusal, ok := errors.AsType[*problem.Error](u.verdict(view, may.MinimumTool).Refusal(u.Tool, u.System))
	if !ok {
		return nil
	}
	with := *refusal
	with.Err = ErrOldTool
	return &with
}

// Waits refuses to renew the tool while a change is under way that another version might
// not understand.
func (u *Updater) Waits() error {
	if u.Home.CommitOpen() {
		return problem.New(problem.Refused, "Run recover, then self-update.", "A change was interrupted and is open: the update tool is not renewed before it is completed or undone")
	}
	_, err := u.Home.Pending()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return problem.New(problem.Refused, "Commit it with --continue or apply, or drop it with prepare --discard, then run self-update.",
		"A prepared change waits: the update tool is not renewed before it is committed or dropped")
}

// renewFrom is renew with the tools that travel in an offline update, which is checked: no
// other can be had without a network.
func (u *Updater) renewFrom(view *trust.View, zip *bundle.Offline) error {
	signed := slices.DeleteFunc(view.Tools(), func(t release.Tool) bool {
		return !slices.ContainsFunc(zip.Tools(), func(c bundle.Tool) bool { return c.System == t.System && c.Ref == t.Program })
	})
	return u.renewTo(view, selfupdate.Judge(selfupdate.Facts{Own: u.Tool, System: u.System, Tools: signed}))
}

// renew asks whether the tool is to be renewed before anything else is done; not while
// something waits.
func (u *Updater) renew(view *trust.View) error {
	if err := view.ToolsUnknown(); err != nil {
		u.Log.Warn("it is not known whether there is a newer update tool", "error", err)
	}
	return u.renewTo(view, u.verdict(view, ""))
}

func (u *Updater) renewTo(view *trust.View, v selfupdate.Verdict) error {
	if u.Renew == nil || v.Newer == nil {
		return nil
	}
	if err := u.Waits(); err != nil {
		u.Log.Info("the update tool is not renewed now", "because", err)
		return nil // the change itself goes on, or says more
	}
	if err := u.Renew(*v.Newer, view.RootFingerprint()); err != nil {
		return renewalError{err}
	}
	return nil
}

// renewalError ends a change before it began, so that the tool can be renewed: that is no failure
// of the change, and not reported as one.
type renewalError struct{ error }

func (t renewalError) Unwrap() error { return t.error }

// renewFirst is [Updater.renew] for a change that begins with something else.
func (u *Updater) renewFirst(ctx context.Context) error {
	if u.Renew == nil {
		return nil
	}
	view, err := u.Trust.Refresh(ctx, u.Home.State().Line())
	if err != nil {
		return err
	}
	return u.renew(view)
}

// NewestTool returns what the vendor signed about the update tool, refreshed, and the
// fingerprint of the root that vouches for it; unless a change waits.
func (u *Updater) NewestTool(ctx context.Context) (v selfupdate.Verdict, root string, err error) {
	if err := u.Waits(); err != nil {
		return v, "", err
	}
	u.begin("trust", 0)
	defer u.end()
	view, err := u.Trust.Refresh(ctx, u.Home.State().Line()) // a home whose line is behind its snapshot is told as damaged
	if err != nil {
		return v, "", err
	}
	if err := view.ToolsUnknown(); err != nil {
		return v, "", problem.New(problem.Verification, "Tell your vendor: the metadata of the update tool are to be renewed.",
			"It is not known which update tools there are: %w", err)
	}
	return u.verdict(view, ""), view.RootFingerprint(), nil
}

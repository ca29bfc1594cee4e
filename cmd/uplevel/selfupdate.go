package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"uplevel/internal/fetch"
	"uplevel/internal/install"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/selfupdate"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/update"
)

// The ways of --self-update.
const (
	renewAndGoOn = "auto"  // renew the tool, then run the new one on the same arguments
	renewAndEnd  = "exit"  // renew the tool and end with 2, as U2 does
	renewNever   = "never" // stay
)

// exitRenewed is the exit code of a run that renewed the tool and did nothing else.
const exitRenewed = 2

// selfUpdateResult is what self-update did, and what update --self-update=exit did.
type selfUpdateResult struct {
	File    string `json:"file"` // of the tool, links resolved
	From    string `json:"from"` // version
	To      string `json:"to"`   // version; as From when there is nothing newer
	Outcome string `json:"outcome"`
	DryRun  bool   `json:"dry_run,omitempty"`
}

// The outcomes.
const (
	toolReplaced = "replaced"
	toolNewest   = "nothing"
	toolPlanned  = "planned"
)

func (t *tool) selfUpdateCommand() *cobra.Command {
	cmd := t.command("self-update", "Renew this tool", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		res, err := t.selfUpdate(ctx)
		return t.show(res, err, func() { t.tellSelfUpdate(res) })
	})
	cmd.Long = "Renew this tool, if the vendor has a newer one. An update does that first, of\n" +
		"itself: the option --self-update auto, exit or never says so."
	return cmd
}

func (t *tool) tellSelfUpdate(r selfUpdateResult) {
	switch r.Outcome {
	case toolReplaced:
		t.sayf("The update tool went from version %s to %s.\n", r.From, r.To)
	case toolPlanned:
		t.sayf("The update tool would go from version %s to %s.\n", r.From, r.To)
	default:
		t.sayf("The update tool, version %s, is the newest.\n", r.From)
	}
}

// selfUpdate renews the tool, or says with --dry-run whether it could be.
func (t *tool) selfUpdate(ctx context.Context) (selfUpdateResult, error) {
	res := selfUpdateResult{From: toolVersion(), To: toolVersion(), Outcome: toolNewest, DryRun: t.options.dryRun}
	program, err := ownProgram()
	if err != nil {
		return res, err
	}
	res.File = program.File()
	v, err := t.newestTool(ctx, program)
	if err != nil {
		return res, err
	}
	if v.Newer == nil {
		return res, v.Refusal(res.From, system())
	}
	res.To = v.Newer.Version
	if t.options.dryRun {
		res.Outcome = toolPlanned
		return res, selfupdate.SystemPackages().Owned(ctx, program)
	}
	if err := t.replaceTool(ctx, program, *v.Newer, t.fromService(*v.Newer)); err != nil {
		return res, err
	}
	res.Outcome = toolReplaced
	return res, nil
}

// newestTool asks which tool is the newest: of the vendor of the product that is meant, or,
// where there is none, of the vendor whose vendor.json lies beside the tool.
func (t *tool) newestTool(ctx context.Context, program selfupdate.Program) (selfupdate.Verdict, error) {
	executable, err := os.Executable()
	if err != nil {
		return selfupdate.Verdict{}, err
	}
	if _, err := install.Find(t.options.dir, executable); err != nil {
		_, noVendor := vendorIn(filepath.Dir(executable))
		switch {
		case t.options.dir != "" || errors.Is(noVendor, fs.ErrNotExist):
			return selfupdate.Verdict{}, err
		case noVendor != nil:
			return selfupdate.Verdict{}, noVendor
		}
		return t.newestWithoutHome(ctx, executable)
	}
	if err := t.open(changes); err != nil {
		return selfupdate.Verdict{}, err
	}
	u, err := t.updater(changes, needed)
	if err != nil {
		return selfupdate.Verdict{}, err
	}
	v, root, err := u.NewestTool(ctx)
	if err == nil && v.Newer != nil {
		err = t.vouched(program, root)
	}
	return v, err
}

// vouched refuses to put in the place of a program what is signed under a root that says nothing
// about it: a program outside the home may be another vendor's, and who may write into a home
// must not say what others run. root is a fingerprint.
func (t *tool) vouched(program selfupdate.Program, root string) error {
	if program.In(t.home.Dir()) {
		return nil
	}
	beside, err := rootIn(filepath.Dir(program.File()))
	if err != nil {
		return err
	}
	if beside == nil {
		return program.Trusts(t.home.Dir())
	}
	own, err := trust.Fingerprint(beside)
	if err == nil && own != root {
		err = problem.New(problem.Refused, "Run self-update in a folder without a product: there it asks the vendor whose vendor.json lies beside it.",
			"The update tool %s is not this product's: the vendor.json beside it names other root keys", program.File())
	}
	return err
}

// newestWithoutHome begins with the root beside the tool each time: there is no home that
// keeps what was trusted. A tool older than this one is never taken all the same.
func (t *tool) newestWithoutHome(ctx context.Context, executable string) (v selfupdate.Verdict, err error) {
	if err := t.readVendor(executable); err != nil {
		return v, err
	}
	root, err := t.trustedRoot()
	if err != nil {
		return v, err
	}
	if t.service, err = t.client(needed); err != nil {
		return v, err
	}
	dir, err := t.thrownAway()
	if err != nil {
		return v, err
	}
	trusted, err := refresh.New(refresh.Config{Dir: dir, Root: root, Remote: t.service, Now: t.now, Holder: t.name(), Grace: t.options.patience})
	if err != nil {
		return v, err
	}
	view, err := trusted.Refresh(ctx)
	if err != nil {
		return v, err
	}
	return selfupdate.Judge(selfupdate.Facts{Own: toolVersion(), System: system(), Tools: view.Tools()}), view.ToolsUnknown()
}

func ownProgram() (selfupdate.Program, error) {
	executable, err := os.Executable()
	if err != nil {
		return selfupdate.Program{}, fmt.Errorf("looking for the update tool's own file: %w", err)
	}
	return selfupdate.Locate(executable)
}

// replaceTool puts a newer tool, whose content comes from the service or from a zip, in the
// place of this one.
func (t *tool) replaceTool(ctx context.Context, program selfupdate.Program, newer release.Tool, content selfupdate.Content) error {
	if err := selfupdate.SystemPackages().Owned(ctx, program); err != nil {
		return err
	}
	err := program.Replace(ctx, newer, content)
	if err == nil {
		t.log.Info("the update tool was renewed", "file", program.File(), "from", toolVersion(), "to", newer.Version)
	}
	return err
}

// fromService fetches a program of the tool from the service, into the download cache.
func (t *tool) fromService(newer release.Tool) selfupdate.Content {
	return func(ctx context.Context, ref release.Ref) (io.ReadCloser, error) {
		dir, err := t.cache()
		if err != nil {
			return nil, err
		}
		f := &fetch.Fetcher{Source: t.service, Dir: dir, Stall: t.options.patience, Now: t.now}
		if p := t.newProgress(); p != nil {
			f.Progress = p
		}
		if err := f.Tool(ctx, t.service, newer); err != nil {
			return nil, err
		}
		return f.Open(ref)
	}
}

// sweepTool removes what a cut renewal left beside the tool.
func (t *tool) sweepTool() {
	program, err := ownProgram()
	if err == nil {
		err = program.Sweep()
	}
	if err != nil {
		t.log.Warn("what a renewal of the update tool left could not be removed", "error", err)
	}
}

// renewal ends an update so that the tool can be renewed while nothing is locked.
type renewal struct {
	newer release.Tool
	root  string // fingerprint of what vouches for it
}

// Error implements error.
func (r renewal) Error() string { return "the update tool renews itself to " + r.newer.Version }

// renews reports whether this run may renew the tool: not when it was started by one that
// did so just now.
func (t *tool) renews() bool {
	return t.options.selfUpdate != renewNever && !t.options.dryRun && t.getenv(selfupdate.Mark) == ""
}

// renewing runs an update with an updater that may end it with a [renewal]; then the tool
// is renewed, with what content gives, and takes over. Where that fails the update goes on
// with this tool.
func (t *tool) renewing(ctx context.Context, u *update.Updater, content func(release.Tool) selfupdate.Content,
	run func() (*update.Result, error),
) (*update.Result, error) {
	if t.renews() {
		u.Renew = func(newer release.Tool, root string) error { return renewal{newer, root} }
	}
	res, err := run()
	r, ok := errors.AsType[renewal](err)
	if !ok {
		return res, t.olderThanMay(err, nil)
	}
	u.Renew = nil
	program, err := ownProgram()
	if err == nil {
		err = t.vouched(program, r.root)
	}
	if err == nil {
		err = t.replaceTool(ctx, program, r.newer, content(r.newer))
	}
	if err == nil {
		t.handOver(program, r.newer.Version)
		return res, nil
	}
	if ctx.Err() != nil {
		return res, err
	}
	t.log.Warn("the update tool could not be renewed", "to", r.newer.Version, "error", err)
	t.tellf("%s: The update tool stays at version %s: %s.\n", t.name(), toolVersion(), oneLine(err.Error()))
	res, goneOn := run()
	return res, t.olderThanMay(goneOn, err)
}

// olderThanMay adds to the refusal of a tool that is too old why it could not be renewed.
func (t *tool) olderThanMay(err, why error) error {
	refusal, ok := errors.AsType[*problem.Error](err)
	reason, also := errors.AsType[*problem.Error](why)
	if !ok || !also || !errors.Is(err, update.ErrOldTool) {
		return err
	}
	with := *refusal
	with.Text += ", and it could not be renewed: " + reason.Text
	with.Next = reason.Next
	return &with
}

// handOver has the new tool run once this one has let go of everything, or ends.
func (t *tool) handOver(program selfupdate.Program, version string) {
	if t.options.selfUpdate == renewAndEnd {
		t.exit = exitRenewed
		t.successor = nil
		t.renewed = &selfUpdateResult{File: program.File(), From: toolVersion(), To: version, Outcome: toolReplaced}
		return
	}
	t.tellf("%s: The update tool renewed itself, from version %s to %s.\n", t.name(), toolVersion(), version)
	t.successor = func() int {
		exit, err := program.Continue(t.args, os.Environ(), version)
		if err != nil {
			t.tellf("%s: The new update tool cannot be run: %v\nNothing was changed but the tool itself.\nNext: Run the command again.\n", t.name(), err)
			return exitRenewed
		}
		return exit
	}
}

// tellRenewed says that the tool was renewed and nothing else done; of one that goes on
// there is nothing more to say.
func (t *tool) tellRenewed() error {
	if t.successor != nil {
		return nil
	}
	return t.show(*t.renewed, nil, func() {
		t.tellf("%s: The update tool was updated from version %s to %s, and nothing else was done. Run the command again.\n",
			t.name(), t.renewed.From, t.renewed.To)
	})
}

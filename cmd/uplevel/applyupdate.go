package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/selfupdate"
	"uplevel/internal/update"
)

func (t *tool) applyUpdateCommand() *cobra.Command {
	cmd := t.command("apply-update ZIP", "Apply an offline update, without network or credentials", cobra.MaximumNArgs(1), t.applyUpdate)
	cmd.Long = "Apply an offline update, which create-update made where there is a network. It\n" +
		"proves itself: neither network nor credentials are needed. Conflicts, --continue\n" +
		"and --revert are those of an update."
	cmd.Flags().BoolVar(&t.options.offline, "offline", false, "use no network at all: neither newer metadata nor a report")
	return cmd
}

// applyUpdate applies an offline update, or goes on with one, or takes it back, as U2's
// command of that name does.
func (t *tool) applyUpdate(ctx context.Context, args []string) error {
	switch {
	case t.options.to != "":
		return t.notInACopy()
	case t.options.resume:
		return t.resume(ctx)
	case t.options.revert:
		return t.revertTo(ctx, update.RevertOptions{}, 4)
	case len(args) == 0:
		return usage("Name the zip that create-update made.", "apply-update wants an offline update's zip")
	}
	for _, flag := range []string{"level", "channel"} {
		if t.options.given[flag] {
			return usage("Leave --"+flag+" out.", "The offline update itself says to which level and channel it goes, not --%s", flag)
		}
	}
	if err := t.open(changes); err != nil {
		return err
	}
	n := maybe
	if t.options.offline {
		n = alone
	}
	u, err := t.updater(changes, n)
	if err != nil {
		return err
	}
	t.quietReport(u)
	zip, err := t.openUpdate(args[0])
	if err != nil {
		return err
	}
	t.rememberBackup()
	res, err := t.renewing(ctx, u, fromZip(zip), func() (*update.Result, error) {
		return u.ApplyUpdate(ctx, zip, t.options.update(t.getenv))
	})
	if t.successor != nil || t.renewed != nil {
		return t.tellRenewed()
	}
	if err == nil && res.Outcome == update.Nothing && zip.Index().Repairs() {
		res.Messages = append(res.Messages, api.Message{
			Code: "repairs", Text: "If something is damaged or missing here, restore it with: " + t.typed() + " verify --repair --from " + quoted(args[0]),
		})
	}
	return t.showChange(res, err)
}

// fromZip gives the update tool that travels in an offline update.
func fromZip(zip *bundle.Offline) func(release.Tool) selfupdate.Content {
	return func(release.Tool) selfupdate.Content {
		return func(_ context.Context, program release.Ref) (io.ReadCloser, error) { return zip.Open(program) }
	}
}

// openUpdate opens an offline update, which stays open to the end.
func (t *tool) openUpdate(file string) (*bundle.Offline, error) {
	f, size, err := openPlain(file)
	if err == nil {
		t.later(f.Close)
		return bundle.OpenOffline(f, size)
	}
	return nil, problem.New(problem.Failed, "Name the zip that create-update made.", "The offline update cannot be read: %w", err)
}

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/update"
)

// rootCommand is the whole command line. Without a subcommand it updates, as U2 does.
func (t *tool) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: t.name(), Short: "Bring this product to an update level, and back",
		Long: "Bring this product to an update level, and back.\n\n" +
			"What you changed in it stays, and is merged with what is new. A cut leaves it\n" +
			"wholly old or wholly new. Nothing ever prompts without a terminal.",
		Args: t.usageOf(cobra.NoArgs), SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.options.version {
				return t.tellVersion()
			}
			return t.rootUpdate(cmd.Context())
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if completing(cmd) {
				return nil // silent, whatever the environment holds
			}
			if err := t.options.fromEnvironment(cmd, t.getenv); err != nil {
				return err
			}
			if t.options.version || cmd.Name() == "version" {
				return t.checkTemplate(versionInfo{})
			}
			some := []string{"path"}
			return t.checkTemplate(update.TemplateData{Added: some, Modified: some, Removed: some, Conflicts: some})
		},
	}
	root.Flags().BoolVar(&t.options.version, "version", false, "print the tool's version, as the command does")
	t.options.flags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("See "+t.call(cmd)+" --help.", "%w", err)
	})
	t.addCommands(root)
	t.completeFlags(root)
	return root
}

// helpCommand is cobra's own, but for a topic that is not there: that is wrong usage.
func (t *tool) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // options do not matter here
		RunE: func(_ *cobra.Command, args []string) error {
			topic, _, err := root.Find(args)
			if err != nil || topic == root && len(args) > 0 {
				return usage("See "+t.called()+" --help.", "There is no help about %.40q", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

func (t *tool) updateCommand(ctx context.Context, _ []string) error { return t.rootUpdate(ctx) }

// rootUpdate is update, --continue and --revert.
func (t *tool) rootUpdate(ctx context.Context) error {
	switch {
	case t.options.resume:
		return t.resume(ctx)
	case t.options.revert:
		return t.revertTo(ctx, update.RevertOptions{}, 4)
	}
	if err := t.open(changes); err != nil {
		return err
	}
	u, err := t.updater(changes, needed)
	if err != nil {
		return err
	}
	t.rememberBackup()
	res, err := t.renewing(ctx, u, t.fromService, func() (*update.Result, error) {
		if t.options.to != "" {
			return u.ToDirectory(ctx, t.options.to, t.options.update(t.getenv))
		}
		return u.Update(ctx, t.options.update(t.getenv))
	})
	if t.successor != nil || t.renewed != nil {
		return t.tellRenewed()
	}
	t.copied = t.options.to != "" && !t.options.dryRun && (err == nil || problem.KindOf(err) == problem.Conflicts)
	return t.showChange(res, err)
}

// rememberBackup takes the backup folder of last time from config.json; --backup ”
// leaves the full copy out this once.
func (t *tool) rememberBackup() {
	if t.options.backup == "" && !t.options.noBackup && !t.options.given["backup"] {
		t.options.backup = t.home.ConfigText("backup-dir")
	}
}

// resume commits the change whose conflicts were resolved, without network.
func (t *tool) resume(ctx context.Context) error {
	if err := t.open(changes); err != nil {
		return err
	}
	u, err := t.updater(changes, maybe)
	if err != nil {
		return err
	}
	t.quietReport(u)
	res, err := u.Continue(ctx, t.options.update(t.getenv))
	return t.showChange(res, err)
}

// quietReport keeps commands that need neither network nor credentials from asking for
// any: they report only with a token or password at hand.
func (t *tool) quietReport(u *update.Updater) {
	o := t.options
	if o.tokenFile == "" && (o.username == "" || (o.password == "" && o.passwordFile == "" && o.passwordCommand == "" && !o.passwordStdin)) {
		u.Service, u.Fetch = nil, nil
	}
}

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
			"Without a command: update to --level (default: the latest). Every option can be given in the\n" +
			"environment as UPLEVEL_NAME; nothing ever prompts without a terminal.",
		Args: usageOf(cobra.NoArgs), SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.options.version {
				return t.tellVersion()
			}
			return t.rootUpdate(cmd.Context())
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
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
		return usage("See "+cmd.CommandPath()+" --help.", "%w", err)
	})
	root.AddCommand(
		t.command("update", "Update to --level (default: the latest)", cobra.NoArgs, func(ctx context.Context, _ []string) error { return t.rootUpdate(ctx) }),
		t.checkCommand(), t.planCommand(), t.prepareCommand(), t.applyCommand(),
		t.stateCommand(), t.verifyCommand(), t.historyCommand(),
		t.revertCommand(), t.conflictsCommand(), t.resolveCommand(), t.applyHotfixCommand(), t.revertHotfixCommand(), t.recoverCommand(), t.gcCommand(),
		t.whoamiCommand(), t.versionCommand(), t.exitCodesTopic(),
	)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// helpCommand is cobra's own, but for a topic that is not there: that is wrong usage.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // options do not matter here
		RunE: func(_ *cobra.Command, args []string) error {
			topic, _, err := root.Find(args)
			if err != nil || topic == root && len(args) > 0 {
				return usage("See "+root.Name()+" --help.", "There is no help about %.40q", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

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
	if t.options.to != "" {
		res, err := u.ToDirectory(ctx, t.options.to, t.options.update(t.getenv))
		t.copied = !t.options.dryRun && (err == nil || problem.KindOf(err) == problem.Conflicts)
		return t.showChange(res, err)
	}
	res, err := u.Update(ctx, t.options.update(t.getenv))
	return t.showChange(res, err)
}

// rememberBackup takes the backup folder of last time from config.json.
func (t *tool) rememberBackup() {
	if t.options.backup == "" && !t.options.noBackup {
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

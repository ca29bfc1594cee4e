package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how many columns help takes at most.
const helpWidth = 80

// usual are the options that help shows of itself; all are in "help options".
func usual() []string {
	return []string{"level", "dry-run", "continue", "revert", "username", "password-file", "token-file", "dir", "yes", "output", "verbose"}
}

// optionGroup are options that belong together.
type optionGroup struct {
	title string
	names []string
}

// optionGroups hold every general option once; a test compares.
func optionGroups() []optionGroup {
	return []optionGroup{
		{"What is to be done", []string{
			"level", "channel", "at-least", "stop-at-floor", "continue", "revert", "dry-run", "to", "keep", "backup", "no-backup", "no-changelog", "get-summary",
		}},
		{"What you changed", []string{"on-conflict", "decide-anew", "restore-removed"}},
		{"Who you are", []string{"username", "password-file", "password-command", "password-stdin", "password", "token-file"}},
		{"Questions", []string{"yes", "accept-eula"}},
		{"Where", []string{"dir", "service", "root", "ca-cert"}},
		{"Answers", []string{"output", "template", "progress", "verbose", "version"}},
		{"Reports and the tool itself", []string{"patience", "no-report", "report-host", "machine", "self-update"}},
	}
}

// commandGroup are commands under one heading.
type commandGroup struct {
	title    string
	commands []*cobra.Command
}

// groups are the headings that help lists the commands under, with their commands in
// the order in which one meets them.
func (t *tool) groups() []commandGroup {
	update := t.command("update", "Update to --level (default: the latest)", cobra.NoArgs, t.updateCommand)
	return []commandGroup{
		{"Everyday", []*cobra.Command{
			t.stateCommand(), t.checkCommand(), t.planCommand(), update, t.conflictsCommand(), t.resolveCommand(),
			t.revertCommand(), t.verifyCommand(), t.historyCommand(), t.applyHotfixCommand(), t.revertHotfixCommand(),
		}},
		{"Without Internet", []*cobra.Command{t.createUpdateCommand(), t.applyUpdateCommand()}},
		{"When something is wrong", []*cobra.Command{
			t.doctorCommand(), t.recoverCommand(), t.whoamiCommand(), t.supportBundleCommand(), t.bundleCommand(),
		}},
		{"Many servers, and scripts", []*cobra.Command{
			t.prepareCommand(), t.applyCommand(), t.reportCommand(), t.summaryCommand(), t.changelogCommand(), t.gcCommand(),
		}},
		{"The tool", []*cobra.Command{t.selfUpdateCommand(), t.versionCommand(), t.completionCommand()}},
	}
}

// addCommands gives root its commands in groups, and the pages of help.
func (t *tool) addCommands(root *cobra.Command) {
	groups := t.groups()
	for _, g := range groups {
		root.AddCommand(g.commands...)
	}
	root.AddCommand(t.exitCodesTopic(), optionsTopic(root))
	root.SetHelpCommand(t.helpCommand(root))
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		shown := groups
		if cmd != root {
			shown = []commandGroup{{"Commands", cmd.Commands()}}
		}
		_, err := io.WriteString(cmd.OutOrStdout(), usageText(cmd, shown))
		return err
	})
}

// optionsTopic is the page of all general options.
func optionsTopic(root *cobra.Command) *cobra.Command {
	var b strings.Builder
	b.WriteString("The options of all commands. Each can be given in the environment as well:\n" +
		"UPLEVEL_LEVEL for --level, UPLEVEL_DRY_RUN=true for --dry-run. The command line\nwins.\n")
	for _, g := range optionGroups() {
		b.WriteString("\n" + g.title + ":\n" + optionText(root, g.names))
	}
	return &cobra.Command{Use: "options", Short: "Every option, and its variable", Long: b.String()}
}

// optionText describes some general options.
func optionText(root *cobra.Command, names []string) string {
	some := pflag.NewFlagSet("", pflag.ContinueOnError)
	some.SortFlags = false
	for _, name := range names {
		if f := root.Flag(name); f != nil {
			some.AddFlag(f)
		}
	}
	return some.FlagUsagesWrapped(helpWidth)
}

// usageText is what help tells below a command's description.
func usageText(cmd *cobra.Command, groups []commandGroup) string {
	root := cmd.Root()
	var b strings.Builder
	b.WriteString("Usage:\n")
	if cmd == root {
		fmt.Fprintf(&b, "  %-28s update to the latest level\n", root.Name())
		fmt.Fprintf(&b, "  %-28s do something else\n", root.Name()+" COMMAND")
	} else {
		fmt.Fprintf(&b, "  %s\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
	commandList(&b, groups)
	if cmd != root {
		if own := cmd.LocalFlags(); own.HasAvailableFlags() {
			b.WriteString("\nOptions:\n" + own.FlagUsagesWrapped(helpWidth))
		}
	}
	if cmd == root || cmd.Name() == "update" {
		b.WriteString("\nThe usual options:\n" + optionText(root, usual()))
	}
	b.WriteString("\nMore:\n")
	if cmd == root {
		fmt.Fprintf(&b, "  %-28s what a command does, and its own options\n", root.Name()+" COMMAND --help")
	}
	fmt.Fprintf(&b, "  %-28s options that all commands take, and their variables\n", root.Name()+" help options")
	fmt.Fprintf(&b, "  %-28s what each exit code means\n", root.Name()+" help exit-codes")
	return b.String()
}

// commandList lists commands in their groups.
func commandList(b *strings.Builder, groups []commandGroup) {
	for _, g := range groups {
		if len(g.commands) > 0 {
			fmt.Fprintf(b, "\n%s:\n", g.title)
		}
		for _, c := range g.commands {
			fmt.Fprintf(b, "  %-15s %s\n", c.Name(), c.Short)
		}
	}
}

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/plan"
	"uplevel/internal/release"
	"uplevel/internal/update"
)

// completionCommand prints the script of a shell, under whatever name this program has.
func (t *tool) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion " + strings.Join(shells, "|"), Short: "Let a shell complete levels, conflicts and ids",
		Long: "Print the script that lets a shell complete commands, options, levels, conflicts and ids.\n\n" +
			"What is completed comes from the product's folder alone: nothing is asked for and nothing written.\n" +
			"For bash: " + t.name() + " completion bash > /etc/bash_completion.d/" + t.name(),
		Args: t.usageOf(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)), ValidArgs: shells,
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // options do not matter here
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(t.stdout, true)
			case "zsh":
				return root.GenZshCompletion(t.stdout)
			case "fish":
				return root.GenFishCompletion(t.stdout, true)
			}
			return root.GenPowerShellCompletionWithDesc(t.stdout)
		},
	}
}

// completing reports whether a command only serves a shell's completion.
func completing(cmd *cobra.Command) bool {
	return slices.Contains([]string{cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, cmd.Name())
}

// known gives words that may be completed, each with a tab and a description, from what
// lies in the product's folder.
type known func(t *tool, typed string) []string

// complete makes the completion of up to most arguments. What cannot be looked at
// completes nothing, without a word.
func (t *tool) complete(from known, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= most || t.options.fromEnvironment(cmd, t.getenv) != nil || t.open(reads) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words := slices.DeleteFunc(from(t, typed), func(w string) bool { return !strings.HasPrefix(w, typed) })
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeFlags registers what options complete to.
func (t *tool) completeFlags(root *cobra.Command) {
	for flag, from := range map[string]known{"level": levelNames, "channel": channelNames} {
		_ = root.RegisterFlagCompletionFunc(flag, t.complete(from, 1<<10)) // they are declared before
	}
	for flag, words := range map[string][]string{
		"output": {outputTable, outputJSON}, "progress": {"auto", "plain", "json", "none"}, "on-conflict": {"stop", "mine", "theirs"},
	} {
		_ = root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// lines returns the lines of the installed version, and their levels, as trusted before.
func (t *tool) trustedLevels(channel string) (lines []release.Line, levels []release.Listed) {
	client, err := t.trust(reads, nil)
	if err != nil || client == nil {
		return nil, nil
	}
	line := t.home.State().Line()
	if channel != "" {
		line.Channel = channel
	}
	view, err := client.Trusted(line)
	if err != nil {
		return nil, nil
	}
	for _, l := range view.Lines(line.Product) {
		if l.Version == line.Version {
			lines = append(lines, l)
		}
	}
	levels, _ = view.Levels(line)
	return lines, levels
}

func levelNames(t *tool, typed string) []string {
	_, levels := t.trustedLevels(t.options.channel)
	var words []string
	for _, l := range slices.Backward(levels) {
		name := strconv.Itoa(l.Level)
		if strings.Contains(typed, ".") {
			name = l.Line().LevelName(l.Level)
		}
		if l.State == release.Live {
			words = append(words, name+"\t"+counts(l.SecurityN, l.RegularN))
		}
	}
	return words
}

func channelNames(t *tool, _ string) []string {
	lines, _ := t.trustedLevels("")
	var words []string
	for _, l := range lines {
		words = append(words, l.Channel)
	}
	return words
}

func conflictPaths(t *tool, _ string) []string {
	p, err := update.OnDisk(t.home).Pending()
	if err != nil {
		return nil
	}
	return p.Plan.Conflicts()
}

func historyIDs(t *tool, _ string) []string {
	return t.changes("", func(update.Change) bool { return true })
}

// undoable are the changes that revert --to takes, the newest first.
func undoable(t *tool, _ string) []string {
	return t.changes("#", func(c update.Change) bool { return c.RevertTo == 0 })
}

func (t *tool) changes(prefix string, takes func(update.Change) bool) []string {
	history, err := update.OnDisk(t.home).History()
	if err != nil {
		return nil
	}
	line := t.home.State().Line()
	var words []string
	for _, c := range slices.Backward(history) {
		if takes(c) {
			words = append(words, fmt.Sprintf("%s%d\t%s %s → %s, %s", prefix, c.ID, c.Kind, c.From.Name(line), c.To.Name(line), c.Time.Format("2006-01-02")))
		}
	}
	return words
}

// lastHotfix is the only one that can be taken back.
func lastHotfix(t *tool, _ string) []string {
	names := plan.Names(t.home.State().Hotfixes)
	return names[max(0, len(names)-1):]
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"uplevel/internal/update"
)

func (t *tool) summaryCommand() *cobra.Command {
	return t.between("get-summary FROM TO", "Describe all updates between two levels, in Markdown", false)
}

func (t *tool) changelogCommand() *cobra.Command {
	return t.between("changelog FROM TO", "List the files that change between two levels, in Markdown", true)
}

// between tells what lies between two levels; TO may be 0, the latest.
func (t *tool) between(use, short string, files bool) *cobra.Command {
	cmd := t.command(use, short, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		if err := t.open(checks); err != nil {
			return err
		}
		u, err := t.updater(checks, maybe)
		if err != nil {
			return err
		}
		o := t.options.update(t.getenv)
		res, err := u.Between(ctx, update.BetweenOptions{From: args[0], To: args[1], Channel: o.Channel, States: o.States, Files: files})
		return t.show(res, err, func() {
			t.sayf("%s", res.Markdown)
			for _, m := range res.Messages {
				t.tellf("Note: %s\n", m.Text) // the result is Markdown, and may go to a file
			}
		})
	})
	cmd.ValidArgsFunction = t.complete(levelNames, 2)
	return cmd
}

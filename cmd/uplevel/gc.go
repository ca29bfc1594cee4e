package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/update"
)

func (t *tool) gcCommand() *cobra.Command {
	var all bool
	cmd := t.command("gc", "Free what is kept for going back", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		u, err := t.local(changes)
		if err != nil {
			return err
		}
		opts := update.FreeOptions{Keep: t.options.keep, All: all, DryRun: true}
		would, err := u.Free(ctx, opts)
		if err != nil || t.options.dryRun || would.Freed == 0 {
			return t.show(would, err, func() { t.tellFreed(would) })
		}
		if err := t.agree(ctx, "Free "+size(would.Freed)+"? Going back over what it holds will need the service. [y/N] "); err != nil {
			return err
		}
		opts.DryRun = false
		done, err := u.Free(ctx, opts)
		return t.show(done, err, func() { t.tellFreed(done) })
	})
	cmd.Flags().BoolVar(&all, "all", false, "keep only what a fresh pack of this level has, for shipping it")
	return cmd
}

func (t *tool) tellFreed(r update.FreeResult) {
	switch {
	case r.Freed == 0:
		t.sayf("There is nothing to free: %s are kept (%s).\n", size(r.Left.Bytes), levelsKept(r.Left.Levels))
	case r.DryRun:
		t.sayf("%s would be freed, %s kept.\n", size(r.Freed), size(r.Left.Bytes))
	default:
		t.sayf("%s freed, %s kept (%s).\n", size(r.Freed), size(r.Left.Bytes), levelsKept(r.Left.Levels))
	}
}

// agree asks a question on the terminal, unless --yes answers it; without a terminal it
// ends and names the option.
func (t *tool) agree(ctx context.Context, question string) error {
	if t.options.yes {
		return nil
	}
	if !t.onTerminal() {
		return usage("Give --yes, or --dry-run to see what it would do.", "There is no terminal to ask on: --yes is missing")
	}
	answer, err := t.ask(ctx, question, false)
	if err != nil && problem.KindOf(err) != problem.Usage {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return problem.New(problem.Declined, "Run it again and answer y, or give --yes.", "Declined at the prompt")
}

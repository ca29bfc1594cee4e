package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"uplevel/internal/durable"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/update"
)

// maxPlan bounds a plan file.
const maxPlan = 512 << 20

// readPlan reads a plan. A device has no size that could be judged before: it would be read
// up to the bound.
func readPlan(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && info.Mode()&os.ModeDevice != 0 {
		return nil, fmt.Errorf("%s is a device", name)
	}
	return readBounded(name, maxPlan)
}

func (t *tool) planCommand() *cobra.Command {
	var out string
	var diff bool
	cmd := t.command("plan", "Tell exactly what an update would do", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := t.open(reads); err != nil {
			return err
		}
		u, err := t.updater(reads, needed)
		if err != nil {
			return err
		}
		opts := t.options.update(t.getenv)
		opts.Diffs = diff
		res, err := u.Plan(ctx, opts)
		if err == nil && out != "" && res.Plan != nil {
			err = writePlan(out, res.Plan)
		}
		return t.showChange(res, err)
	})
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the plan to this file, for apply")
	cmd.Flags().BoolVar(&diff, "diff", false, "show what would change in files that both sides changed")
	return cmd
}

func writePlan(name string, p *plan.Plan) error {
	data, err := p.Bytes()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(name, data, 0o644); err != nil {
		return problem.New(problem.Failed, "Name another file with -o.", "The plan cannot be written: %w", err)
	}
	return nil
}

func (t *tool) prepareCommand() *cobra.Command {
	var discard bool
	cmd := t.command("prepare", "Do everything but the commit, while the product runs", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := t.notInACopy(); err != nil {
			return err
		}
		if err := t.open(changes); err != nil {
			return err
		}
		u, err := t.updater(changes, map[bool]need{false: needed, true: alone}[discard])
		if err != nil {
			return err
		}
		if discard {
			res, err := u.Discard(ctx)
			return t.showChange(res, err)
		}
		t.rememberBackup()
		res, err := u.Prepare(ctx, t.options.update(t.getenv))
		return t.showChange(res, err)
	})
	cmd.Flags().BoolVar(&discard, "discard", false, "drop what was prepared")
	return cmd
}

// notInACopy refuses --to for commands that would change the original all the same.
func (t *tool) notInACopy() error {
	if t.options.to == "" {
		return nil
	}
	return usage("Leave --to out, or use update.", "--to makes a copy and goes with update only")
}

func (t *tool) applyCommand() *cobra.Command {
	return t.command("apply [FILE]", "Commit what was prepared, or carry out a plan file", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		if err := t.notInACopy(); err != nil {
			return err
		}
		if err := t.open(changes); err != nil {
			return err
		}
		u, err := t.updater(changes, map[bool]need{false: maybe, true: needed}[len(args) == 1])
		if err != nil {
			return err
		}
		if len(args) == 0 {
			t.quietReport(u)
			res, err := u.ApplyPrepared(ctx, t.options.update(t.getenv))
			return t.showChange(res, err)
		}
		data, err := readPlan(args[0])
		if err != nil {
			return usage("Name a file that plan -o FILE made.", "The plan cannot be read: %w", err)
		}
		p, err := plan.Parse(data)
		if err != nil {
			return usage("Make a plan with "+t.typed()+" plan -o FILE.", "%s is no plan: %w", args[0], err)
		}
		t.rememberBackup()
		res, err := u.Apply(ctx, p, t.options.update(t.getenv))
		return t.showChange(res, err)
	})
}

func (t *tool) revertCommand() *cobra.Command {
	var opts update.RevertOptions
	cmd := t.command("revert", "Go back to the level before, without network", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return t.revertTo(ctx, opts, 0)
	})
	cmd.Flags().StringVar(&opts.To, "to", "", "go back to this level, or to before change #ID")
	_ = cmd.RegisterFlagCompletionFunc("to", t.complete(undoable, 1))
	cmd.Flags().BoolVar(&opts.DiscardEdits, "discard-edits", false, "bring former files back also where they were edited since")
	return cmd
}

// revertTo goes back. The service is asked only for what was not kept.
func (t *tool) revertTo(ctx context.Context, opts update.RevertOptions, done int) error {
	if err := t.open(changes); err != nil {
		return err
	}
	u, err := t.updater(changes, maybe)
	if err != nil {
		return err
	}
	t.quietReport(u)
	general := t.reverting()
	general.To, general.DiscardEdits = opts.To, opts.DiscardEdits
	res, err := u.Revert(ctx, general)
	if err == nil {
		t.exit = done
	}
	return t.showChange(res, err)
}

func (t *tool) recoverCommand() *cobra.Command {
	return t.command("recover", "Complete or undo an interrupted change", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		u, err := t.local(changes)
		if err != nil {
			return err
		}
		res, err := u.Recover(ctx)
		return t.show(res, err, func() {
			switch res.Outcome {
			case "clean":
				t.sayf("The product is whole, at level %s. There was nothing to recover.\n", res.At.Name)
			default:
				t.sayf("An interrupted change was %s. The product is whole, at level %s.\n", res.Outcome, res.At.Name)
			}
			t.listIf("Put aside, because they appeared meanwhile", res.Rescued)
		})
	})
}

// local opens the product for a command that uses neither network nor credentials.
func (t *tool) local(m mode) (*update.Updater, error) {
	if err := t.open(m); err != nil {
		return nil, err
	}
	return t.updater(m, alone)
}

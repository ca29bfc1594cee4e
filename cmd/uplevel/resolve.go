package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/durable"
	"uplevel/internal/merge/unified"
	"uplevel/internal/problem"
	"uplevel/internal/update"
)

func (t *tool) conflictsCommand() *cobra.Command {
	var diff bool
	cmd := t.command("conflicts", "List the conflicts that wait for a decision", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		u, err := t.local(reads)
		if err != nil {
			return err
		}
		res, err := u.Conflicts(ctx, diff)
		return t.show(res, err, func() { t.tellConflicts(res) })
	})
	cmd.Flags().BoolVar(&diff, "diff", false, "show what the vendor changed in each")
	return cmd
}

// resolving are the options of resolve.
type resolving struct {
	update.Resolution

	edit                   bool
	exportFile, importFile string
}

func (t *tool) resolveCommand() *cobra.Command {
	var o resolving
	cmd := t.command("resolve [PATH]", "Decide one conflict; carry decisions to another installation", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		switch {
		case o.exportFile != "" && len(args) == 0:
			return t.exportDecisions(ctx, o.exportFile)
		case o.importFile != "" && len(args) == 0:
			return t.importDecisions(ctx, o.importFile)
		case o.exportFile != "" || o.importFile != "":
			return usage("Leave the path out.", "--export and --import are about all decisions, not about %s", args[0])
		case len(args) == 0:
			return usage("See the paths with "+t.typed()+" conflicts.", "resolve wants the path of a conflict")
		}
		return t.resolve(ctx, args[0], o)
	})
	cmd.ValidArgsFunction = t.complete(conflictPaths, 1)
	cmd.Flags().BoolVar(&o.Mine, "mine", false, "keep what is here, with all that could be merged")
	cmd.Flags().BoolVar(&o.Theirs, "theirs", false, "take the vendor's, with all that could be merged")
	cmd.Flags().StringVar(&o.File, "file", "", "take this file's content")
	cmd.Flags().BoolVar(&o.edit, "edit", false, "edit both sides in $VISUAL or $EDITOR (on a terminal)")
	cmd.Flags().StringVar(&o.exportFile, "export", "", "write all decisions made here to this file")
	cmd.Flags().StringVar(&o.importFile, "import", "", "take over decisions that were exported elsewhere")
	return cmd
}

// resolve decides one conflict.
func (t *tool) resolve(ctx context.Context, path string, o resolving) error {
	u, err := t.local(changes)
	if err != nil {
		return err
	}
	path = t.relative(path)
	if o.edit {
		if o.Mine || o.Theirs || o.File != "" {
			return usage("Give one of them.", "--edit goes with none of --mine, --theirs and --file")
		}
		if o.File, err = t.edit(ctx, u, path); err != nil {
			return err
		}
	}
	if o.File != "" {
		if _, err := readOption("file", o.File, 1<<30); err != nil {
			return err
		}
	}
	res, err := u.Resolve(ctx, path, o.Resolution)
	return t.show(res, err, func() { t.tellConflicts(res) })
}

// edit has both sides edited and returns the file with what came of it, which is removed
// at the end.
func (t *tool) edit(ctx context.Context, u *update.Updater, path string) (string, error) {
	if !t.onTerminal() {
		return "", usage("Use --mine, --theirs or --file F.", "There is no terminal for an editor: --edit cannot be used")
	}
	editor := strings.Fields(orText(t.getenv("VISUAL"), t.getenv("EDITOR")))
	if len(editor) == 0 {
		return "", usage("Set EDITOR, or use --mine, --theirs or --file F.", "No editor is known: VISUAL and EDITOR are empty")
	}
	both, err := u.Both(ctx, path)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "uplevel-*")
	if err != nil {
		return "", err
	}
	t.later(func() error { return os.RemoveAll(dir) })
	file := filepath.Join(dir, filepath.Base(filepath.FromSlash(path)))
	if err := durable.WriteFile(file, both, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], file)...) //nolint:gosec // the operator's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", problem.New(problem.Declined, "Run it again, or use --mine, --theirs or --file F.", "The editor ended without a result: %w", err)
	}
	text, err := readBounded(file, 1<<30)
	if err != nil {
		return "", err
	}
	if unified.HasMarks(text) {
		return "", problem.New(problem.Declined, "Edit it again: leave one text between the marks and take the marks out.",
			"%s still holds marks of both sides", path)
	}
	return file, nil
}

func (t *tool) exportDecisions(ctx context.Context, file string) error {
	u, err := t.local(reads)
	if err != nil {
		return err
	}
	data, res, err := u.ExportDecisions(ctx)
	if err == nil {
		if writeErr := durable.WriteFile(file, data, 0o600); writeErr != nil {
			err = problem.New(problem.Failed, "Name another file with --export.", "The decisions cannot be written: %w", writeErr)
		}
	}
	res.File = file
	return t.show(res, err, func() { t.sayf("%s written to %s.\n", plural(len(res.Decisions), "decision"), file) })
}

func (t *tool) importDecisions(ctx context.Context, file string) error {
	u, err := t.local(changes)
	if err != nil {
		return err
	}
	data, err := readOption("import", file, update.MaxDecisionFile)
	if err != nil {
		return err
	}
	res, err := u.ImportDecisions(ctx, data)
	res.File = file
	return t.show(res, err, func() {
		t.sayf("%s taken over: each is taken again where the same contents meet.\n", plural(len(res.Decisions), "decision"))
		for _, d := range res.Decisions {
			t.sayf("  %s (resolved on %s)\n", d.Path, d.Time.Format("2006-01-02"))
		}
	})
}

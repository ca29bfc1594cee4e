package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/update"
)

func (t *tool) checkCommand() *cobra.Command {
	var exitCode bool
	cmd := t.command("check", "List newer levels and what they bring", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := t.open(checks); err != nil {
			return err
		}
		u, err := t.updater(checks, needed)
		if err != nil {
			return err
		}
		o := t.options.update(t.getenv)
		res, err := u.Check(ctx, update.CheckOptions{Channel: o.Channel, States: o.States, AcceptEULA: o.AcceptEULA && !o.DryRun})
		if err == nil && exitCode && len(res.Levels) > 0 {
			t.exit = 100
			if res.Security > 0 {
				t.exit = 101
			}
		}
		return t.show(res, err, func() { t.tellCheck(res) })
	})
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with 100 when there are updates, 101 when there are security updates")
	return cmd
}

func (t *tool) tellCheck(r update.CheckResult) {
	t.sayf("%s-%s is at level %s", r.Product, r.Version, r.From.Name)
	if len(r.Levels) == 0 {
		t.sayf(", the latest.\n")
	} else {
		download := ", " + size(r.Download) + " to download"
		if r.Tool.TooOld { // it may not ask
			download = ""
		}
		t.sayf("; the latest is %s: %s%s.\n\n", r.Latest.Name, counts(r.Security, r.Regular), download)
		for _, l := range r.Levels {
			t.sayf("  %-10s %-10s %s  %s\n", l.Name, l.Published.Local().Format("2006-01-02"), pad(counts(l.Security, l.Regular), 22), l.Title)
			if l.Floor != "" {
				t.sayf("  %10s must not be missed: %s\n", "", l.Floor)
			}
		}
		t.sayf("\nSee what it would do with %s plan; update with %s update.\n", t.typed(), t.typed())
	}
	t.tellTool(r.Tool)
	t.tellFate(r.Hotfixes, r.Latest.Name)
	t.tellAvailable(r.Available)
	if w := r.Withdrawn; w != nil {
		t.sayf("%s\n", t.red("The installed level was withdrawn: "+w.Reason))
	}
	t.tellPending(r.Pending)
	t.tellMessages(r.Messages)
	t.tellFreshness(&r.Freshness)
}

// tellTool says what becomes of the update tool itself.
func (t *tool) tellTool(i update.ToolInfo) {
	switch {
	case i.TooOld:
		t.sayf("%s\n", t.red("This update tool, version "+i.Version+", is older than "+i.Minimum+", the oldest that may go on."))
	case i.Unknown != "":
		t.sayf("It is not known whether there is a newer update tool: %s.\n", i.Unknown)
	}
	if i.Newer != "" {
		t.sayf("There is a newer update tool: %s (this one is %s). The next update takes it, or %s self-update.\n", i.Newer, i.Version, t.typed())
	}
}

func (t *tool) stateCommand() *cobra.Command {
	var out string
	cmd := t.command("current-state", "Tell product, level and what waits", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		u, err := t.local(reads)
		if err != nil {
			return err
		}
		messages, err := t.learn(ctx)
		if err == nil && out != "" {
			err = t.writeState(ctx, u, out)
		}
		if err != nil {
			return err
		}
		res, err := u.CurrentState(ctx)
		res.Messages = append(append(res.Messages, messages...), t.onlyReads()...)
		return t.show(res, err, func() {
			t.sayf("Product:   %s-%s\nLevel:     %s (channel %s)\n", res.Product, res.Version, res.At.Name, res.At.Channel)
			if len(res.Hotfixes) > 0 {
				t.sayf("Hotfixes:  %s\n", strings.Join(res.Hotfixes, ", "))
			}
			if l := res.LastUpdate; l != nil {
				t.sayf("Last:      %s %s → %s on %s by %s\n", l.Kind, l.From.Name, l.To.Name, l.Time.Local().Format("2006-01-02 15:04"), l.User)
			}
			t.sayf("Store:     %s, %s\n", size(res.Store.Bytes), levelsKept(res.Store.Levels))
			if o := res.Organisation; o != nil {
				t.sayf("Of:        %s\n", orText(o.Name, o.ID))
			}
			t.tellPending(res.Pending)
			t.tellMessages(res.Messages)
			t.tellFreshness(res.Freshness)
			if out != "" {
				t.sayf("Written:   %s, for create-update --from-state\n", out)
			}
		})
	})
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to this file what create-update --from-state needs")
	return cmd
}

// writeState writes what the product is and where it differs from its level.
func (t *tool) writeState(ctx context.Context, u *update.Updater, name string) error {
	if err := t.fromCache(u); err != nil {
		return err
	}
	s, err := u.StateFile(ctx)
	if err != nil {
		return err
	}
	data, err := s.Bytes()
	if err == nil {
		err = durable.WriteFile(name, data, 0o644)
	}
	if info, statErr := os.Stat(name); err != nil && statErr == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		return problem.New(problem.Failed, "Name another file with --out.", "The state file cannot be written: %w", err)
	}
	return nil
}

// onlyReads says so where this user may not write the product's folder: the command goes
// on, others will not.
func (t *tool) onlyReads() []api.Message {
	if err := t.home.Writable(); err != nil {
		return []api.Message{{Code: "read-only", Text: "The product's folder may not be written by this user, so that nothing can be changed: " + oneLine(err.Error()) + "."}}
	}
	return nil
}

func levelsKept(n int) string {
	switch n {
	case 0:
		return "nothing to go back to"
	case 1:
		return "one change to go back over"
	}
	return strconv.Itoa(n) + " changes to go back over"
}

func (t *tool) historyCommand() *cobra.Command {
	cmd := t.command("history", "List every change", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		u, err := t.local(reads)
		if err != nil {
			return err
		}
		res, err := u.History(ctx)
		return t.show(res, err, func() {
			if len(res.Changes) == 0 {
				t.sayf("Nothing was changed here yet.\n")
			}
			for _, c := range res.Changes {
				t.tellEntry(c)
			}
			t.tellMessages(t.onlyReads())
		})
	})
	show := t.command("show ID", "List the files of one change", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		u, err := t.local(reads)
		if err != nil {
			return err
		}
		id, err := strconv.Atoi(strings.TrimPrefix(args[0], "#"))
		if err != nil {
			return usage("See the changes with "+t.typed()+" history.", "Change %.20q: want a number", args[0])
		}
		res, err := u.HistoryEntry(ctx, id)
		return t.show(res, err, func() {
			t.tellEntry(res)
			if res.Files != nil {
				t.listIf("Added", res.Files.Added)
				t.listIf("Modified", res.Files.Modified)
				t.listIf("Removed", res.Files.Removed)
				t.listIf("Merged", res.Files.Merged)
				t.listIf("Of hotfixes", res.Files.Hotfixed)
				t.listIf("Conflicts, as decided", res.Files.Resolved)
				t.listIf("Customised before", res.Files.Customised)
			}
		})
	})
	show.ValidArgsFunction = t.complete(historyIDs, 1)
	cmd.AddCommand(show)
	return cmd
}

func (t *tool) tellEntry(c update.ChangeInfo) {
	t.sayf("#%-3d %s  %-7s %s → %s  %d added, %d modified, %d removed  %s\n",
		c.ID, c.Time.Local().Format("2006-01-02 15:04"), c.Kind, c.From.Name, c.To.Name, c.Added, c.Modified, c.Removed, c.User)
}

// whoami tells which root is trusted, to compare with what the vendor publishes.
type whoami struct {
	Root    string `json:"root_fingerprint"`
	Service string `json:"service"`
	User    string `json:"user"`
}

func (t *tool) whoamiCommand() *cobra.Command {
	return t.command("whoami", "Tell service, user and the trusted root's fingerprint", cobra.NoArgs, func(context.Context, []string) error {
		if err := t.open(reads); err != nil {
			return err
		}
		root, _, err := t.fingerprint()
		if err != nil {
			return err
		}
		w := whoami{Service: t.options.service, User: t.options.username, Root: root}
		return t.show(w, nil, func() {
			t.sayf("Service:           %s\nUser:              %s\nRoot fingerprint:  %s\n", orNone(w.Service), orNone(w.User), orNone(w.Root))
		})
	})
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// relative returns a path of the product relative to its home, as it may have been
// typed: from the current folder, absolute, or from the home already.
func (t *tool) relative(path string) string {
	if filepath.IsAbs(path) {
		if rel, err := filepath.Rel(t.home.Dir(), path); err == nil {
			path = rel
		}
	}
	return filepath.ToSlash(filepath.Clean(path))
}

package main

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/fetch"
	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/update"
)

func (t *tool) applyHotfixCommand() *cobra.Command {
	var confirmed string
	cmd := t.command("apply-hotfix ZIP|NAME", "Lay a hotfix over the level; its zip needs no network", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		return t.applyHotfix(ctx, args[0], confirmed)
	})
	cmd.Flags().BoolVar(&t.options.offline, "offline", false, "use no network at all: neither newer metadata nor a report")
	cmd.Flags().StringVar(&confirmed, "for", "", "the organisation that this product is of, where that is not known here")
	return cmd
}

func (t *tool) revertHotfixCommand() *cobra.Command {
	cmd := t.command("revert-hotfix [NAME]", "Take the last hotfix back, without network", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		if err := t.notInACopy(); err != nil {
			return err
		}
		if err := t.open(changes); err != nil {
			return err
		}
		u, err := t.updater(changes, maybe)
		if err != nil {
			return err
		}
		t.quietReport(u)
		res, err := u.RevertHotfix(ctx, strings.Join(args, ""), t.reverting())
		return t.showChange(res, err)
	})
	cmd.ValidArgsFunction = t.complete(lastHotfix, 1)
	return cmd
}

// reverting are the general options as a way back takes them.
func (t *tool) reverting() update.RevertOptions {
	o := t.options.update(t.getenv)
	return update.RevertOptions{
		OnConflict: o.OnConflict, WholeFiles: o.WholeFiles, DecideAnew: o.DecideAnew,
		DryRun: o.DryRun, NoReport: o.NoReport, Keep: o.Keep,
	}
}

// applyHotfix applies a hotfix from its zip, or from the service by its name.
func (t *tool) applyHotfix(ctx context.Context, what, confirmed string) error {
	if err := t.notInACopy(); err != nil {
		return err
	}
	if err := t.open(changes); err != nil {
		return err
	}
	isFile := strings.HasSuffix(strings.ToLower(what), ".zip") || strings.ContainsRune(filepath.ToSlash(what), '/')
	n := needed
	switch {
	case isFile && t.options.offline:
		n = alone
	case isFile:
		n = maybe
	case t.options.offline:
		return usage("Give the zip's file, or leave --offline out.", "--offline cannot get hotfix %.80q from the service", what)
	}
	name, err := hotfixName(what, isFile)
	if err != nil {
		return err
	}
	u, err := t.updater(changes, n)
	if err != nil {
		return err
	}
	if isFile {
		t.quietReport(u)
		if err := t.fromCache(u); err != nil {
			return err
		}
	} else if what, err = t.fetchHotfix(ctx, u, name); err != nil {
		return err
	}
	zip, err := t.openHotfix(what)
	if err != nil {
		return err
	}
	res, err := u.ApplyHotfix(ctx, zip, confirmed, t.options.update(t.getenv))
	return t.showChange(res, err)
}

// fromCache lets an updater without the service use what current-state fetched: the
// base of a hotfix on a product that another tool left.
func (t *tool) fromCache(u *update.Updater) (err error) {
	if u.Fetch == nil {
		u.Fetch, err = t.fetcher(nowhere{}, u.Progress)
	}
	return err
}

// nowhere is the source of a fetcher that has its cache only.
type nowhere struct{}

func (nowhere) Deliveries(context.Context, api.DeliveryRequest) (api.DeliveryAnswer, error) {
	return api.DeliveryAnswer{}, problem.New(problem.Unreachable,
		"Run current-state with --username and a password, and the service reachable; then this again.",
		"What the installed level holds is not kept here, and the service is not asked")
}

func (n nowhere) Object(ctx context.Context, _ string, _ int64) (io.ReadCloser, int64, error) {
	_, err := n.Deliveries(ctx, api.DeliveryRequest{})
	return nil, 0, err
}

// hotfixName judges the name of a zip or of a hotfix.
func hotfixName(what string, isFile bool) (string, error) {
	if !isFile {
		return hotfix.ParseName(what)
	}
	named, err := hotfix.ParseFileName(what)
	if err != nil && isOfflineUpdate(what) {
		err = problem.New(problem.Failed, "Run apply-update with it.", "%s is an offline update, no hotfix", filepath.Base(what))
	}
	return named.Name(), err
}

func isOfflineUpdate(file string) bool {
	f, size, err := openPlain(file)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = bundle.OpenOffline(f, size)
	return err == nil
}

// openHotfix opens the zip of a hotfix, which stays open to the end.
func (t *tool) openHotfix(file string) (*bundle.Bundle, error) {
	f, size, err := openPlain(file)
	if err != nil {
		return nil, unreadable(err)
	}
	t.later(f.Close)
	return bundle.Open(f, size)
}

func unreadable(err error) error {
	return problem.New(problem.Failed, "Name the zip that the vendor gave you.", "The hotfix cannot be read: %w", err)
}

// fetchHotfix gets the zip of a hotfix of the caller's organisation and returns its file.
func (t *tool) fetchHotfix(ctx context.Context, u *update.Updater, name string) (string, error) {
	line := t.home.State().Line()
	own, err := t.service.Hotfixes(ctx, line)
	if err != nil {
		return "", err
	}
	for _, h := range own {
		if h.Name != name {
			continue
		}
		dir, err := t.cache()
		if err != nil {
			return "", err
		}
		f := &fetch.Fetcher{Source: t.service, Dir: dir, Stall: t.options.patience, Now: t.now}
		if u.Progress != nil {
			f.Progress = u.Progress
		}
		return f.Hotfix(ctx, t.service, h)
	}
	return "", problem.New(problem.Failed, "See those there are with check.", "The vendor has no hotfix %s of %s for your organisation", name, line)
}

// tellHotfix says what a hotfix is for.
func (t *tool) tellHotfix(r *update.Result) {
	h := r.Hotfix
	if h == nil || r.Outcome == update.Nothing || r.Outcome == update.Dropped {
		return
	}
	kind := string(h.Type)
	if kind == "security" {
		kind = t.red(kind)
	}
	t.sayf("Hotfix %s (%s): %s\n", h.Name, kind, h.Headline)
	if text := strings.TrimSpace(h.Instructions); text != "" && r.Operation == "apply-hotfix" {
		t.sayf("      → %s\n", strings.ReplaceAll(text, "\n", "\n        "))
	}
	if r.Outcome == update.Done && h.Restart {
		t.sayf("Restart the product.\n")
	}
}

// tellFate says what an update does with the hotfixes that are applied.
func (t *tool) tellFate(f update.Fate, level string) {
	if len(f.Absorbed) > 0 {
		t.sayf("Hotfixes that level %s contains, and replaces: %s\n", level, strings.Join(f.Absorbed, ", "))
	}
	if len(f.Kept) > 0 {
		t.sayf("Hotfixes carried over, on level %s as well: %s\n", level, strings.Join(f.Kept, ", "))
	}
	if len(f.Blocking) > 0 {
		t.sayf("%s\n", t.red("Hotfixes that level "+level+" does not contain, so that it is refused: "+strings.Join(f.Blocking, ", ")))
		t.sayf("Take them back with %s revert-hotfix, or ask the vendor for a level that contains them.\n", t.typed())
	}
}

// tellAvailable lists hotfixes that could be applied.
func (t *tool) tellAvailable(all []update.HotfixInfo) {
	for i, h := range all {
		if i == 0 {
			t.sayf("Hotfixes for %s that fit here:\n", h.For)
		}
		after := ""
		if len(h.Needs) > 0 {
			after = ", after " + strings.Join(h.Needs, ", ")
		}
		t.sayf("  %s (%s%s): %s\n", h.Name, h.Type, after, h.Headline)
	}
	if len(all) > 0 {
		t.sayf("Apply one with %s apply-hotfix NAME.\n", t.typed())
	}
}

// learn asks the service whose the product is, when credentials were given for that on
// the command line. That it cannot be reached is said and no failure: the command itself
// needs no network.
func (t *tool) learn(ctx context.Context) ([]api.Message, error) {
	o := &t.options
	if !o.given["username"] && !o.given["token-file"] && !o.given[o.passwordFrom()] {
		return nil, nil
	}
	u, err := t.updater(checks, maybe)
	if err != nil || u.Service == nil {
		return nil, err
	}
	err = u.Learn(ctx)
	kinds := []problem.Kind{problem.Failed, problem.Unreachable, problem.Refused, problem.NotEntitled, problem.Verification}
	if err != nil && slices.Contains(kinds, problem.KindOf(err)) {
		return []api.Message{{Code: "organisation-unknown", Text: "Whose this product is could not be learned: " + oneLine(err.Error()) + "."}}, nil
	}
	return nil, err
}

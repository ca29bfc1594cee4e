package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/update"
)

// verifying are the options of verify.
type verifying struct {
	repair, customised bool
	from, report       string
}

func (t *tool) verifyCommand() *cobra.Command {
	var v verifying
	cmd := t.command("verify", "Compare every file with what the vendor signed; repair", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if v.repair {
			return t.repair(ctx, v)
		}
		if v.customised || v.from != "" {
			return usage("Add --repair, or leave them out.", "--customised and --from go with --repair only")
		}
		u, err := t.verifier()
		if err != nil {
			return err
		}
		res, err := u.Verify(ctx, update.VerifyOptions{Strict: t.options.strict})
		res.Messages = append(res.Messages, t.onlyReads()...)
		return t.showVerified(u, res, err, v.report)
	})
	cmd.Long = "Compare every file with what the vendor signed, and tell damage from what you\n" +
		"changed. --repair restores what is damaged or missing, and nothing else."
	f := cmd.Flags()
	f.BoolVar(&t.options.strict, "strict", false, "customised and missing files are failures, too")
	f.BoolVar(&v.repair, "repair", false, "fetch and restore what is damaged or missing, and nothing else")
	f.BoolVar(&v.customised, "customised", false, "with --repair: also what was customised here (a copy is kept, revert brings it back)")
	f.StringVar(&v.from, "from", "", "with --repair: offline update, or zip of a hotfix, to take content from")
	f.StringVar(&v.report, "report", "", "write a report for an auditor to this file: .json, or text")
	f.BoolVar(&t.options.offline, "offline", false, "use no network at all")
	return cmd
}

// repair restores what is damaged or missing. The service is asked only for what is
// neither kept here nor carried in.
func (t *tool) repair(ctx context.Context, v verifying) error {
	if err := t.notInACopy(); err != nil {
		return err
	}
	if t.options.strict {
		return usage("Leave --strict out; --customised restores customised files, too.", "--strict and --repair do not go together")
	}
	if err := t.open(changes); err != nil {
		return err
	}
	var from update.Carried
	if v.from != "" { // first: what is damaged need not be asked about
		var err error
		if from, err = t.carriedIn(v.from); err != nil {
			return err
		}
	}
	if !t.options.dryRun && !t.options.yes && !t.onTerminal() {
		return usage("Give --yes, or --dry-run to see what it would do.", "There is no terminal to ask on: --yes is missing")
	}
	u, err := t.updater(changes, map[bool]need{false: maybe, true: alone}[t.options.offline])
	if err != nil {
		return err
	}
	o := t.options.update(t.getenv)
	opts := update.RepairOptions{
		From: from, Customised: v.customised, DryRun: o.DryRun, NoReport: o.NoReport, Keep: o.Keep,
		Agree: func(res update.VerifyResult) error { return t.agreeRepair(ctx, res) },
	}
	res, err := u.Repair(ctx, opts)
	t.log.Info("repair", "outcome", res.Repair.Outcome, "restored", res.Repair.Restored, "unrestored", res.Repair.Unrestored)
	return t.showVerified(u, res, err, v.report)
}

// carriedIn opens what --from names: an offline update, or the zip of a hotfix. Its content
// is verified by digest as it is read.
func (t *tool) carriedIn(file string) (update.Carried, error) {
	zip, notUpdate := t.openUpdate(file)
	if notUpdate == nil {
		return zip, nil
	}
	fix, err := t.openHotfix(file)
	if err != nil {
		return nil, notUpdate
	}
	payload, err := trust.HotfixPayload(fix.Envelope())
	if err != nil {
		return nil, err
	}
	return update.CarriedHotfix(fix, payload), nil
}

// agreeRepair shows on the terminal what would be restored, and asks.
func (t *tool) agreeRepair(ctx context.Context, res update.VerifyResult) error {
	if t.options.yes {
		return nil
	}
	var b strings.Builder
	for _, r := range res.Repair.Restored {
		fmt.Fprintf(&b, "  %s (%s)\n", r.What, r.Was)
	}
	t.tellf("%s", b.String())
	question := fmt.Sprintf("Restore %s, %s to download? [y/N] ", plural(len(res.Repair.Restored), "thing"), size(res.Repair.Download))
	return t.agree(ctx, question)
}

// showVerified prints a comparison, and writes the report if one is wanted: also of one
// that found damage, for that is what it is for. A report that cannot be written hides
// nothing of what was found or done.
func (t *tool) showVerified(u *update.Updater, res update.VerifyResult, err error, report string) error {
	var unwritten error
	if report != "" {
		unwritten = t.writeAudit(u.Audit(res, err), report)
	}
	shown := t.show(res, err, func() {
		looked := res.Pristine + len(res.Customised) + len(res.Merged) + len(res.Missing) + len(res.Faults) + len(res.Damaged)
		if err == nil || looked > 0 { // a comparison that could not be made tells nothing
			t.tellVerify(res)
		}
	})
	if unwritten != nil && shown != nil {
		t.tellf("%s\n", unwritten)
		return shown
	}
	return errors.Join(shown, unwritten)
}

func (t *tool) writeAudit(a update.Audit, file string) error {
	data := a.Text()
	if strings.EqualFold(filepath.Ext(file), ".json") || filepath.Ext(file) == "" && t.wantsJSON() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(a); err != nil {
			return err
		}
		data = b.Bytes()
	}
	if err := durable.WriteFile(file, data, 0o644); err != nil {
		return problem.New(problem.Failed, "Name another file with --report.", "The report cannot be written: %w", err)
	}
	return nil
}

func (t *tool) tellVerify(r update.VerifyResult) {
	are := "are"
	if r.Pristine == 1 {
		are = "is"
	}
	t.sayf("%s-%s at level %s: %s %s as the vendor signed them", r.Product, r.Version, r.At.Name, plural(r.Pristine, "file"), are)
	if len(r.Customised)+len(r.Merged)+len(r.Missing)+len(r.Faults) == 0 {
		t.sayf(", all of them")
	}
	t.sayf(".\n")
	t.listIf("As the vendor's hotfixes have them", r.Hotfixed)
	t.listIf("Customised here", r.Customised)
	t.listIf("Merged by the tool from your and the vendor's changes", r.Merged)
	t.listIf("Missing (removed here)", r.Missing)
	for _, f := range r.Faults {
		t.sayf("%s\n", t.red("Damaged: "+f.Path+": "+f.Why))
	}
	t.listIf("Left to the product by the vendor's rule", r.Generated)
	if t.options.verbose {
		t.listIf("Foreign", r.Foreign)
		for _, m := range r.Modes {
			t.sayf("  mode %s instead of %s: %s\n", m.Have, m.Want, m.Path)
		}
	} else if len(r.Foreign) > 0 {
		t.sayf("Not the vendor's: %s (list them with --verbose).\n", plural(len(r.Foreign), "path"))
	}
	for _, d := range r.Damaged {
		t.sayf("%s\n", t.red("Damaged: "+d.What+": "+d.Why))
	}
	t.tellRepair(r.Repair)
	t.tellPending(r.Pending)
	t.tellMessages(r.Messages)
	t.tellFreshness(r.Freshness)
}

// tellRepair says what a repair did, and what it could not.
func (t *tool) tellRepair(r *update.RepairInfo) {
	if r == nil {
		return
	}
	verb := "Restored"
	switch r.Outcome {
	case update.Nothing:
		if len(r.Unrestored) == 0 {
			t.sayf("Nothing is damaged or missing: nothing to restore.\n")
		}
	case update.Planned:
		verb = "Would be restored"
	case update.Done:
		t.sayf("%s\n", t.green(fmt.Sprintf("%s restored, as change #%d. Take it back with: %s %s", plural(len(r.Restored), "thing"), r.History, t.typed(), r.Back)))
	case update.Failed, update.Prepared, update.Conflicts, update.Dropped:
		return
	}
	for _, x := range r.Restored {
		from := ", from " + x.From
		switch x.From {
		case "":
			from = ""
		case "removed":
			from = ", removed: nothing needs it"
		}
		t.sayf("  %s: %s (%s%s)\n", verb, x.What, x.Was, from)
	}
	for _, x := range r.Unrestored {
		t.sayf("  %s\n", t.red("Not restored: "+x.What+": "+x.Why))
	}
	if r.Outcome == update.Planned && r.Download > 0 {
		t.sayf("To download: %s.\n", size(r.Download))
	}
}

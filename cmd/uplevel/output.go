package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"uplevel/internal/api"
	"uplevel/internal/plain"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/update"
)

// sayf prints the result, tellf what is not the result.
// Whatever a name or a service's text holds, only our own colours speak to the terminal.
func (t *tool) sayf(format string, args ...any) {
	_, _ = io.WriteString(t.stdout, plain.Text(fmt.Sprintf(format, args...), t.colours()...))
}

func (t *tool) tellf(format string, args ...any) {
	_, _ = io.WriteString(t.stderr, plain.Text(fmt.Sprintf(format, args...)))
}

// failure is how an error stands in a JSON answer.
type failure struct {
	Kind     string `json:"kind"`
	ExitCode int    `json:"exit_code"`
	Text     string `json:"text"`
	Stands   string `json:"stands"`
	Next     string `json:"next,omitempty"`
	Log      string `json:"log,omitempty"`
	Support  string `json:"support,omitempty"`
}

// printJSON prints one JSON object: the result, and "error" when there is one.
func (t *tool) printJSON(result any, err error) error {
	object := map[string]any{}
	if result != nil {
		data, marshalErr := json.Marshal(result)
		if marshalErr != nil {
			return marshalErr
		}
		if marshalErr := json.Unmarshal(data, &object); marshalErr != nil || object == nil {
			object = map[string]any{} // a nil result
		}
	}
	if err != nil {
		p, ok := errors.AsType[*problem.Error](err)
		if !ok {
			p = problem.New(problem.Failed, "", "%w", err)
		}
		object["error"] = failure{
			Kind: p.Kind.String(), ExitCode: p.Kind.ExitCode(), Text: oneLine(p.Text),
			Stands: t.standing(p), Next: t.withName(p.Next), Log: t.logFile, Support: t.vendor.Support,
		}
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	if err := e.Encode(object); err != nil {
		return err
	}
	_, err = io.WriteString(t.stdout, plain.JSON(text.String()))
	return err
}

// show prints a result in the form wanted. With an error, a table is printed only when
// the error comes with a filled result.
func (t *tool) show(result any, err error, table func()) error {
	if t.options.output == outputJSON {
		if printErr := t.printJSON(result, err); printErr != nil {
			return printErr
		}
		if err != nil {
			return silent{err}
		}
		return nil
	}
	if err == nil || problem.KindOf(err) == problem.Verification && result != nil {
		if _, whole := result.(update.VerifyResult); err == nil || whole {
			table()
		}
	}
	return err
}

// showChange prints the outcome of a change, also of one that waits for the operator.
func (t *tool) showChange(res *update.Result, err error) error {
	t.logResult(res)
	conflicts := problem.KindOf(err) == problem.Conflicts
	if err != nil && !conflicts {
		if t.options.output == outputJSON {
			return t.show(res, err, func() {})
		}
		return err
	}
	if t.options.output == outputJSON {
		return t.show(res, err, func() {})
	}
	t.tellChange(res)
	if t.options.template != "" && res != nil {
		if tplErr := t.printTemplate(res.Template()); tplErr != nil {
			t.tellf("%s: %s\n", t.name(), oneLine(tplErr.Error())) // what was done counts, not how it is told
		}
	}
	return err
}

func (t *tool) tellChange(r *update.Result) {
	switch r.Outcome {
	case update.Nothing:
		if h := r.Hotfix; h != nil {
			t.sayf("Hotfix %s is applied already: nothing to do.\n", h.Name)
			break
		}
		t.sayf("%s-%s is at level %s: nothing to do.\n", r.Product, r.Version, r.From.Name)
	case update.Dropped:
		t.sayf("The pending change was dropped. The product is at level %s.\n", r.From.Name)
	case update.Planned:
		t.sayf("%s-%s would go from level %s to %s.\n", r.Product, r.Version, r.From.Name, r.To.Name)
	case update.Prepared:
		t.sayf("Level %s is prepared; the product is still wholly at %s. Commit it with %s apply.\n", r.To.Name, r.From.Name, t.typed())
	case update.Conflicts:
		if r.DryRun {
			t.sayf("%s-%s would be prepared to go from level %s to %s, and wait for the conflicts to be decided.\n", r.Product, r.Version, r.From.Name, r.To.Name)
			break
		}
		t.sayf("Level %s is prepared; the product is still wholly at %s and can run.\n", r.To.Name, r.From.Name)
	case update.Done:
		if r.From.Name == r.To.Name {
			t.sayf("%s\n", t.green(fmt.Sprintf("%s-%s stays at level %s; the last change of its files was taken back.", r.Product, r.Version, r.To.Name)))
			break
		}
		t.sayf("%s\n", t.green(fmt.Sprintf("%s-%s went from level %s to %s.", r.Product, r.Version, r.From.Name, r.To.Name)))
	case update.Failed:
	}
	if r.Outcome != update.Dropped { // what was dropped is no change
		t.tellFiles(r)
	}
	t.tellGain(r)
	t.tellHotfix(r)
	t.tellCosts(r)
	t.tellMessages(r.Messages)
	t.tellFreshness(r.Freshness)
}

func (t *tool) tellFiles(r *update.Result) {
	f := r.Files
	if len(f.Added)+len(f.Modified)+len(f.Removed) > 0 {
		t.sayf("Files: %d added, %d modified, %d removed.\n", len(f.Added), len(f.Modified), len(f.Removed))
	}
	if t.options.verbose || r.Outcome == update.Planned || r.DryRun {
		// Not "Modified:": with U2's --template scripts look for one line that begins so.
		t.listIf("Files added", f.Added)
		t.listIf("Files modified", f.Modified)
		t.listIf("Files removed", f.Removed)
		t.listIf("There already as wanted", f.Adopted)
	}
	t.tellMerges(r)
	t.listIf("Customised here and kept", without(f.Customised, f.Conflicts))
	t.listIf("Removed here and not brought back", f.Absent)
	t.listIf("Conflicts, as decided", f.Decided)
	t.tellOpen(r)
	t.listIf("Put aside, because they appeared meanwhile", f.Rescued)
}

// listIf prints a titled list, cut unless --verbose.
func (t *tool) listIf(title string, paths []string) {
	const most = 10
	if len(paths) == 0 {
		return
	}
	t.sayf("%s:\n", title)
	for i, p := range paths {
		if i == most && !t.options.verbose {
			t.sayf("  … and %d more (--verbose lists them)\n", len(paths)-most)
			return
		}
		t.sayf("  %s\n", p)
	}
}

func (t *tool) tellGain(r *update.Result) {
	g := r.Gain
	t.tellFate(r.Hotfixes, r.To.Name)
	if g.Security+g.Regular == 0 {
		return
	}
	t.sayf("Updates: %s.\n", counts(g.Security, g.Regular))
	for _, u := range g.Updates {
		kind := string(u.Type)
		if kind == "security" {
			kind = t.red(kind)
		}
		t.sayf("  %d (%s, level %d): %s\n", u.ID, kind, u.Level, u.Headline)
		if u.Instructions != "" {
			t.sayf("      → %s\n", strings.ReplaceAll(strings.TrimSpace(u.Instructions), "\n", "\n        "))
		}
	}
	for _, f := range g.Floors {
		t.sayf("%s\n", t.red(fmt.Sprintf("Level %d must not be missed: %s", f.Level, f.Reason)))
	}
	if s := r.StoppedAt; s != nil {
		t.sayf("Stopped at level %d, as wanted: %s\n", s.Level, s.Reason)
	}
	if others := without(g.Absorbed, r.Hotfixes.Absorbed); len(others) > 0 {
		t.sayf("Hotfixes contained: %s\n", strings.Join(others, ", "))
	}
	if r.Outcome == update.Done && g.Restart {
		t.sayf("Restart the product.\n")
	}
}

func (t *tool) tellCosts(r *update.Result) {
	switch r.Outcome {
	case update.Planned, update.Conflicts:
		if r.Outcome == update.Conflicts && !r.DryRun {
			break
		}
		t.sayf("Download: %s. Disk needed: %s (%s).\n", size(r.Download), size(r.DiskNeed), r.DiskFormula)
	case update.Done:
		t.tellDone(r)
		if r.Backup != "" {
			t.sayf("Full copy: %s (%s)\n", r.Backup, size(r.BackupBytes))
		}
		t.tellSummary(r)
	case update.Nothing, update.Prepared, update.Dropped, update.Failed:
	}
	if r.ReportError != "" {
		t.sayf("The service could not be told: %s\n", oneLine(r.ReportError))
	}
}

// tellDone says how to go back, where there is something to go back to.
func (t *tool) tellDone(r *update.Result) {
	if t.copied {
		t.sayf("The updated product is in %s; the original is as it was.\n", r.Home)
	}
	t.sayf("Committed in %s. Kept for going back: %s (%s).", elapsed(time.Duration(r.CommitMillis)*time.Millisecond), size(r.Store.Bytes), levelsKept(r.Store.Levels))
	if r.Store.Levels > 0 {
		t.sayf(" Go back with: %s %s", t.typed(), orText(r.Back, "revert"))
	}
	t.sayf("\n")
}

// tellSummary prints the summary of the updates if it is wanted. Of a change that was
// prepared earlier only the file is left; where it was not to be read, it is named.
func (t *tool) tellSummary(r *update.Result) {
	kept := filepath.Join(r.Home, filepath.FromSlash(r.Summary))
	switch {
	case t.options.getSummary && len(r.Gain.Updates) > 0:
		t.sayf("\n%s\n", r.SummaryText())
	case t.options.getSummary && r.Summary != "":
		if text, err := readBounded(kept, 64<<20); err == nil {
			t.sayf("\n%s\n", text)
		}
	case len(r.Gain.Updates) == 0 && r.Summary != "":
		t.sayf("What it brings, with instructions: %s\n", r.Summary)
	}
}

func (t *tool) tellPending(p *update.PendingInfo) {
	if p == nil {
		return
	}
	t.sayf("Pending: %s to level %s is prepared", p.Operation, p.To.Name)
	if n := len(p.Unresolved); n > 0 {
		t.sayf("; %s to decide (see %s conflicts).\n", plural(n, "conflict"), t.typed())
		return
	}
	t.sayf("; commit it with %s apply.\n", t.typed())
}

func (t *tool) tellMessages(messages []api.Message) {
	for _, m := range messages {
		t.sayf("Note: %s\n", oneLine(m.Text))
	}
}

func (t *tool) tellFreshness(f *update.Freshness) {
	if f == nil {
		return
	}
	text := fmt.Sprintf("Metadata: %s, good until %s.", f.Mode, f.Expires.Local().Format("2006-01-02 15:04"))
	switch {
	case f.Expired:
		text = t.red(fmt.Sprintf("Metadata: expired on %s; new levels are accepted once they are renewed: with a connection, or by the next offline update.",
			f.Expires.Local().Format("2006-01-02 15:04")))
	case f.Mode == trust.Carried:
		text = fmt.Sprintf("Metadata: carried in, fresh until %s%s.", f.Reference.Local().Format("2006-01-02 15:04"), ago(f.Age))
	}
	if f.Expired || f.Mode == trust.Carried || t.options.verbose {
		t.sayf("%s\n", text)
	}
}

// ago says how long ago something was, in whole days.
func ago(seconds int64) string {
	switch days := seconds / (24 * 60 * 60); {
	case seconds == 0:
		return ""
	case days == 0:
		return ", less than a day ago"
	case days == 1:
		return ", a day ago"
	default:
		return fmt.Sprintf(", %d days ago", days)
	}
}

// without returns the paths of all that are not in others.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(others, p) })
}

func counts(security, regular int) string {
	switch {
	case security == 0:
		return plural(regular, "regular update")
	case regular == 0:
		return plural(security, "security update")
	}
	return fmt.Sprintf("%d security, %d regular", security, regular)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func pad(text string, width int) string { return fmt.Sprintf("%-*s", width, text) }

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (t *tool) red(text string) string   { return t.coloured("31", text) }
func (t *tool) green(text string) string { return t.coloured("32", text) }

// coloured marks text on a terminal, unless NO_COLOR is set.
func (t *tool) coloured(code, text string) string {
	if t.colours() == nil {
		return text
	}
	return "\x1b[" + code + "m" + text + colourEnd
}

const colourEnd = "\x1b[0m"

// terminal reports whether a person reads the output as it is written.
func (t *tool) terminal() bool {
	f, ok := t.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colours are the marks that are written; none where colours are not wanted.
func (t *tool) colours() []string {
	if t.getenv("NO_COLOR") != "" || !t.terminal() {
		return nil
	}
	return []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", colourEnd}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
	"uplevel/internal/update"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// options are everything that may be said on the command line or in the environment.
type options struct {
	level, channel, backup, template      string
	username, password                    string
	passwordFile, passwordCommand         string
	tokenFile, service, dir, root, caCert string
	output, progress, onConflict, to      string
	machine                               string
	passwordStdin, noBackup, noChangelog  bool
	resume, dryRun, revert, getSummary    bool
	verbose, yes, acceptEULA, atLeast     bool
	version                               bool
	noReport, stopAtFloor, restoreRemoved bool
	reportHost, offline, strict           bool
	decideAnew, wholeFiles                bool
	selfUpdate                            string
	keep                                  int
	patience                              time.Duration

	given map[string]bool // by flag, not by environment
}

// flags declares the options of the root command; all commands take them.
func (o *options) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.level, "level", "l", "", "update level, such as 8 or 7.1.0.8 (default: the latest)")
	f.StringVarP(&o.backup, "backup", "b", "", "also keep a full copy of the product below this folder (remembered)")
	f.BoolVar(&o.noBackup, "no-backup", false, "keep no replaced files; going back then needs the service")
	f.StringVarP(&o.channel, "channel", "c", "", "channel of levels (default: the product's own)")
	f.BoolVar(&o.resume, "continue", false, "go on after conflicts were resolved")
	f.BoolVar(&o.dryRun, "dry-run", false, "end as the real run would, and change nothing")
	f.BoolVar(&o.revert, "revert", false, "go back to the level before (exit 4)")
	f.StringVar(&o.template, "template", "", "Go template over .Added .Modified .Removed .Conflicts")
	f.BoolVar(&o.noChangelog, "no-changelog", false, "write no changelog and no summary")
	f.BoolVar(&o.getSummary, "get-summary", false, "print the summary of the updates as well")
	f.StringVarP(&o.username, "username", "u", "", "e-mail address of the account")
	f.StringVarP(&o.password, "password", "p", "", "its password (safer: one of the other ways)")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds the password")
	f.BoolVar(&o.passwordStdin, "password-stdin", false, "read the password from standard input")
	f.StringVar(&o.passwordCommand, "password-command", "", "program that prints the password, with its arguments")
	f.StringVar(&o.tokenFile, "token-file", "", "file that holds a token, used instead of a password")
	f.StringVar(&o.service, "service", "", "address of the update service (default: the vendor's)")
	f.StringVar(&o.dir, "dir", "", "product home (default: the one this program lies in, or the current folder's)")
	f.StringVar(&o.root, "root", "", "file with the vendor's trusted root (default: the one that came with the product)")
	f.StringVar(&o.caCert, "ca-cert", "", "file with certificate authorities to trust instead of the system's")
	f.StringVar(&o.output, "output", outputTable, "table or json")
	f.StringVar(&o.progress, "progress", "auto", "auto, plain, json or none")
	f.BoolVar(&o.yes, "yes", false, "answer yes to questions")
	f.BoolVar(&o.acceptEULA, "accept-eula", false, "accept the vendor's licence terms for your organisation")
	f.StringVar(&o.onConflict, "on-conflict", "", "stop, mine or theirs")
	f.StringVar(&o.to, "to", "", "make the updated product in this new folder and leave the original as it is")
	f.StringVar(&o.selfUpdate, "self-update", renewAndGoOn, "when update finds a newer tool: auto (renew it and go on with it), exit (renew it, end with 2) or never")
	f.BoolVar(&o.atLeast, "at-least", false, "do nothing when the level is reached already")
	f.BoolVar(&o.stopAtFloor, "stop-at-floor", false, "go no further than the first level that must not be missed")
	f.BoolVar(&o.restoreRemoved, "restore-removed", false, "bring back files that were removed here")
	f.BoolVar(&o.decideAnew, "decide-anew", false, "ask about conflicts also where the same was decided before")
	f.BoolVar(&o.noReport, "no-report", false, "do not tell the service the outcome")
	f.BoolVar(&o.reportHost, "report-host", false, "tell the service this host's name, too")
	f.StringVar(&o.machine, "machine", "", "what this machine is counted as in reports (default: the system's own id)")
	f.IntVar(&o.keep, "keep", update.DefaultKeep, "levels to keep for going back")
	f.DurationVar(&o.patience, "patience", 0, "longest wait for a service that does not get on, such as 30s (default: what suits each step)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell more")
}

// fromEnvironment gives every option that was not on the command line its value from
// UPLEVEL_NAME, and those of U2 from their own names.
func (o *options) fromEnvironment(cmd *cobra.Command, getenv func(string) string) error {
	o.given = map[string]bool{}
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			o.given[f.Name] = true
			return
		}
		name := "UPLEVEL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := getenv(name)
		if value == "" && (f.Name == "username" || f.Name == "password") {
			name = "UPDATE_TOOL_" + strings.ToUpper(f.Name)
			value = getenv(name)
		}
		if value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		if err := f.Value.Set(value); err != nil && bad == nil {
			bad = usage("Correct "+name+" in the environment.", "%s has an unusable value: %w", name, err)
		}
	})
	if bad != nil {
		return bad
	}
	return o.check(getenv)
}

// check refuses values that cannot be, naming the flag.
func (o *options) check(getenv func(string) string) error {
	if o.output != outputTable && o.output != outputJSON {
		return usage("Give --output table or --output json.", "--output %.40q is unknown", o.output)
	}
	switch o.selfUpdate {
	case renewAndGoOn, renewAndEnd, renewNever:
	default:
		return usage("Give --self-update auto, exit or never.", "--self-update %.40q is unknown", o.selfUpdate)
	}
	switch o.progress {
	case "auto", "plain", "json", "none":
	default:
		return usage("Give --progress auto, plain, json or none.", "--progress %.40q is unknown", o.progress)
	}
	if err := api.NoSecrets("--service", o.service); err != nil {
		return err
	}
	if o.onConflict == "" && strings.EqualFold(getenv("WSO2_UPDATES_SKIP_CONFLICTS"), "true") {
		o.onConflict, o.wholeFiles = string(reconcile.Mine), true // as U2 does: the operator's file stays
	}
	if _, err := reconcile.ParsePolicy(o.onConflict); err != nil {
		return usage("Give --on-conflict stop, mine or theirs.", "--on-conflict: %w", err)
	}
	if o.patience < 0 {
		return usage("Give a length of time, such as --patience 30s.", "--patience %s is less than nothing", o.patience)
	}
	if o.keep < 1 {
		return usage("Give --keep 1 or more.", "--keep %d keeps nothing to go back to", o.keep)
	}
	if o.resume && o.revert {
		return usage("Give one of them.", "--continue and --revert contradict each other")
	}
	if o.to != "" && (o.resume || o.revert) {
		return usage("Leave --to out.", "--to makes a copy and goes with update only")
	}
	return nil
}

// update gives the options as the updater takes them.
func (o *options) update(getenv func(string) string) update.Options {
	policy, _ := reconcile.ParsePolicy(o.onConflict) // checked before
	out := update.Options{
		Level: o.level, Channel: o.channel, AtLeast: o.atLeast, StopAtFloor: o.stopAtFloor,
		States: states(getenv), OnConflict: policy, WholeFiles: o.wholeFiles, DecideAnew: o.decideAnew,
		RestoreRemoved: o.restoreRemoved, AcceptEULA: o.acceptEULA,
		DryRun: o.dryRun, NoBackup: o.noBackup, Backup: o.backup, NoChangelog: o.noChangelog,
		Keep: o.keep, NoReport: o.noReport, Offline: o.offline,
	}
	return out
}

// states are the level states that U2's variable asks for besides live ones.
func states(getenv func(string) string) []release.State {
	state, err := release.ParseState(strings.ToLower(getenv("WSO2_UPDATES_UPDATE_LEVEL_STATE")))
	if err != nil || (state != release.Testing && state != release.Verifying) {
		return nil
	}
	return []release.State{state}
}

// openPlain opens a file that is read from its end; a pipe would be waited for, for ever.
func openPlain(name string) (*os.File, int64, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: it is no file", name)
	}
	if err != nil {
		return nil, 0, ofFile(err)
	}
	f, err := os.Open(name)
	return f, info.Size(), ofFile(err)
}

// ofFile leaves out which call to the system it was that failed: a person knows the file.
func ofFile(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", of.Path, of.Err)
	}
	return err
}

// readBounded reads a file that is no larger than limit.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, ofFile(err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, ofFile(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // a device has no size, and no end
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, err
}

// readPlain is [readBounded] of a file that nobody named: one that is none, such as a pipe, would be
// waited for.
func readPlain(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, ofFile(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no plain file", name)
	}
	return readBounded(name, limit)
}

// readOption reads a file that an option names, bounded.
func readOption(flag, name string, limit int64) ([]byte, error) {
	data, err := readBounded(name, limit)
	if err != nil {
		return nil, problem.New(problem.Usage, "Name a file that can be read with --"+flag+".", "--%s: %w", flag, err)
	}
	return data, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/durable"
	"uplevel/internal/install"
	"uplevel/internal/problem"
	"uplevel/internal/update"
)

// reportPatience is how long one exchange of a report may take: whoever starts a product
// does not wait for a network that is not there.
const reportPatience = 8 * time.Second

func (t *tool) reportPatience() time.Duration {
	if t.options.patience > 0 {
		return t.options.patience
	}
	return reportPatience
}

// reportResult is what report did: of this installation, or with files that were carried.
type reportResult struct {
	Report       *api.Report      `json:"report,omitempty"`
	UnknownDrift string           `json:"unknown_drift,omitempty"` // why the drift is not known
	Sent         bool             `json:"sent"`
	Service      string           `json:"service,omitempty"`
	File         string           `json:"file,omitempty"`    // written
	Uploads      []uploadedReport `json:"uploads,omitempty"` // carried files, in the order given
}

type reportFlags struct {
	out    string
	show   bool
	upload []string
}

func (t *tool) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := t.command("report", "Tell the service where this installation stands", cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		f.show = f.show || t.options.dryRun
		if err := f.check(args); err != nil {
			return err
		}
		if len(f.upload) > 0 {
			return t.uploadReports(ctx, append(f.upload, args...))
		}
		return t.report(ctx, f)
	})
	cmd.Long = "Tell the service where this installation stands: product, level, hotfixes, and how\n" +
		"many files are customised or missing. Nothing is written into the product; it may\n" +
		"run, be updated, or lie on a disk that cannot be written. A token of scope report\n" +
		"is enough. From a network without a way out: --out FILE there, --upload FILE\n" +
		"outside."
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "write the report into this file, or into a file in this folder, instead of sending it")
	cmd.Flags().BoolVar(&f.show, "show", false, "print exactly what would be sent, and send nothing")
	cmd.Flags().StringArrayVar(&f.upload, "upload", nil, "send reports that --out wrote elsewhere: files, or folders of them")
	return cmd
}

func (f reportFlags) check(args []string) error {
	switch {
	case len(f.upload) == 0 && len(args) > 0:
		return usage("To send files, give --upload FILE…", "report takes no arguments without --upload")
	case len(f.upload) > 0 && (f.show || f.out != ""), f.show && f.out != "":
		return usage("Give one of them.", "--show, --out and --upload contradict each other")
	}
	return nil
}

// report tells of this installation.
func (t *tool) report(ctx context.Context, f reportFlags) error {
	if err := t.open(reads); err != nil {
		return err
	}
	if t.options.noReport && !f.show && f.out == "" {
		return t.show(reportResult{}, nil, func() { t.quietlyf("Nothing was sent, as --no-report wants it.\n") })
	}
	d, err := t.describe(ctx)
	if err != nil {
		return err
	}
	text, err := d.Report.Text()
	if err != nil {
		return err
	}
	res := reportResult{Report: &d.Report, UnknownDrift: d.Why}
	switch {
	case f.show:
		_, err := t.stdout.Write(text)
		return err
	case f.out != "":
		res.File, err = t.writeReport(f.out, d.Report, text)
	default:
		res.Service, err = t.sendReport(ctx, d.Report)
		res.Sent = err == nil
	}
	return t.show(res, err, func() { t.tellReport(res) })
}

// describe looks at the installation without writing anything.
func (t *tool) describe(ctx context.Context) (update.Described, error) {
	u := &update.Updater{Log: t.log, Now: t.now, Tool: toolVersion(), System: runtime.GOOS + "/" + runtime.GOARCH, Machine: t.machineID}
	if t.options.reportHost {
		u.Host, _ = os.Hostname()
	}
	if p := t.newProgress(); p != nil {
		u.Progress = p
	}
	return u.Describe(ctx, func() (update.Home, error) {
		home, err := install.Open(t.home.Dir(), install.Options{Now: t.now, Holder: t.name(), ReadOnly: true})
		if err != nil {
			return nil, err
		}
		t.later(home.Close)
		return update.OnDisk(home), nil
	})
}

func (t *tool) sendReport(ctx context.Context, r api.Report) (string, error) {
	client, err := t.client(needed)
	if err != nil {
		return "", err
	}
	client.Patience = t.reportPatience()
	return t.options.service, client.Report(ctx, r)
}

// writeReport writes the report for carrying out, never into the product.
func (t *tool) writeReport(out string, r api.Report, text []byte) (string, error) {
	full, err := filepath.Abs(out)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		full = filepath.Join(full, fmt.Sprintf("report-%s-%s-%s-%s.json", r.Product, r.Version, r.Installation[:12], r.Made.Format("20060102T150405Z")))
	}
	switch within, err := t.withinHome(filepath.Dir(full)); {
	case errors.Is(err, os.ErrNotExist):
		return "", problem.New(problem.Usage, "Name a file in a folder that exists with --out.", "--out: %w", err)
	case err != nil:
		return "", problem.New(problem.Refused, "Name another folder with --out.", "--out: %w", err)
	case within:
		return "", problem.New(problem.Refused, "Name a file outside the product with --out.",
			"%s is inside the product %s, into which a report writes nothing", full, t.home.Dir())
	}
	if err := durable.WriteFile(full, text, 0o644); err != nil {
		return "", problem.New(problem.Refused, "Name a folder that you may write, on a disk with room, with --out.", "The report cannot be written: %w", err)
	}
	return full, nil
}

// withinHome reports whether a folder lies in the product, links followed.
func (t *tool) withinHome(dir string) (bool, error) {
	home, err := filepath.EvalSymlinks(t.home.Dir())
	if err != nil {
		return false, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false, err
	}
	rel, err := filepath.Rel(home, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)), nil
}

// quietlyf says how it went, unless --progress none wants no word.
func (t *tool) quietlyf(format string, args ...any) {
	if t.options.progress != "none" {
		t.sayf(format, args...)
	}
}

func (t *tool) tellReport(res reportResult) {
	r := res.Report
	level := t.home.State()
	drift := fmt.Sprintf("%s customised, %d missing", plural(r.Customised, "file"), r.Missing)
	if r.DriftUnknown {
		drift = "drift not known (" + oneLine(res.UnknownDrift) + ")"
	}
	to := "Told " + res.Service
	if res.File != "" {
		to = "Wrote " + res.File
	}
	t.quietlyf("%s: %s-%s is at level %s, %s.\nThis installation is %s.\n", to, r.Product, r.Version, level.Point().Name(level.Line()), drift, r.Installation)
	if r.Outcome == update.Committing {
		t.quietlyf("A change is being committed here, or was cut: if none is running, run %s recover.\n", t.typed())
	}
}

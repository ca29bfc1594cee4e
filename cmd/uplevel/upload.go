package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/fleet"
	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// uploadedReport is what became of one file.
type uploadedReport struct {
	File string `json:"file"`
	Fate string `json:"fate"` // new, older, known or refused; empty: it was not sent
	Text string `json:"text,omitempty"`

	body json.RawMessage
}

// uploadReports sends reports that were carried out of networks without a way to the
// service. No product is needed.
func (t *tool) uploadReports(ctx context.Context, names []string) error {
	if err := t.openIfThere(); err != nil {
		return err
	}
	files, err := reportFiles(names)
	if err != nil {
		return err
	}
	client, err := t.client(needed)
	if err != nil {
		return err
	}
	client.Patience = t.reportPatience()
	if err := client.Ready(ctx); err != nil { // so that wrong usage is the files' fault from here on
		return err
	}
	all := make([]uploadedReport, len(files))
	var good []*uploadedReport
	for n, name := range files {
		all[n].File = name
		body, err := readReport(name)
		if err != nil {
			all[n].Fate, all[n].Text = string(fleet.Refused), err.Error()
			continue
		}
		all[n].body = body
		good = append(good, &all[n])
	}
	err = sendCarried(ctx, client, good)
	res := reportResult{Service: t.options.service, Uploads: all, Sent: err == nil && len(good) > 0}
	err = judgeUpload(all, err)
	if t.options.output != outputJSON {
		t.tellUpload(res)
	}
	return t.show(res, err, func() {})
}

// openIfThere opens a product for what it says of its vendor. Without one the command line
// and vendor.json beside the program say it.
func (t *tool) openIfThere() error {
	executable, _ := os.Executable()
	dir, err := install.Find(t.options.dir, executable)
	if err == nil {
		t.home, err = install.Open(dir, install.Options{Now: t.now, Holder: t.name(), ReadOnly: true})
	}
	if err != nil {
		t.home = nil
		if t.options.given["dir"] {
			return err
		}
		t.log.Debug("no product is used", "error", err)
	} else {
		t.later(t.home.Close)
	}
	return t.readVendor(executable)
}

// reportFiles lists the files that are meant: of a folder those that end in .json.
func reportFiles(names []string) ([]string, error) {
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, problem.New(problem.Usage, "Name files that --out wrote, or folders of them.", "--upload: %w", err)
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, problem.New(problem.Usage, "Name folders that can be read.", "--upload: %w", err)
		}
		before := len(files)
		for _, e := range entries {
			if strings.HasSuffix(strings.ToLower(e.Name()), ".json") {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
		if len(files) == before {
			return nil, problem.New(problem.Usage, "Name files that --out wrote, or folders of them.", "--upload: %s holds no .json file", name)
		}
	}
	return files, nil
}

// readReport reads a report and judges it as the service will.
func readReport(name string) (json.RawMessage, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > api.MaxReport {
		return nil, fmt.Errorf("no plain file, or larger than %d bytes", api.MaxReport)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, api.MaxReport))
	if err != nil {
		return nil, err
	}
	var r api.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("no report: %w", err)
	}
	return data, fleet.Told{Report: fleet.Report(r), Carried: true}.Check()
}

// sendCarried sends what was read, some at a time, and notes what became of each.
func sendCarried(ctx context.Context, client *api.Client, good []*uploadedReport) error {
	var batch []*uploadedReport
	size := 0
	for n, u := range good {
		batch, size = append(batch, u), size+len(u.body)
		if n < len(good)-1 && len(batch) < api.MaxReports && size+len(good[n+1].body) < api.MaxBody*3/4 {
			continue
		}
		if err := sendBatch(ctx, client, batch); err != nil {
			return err
		}
		batch, size = nil, 0
	}
	return nil
}

// sendBatch sends some reports. Where the service refuses to read them, it is asked one by
// one: a single bad one does not hold up the others.
func sendBatch(ctx context.Context, client *api.Client, batch []*uploadedReport) error {
	texts := make([]json.RawMessage, 0, len(batch))
	for _, u := range batch {
		texts = append(texts, u.body)
	}
	a, err := client.UploadReports(ctx, texts)
	if problem.KindOf(err) == problem.Usage && len(batch) > 1 {
		for _, u := range batch {
			if err := sendBatch(ctx, client, []*uploadedReport{u}); err != nil {
				return err
			}
		}
		return nil
	}
	if problem.KindOf(err) == problem.Usage {
		batch[0].Fate, batch[0].Text = string(fleet.Refused), err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	for n, u := range batch {
		u.Fate, u.Text = a.Items[n].Fate, a.Items[n].Text
	}
	return nil
}

// judgeUpload is the failure that an upload ends with.
func judgeUpload(all []uploadedReport, err error) error {
	taken, refused, first := 0, 0, ""
	for _, u := range all {
		switch u.Fate {
		case "":
		case string(fleet.Refused):
			if refused++; first == "" {
				first = u.File + ": " + u.Text
			}
		default:
			taken++
		}
	}
	stands := fmt.Sprintf("The service took %d of %s; sending all again makes no double.", taken, plural(len(all), "report"))
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return p.Standing(stands)
	}
	if err != nil || refused == 0 {
		return err
	}
	return problem.New(problem.Failed, "Look at the files that are refused; the others need not be sent again.",
		"Refused: %s of %d: %s", plural(refused, "file"), len(all), first).Standing(stands)
}

func (t *tool) tellUpload(res reportResult) {
	counts := map[string]int{}
	for _, u := range res.Uploads {
		counts[u.Fate]++
	}
	if n := len(res.Uploads) - counts[""] - counts[string(fleet.Refused)]; n > 0 {
		t.quietlyf("Told %s: %s, %d of them new, %d known already, %d older than what is known.\n", res.Service, plural(n, "report"),
			counts[string(fleet.New)], counts[string(fleet.Known)], counts[string(fleet.Older)])
	}
	for _, u := range res.Uploads {
		if u.Fate == string(fleet.Refused) || t.options.verbose {
			t.quietlyf("  %-8s %s%s\n", orText(u.Fate, "not sent"), u.File, oneLine(prefixed(": ", u.Text)))
		}
	}
}

// prefixed puts something before a text that is not empty.
func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

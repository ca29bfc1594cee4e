package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/doctor"
	"uplevel/internal/durable"
	"uplevel/internal/install"
	"uplevel/internal/problem"
	"uplevel/internal/support"
	"uplevel/internal/update"
)

// supportResult is what support-bundle did, or would.
type supportResult struct {
	File    string          `json:"file"` // empty: nothing was written
	Size    int             `json:"size"` // bytes
	SHA256  string          `json:"sha256"`
	SendTo  string          `json:"send_to"` // empty: the vendor told none
	DryRun  bool            `json:"dry_run"`
	Summary support.Summary `json:"summary"`
}

func (t *tool) supportBundleCommand() *cobra.Command {
	var out string
	cmd := t.command("support-bundle", "Collect what a ticket needs, secrets and names taken out", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		req, err := t.supportRequest()
		if err != nil {
			return err
		}
		file, err := bundleFile(out, req.Home)
		if err != nil {
			return err
		}
		b, err := support.Make(ctx, req)
		if err != nil {
			return err
		}
		if file.dir {
			file.name = unused(filepath.Join(file.name, b.Name))
		}
		res := supportResult{Size: len(b.Data), SHA256: b.SHA256(), SendTo: t.vendor.Support, DryRun: t.options.dryRun, Summary: b.Summary}
		if t.options.output == outputTable {
			t.tellMembers(b.Summary)
		}
		if !t.options.dryRun {
			if err := writeBundle(file.name, b.Data); err != nil {
				return err
			}
			res.File = file.name
		}
		return t.show(res, nil, func() { t.tellBundle(res) })
	})
	cmd.Long = "Make a zip of what a ticket needs: logs, state, plan, history, environment, facts\n" +
		"of the system, and what doctor finds. Secrets, names and addresses are taken out;\n" +
		"none of your files is in it. --dry-run lists what would be in it."
	cmd.Flags().BoolVar(&t.options.offline, "offline", false, "use no network at all: doctor looks at this machine only")
	cmd.Flags().StringVarP(&out, "out", "o", "", "file, or folder to put it in (default: the current folder, or the one above the product)")
	return cmd
}

// supportRequest gathers what is known here. Only a --dir that is not there is an error:
// everything else that fails is told in the bundle.
func (t *tool) supportRequest() (support.Request, error) {
	executable, _ := os.Executable()
	home, err := install.Find(t.options.dir, executable)
	req := support.Request{Home: home, Program: t.name(), Version: toolVersion(), Now: t.now(), Environ: os.Environ(), Args: safeArguments(t.args[1:])}
	if err != nil {
		req.Trouble = append(req.Trouble, support.Trouble{What: "finding the product", Why: err.Error()})
		if req.Home = t.likelyHome(executable); req.Home == "" && t.options.dir != "" {
			return req, err
		}
	}
	if req.Home != "" {
		if t.home, err = install.Open(req.Home, install.Options{Now: t.now, Holder: t.name()}); err != nil {
			t.home = nil
			req.Trouble = append(req.Trouble, support.Trouble{What: "opening the product", Why: err.Error()})
		} else {
			t.later(t.home.Close)
			req.Verify = t.compareFiles
		}
	}
	t.supportVendor(&req, executable)
	t.supportSecrets(&req)
	req.Hosts, req.Domains = thisHost()
	req.Doctor, req.Had = examined{t}, func() []string { return t.credentials.had() }
	return req, nil
}

// examined looks at the surroundings as doctor does.
type examined struct{ t *tool }

// Diagnose returns what doctor finds, for people and as JSON.
func (e examined) Diagnose(ctx context.Context) (string, []byte, error) {
	report, err := e.t.examine(ctx)
	if err != nil {
		return "", nil, err
	}
	var text strings.Builder
	err = report.Text(&text, func(_ doctor.State, word string) string { return word })
	data, jsonErr := json.Marshal(report)
	return text.String(), data, errors.Join(err, jsonErr)
}

// likelyHome is a folder that was a product home by what is left of it.
func (t *tool) likelyHome(executable string) string {
	var places []string
	switch wd, err := os.Getwd(); {
	case t.options.dir != "":
		places = []string{t.options.dir}
	case err == nil:
		if bin := filepath.Dir(executable); filepath.Base(bin) == "bin" {
			places = append(places, filepath.Dir(bin))
		}
		for at := wd; at != filepath.Dir(at); at = filepath.Dir(at) {
			places = append(places, at)
		}
	}
	for _, p := range places {
		abs, err := filepath.Abs(p)
		if err != nil {
			continue
		}
		_, err = os.Lstat(filepath.Join(abs, "updates"))
		info, statErr := os.Stat(abs)
		if statErr == nil && info.IsDir() && (t.options.dir != "" || !errors.Is(err, fs.ErrNotExist)) {
			return abs
		}
	}
	return ""
}

// supportVendor reads vendor.json without minding that it is damaged.
func (t *tool) supportVendor(req *support.Request, executable string) {
	places := []string{filepath.Join(filepath.Dir(executable), "vendor.json")}
	if req.Home != "" {
		places = append([]string{filepath.Join(req.Home, "updates", "vendor.json")}, places...)
	}
	for _, name := range places {
		info, err := os.Stat(name)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no plain file") // a pipe would be waited for
		}
		var data []byte
		if err == nil {
			data, err = readBounded(name, 64<<10)
		}
		if err == nil {
			err = json.Unmarshal(data, &t.vendor)
		}
		if err == nil {
			if err = api.NoSecrets("The service's address", t.vendor.Service); err != nil {
				t.vendor.Service = "" // it would be kept as what is no secret
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			req.Trouble = append(req.Trouble, support.Trouble{What: name, Why: err.Error()})
		}
	}
	if t.options.service == "" {
		t.options.service = t.vendor.Service
	}
	req.Support = t.vendor.Support
	req.Keep = []string{t.vendor.Service, t.vendor.Support, t.vendor.Portal}
}

// supportSecrets lists the secrets and names that the tool was given, so that they are
// found wherever they stand.
func (t *tool) supportSecrets(req *support.Request) {
	o := &t.options
	req.Secrets = []string{o.password}
	if _, arguments, ok := strings.Cut(o.passwordCommand, " "); ok {
		req.Secrets = append(req.Secrets, arguments)
	}
	for _, name := range []string{o.tokenFile, o.passwordFile} {
		if name == "" {
			continue
		}
		data, err := readBounded(name, maxSecret)
		if err != nil {
			req.Trouble = append(req.Trouble, support.Trouble{What: "a file of credentials", Why: err.Error()})
		}
		req.Secrets = append(req.Secrets, string(data), strings.TrimSpace(string(data)))
	}
	req.Users = []string{o.username, userName(), t.getenv("SUDO_USER"), t.getenv("USER"), t.getenv("LOGNAME")}
	if home, err := os.UserHomeDir(); err == nil && len(filepath.Base(home)) > 2 {
		req.Users = append(req.Users, filepath.Base(home))
	}
}

// thisHost is what this machine is called, and the domains that its resolver searches.
func thisHost() (hosts, domains []string) {
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	data, _ := readBounded("/etc/resolv.conf", 64<<10)
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) > 1 && (words[0] == "search" || words[0] == "domain") {
			domains = append(domains, words[1:]...)
		}
	}
	return hosts, domains
}

// looking is a home that is only looked at: a commit that is open is left as it is.
type looking struct{ update.Home }

// CommitOpen says no, so that nothing is recovered.
func (looking) CommitOpen() bool { return false }

// Pending says that there is none: what is prepared may be long, and is told otherwise.
func (looking) Pending() (update.Pending, error) { return update.Pending{}, fs.ErrNotExist }

// compareFiles is verify without a change to anything.
func (t *tool) compareFiles(ctx context.Context) (support.Verified, error) {
	if t.home.CommitOpen() {
		return support.Verified{}, errors.New("a commit is open: the files are between two levels")
	}
	u, err := t.updater(reads, alone)
	if err != nil {
		return support.Verified{}, err
	}
	u.Home = looking{u.Home}
	r, err := u.Verify(ctx, update.VerifyOptions{})
	v := support.Verified{
		Pristine: r.Pristine, Hotfixed: len(r.Hotfixed), Generated: len(r.Generated), Foreign: len(r.Foreign), Modes: len(r.Modes),
		Customised: r.Customised, Merged: r.Merged, Missing: r.Missing,
	}
	for _, d := range r.Damaged {
		v.Damaged = append(v.Damaged, d.What+": "+d.Why)
	}
	if len(r.Damaged) > 0 && problem.KindOf(err) == problem.Verification {
		err = nil // that is the answer
	}
	return v, err
}

// target is where a bundle goes: a file, or a folder.
type target struct {
	name string
	dir  bool
}

// bundleFile says where the bundle goes: never into the product.
func bundleFile(out, home string) (target, error) {
	to := target{out, false}
	if out == "" {
		to = target{".", true}
		if inside(".", home) {
			to.name = filepath.Dir(home)
		}
	}
	info, err := os.Stat(to.name)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Lstat(to.name) // a link that leads nowhere is there
	}
	switch {
	case err == nil && info.IsDir():
		to.dir = true
	case err == nil:
		return to, usage("Give another name with -o, or a folder.", "%s is there already", to.name)
	case !errors.Is(err, fs.ErrNotExist):
		return to, usage("Give a folder that can be written with -o.", "The bundle cannot go to %s: %w", to.name, err)
	}
	folder := to.name
	if !to.dir {
		folder = filepath.Dir(folder)
	}
	if inside(folder, home) {
		return to, problem.New(problem.Refused, "Give a folder outside of the product with -o.", "The bundle would lie inside of the product: %s", to.name)
	}
	return to, nil
}

// inside reports whether a folder is the home or lies below it, whatever links lead there.
func inside(folder, home string) bool {
	top, err := os.Stat(home)
	if home == "" || err != nil {
		return false
	}
	at, err := filepath.Abs(folder)
	if err == nil {
		if resolved, linkErr := filepath.EvalSymlinks(at); linkErr == nil {
			at = resolved
		}
	}
	for ; err == nil; at = filepath.Dir(at) {
		if info, statErr := os.Stat(at); statErr == nil && os.SameFile(info, top) {
			return true
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return false
}

// unused returns a name that is not taken: name, or with a number.
func unused(name string) string {
	free := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); err != nil {
			return free // what cannot be looked at will be told when it is written
		}
		free = strings.TrimSuffix(name, ".zip") + "-" + strconv.Itoa(n) + ".zip"
	}
}

func writeBundle(name string, data []byte) error {
	f, err := durable.Create(name, 0o600)
	if err == nil {
		defer f.Discard()
		if _, err = f.Write(data); err == nil {
			err = f.Commit()
		}
	}
	if err != nil {
		return problem.New(problem.Refused, "Give a folder that can be written, on a disk with room, with -o.", "The bundle cannot be written: %w", err)
	}
	return nil
}

// tellMembers lists what is in the bundle before it is written.
func (t *tool) tellMembers(s support.Summary) {
	t.sayf("In the bundle:\n")
	for _, m := range s.Members {
		more := ""
		if m.LeftOut > 0 {
			more = " (" + size(m.LeftOut) + " left out)"
		}
		t.sayf("  %-44s %10s  taken out: %s%s\n", m.Name, size(m.Size), support.Told(m.Redacted), more)
	}
	t.tellUnread(s.Unread)
}

func (t *tool) tellUnread(unread []support.Trouble) {
	if len(unread) > 0 {
		t.sayf("Could not be had:\n")
	}
	for _, u := range unread {
		t.sayf("  %s: %s\n", u.What, oneLine(u.Why))
	}
}

func (t *tool) tellBundle(r supportResult) {
	if r.DryRun {
		t.sayf("Nothing was written: that is what would be in a bundle of %s.\n", size(int64(r.Size)))
		return
	}
	t.sayf("Written:  %s (%s)\nSHA-256:  %s\n", r.File, size(int64(r.Size)), r.SHA256)
	t.sayf("Look:     %s bundle show %s\n", t.called(), quoted(r.File))
	t.sayf("Send to:  %s\n", orText(r.SendTo, "your vendor's support"))
}

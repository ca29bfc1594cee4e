package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/fetch"
	"uplevel/internal/install"
	"uplevel/internal/merge/formats"
	"uplevel/internal/problem"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/update"
)

// vendor is vendor.json: what the vendor says of itself to its tools.
type vendor struct {
	Service string `json:"service"`
	Support string `json:"support"`
	Portal  string `json:"portal"`
}

// mode is what a command does to the home.
type mode int

const (
	reads   mode = iota // writes nothing, keeps no log
	checks              // may store newer metadata
	changes             // changes the home and keeps a log
)

// open finds the product and opens it.
func (t *tool) open(m mode) error {
	executable, _ := os.Executable()
	home, err := install.Find(t.options.dir, executable)
	if err != nil {
		return err
	}
	holder := fmt.Sprintf("%s (process %d)", t.name(), os.Getpid())
	if t.home, err = install.Open(home, install.Options{Now: t.now, Holder: holder}); err != nil {
		return err
	}
	t.later(t.home.Close)
	if err := t.readVendor(executable); err != nil {
		return err
	}
	if m == changes && !t.options.dryRun {
		t.openLog()
	}
	return nil
}

// readVendor reads vendor.json from the home, or from beside the program.
func (t *tool) readVendor(executable string) error {
	for _, name := range t.beside("vendor.json", executable) {
		data, err := readBounded(name, 64<<10)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(data, &t.vendor)
		}
		if err != nil {
			return problem.New(problem.Failed, "Bring it back from the vendor's pack.", "%s cannot be used: %w", name, err)
		}
		break
	}
	if t.options.service == "" {
		t.options.service = t.vendor.Service
	}
	return nil
}

// beside returns where a file of the vendor's may lie.
func (t *tool) beside(name, executable string) []string {
	places := []string{filepath.Join(t.home.Dir(), "updates", name)}
	if executable != "" {
		places = append(places, filepath.Join(filepath.Dir(executable), name))
	}
	return places
}

// trustedRoot returns the root that came with pack, tool or option; nil when none did.
// It is never taken from the network.
func (t *tool) trustedRoot() ([]byte, error) {
	if t.options.root != "" {
		return readOption("root", t.options.root, 512<<10)
	}
	executable, _ := os.Executable()
	for _, name := range t.beside("root.json", executable) {
		data, err := readOption("root", name, 512<<10)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return data, err
	}
	return nil, nil
}

// need is what a command wants of the service.
type need int

const (
	alone  need = iota // neither network nor credentials
	maybe              // reports, or fetches what is not kept, if it can
	needed             // nothing goes without
)

// updater puts the parts together.
func (t *tool) updater(m mode, n need) (*update.Updater, error) {
	u := &update.Updater{
		Home: update.OnDisk(t.home), Log: t.log, Now: t.now, Tool: toolVersion(), System: runtime.GOOS + "/" + runtime.GOARCH,
		User: userName(), Machine: machineID, Formats: formats.For,
	}
	if t.options.reportHost {
		u.Host, _ = os.Hostname()
	}
	if p := t.newProgress(); p != nil || t.logFile != "" {
		u.Progress = &noted{Progress: p, log: t.log, now: t.now}
	}
	client, err := t.client(n)
	if err != nil && n == maybe {
		t.log.Warn("the service is left out", "error", err)
		client, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if u.Trust, err = t.trust(m, client); err != nil {
		return nil, err
	}
	if t.service = client; client != nil {
		u.Service = client
		if u.Fetch, err = t.fetcher(client, u.Progress); err != nil {
			return nil, err
		}
	}
	u.Other = t.other(m, n)
	return u, nil
}

// other opens an updater of another home with the same options.
func (t *tool) other(m mode, n need) func(context.Context, string) (*update.Updater, error) {
	return func(_ context.Context, home string) (*update.Updater, error) {
		copied := *t
		copied.options.dir = home
		h, err := install.Open(home, install.Options{Now: t.now, Holder: t.name()})
		if err != nil {
			return nil, err
		}
		t.later(h.Close)
		copied.home = h
		return copied.updater(m, n)
	}
}

// client returns the client of the service; nil where none is needed and wanted.
func (t *tool) client(n need) (*api.Client, error) {
	switch {
	case n == alone, t.options.service == "" && n == maybe:
		return nil, nil //nolint:nilnil // no client is an answer: the command can do without
	case t.options.service == "":
		return nil, usage("Give --service, or put vendor.json from the vendor's pack into updates/.",
			"The address of the update service is not known: --service is missing")
	}
	opts := api.HTTPOptions{Getenv: t.getenv}
	if t.options.caCert != "" {
		pem, err := readOption("ca-cert", t.options.caCert, 1<<20)
		if err != nil {
			return nil, err
		}
		opts.CACert = pem
	}
	http, err := api.NewHTTP(opts)
	if err != nil {
		return nil, err
	}
	c := &api.Client{Base: strings.TrimRight(t.options.service, "/"), HTTP: http, UserAgent: "uplevel/" + toolVersion()}
	c.Token = (&credentials{tool: t, client: c}).get
	return c, nil
}

// trust returns the client of the metadata; nil when there is no trusted root.
func (t *tool) trust(m mode, remote *api.Client) (update.Trust, error) {
	root, err := t.trustedRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(t.home.Dir(), "updates", "trust")
	if _, err := os.Stat(filepath.Join(dir, "root.json")); err != nil && root == nil {
		return nil, nil //nolint:nilnil // an installation without a root has no trust yet
	}
	if m == reads || t.options.dryRun || !canWrite(filepath.Dir(dir)) {
		if dir, err = t.thrownAway(dir); err != nil {
			return nil, err
		}
	}
	cfg := refresh.Config{Dir: dir, Root: root, Now: t.now, Holder: t.name()}
	if remote != nil {
		cfg.Remote = remote
	}
	return refresh.New(cfg)
}

// thrownAway copies a folder's files into a temporary one that is removed at the end,
// for commands that may write nothing.
func (t *tool) thrownAway(dir string) (string, error) {
	to, err := os.MkdirTemp("", "uplevel-*")
	if err != nil {
		return "", err
	}
	t.later(func() error { return os.RemoveAll(to) })
	if dir == "" {
		return to, nil
	}
	if err := os.CopyFS(filepath.Join(to, "d"), os.DirFS(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return filepath.Join(to, "d"), nil
}

// cache returns the folder for downloads. A user without a home folder that can be
// written, as in containers, gets one that is thrown away; so does a dry run.
func (t *tool) cache() (string, error) {
	if t.options.dryRun {
		return t.thrownAway("")
	}
	dir := t.getenv("UPLEVEL_CACHE")
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", problem.New(problem.Refused, "Name a folder that can be written with UPLEVEL_CACHE, or leave it out.",
				"The folder for downloads cannot be made: %w", err)
		}
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err == nil {
		dir = filepath.Join(base, "uplevel")
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil || !canWrite(dir) {
		return t.thrownAway("")
	}
	return dir, nil
}

// fetcher keeps downloads in the user's cache folder, shared by all products.
func (t *tool) fetcher(from fetch.Source, p update.Progress) (update.Fetcher, error) {
	dir, err := t.cache()
	if err != nil {
		return nil, err
	}
	f := &fetch.Fetcher{Source: from, Dir: dir}
	if p != nil {
		f.Progress = p
	}
	return f, nil
}

func canWrite(dir string) bool {
	f, err := os.CreateTemp(dir, ".uplevel-*")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// machineID returns what systems with systemd or D-Bus call the machine.
func machineID() (string, error) {
	data, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		name, hostErr := os.Hostname()
		return name, hostErr
	}
	return strings.TrimSpace(string(data)), nil
}

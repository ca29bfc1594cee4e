package main

import (
	"bytes"
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
	"uplevel/internal/durable"
	"uplevel/internal/fetch"
	"uplevel/internal/install"
	"uplevel/internal/merge/formats"
	"uplevel/internal/problem"
	"uplevel/internal/trust/aside"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/update"
)

// vendor is vendor.json: what the vendor says of itself to its tools.
type vendor struct {
	Service string `json:"service"`
	Support string `json:"support"`
	Portal  string `json:"portal"`
	// Root is the trusted root, in the file that lies beside the tool.
	Root json.RawMessage `json:"root"`
}

// maxVendor bounds the bytes of vendor.json: a root is 512 KiB at most.
const maxVendor = 1 << 20

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
		t.sweepTool()
	}
	return nil
}

// readVendor reads vendor.json from the home, or from beside the program.
func (t *tool) readVendor(executable string) error {
	for _, dir := range t.vendorDirs(executable) {
		v, err := vendorIn(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		t.vendor = v
		break
	}
	if t.options.service == "" {
		t.options.service = t.vendor.Service
	}
	return nil
}

// vendorIn reads a folder's vendor.json; one that is not there is fs.ErrNotExist.
func vendorIn(dir string) (v vendor, err error) {
	name := filepath.Join(dir, "vendor.json")
	if err := slipped(dir, "vendor.json"); err != nil {
		return v, err
	}
	data, err := readPlain(name, maxVendor)
	if errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return v, problem.New(problem.Failed, "Bring it back from the vendor's pack.", "%s cannot be used: %w", name, err)
	}
	return v, api.NoSecrets("The service's address in "+name, v.Service)
}

// slipped refuses a file beside this program that a stranger may have put there.
func slipped(dir, name string) error {
	executable, err := os.Executable()
	if err != nil || filepath.Dir(executable) != dir {
		return nil //nolint:nilerr // nothing is looked for beside a program that does not know where it is
	}
	program, err := ownProgram()
	if err != nil {
		return err // what cannot be looked at is not taken
	}
	return program.Beside(name)
}

// vendorDirs are the folders in which files of the vendor's may lie.
func (t *tool) vendorDirs(executable string) []string {
	var dirs []string
	if t.home != nil {
		dirs = append(dirs, filepath.Join(t.home.Dir(), "updates"))
	}
	if executable != "" {
		dirs = append(dirs, filepath.Dir(executable))
	}
	return dirs
}

// trustedRoot returns the root that came with the pack, in root.json, with the tool, in
// vendor.json, or with --root; nil when none did. It is never taken from the network.
func (t *tool) trustedRoot() ([]byte, error) {
	if t.options.root != "" {
		return readOption("root", t.options.root, 512<<10)
	}
	executable, _ := os.Executable()
	for _, dir := range t.vendorDirs(executable) {
		if root, err := rootIn(dir); root != nil || err != nil {
			return root, err
		}
	}
	return nil, nil
}

// rootIn returns the root that lies in a folder, in root.json or vendor.json; nil when none
// does.
func rootIn(dir string) ([]byte, error) {
	if err := slipped(dir, "root.json"); err != nil {
		return nil, err
	}
	data, err := readPlain(filepath.Join(dir, "root.json"), 512<<10)
	switch {
	case err == nil:
		return data, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, problem.New(problem.Failed, "Bring it back from the vendor's pack, or name one with --root.", "The trusted root cannot be read: %w", err)
	}
	v, err := vendorIn(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(v.Root) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var root bytes.Buffer
	err = json.Compact(&root, v.Root) // as it was signed, without the file's white space
	return root.Bytes(), err
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
		Home: update.OnDisk(t.home), Log: t.log, Now: t.now, Tool: toolVersion(), System: system(),
		User: userName(), Machine: t.machineID, Formats: formats.For,
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
	if u.Trust == nil && n == needed {
		return nil, problem.New(problem.Verification, "Put the vendor's vendor.json beside this program, or name the root's file with --root.",
			"No trusted root is known, so that nothing can be verified")
	}
	if t.service = client; client != nil {
		u.Service = t.reporting(client)
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
	opts := api.HTTPOptions{Getenv: t.getenv, Patience: t.options.patience}
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
	c := &api.Client{Base: strings.TrimRight(t.options.service, "/"), HTTP: http, UserAgent: "uplevel/" + toolVersion(), Patience: t.options.patience}
	if err := c.Private(); err != nil {
		return nil, err
	}
	t.credentials = &credentials{tool: t, client: c}
	c.Token = t.credentials.get
	return c, nil
}

// trust returns the client of the metadata; nil when there is no trusted root.
func (t *tool) trust(m mode, remote *api.Client) (update.Trust, error) {
	root, err := t.trustedRoot()
	if err != nil {
		return nil, err
	}
	dir, err := t.trustDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "root.json")); (dir == "" || err != nil) && root == nil {
		return nil, nil //nolint:nilnil // an installation without a root has no trust yet
	}
	if dir == "" || m == reads || t.options.dryRun || !canWrite(filepath.Dir(dir)) {
		if dir, err = t.trustAside(dir); err != nil {
			return nil, err
		}
	}
	cfg := refresh.Config{Dir: dir, Root: root, Now: t.now, Holder: t.name(), Grace: t.options.patience}
	if remote != nil {
		cfg.Remote = remote
	}
	return t.asAllowed(cfg)
}

// trustDir returns the folder of the metadata that are trusted in the home; empty without one.
func (t *tool) trustDir() (string, error) {
	if t.home == nil {
		return "", nil
	}
	return t.home.TrustDir()
}

// trustAside copies what a folder trusts, where there is one, into one that is removed at the
// end, for commands that may write nothing.
func (t *tool) trustAside(dir string) (string, error) {
	to, err := t.thrownAway()
	if err != nil || dir == "" {
		return to, err
	}
	return to, aside.Copy(os.DirFS(dir), to)
}

// thrownAway makes a folder that is removed at the end.
func (t *tool) thrownAway() (string, error) {
	dir, err := os.MkdirTemp("", "uplevel-*")
	if err != nil {
		return "", problem.New(problem.Refused, "Name a folder that can be written with TMPDIR, or with UPLEVEL_CACHE.",
			"A folder for temporary files cannot be made: %w", err)
	}
	t.later(func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// cache returns the folder for downloads. A user without a home folder that can be
// written, as in containers, gets one that is thrown away; so does a dry run.
func (t *tool) cache() (string, error) {
	if t.options.dryRun {
		return t.thrownAway()
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
		return t.thrownAway()
	}
	return dir, nil
}

// fetcher keeps downloads in the user's cache folder, shared by all products.
func (t *tool) fetcher(from fetch.Source, p update.Progress) (update.Fetcher, error) {
	dir, err := t.cache()
	if err != nil {
		return nil, err
	}
	f := &fetch.Fetcher{Source: from, Dir: dir, Stall: t.options.patience, Now: t.now}
	if p != nil {
		f.Progress = p
	}
	return f, nil
}

// canWrite tries. What a cut leaves of the try goes as all that was being written does.
func canWrite(dir string) bool {
	f, err := tryToWrite(dir)
	if err != nil {
		return false
	}
	f.Discard()
	return true
}

func tryToWrite(dir string) (*durable.File, error) {
	return durable.Create(filepath.Join(dir, "writable"), 0o600)
}

// system is this one, as programs are built for it: OS/ARCH.
func system() string { return runtime.GOOS + "/" + runtime.GOARCH }

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/doctor"
	"uplevel/internal/durable"
	"uplevel/internal/install"
	"uplevel/internal/problem"
	"uplevel/internal/proxy"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

func (t *tool) doctorCommand() *cobra.Command {
	cmd := t.command("doctor", "Find what is in the way of an update; endpoints to allow", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		report, err := t.examine(ctx)
		if err != nil {
			return err
		}
		if t.options.output == outputJSON {
			return t.show(report, report.Err(), func() {})
		}
		var text strings.Builder
		if err := report.Text(&text, t.stateColour); err != nil {
			return err
		}
		t.sayf("%s", text.String())
		return report.Err()
	})
	cmd.Long = "Look at product, permissions, disk, clock, trust, and each step of the way to the\n" +
		"service; say what was found and what to do, and list the endpoints that proxy and\n" +
		"firewall must allow. Nothing is changed, and nothing asked for."
	cmd.Flags().BoolVar(&t.options.offline, "offline", false, "look at this machine only")
	return cmd
}

// stateColour marks the word of a state.
func (t *tool) stateColour(s doctor.State, word string) string {
	switch s {
	case doctor.OK:
		return t.green(word)
	case doctor.Failure:
		return t.red(word)
	case doctor.Warning, doctor.Skipped:
	}
	return word
}

// examine looks at everything; only an option that cannot be used is an error. It writes
// nothing into the home and needs none.
func (t *tool) examine(ctx context.Context) (doctor.Report, error) {
	var openErr error
	if t.home == nil {
		openErr = t.open(reads)
	}
	executable, _ := os.Executable()
	if t.home == nil {
		if err := t.readVendor(executable); err != nil {
			return doctor.Report{}, err
		}
	}
	d := &doctor.Doctor{
		Program: t.name(), Version: toolVersion(), System: runtime.GOOS + "/" + runtime.GOARCH, Now: t.now, Offline: t.options.offline,
		Product: func() (doctor.Product, error) {
			if _, err := install.Find(t.options.dir, executable); err != nil && t.options.dir == "" && t.home == nil {
				return doctor.Product{}, nil // nothing to complain of: none was named
			}
			return t.product(openErr)
		}, User: userName(), Cache: t.cachePlace(), Temp: os.TempDir(),
		Disk: doctor.LookAtDisk, Writable: doctor.CanWrite, Root: t.fingerprint, Trusted: t.trustedView,
	}
	if err := t.describeService(&d.Service); err != nil {
		return doctor.Report{}, err
	}
	report := d.Run(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return report, problem.New(problem.Interrupted, "Run the command again.", "Interrupted while looking")
	}
	for i := range report.Checks {
		report.Checks[i].Next = t.withName(report.Checks[i].Next)
	}
	return report, nil
}

// product tells what is installed.
func (t *tool) product(openErr error) (doctor.Product, error) {
	if openErr != nil {
		return doctor.Product{}, openErr
	}
	s := t.home.State()
	p := doctor.Product{Home: t.home.Dir(), Line: s.Line(), Number: s.Level, Cut: t.home.CommitOpen()}
	history, err := t.home.History()
	if n := len(history); n > 0 {
		p.LastChange = history[n-1].Time
	}
	var errs [3]error
	p.Locked, errs[0] = durable.Holder(filepath.Join(p.Home, "updates", "lock"))
	p.Mounts, errs[1] = t.home.Mounts()
	to, open, pendingErr := t.home.Waits()
	if pendingErr == nil {
		p.Pending, p.Conflicts = to.Line().LevelName(to.Level), len(open)
	} else if !errors.Is(pendingErr, fs.ErrNotExist) {
		errs[2] = pendingErr
	}
	return p, errors.Join(err, errs[0], errs[1], errs[2])
}

// cachePlace is the folder of downloads, which is not made; empty: this user has none.
func (t *tool) cachePlace() string {
	if dir := t.getenv("UPLEVEL_CACHE"); dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "uplevel")
}

// fingerprint tells which root is trusted: the one in force in the home, else the one
// that came with pack, tool or option.
func (t *tool) fingerprint() (fingerprint, from string, err error) {
	if view, err := t.trustedView(); err == nil {
		return view.RootFingerprint(), "in force here", nil
	}
	root, err := t.trustedRoot()
	if err != nil || root == nil {
		return "", "", err
	}
	fingerprint, err = trust.Fingerprint(root)
	if from = "as shipped"; t.options.root != "" {
		from = t.options.root
	}
	return fingerprint, from, err
}

// trustedView reads the metadata of the home without writing.
func (t *tool) trustedView() (*trust.View, error) {
	dir, err := t.trustDir()
	if err != nil || dir == "" {
		return nil, cmp.Or(err, fs.ErrNotExist)
	}
	if _, err := os.Stat(filepath.Join(dir, "timestamp.json")); err != nil {
		return nil, err
	}
	root, err := t.trustedRoot()
	if err != nil {
		return nil, err
	}
	c, err := refresh.New(refresh.Config{Dir: dir, Root: root, Now: t.now, Holder: t.name()})
	if err != nil {
		return nil, err
	}
	view, err := c.Trusted(t.home.State().Line())
	if errors.Is(err, fs.ErrNotExist) { // there is a timestamp: a part that is gone is damage
		return nil, problem.New(problem.Verification, "Run check to fetch it anew.", "What is kept is not whole: %v", err)
	}
	return view, err
}

// describeService fills in the way to the service.
func (t *tool) describeService(s *doctor.Service) error {
	s.Address, s.From = strings.TrimRight(t.options.service, "/"), "vendor.json"
	if t.options.given["service"] || t.getenv("UPLEVEL_SERVICE") != "" {
		s.From = "--service or UPLEVEL_SERVICE"
	}
	if s.Address == "" || t.options.offline {
		return nil
	}
	client, err := t.client(needed)
	if err != nil {
		return err
	}
	s.API, s.Lookup, s.Settings = client, net.DefaultResolver.LookupHost, proxy.Settings{Getenv: t.getenv}
	s.Dialer = &proxy.Dialer{Settings: s.Settings}
	if err := t.authorities(s); err != nil {
		return err
	}
	s.Refresh = func(ctx context.Context) (*trust.View, error) { return t.refreshAside(ctx, client) }
	if t.hasCredentials() {
		s.Credentials = func(ctx context.Context) error { return tried(ctx, client) }
	} else {
		client.Token = nil // nothing prompts
	}
	return nil
}

// tried tries the credentials with a question that changes nothing. Whatever the answer,
// it was given to somebody who is known, unless it is that.
func tried(ctx context.Context, client *api.Client) error {
	_, err := client.EULA(ctx)
	if kind := problem.KindOf(err); err != nil && kind != problem.Failed && kind != problem.NotEntitled {
		return err
	}
	return nil
}

// authorities tells which authorities are trusted, as the client trusts them.
func (t *tool) authorities(s *doctor.Service) error {
	if t.options.caCert != "" {
		pem, err := readOption("ca-cert", t.options.caCert, 1<<20)
		if err != nil {
			return err
		}
		s.Roots, s.RootsFrom = x509.NewCertPool(), "--ca-cert "+t.options.caCert
		s.Roots.AppendCertsFromPEM(pem) // judged by the client already
		s.Dialer.TLS = api.TLS(s.Roots)
		return nil
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		value := t.getenv(name)
		if value == "" || runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
			continue
		}
		s.RootsFrom = strings.TrimSpace(s.RootsFrom + " " + name + "=" + value)
		for _, file := range filepath.SplitList(value) {
			if _, err := os.Stat(file); err != nil && s.RootsErr == nil {
				s.RootsErr = fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// refreshAside verifies the service's metadata from the root that is trusted here, in a
// folder that is thrown away.
func (t *tool) refreshAside(ctx context.Context, client *api.Client) (*trust.View, error) {
	root, err := t.trustedRoot()
	if err != nil {
		return nil, err
	}
	from, err := t.trustDir()
	if err != nil {
		return nil, err
	}
	dir, err := t.trustAside(from)
	if err != nil {
		return nil, err
	}
	c, err := refresh.New(refresh.Config{Dir: dir, Root: root, Remote: client, Now: t.now, Holder: t.name(), Grace: t.options.patience})
	if err != nil {
		return nil, err
	}
	if t.home == nil {
		return c.Refresh(ctx)
	}
	return c.Refresh(ctx, t.home.State().Line())
}

// hasCredentials reports whether a token can be had without asking a person.
func (t *tool) hasCredentials() bool {
	o := &t.options
	user := o.username != "" || t.home != nil && t.home.ConfigText("username") != ""
	return o.tokenCounts() || user && o.passwordFrom() != ""
}

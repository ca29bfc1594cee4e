// Package network has the built programs speak to a service over a network that lies: each
// fault gets its exit code and its words, changes nothing, holds nobody up for long, and
// what was verified before it is not fetched again after it.
package network

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/test/faultproxy"
	"uplevel/test/lab"
)

var (
	sweep = flag.Bool("sweep", false, "cut at many bytes; with SWEEP=full at every byte")
	seed  = flag.Uint64("seed", 0, "seed of the samples; 0: by the clock, printed")
)

// bounds of one run of the tool, whatever the network does. The time has room for a machine
// that is busy with much else: what it must tell is a run that would not end.
const (
	maxMemory = 64 << 10 // KiB
	maxTime   = 5 * time.Minute
	patience  = 2 * time.Second
)

// world is a service that is reached through proxies which lie.
type world struct {
	*lab.Lab

	t           *testing.T
	service     string // its true address
	pack        string // level 0 of 0 and 1
	authority   *lab.Authority
	certificate faultproxy.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	l, err := lab.New(t.Context(), root)
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Lab: l, t: t}
	for _, level := range []string{"0", "1"} {
		w.write(l.Path("dist", level, "conf/a.properties"), "a="+level)
		w.write(l.Path("dist", level, "bin/run"), strings.Repeat("run "+level+"\n", 50))
		w.write(l.Path("dist", level, "LICENSE"), "free")
		must(t, lab.WriteFile(l.Path("dist", level, "lib/big.jar"), 7+uint64(len(level))+uint64(level[0]), 300_000))
		must(t, lab.WriteFile(l.Path("dist", level, "lib/small.jar"), 70+uint64(level[0]), 3_000))
	}
	w.pack, _, err = l.PublishTwo(t.Context(), "shop", l.Path("dist/0"), l.Path("dist/1"))
	must(t, err)
	for _, e := range l.Env {
		if v, ok := strings.CutPrefix(e, "UPLEVEL_SERVICE="); ok {
			w.service = v
		}
	}
	now := time.Now()
	w.authority, err = lab.NewAuthority("Vendor CA", now, now.AddDate(3, 0, 0))
	must(t, err)
	w.write(l.Path("vendor-ca.pem"), string(w.authority.PEM))
	w.certificate = w.certified("127.0.0.1", now, now.AddDate(0, 2, 0))
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		l.Set(name, "")
	}
	return w
}

// certified are the options of a proxy with a certificate.
func (w *world) certified(host string, from, until time.Time) faultproxy.Options {
	w.t.Helper()
	c, err := w.authority.Certificate(host, from.AddDate(1, 0, 0).Add(-time.Hour), until)
	must(w.t, err)
	return faultproxy.Options{Service: w.service, Certificate: &c}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) write(name, content string) {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(w.t, os.WriteFile(name, []byte(content), 0o644))
}

// site is a home and the proxy before its service.
type site struct {
	*faultproxy.Proxy

	w    *world
	t    *testing.T
	home string
	env  []string
}

func (w *world) site(t *testing.T, o faultproxy.Options) *site {
	t.Helper()
	p, err := faultproxy.New(o)
	must(t, err)
	t.Cleanup(p.Close)
	s := &site{Proxy: p, w: w, t: t, home: filepath.Join(t.TempDir(), "shop")}
	s.renew()
	return s
}

// renew puts the home back to level 0 and empties the cache.
func (s *site) renew() {
	s.t.Helper()
	s.renewAt(s.URL(), s.w.Path("vendor-ca.pem"))
}

// renewAt is renew for a service elsewhere.
func (s *site) renewAt(service, authority string) {
	s.t.Helper()
	must(s.t, os.RemoveAll(s.home))
	must(s.t, os.RemoveAll(s.home+"-cache"))
	if out, err := exec.Command("cp", "-a", s.w.pack, s.home).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	s.env = []string{"UPLEVEL_SERVICE=" + service, "UPLEVEL_CA_CERT=" + authority, "UPLEVEL_CACHE=" + s.home + "-cache", "UPLEVEL_TOKEN_FILE="}
}

// run runs the tool and holds it to its bounds.
func (s *site) run(args ...string) lab.Run {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), maxTime)
	defer stop()
	r, err := s.w.DoWith(ctx, s.env, s.home, "uplevel", args...)
	if ctx.Err() != nil {
		s.t.Fatalf("%q hangs: %s", args, r.Output)
	}
	if err != nil && r.Exit <= 0 {
		s.t.Fatal(err)
	}
	if r.PeakKB > maxMemory {
		s.t.Errorf("%q took %d KiB", args, r.PeakKB)
	}
	if strings.ContainsAny(r.Output, "\x1b\x07\r") {
		s.t.Errorf("%q speaks to the terminal: %q", args, r.Output)
	}
	return r
}

// want runs the tool; it must end with a code and say all the texts.
func (s *site) want(exit int, words []string, args ...string) lab.Run {
	s.t.Helper()
	r := s.run(args...)
	if r.Exit != exit {
		s.t.Errorf("%q ended with %d, want %d:\n%s", args, r.Exit, exit, r.Output)
	}
	for _, text := range words {
		if !strings.Contains(r.Output, text) {
			s.t.Errorf("%q does not say %q:\n%s", args, text, r.Output)
		}
	}
	return r
}

// tree is what a refused command must leave as it was.
func (s *site) tree() string {
	s.t.Helper()
	sum, err := lab.Product(s.home)
	must(s.t, err)
	return sum
}

// objects are the bytes of objects that were asked for and came, by path.
func objects(seen []faultproxy.Seen) map[string]int64 {
	got := map[string]int64{}
	for _, s := range seen {
		if strings.HasPrefix(s.Path, "/objects/") && s.Status < 300 {
			got[s.Path] += max(0, s.Sent-s.Head)
		}
	}
	return got
}

package crashservice

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uplevel/test/lab"
	"uplevel/test/powercut"
)

// world is a vendor with a service, a publisher and a customer, as they stand before each
// point: shop and spare with level 0, shop with level 1, and a customer at level 0 of shop.
type world struct {
	*lab.Lab
	door   *door
	http   *http.Client
	base   string                           // data, keys, home and tokens as they were made
	disks  map[powercut.Kind]*powercut.Disk // with data and keys on them, unmounted
	images string                           // folder of the disks
	count  atomic.Int64                     // sites made
	env    map[string]string                // of every command
}

// The customer, and the password of whoever has one.
const (
	customer = "kim@bank.example"
	password = "correct horse battery"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Build(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Lab: l, base: l.Path("base"), images: powercut.Folder(t), disks: map[powercut.Kind]*powercut.Disk{}}
	t.Cleanup(func() {
		if err := errors.Join(w.door.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	})
	if w.door, err = newDoor(); err != nil {
		t.Fatal(err)
	}
	w.certify(t)
	w.env = map[string]string{
		"UPLEVEL_KEY_PASSPHRASE": "a passphrase", "UPLEVEL_SERVICE": "https://" + w.door.Addr().String(), "UPLEVEL_CA_CERT": l.Path("ca.pem"),
		"UPDATE_TOOL_USERNAME": customer, "GOMAXPROCS": "1", // strace counts by thread: the fewer there are, the more points are met
	}
	write(t, l.Path("notes.yaml"), "updates:\n  - {id: 1, type: regular, description: Measured change., files: ['**']}\n")
	w.fill(t)
	return w
}

// certify makes the certificate of the service.
func (w *world) certify(t *testing.T) {
	t.Helper()
	now := time.Now()
	a, err := lab.NewAuthority("vendor", now, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate("127.0.0.1", now, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.Path("ca.pem"), string(a.PEM))
	write(t, w.Path("cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})))
	write(t, w.Path("key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	if err := os.Chmod(w.Path("key.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM)
	w.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// fill makes the base through the programs alone.
func (w *world) fill(t *testing.T) {
	t.Helper()
	for _, build := range []string{"shop 0", "shop 1", "shop 2", "shop 3", "spare 0", "fixed 0"} {
		name, n, _ := strings.Cut(build, " ")
		write(t, w.Path(build, "bin/start"), name+" "+n)
		write(t, w.Path(build, "conf/a.properties"), "a="+n)
		write(t, w.Path(build, "LICENSE"), "free")
	}
	s := &site{world: w, dir: w.base, data: filepath.Join(w.base, "data"), keys: filepath.Join(w.base, "keys")}
	if err := os.MkdirAll(w.base, 0o755); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.must(t, "upleveld", "admin", "user", "add", "vera@vendor.example", "--role", "administrator")
	write(t, s.path("publisher.token"), s.must(t, "upleveld", "admin", "token", "add", "--user", "vera@vendor.example", "--name", "publisher", "--scope", "publish"))
	s.must(t, "upleveld", "admin", "organisation", "add", "Bank")
	s.must(t, "upleveld", "admin", "user", "add", customer, "--organisation", "Bank", "--role", "operator")
	write(t, s.path("customer.token"), s.must(t, "upleveld", "admin", "token", "add", "--user", customer, "--name", "tool"))
	s.must(t, "upleveld", "admin", "subscription", "add", "--organisation", "Bank", "--product", "shop", "--kind", "paid")
	s.must(t, "uplevel-publish", "keys", "init")
	s.must(t, "uplevel-publish", "product", "add", "shop", "1", "--platform", "unix", "--dist", w.Path("shop 0"))
	s.must(t, "uplevel-publish", "product", "add", "spare", "1", "--platform", "unix", "--dist", w.Path("spare 0"))
	s.must(t, "uplevel-publish", "level", "shop", "1", "--dist", w.Path("shop 1"), "--notes", w.Path("notes.yaml"))
	s.must(t, "uplevel-publish", "pack", "shop", "1", "--level", "0", "--out", s.path("home"))
	s.end(t)
}

// site is a copy of the base for one point, and its service.
type site struct {
	*world
	dir, data, keys string
	disk            *powercut.Disk // that data and keys lie on, or nil
	service         *service
}

func (s *site) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// fresh makes a site; empty has neither data nor keys. With a kind of file system both lie
// on a disk whose power can be cut.
func (w *world) fresh(t *testing.T, kind powercut.Kind, empty bool) *site {
	t.Helper()
	n := w.count.Add(1)
	s := &site{world: w, dir: w.Path(fmt.Sprintf("site-%d", n))}
	s.data, s.keys = s.path("data"), s.path("keys")
	if out, err := exec.Command("cp", "-a", w.base, s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if kind != "" {
		disk, err := w.disk(t, kind).Clone(fmt.Sprintf("disk-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		s.disk, s.data, s.keys = disk, filepath.Join(disk.At, "data"), filepath.Join(disk.At, "keys")
	}
	if empty {
		if err := errors.Join(os.RemoveAll(s.data), os.RemoveAll(s.keys), syncBelow(filepath.Dir(s.data))); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// disk is an unmounted one of that kind, with the base on it.
func (w *world) disk(t *testing.T, kind powercut.Kind) *powercut.Disk {
	t.Helper()
	if d := w.disks[kind]; d != nil {
		return d
	}
	d, err := powercut.New(w.images, "base-"+string(kind), kind)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(w.base, "data"), filepath.Join(w.base, "keys"), d.At).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := d.Unmount(); err != nil {
		t.Fatal(err)
	}
	w.disks[kind] = d
	return d
}

// remove ends the service and removes the site.
func (s *site) remove(t *testing.T) {
	t.Helper()
	s.kill()
	if s.disk != nil {
		if err := s.disk.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Error(err)
	}
}

// environment is that of every program of this site.
func (s *site) environment() []string {
	env := slices.Clone(s.Env)
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		env = append(env, name+"="+s.env[name])
	}
	token, _ := os.ReadFile(s.path("customer.token"))
	return append(env, "UPLEVEL_DATA="+s.data, "UPLEVEL_KEYS="+s.keys, "UPLEVEL_CACHE="+s.path("cache"),
		"UPLEVEL_TOKEN_FILE="+s.path("publisher.token"), "UPDATE_TOOL_PASSWORD="+strings.TrimSpace(string(token)))
}

// ran is a program that ended.
type ran struct {
	exit     int
	out, err string
}

// run runs a program of the site to its end; a minute is more than any takes.
func (s *site) run(ctx context.Context, args ...string) ran {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var out, said bytes.Buffer
	cmd := s.command(ctx, args...)
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &said, strings.NewReader(password)
	_ = cmd.Run()
	if ctx.Err() != nil {
		fmt.Fprintf(&said, "\nit was ended: %v", ctx.Err())
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), said.String()}
}

func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	name := args[0]
	if own := s.Path("bin", name); lab.Exists(own) {
		name = own
	}
	cmd := exec.CommandContext(ctx, name, args[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.dir, s.environment(), 10*time.Second
	return cmd
}

// must runs a program that has to succeed, and returns what it printed.
func (s *site) must(t *testing.T, args ...string) string {
	t.Helper()
	r := s.run(t.Context(), args...)
	if r.exit != 0 {
		t.Fatalf("%s: exit %d: %s%s", strings.Join(args, " "), r.exit, r.out, r.err)
	}
	return r.out
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// door is the address that publisher and customer know; what is behind it comes and goes.
type door struct {
	net.Listener
	mutex  sync.Mutex
	behind string
}

func newDoor() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{Listener: l}
	go d.pass()
	return d, nil
}

// to leads to an address, "" to nothing.
func (d *door) to(address string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.behind = address
}

func (d *door) pass() {
	for {
		c, err := d.Accept()
		if err != nil {
			return
		}
		d.mutex.Lock()
		behind := d.behind
		d.mutex.Unlock()
		go func() {
			defer c.Close()
			up, err := net.Dial("tcp", behind)
			if err != nil {
				return
			}
			defer up.Close()
			go func() {
				_, _ = io.Copy(up, c)
				_ = up.Close()
			}()
			_, _ = io.Copy(c, up)
		}()
	}
}

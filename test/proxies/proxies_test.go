//go:build linux

// Package proxies runs the tool behind real proxies: Debian's squid and cntlm, and a proxy
// of our own that wants NTLM. The service's name is known to the proxies only, so that
// nothing comes through but through them.
package proxies

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/internal/proxy/proxytest"
	"uplevel/test/lab"
)

// The service as the world outside knows it.
const serviceName = "updates.vendor.test"

// awkward holds what a shell, an address and a header each take for something else.
const awkward = "p@$$:w/ö#r?d %41'\"\\ 100%"

// world is a lab whose service is reached under its own name through proxies.
type world struct {
	*lab.Lab

	t    *testing.T
	home string // at level 0 of 0 and 1
	port string // of the service
	at   string // where the service listens

	authority *lab.Authority // whom the tool trusts
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Lab: l, t: t}
	for n, text := range []string{"a=0\n", "a=1\n"} {
		dir := l.Path("dist", fmt.Sprint(n))
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "a.properties"), []byte(text), 0o644))
	}
	if w.home, _, err = l.PublishTwo(t.Context(), "shop", l.Path("dist/0"), l.Path("dist/1")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.authority, err = lab.NewAuthority("Vendor CA", now, now.AddDate(1, 0, 0))
	must(t, err)
	certificate, err := w.authority.Certificate(serviceName, now, now.AddDate(0, 2, 0))
	must(t, err)
	front, err := l.Front(certificate)
	must(t, err)
	t.Cleanup(func() { _ = front.Close() })
	w.at = front.Addr().String()
	_, w.port, _ = net.SplitHostPort(w.at)
	must(t, os.WriteFile(l.Path("vendor-ca.pem"), w.authority.PEM, 0o644))
	l.Set("UPLEVEL_SERVICE", "https://"+serviceName+":"+w.port)
	l.Set("UPLEVEL_CA_CERT", l.Path("vendor-ca.pem"))
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		l.Set(name, "")
	}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// need finds a program of Debian's.
func need(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if path := filepath.Join(dir, name); lab.Exists(path) {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: scripts/install-deps installs it", name)
	}
	t.Skipf("SKIPPED: %s is missing: run scripts/install-deps", name)
	return ""
}

// folder is one that a daemon without rights may use.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "uplevel-proxy-") //nolint:usetesting // t.TempDir is closed to others than its owner
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	if os.Geteuid() == 0 {
		must(t, os.Chown(dir, nobody, nobody))
	}
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte(text), 0o600))
	if os.Geteuid() == 0 {
		must(t, os.Chown(name, nobody, nobody))
	}
}

// daemon starts a program without rights and waits until it listens.
func daemon(t *testing.T, at, log, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Dir(log)
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	withoutRights(cmd)
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for range 200 {
		if c, err := net.Dial("tcp", at); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(log)
			t.Fatalf("%s ended: %v\n%s", name, err, text)
		case <-time.After(50 * time.Millisecond):
		}
	}
	text, _ := os.ReadFile(log)
	t.Fatalf("%s does not listen at %s\n%s", name, at, text)
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// run runs the tool with variables; it must end with a code and say all the texts.
func (w *world) run(t *testing.T, variables []string, code int, texts []string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, w.Path("bin/uplevel"), args...)
	cmd.Env = append(append([]string{}, w.Env...), variables...)
	cmd.Dir = w.home
	out, err := cmd.CombinedOutput()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Errorf("%v %v ended with %d, want %d\n%s", variables, args, got, code, out)
	}
	for _, text := range texts {
		if !bytes.Contains(out, []byte(text)) {
			t.Errorf("%v %v does not say %q:\n%s", variables, args, text, out)
		}
	}
	return string(out)
}

// secretFree looks for secrets in a text and in all that was written into the home.
func (w *world) secretFree(t *testing.T, text string, secrets ...string) {
	t.Helper()
	texts := map[string]string{"output": text}
	err := filepath.WalkDir(filepath.Join(w.home, "updates"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		texts[p] = string(data)
		return err
	})
	must(t, err)
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", where, secret)
			}
		}
	}
}

// TestProxies runs the tool behind each proxy.
//
//nolint:tparallel // they update one home, one after the other
func TestProxies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t, nil, 13, []string{"its name is not known (DNS)"}, "check")
	t.Run("squid", func(t *testing.T) { squid(t, w) })
	t.Run("ntlm", func(t *testing.T) { ntlm(t, w) })
	t.Run("cntlm", func(t *testing.T) { cntlm(t, w) })
	t.Run("inspection", func(t *testing.T) { inspection(t, w) })
	t.Run("certificates", func(t *testing.T) { certificates(t, w) })
	t.Run("full disk", func(t *testing.T) { fullDisk(t, w) })
	t.Run("somebody else", func(t *testing.T) { somebodyElse(t, w) })
}

// certificateFiles writes a certificate for this machine, and its key.
func (w *world) certificateFiles(t *testing.T, dir string) {
	t.Helper()
	c, err := w.authority.Certificate("127.0.0.1", time.Now(), time.Now().AddDate(0, 2, 0))
	must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	must(t, err)
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

// squid wants Basic; only http_proxy is set, the service is https.
func squid(t *testing.T, w *world) {
	program, openssl, dir, at, secure := need(t, "squid"), need(t, "openssl"), folder(t), free(t), free(t)
	w.certificateFiles(t, dir)
	hash := exec.Command(openssl, "passwd", "-6", "-stdin")
	hash.Stdin = strings.NewReader(awkward)
	hashed, err := hash.Output()
	must(t, err)
	write(t, filepath.Join(dir, "users"), "kim:"+string(hashed))
	write(t, filepath.Join(dir, "hosts"), "127.0.0.1 "+serviceName+" forbidden.test\n")
	write(t, filepath.Join(dir, "squid.conf"), strings.NewReplacer("DIR", dir, "AT", at, "SERVICE", serviceName, "SECURE", secure).Replace(`http_port AT
https_port SECURE tls-cert=DIR/cert.pem tls-key=DIR/key.pem
auth_param basic program /usr/lib/squid/basic_ncsa_auth DIR/users
auth_param basic children 2
auth_param basic realm test
acl known proxy_auth REQUIRED
acl service dstdomain SERVICE
http_access deny !known
http_access allow CONNECT service
http_access deny all
hosts_file DIR/hosts
pid_filename DIR/squid.pid
access_log stdio:DIR/access.log
cache_log DIR/cache.log
cache deny all
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname squid.test
coredump_dir DIR
`))
	daemon(t, at, filepath.Join(dir, "out.log"), program, "-N", "-f", filepath.Join(dir, "squid.conf"))

	raw := "http_proxy=http://kim:" + awkward + "@" + at
	w.run(t, []string{raw}, 0, []string{"the latest is 1.1"}, "check")
	w.run(t, []string{"HTTP_PROXY=kim:" + encoded(awkward) + "@" + at + "/"}, 0, []string{"the latest is 1.1"}, "check")
	w.run(t, []string{"https_proxy=http://kim:" + encoded(awkward) + "@" + at, "http_proxy=http://127.0.0.1:1"}, 0, nil, "check")
	w.run(t, []string{"http_proxy=" + at}, 13, []string{"the proxy wants a user and password", "takes Basic", "http_proxy=http://USER:PASSWORD@HOST:PORT"}, "check")
	out := w.run(t, []string{"http_proxy=http://kim:not-the-one@" + at}, 13, []string{"the proxy refuses the user and password", "named by http_proxy"}, "check")
	w.secretFree(t, out, "not-the-one")
	w.run(t, []string{raw}, 13, []string{"the proxy's rules forbid it", "ERR_ACCESS_DENIED", "doctor"}, "check", "--service", "https://forbidden.test:"+w.port)
	w.run(t, []string{raw, "no_proxy=" + serviceName}, 13, []string{"its name is not known (DNS)"}, "check")
	w.run(t, []string{"http_proxy=http://kim:" + awkward + "@" + at + "x"}, 13, []string{"http_proxy is wrong"}, "check")

	w.run(t, []string{"https_proxy=https://kim:" + awkward + "@" + secure}, 0, []string{"the latest is 1.1"}, "check")
	w.run(t, []string{"https_proxy=http://kim:" + awkward + "@" + secure}, 13, []string{"the proxy", "https_proxy"}, "check")
	w.run(t, []string{"https_proxy=https://kim:" + awkward + "@" + at}, 13, []string{"write http:// there"}, "check")
	w.run(t, []string{"https_proxy=https://" + secure, "UPLEVEL_CA_CERT="}, 13, []string{"has a TLS certificate that is not trusted"}, "check")

	report := w.run(t, []string{raw}, 0, []string{"ok       Through the proxy      it opens a way to " + serviceName, "from http_proxy, with user and password", "ok       Downloads"}, "doctor")
	w.secretFree(t, report, awkward, encoded(awkward))
	w.run(t, []string{"http_proxy=http://kim:not-the-one@" + at}, 13, []string{"failure  Through the proxy", "refuses the user and password", `skipped  TLS                    cannot be looked at before "Through the proxy"`}, "doctor")
	w.run(t, []string{raw}, 13, []string{"failure  Through the proxy", "ERR_ACCESS_DENIED", "forbidden.test:" + w.port + "  https  downloads"}, "doctor", "--service", "https://forbidden.test:"+w.port)

	out = w.run(t, []string{raw}, 0, []string{"went from level 1.0 to 1.1"}, "update", "--verbose", "--progress", "plain")
	w.secretFree(t, out, awkward, encoded(awkward))
	w.run(t, nil, 0, nil, "revert")
	log, err := os.ReadFile(filepath.Join(dir, "access.log"))
	must(t, err)
	if !bytes.Contains(log, []byte("CONNECT "+serviceName)) {
		t.Errorf("squid saw nothing:\n%s", log)
	}
}

// ntlm is spoken directly.
func ntlm(t *testing.T, w *world) {
	p := &proxytest.NTLM{Scheme: "NTLM", Domain: "BANK", User: "kim", Password: awkward, Also: []string{"Basic"}, Hosts: map[string]string{serviceName + ":" + w.port: w.at}}
	l, err := p.Start()
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	at := l.Addr().String()
	w.run(t, []string{`http_proxy=http://BANK\kim:` + awkward + "@" + at}, 0, []string{"the latest is 1.1"}, "check")
	out := w.run(t, []string{`http_proxy=http://BANK\kim:` + awkward + "@" + at}, 0, []string{"went from level 1.0 to 1.1"}, "update")
	w.secretFree(t, out, awkward)
	w.run(t, nil, 0, nil, "revert")
	right, passed, why := p.Counts()
	if right == 0 || right != passed {
		t.Errorf("%d proofs, %d right: %q", right, passed, why)
	}
	w.run(t, []string{`http_proxy=http://BANK\kim:` + awkward + "@" + at}, 0, []string{"ok       Through the proxy"}, "doctor")
	right, _, _ = p.Counts()
	w.run(t, []string{`http_proxy=http://BANK\kim:wrong@` + at}, 13, []string{"the proxy refuses the user and password", "NTLM, Basic", `DOMAIN\USER`}, "update")
	if proofs, _, _ := p.Counts(); proofs != right+1 {
		t.Errorf("a wrong password was proved %d times", proofs-right)
	}
}

// cntlm stands before the same proxy and logs in itself: it judges our proxy's NTLM, as
// our proxy judges it.
func cntlm(t *testing.T, w *world) {
	program, dir, at := need(t, "cntlm"), folder(t), free(t)
	p := &proxytest.NTLM{Scheme: "NTLM", Domain: "BANK", User: "kim", Password: "Secret-7", Hosts: map[string]string{serviceName + ":" + w.port: w.at}}
	l, err := p.Start()
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	write(t, filepath.Join(dir, "cntlm.conf"), fmt.Sprintf("Username kim\nDomain BANK\nPassword Secret-7\nAuth NTLMv2\nProxy %s\nListen %s\n", l.Addr(), at))
	daemon(t, at, filepath.Join(dir, "out.log"), program, "-f", "-c", filepath.Join(dir, "cntlm.conf"))
	w.run(t, []string{"http_proxy=http://" + at}, 0, []string{"went from level 1.0 to 1.1"}, "update")
	w.run(t, nil, 0, nil, "revert")
	if proofs, passed, why := p.Counts(); proofs == 0 || passed != proofs {
		t.Errorf("cntlm made %d proofs, %d right: %q", proofs, passed, why)
	}
}

// encoded is a password with everything percent-encoded that may be.
func encoded(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02X", text[i])
	}
	return b.String()
}

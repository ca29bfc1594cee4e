//go:build linux

package proxies

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"uplevel/internal/proxy/proxytest"
	"uplevel/test/lab"
)

// inspection is a proxy that opens TLS and closes it again with its own authority.
func inspection(t *testing.T, w *world) {
	now := time.Now()
	bank, err := lab.NewAuthority("Example Bank Inspection CA", now, now.AddDate(1, 0, 0))
	must(t, err)
	certificate, err := bank.Certificate(serviceName, now, now.AddDate(0, 2, 0))
	must(t, err)
	between, err := w.Front(certificate)
	must(t, err)
	t.Cleanup(func() { _ = between.Close() })
	p := &proxytest.NTLM{Scheme: "NTLM", Domain: "BANK", User: "kim", Password: "s", Hosts: map[string]string{serviceName + ":" + w.port: between.Addr().String()}}
	l, err := p.Start()
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	variables := []string{`http_proxy=http://BANK\kim:s@` + l.Addr().String()}
	texts := []string{`signed by "Example Bank Inspection CA"`, "a proxy that opens TLS signs with its own authority", "--ca-cert"}
	w.run(t, variables, 13, texts, "check")
	w.run(t, variables, 13, append(texts, "failure  TLS", "ok       Clock, service's"), "doctor")
	must(t, os.WriteFile(w.Path("bank-ca.pem"), bank.PEM, 0o644))
	w.run(t, variables, 0, []string{`signed by "Example Bank Inspection CA", trusted by --ca-cert `}, "doctor", "--ca-cert", w.Path("bank-ca.pem"))
	system := append(variables, "UPLEVEL_CA_CERT=", "SSL_CERT_FILE="+w.Path("bank-ca.pem"))
	w.run(t, system, 0, []string{"trusted by SSL_CERT_FILE="}, "doctor")
	w.run(t, append(variables, "UPLEVEL_CA_CERT=", "SSL_CERT_FILE="+w.Path("none.pem"), "SSL_CERT_DIR=/var/empty"), 13, []string{"SSL_CERT_FILE: stat", "no such file"}, "doctor")
	w.run(t, append(variables, "UPLEVEL_CA_CERT="+w.Path("none.pem")), 10, []string{"--ca-cert"}, "doctor")
}

// certificates are over, of the service or of who signed it.
func certificates(t *testing.T, w *world) {
	now := time.Now()
	for name, tc := range map[string]struct {
		authority, leaf time.Time
		text            string
	}{
		"leaf":      {now.AddDate(1, 0, 0), now.AddDate(0, 0, -1), "it is good from "},
		"authority": {now.AddDate(0, 0, -1), now.AddDate(1, 0, 0), `that of "Old CA", which signed it, is good from `},
	} {
		authority, err := lab.NewAuthority("Old CA", now, tc.authority)
		must(t, err)
		certificate, err := authority.Certificate("127.0.0.1", now, tc.leaf)
		must(t, err)
		front, err := w.Front(certificate)
		must(t, err)
		file := w.Path(name + ".pem")
		must(t, os.WriteFile(file, authority.PEM, 0o644))
		args := []string{"--service", "https://" + front.Addr().String(), "--ca-cert", file}
		w.run(t, nil, 13, []string{tc.text, "Check this machine's clock"}, append(args, "check")...)
		w.run(t, nil, 13, []string{"failure  TLS", tc.text, "ok       Clock, service's"}, append(args, "doctor")...)
		must(t, front.Close())
	}
	oldest := oldTLS(t, w)
	w.run(t, nil, 13, []string{"failure  TLS", "too old"}, "doctor", "--service", "https://"+oldest, "--ca-cert", w.Path("old-tls.pem"))
	w.run(t, nil, 13, []string{"does not speak TLS 1.2 or newer"}, "check", "--service", "https://"+oldest, "--ca-cert", w.Path("old-tls.pem"))
}

// oldTLS listens for those who speak TLS 1.0.
func oldTLS(t *testing.T, w *world) string {
	t.Helper()
	now := time.Now()
	authority, err := lab.NewAuthority("Old CA", now, now.AddDate(1, 0, 0))
	must(t, err)
	must(t, os.WriteFile(w.Path("old-tls.pem"), authority.PEM, 0o644))
	c, err := authority.Certificate("127.0.0.1", now, now.AddDate(1, 0, 0))
	must(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1024))
			}(c)
		}
	}()
	return l.Addr().String()
}

// asRoot ends a test that only root can make: in CI as a failure.
func asRoot(t *testing.T, why string) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatalf("%s: the tests run as root in CI", why)
	default:
		t.Skipf("SKIPPED: %s: run sudo make test", why)
	}
}

// fullDisk copies the product to a small disk and fills that.
func fullDisk(t *testing.T, w *world) {
	asRoot(t, "mounting needs root")
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=100m"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	home := filepath.Join(dir, "home")
	must(t, os.CopyFS(home, os.DirFS(w.home)))
	w.run(t, nil, 0, []string{"warning  Disk, product", "a large update may not fit", "warning  File system            tmpfs"}, "doctor", "--offline", "--dir", home)
	f, err := os.Create(filepath.Join(dir, "fill"))
	must(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<20))
	}
	w.run(t, []string{"TMPDIR=" + dir}, 15, []string{"failure  Disk, product", "Insufficient disk space", "failure  Disk, temporary files", "ok       Trusted root"},
		"doctor", "--offline", "--dir", home)
}

// somebodyElse runs it as a user who may only read.
func somebodyElse(t *testing.T, w *world) {
	asRoot(t, "being somebody else needs root")
	dir := folder(t)
	home, program := filepath.Join(dir, "home"), filepath.Join(dir, "uplevel")
	must(t, os.CopyFS(home, os.DirFS(w.home)))
	must(t, filepath.WalkDir(home, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.Chmod(p, 0o755))
		}
		return os.Chmod(p, 0o644)
	}))
	text, err := os.ReadFile(w.Path("bin/uplevel"))
	must(t, err)
	must(t, os.WriteFile(program, text, 0o755))
	cmd := exec.Command(program, "doctor", "--offline", "--dir", home)
	cmd.Env, cmd.Dir = append(append([]string{}, w.Env...), "HOME=/nonexistent", "UPLEVEL_CACHE=", "UPLEVEL_CA_CERT="), dir
	withoutRights(cmd)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 15 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"failure  Permissions            nobody may not write " + home, "Next: Run it as the user who owns", "warning  Disk, downloads"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not said:\n%s", want, out)
		}
	}
}

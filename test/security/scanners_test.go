package security

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// gitleaks returns the secret scanner that `make check` uses, built where it is not yet.
func gitleaks(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^GITLEAKS_VERSION := (\S+)$`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile names no version of gitleaks")
	}
	name := "build/tools/gitleaks-" + m[1]
	build := exec.Command("make", "-s", name)
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("gitleaks is missing: %v\n%s", err, said)
		}
		t.Skipf("SKIPPED: gitleaks is missing and cannot be built here; with a network: make tools (%v)", err)
	}
	return filepath.Join(root, name)
}

// repository is a git repository of the test's own.
type repository struct {
	t   *testing.T
	dir string
}

func (r repository) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if said, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, said)
	}
}

func (r repository) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// TestASecretIsFound commits made-up secrets, one at a time, and runs the scan of
// `make check` over them.
func TestASecretIsFound(t *testing.T) {
	t.Parallel()
	tool := gitleaks(t)
	// Put together here, so that this file holds none.
	token := "upl_" + strings.Repeat("Zk4-", 10) + "aB9"
	key := "-----BEGIN EC " + "PRIVATE KEY-----\n" + strings.Repeat("MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY\n", 3) + "-----END EC " + "PRIVATE KEY-----\n"
	sealed := `{"format": "uplevel-` + `key/1", "role": "root"}`
	for what, tc := range map[string]struct {
		do    func(r repository)
		found string // file; empty: nothing is found
	}{
		"nothing": {func(r repository) { r.write("a.txt", "no secret\n"); r.git("add", "."); r.git("commit", "-qm", "a") }, ""},
		"a token": {func(r repository) {
			r.write("ci.yml", "token: "+token+"\n")
			r.git("add", ".")
			r.git("commit", "-qm", "a")
		}, "ci.yml"},
		"a private key":     {func(r repository) { r.write("key.pem", key); r.git("add", "."); r.git("commit", "-qm", "a") }, "key.pem"},
		"a sealed key":      {func(r repository) { r.write("root.json", sealed); r.git("add", "."); r.git("commit", "-qm", "a") }, "root.json"},
		"not yet committed": {func(r repository) { r.write("b.txt", token); r.git("add", ".") }, "b.txt"},
		"not yet even staged": {func(r repository) {
			r.write("c.txt", "c\n")
			r.git("add", ".")
			r.git("commit", "-qm", "c")
			r.write("c.txt", token)
		}, "c.txt"},
		"taken out again": {func(r repository) {
			r.write("d.txt", token)
			r.git("add", ".")
			r.git("commit", "-qm", "d")
			r.write("d.txt", "none\n")
			r.git("commit", "-qam", "e")
		}, "d.txt"},
		"let through elsewhere only": {func(r repository) { r.write("x_test.go", key); r.git("add", "."); r.git("commit", "-qm", "x") }, "x_test.go"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := repository{t, t.TempDir()}
			r.git("init", "-q")
			tc.do(r)
			said, err := exec.Command(filepath.Join(root, "scripts/scan-secrets"), tool, r.dir).CombinedOutput()
			if (err != nil) != (tc.found != "") || !strings.Contains(string(said), tc.found) {
				t.Errorf("%v\n%s", err, said)
			}
			if strings.Contains(string(said), token) || strings.Contains(string(said), "MHcCAQEE") {
				t.Errorf("the secret itself is shown:\n%s", said)
			}
		})
	}
}

// TestNotAskedIsNotNone: holes that could not be asked for are told as that.
func TestNotAskedIsNotNone(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		fails bool
		says  string
	}{"0": {false, "no known holes"}, "3": {true, "known holes"}, "1": {true, "NOT CHECKED"}, "2": {true, "NOT CHECKED"}} {
		fake := filepath.Join(t.TempDir(), "govulncheck")
		if err := os.WriteFile(fake, []byte("#!/bin/sh\nexit "+code+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(filepath.Join(root, "scripts/find-vulns"), fake, "./...").CombinedOutput()
		if (err != nil) != want.fails || !strings.Contains(string(said), want.says) {
			t.Errorf("exit %s: %v\n%s", code, err, said)
		}
	}
}

// TestTheServiceHasNoDangerousPart lists what our own packages in the service use: no
// program is started, no code or template is made from data, no foreign objects are read,
// memory is safe, and no broken cryptography is there, not even for something harmless.
func TestTheServiceHasNoDangerousPart(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, "./cmd/upleveld")
	list.Dir, list.Env = root, append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	said, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dangerous := []string{
		"os/exec", "plugin", "unsafe", "C", "text/template", "html/template", "encoding/gob", "encoding/xml", "math/rand",
		"crypto/md5", "crypto/sha1", "crypto/des", "crypto/rc4", "crypto/dsa", "crypto/rsa", "crypto/cbc", "net/smtp", "net/rpc", "expvar", "net/http/pprof",
	}
	own := 0
	for line := range strings.Lines(string(said)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(path, "uplevel/") {
			continue
		}
		own++
		for imported := range strings.FieldsSeq(imports) {
			for _, d := range dangerous {
				if imported == d {
					t.Errorf("%s uses %s", path, d)
				}
			}
		}
	}
	if own < 15 {
		t.Errorf("only %d packages of our own", own)
	}
}

// TestNoProgramHasWeakCryptography looks at the code of all three programs: hashes,
// ciphers and random numbers that are not to be used, unsafe code and C.
func TestNoProgramHasWeakCryptography(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}`, "./cmd/uplevel", "./cmd/uplevel-publish", "./cmd/upleveld")
	list.Dir, list.Env = root, append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	said, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	weak := []string{"crypto/md5", "crypto/sha1", "crypto/des", "crypto/rc4", "crypto/dsa", "golang.org/x/crypto/md4", "math/rand", "unsafe", "C"}
	own := 0
	for line := range strings.Lines(string(said)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.HasPrefix(path, "uplevel/") {
			continue
		}
		own++
		for imported := range strings.FieldsSeq(imports) {
			if slices.Contains(weak, imported) {
				t.Errorf("%s uses %s", path, imported)
			}
		}
	}
	if own < 40 {
		t.Errorf("only %d packages of our own", own)
	}
}

// TestNotSearchedIsNotNone: where the scanner cannot look, nobody is told that there is
// nothing. It ends with 0 itself when git could not tell it anything.
func TestNotSearchedIsNotNone(t *testing.T) {
	t.Parallel()
	fake := filepath.Join(t.TempDir(), "gitleaks")
	for what, tc := range map[string]struct {
		says string
		repo bool
	}{
		"no repository":     {"exit 0", false},
		"git told nothing":  {"echo '10:00AM ERR [git] unknown option' >&2; exit 0", true},
		"the scanner fails": {"echo 'no such option' >&2; exit 1", true},
	} {
		r := repository{t, t.TempDir()}
		if tc.repo {
			r.git("init", "-q")
		}
		if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+tc.says+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(filepath.Join(root, "scripts/scan-secrets"), fake, r.dir).CombinedOutput()
		if err == nil || !strings.Contains(string(said), "NOT SEARCHED") || strings.Contains(string(said), "no secrets found") {
			t.Errorf("%s: %v\n%s", what, err, said)
		}
	}
}

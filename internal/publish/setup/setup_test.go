//go:build unix

package setup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/publish/setup"
)

const content = "#!/bin/sh\necho the tool of this system\n"

// place is a product with the script in bin/, and what the service answers.
type place struct {
	t    *testing.T
	home string
	url  string
	as   *syscall.Credential // nil: as this user
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatal(p + " is missing: scripts/install-deps installs it")
		}
		t.Skip("SKIPPED: " + p + " is missing: run scripts/install-deps")
	}
}

func here() string { return runtime.GOOS + "/" + runtime.GOARCH }

func file(system, name, text string) setup.File {
	return setup.File{System: system, FileName: name, Path: "/tools/" + name, SHA256: digest.Of([]byte(text)), Size: int64(len(text))}
}

func tools(url string) setup.Tools {
	return setup.Tools{Name: "wso2update", Service: url, Version: "1.2.0", Files: []setup.File{
		file("plan9/amd64", "wso2update_plan9", "for another"), file(here(), "wso2update_here", content), file(setup.Any, "vendor.json", "{}\n"),
	}}
}

// answers gives the right content of every file.
func answers(w http.ResponseWriter, r *http.Request) {
	text, ok := map[string]string{"wso2update_plan9": "for another", "wso2update_here": content, "vendor.json": "{}\n"}[filepath.Base(r.URL.Path)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(text))
}

func newPlace(t *testing.T, handler http.HandlerFunc) *place {
	t.Helper()
	need(t, "dash", "bash", "curl", "wget")
	service := httptest.NewServer(handler)
	t.Cleanup(service.Close)
	p := &place{t: t, home: filepath.Join(t.TempDir(), "it's a $HOME"), url: service.URL}
	p.write(tools(service.URL))
	return p
}

func (p *place) write(tools setup.Tools) {
	p.t.Helper()
	sh, _, err := setup.Scripts(tools)
	if err != nil {
		p.t.Fatal(err)
	}
	for name, data := range map[string]string{"bin/" + setup.ShellName: string(sh), "updates/product.txt": "shop-1.0"} {
		path := filepath.Join(p.home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o755)); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *place) bin(name string) string { return filepath.Join(p.home, "bin", name) }

// run runs the script from bin and returns what it said; it must end with code.
func (p *place) run(code int, shell string, args ...string) string {
	p.t.Helper()
	return p.in(code, p.bin(""), nil, append([]string{shell, "./" + setup.ShellName}, args...)...)
}

func (p *place) in(code int, dir string, env []string, args ...string) string {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CDPATH=/:/usr"}, env...)
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		p.t.Fatalf("%v ended with %v, want %d:\n%s", args, err, code, out)
	}
	return string(out)
}

// has fails unless bin holds exactly the script and these files.
func (p *place) has(names ...string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.bin(""))
	if err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != setup.ShellName {
			got = append(got, e.Name())
		}
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		p.t.Errorf("bin holds %q, want %q", got, names)
	}
}

func says(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func eachShell(t *testing.T, handler http.HandlerFunc, do func(p *place, shell string)) {
	t.Helper()
	for _, shell := range []string{"dash", "bash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			do(newPlace(t, handler), shell)
		})
	}
}

func TestFetchesTheToolOfThisSystem(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		says(p.t, p.run(0, shell, "-v"), "shop-1.0", "wso2update_here is fetched.", "wso2update 1.2.0", "Fetching "+p.url+"/tools/wso2update_here")
		p.has("vendor.json", "wso2update_here")
		info, err := os.Stat(p.bin("wso2update_here"))
		if err != nil || info.Mode().Perm() != 0o755 {
			p.t.Errorf("the tool: %v, %v", info, err)
		}
		if got := p.in(0, p.bin(""), nil, "./wso2update_here"); got != "the tool of this system\n" {
			p.t.Errorf("the tool says %q", got)
		}
		says(p.t, p.run(0, shell), "wso2update_here is there already.")
	})
}

func TestFetchesFromElsewhereAndInPlaceOfAnOlderTool(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		if err := os.WriteFile(p.bin("wso2update_here"), []byte("an older one"), 0o644); err != nil {
			p.t.Fatal(err)
		}
		p.in(0, "/", nil, shell, p.bin(setup.ShellName))
		if got, err := os.ReadFile(p.bin("wso2update_here")); err != nil || string(got) != content {
			p.t.Errorf("the tool is %q, %v", got, err)
		}
		p.in(0, filepath.Dir(p.home), nil, shell, filepath.Base(p.home)+"/bin/"+setup.ShellName, "--all")
		p.has("vendor.json", "wso2update_here", "wso2update_plan9")
	})
}

func TestRefusesWhatIsNotThePinnedContent(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"another content": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "evil") },
		"endless":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20)) },
		"a login page":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Please log in</html>") },
		"not there":       http.NotFound,
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write([]byte(content[:9]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, handler, func(p *place, shell string) {
				says(p.t, p.run(1, shell), setup.ShellName+": ", "Next: ")
				p.has()
			})
		})
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		t := p.t
		tools := tools("http://127.0.0.1:1")
		p.write(tools)
		says(t, p.run(1, shell), "could not be fetched from http://127.0.0.1:1", "Next: Look at the network")

		p.write(setup.Tools{Name: tools.Name, Service: p.url, Version: "1", Files: []setup.File{file("plan9/amd64", "x", content)}})
		says(t, p.run(0, shell), "NOTE: there is no update tool of shop-1.0 for "+here())
		p.has()

		if err := os.Remove(filepath.Join(p.home, "updates", "product.txt")); err != nil {
			t.Fatal(err)
		}
		says(t, p.run(1, shell), "Unable to identify the product", "Next: ")
		says(t, p.run(1, shell, "--what"), "--what is no option.")
		says(t, p.run(1, shell, "-c", "-a"), "--clean and --all exclude one another.")
		says(t, p.run(0, shell, "--help"), "--force-clean", "-a, --all")
		says(t, p.run(0, shell, "--version"), "wso2update 1")
	})
}

// pathOf makes a folder with links to programs, so that no other is found.
func pathOf(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range append(programs, "sh", "uname", "dirname", "tr", "cat", "chmod", "mv", "rm", "sync") {
		at, err := exec.LookPath(p)
		if err == nil {
			err = os.Symlink(at, filepath.Join(dir, p))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return "PATH=" + dir
}

func TestDoesWithWgetOrNeither(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		shell, err := exec.LookPath(shell)
		if err != nil {
			p.t.Fatal(err)
		}
		says(p.t, p.in(1, "/", []string{pathOf(p.t, "sha256sum")}, shell, p.bin(setup.ShellName)), "neither curl nor wget is here", "Next: ")
		says(p.t, p.in(1, "/", []string{pathOf(p.t, "wget")}, shell, p.bin(setup.ShellName)), "Install sha256sum, shasum or openssl.")
		p.has()
		p.in(0, "/", []string{pathOf(p.t, "wget", "sha256sum")}, shell, p.bin(setup.ShellName))
		p.has("vendor.json", "wso2update_here")
	})
}

func TestGoesThroughTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		p.write(tools("http://updates.invalid")) // only the proxy can answer for it
		p.in(0, "/", []string{"http_proxy=" + p.url}, shell, p.bin(setup.ShellName))
		p.has("vendor.json", "wso2update_here")
	})
}

func TestSaysThatBinCannotBeWritten(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		if os.Getuid() == 0 {
			p.as = &syscall.Credential{Uid: 65534, Gid: 65534}
			for at := p.home; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
				if err := os.Chmod(at, 0o755); err != nil {
					p.t.Fatal(err)
				}
			}
		}
		if err := os.Chmod(p.bin(""), 0o555); err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { _ = os.Chmod(p.bin(""), 0o755) })
		says(p.t, p.in(1, "/", nil, shell, p.bin(setup.ShellName)), "cannot be written", "Next: Run this as the user who owns")
		p.has()
	})
}

func TestCleansWhatItFetchedAfterAQuestion(t *testing.T) {
	t.Parallel()
	eachShell(t, answers, func(p *place, shell string) {
		need(p.t, "script")
		says(p.t, p.run(0, shell, "-c"), "There is nothing to remove.")
		p.run(0, shell, "-a")
		own := p.bin("own.sh")
		if err := os.WriteFile(own, nil, 0o755); err != nil {
			p.t.Fatal(err)
		}
		says(p.t, p.run(1, shell, "--clean"), "There is no terminal", "Next: "+setup.ShellName+" --force-clean")
		p.has("own.sh", "vendor.json", "wso2update_here", "wso2update_plan9")
		typed := func(answer string) string {
			return p.in(0, p.bin(""), nil, "sh", "-c", "echo "+answer+" | script -qec '"+shell+" ./"+setup.ShellName+" -c' /dev/null")
		}
		says(p.t, typed("n"), "Remove vendor.json wso2update_here wso2update_plan9 from ", "Nothing was removed.")
		p.has("own.sh", "vendor.json", "wso2update_here", "wso2update_plan9")
		says(p.t, typed("y"), "wso2update_plan9 is removed.")
		p.has("own.sh")
		p.run(0, shell, "-a")
		p.run(0, shell, "--force-clean")
		p.has("own.sh")
	})
}

func TestIsGoodShell(t *testing.T) {
	t.Parallel()
	p := newPlace(t, answers)
	need(t, "shellcheck")
	p.in(0, "/", nil, "shellcheck", "--shell=sh", p.bin(setup.ShellName))
	if data, err := os.ReadFile(p.bin(setup.ShellName)); err != nil || bytes.Contains(data, []byte("# VALUES")) {
		t.Errorf("the values are not in it: %v", err)
	}
}

func TestValuesStayValues(t *testing.T) {
	t.Parallel()
	good := tools("https://updates.vendor.example/x'y`$(id)")
	sh, ps1, err := setup.Scripts(good)
	if err != nil {
		t.Fatal(err)
	}
	says(t, string(sh), `SERVICE='https://updates.vendor.example/x'\''y`+"`$(id)'\n")
	says(t, string(ps1), "$Service = 'https://updates.vendor.example/x''y`$(id)'\n", "$Files = '"+setup.Any+" vendor.json ")
	slices.Reverse(good.Files)
	if again, _, err := setup.Scripts(good); err != nil || !bytes.Equal(again, sh) {
		t.Errorf("the order of the files shows: %v", err)
	}
	for name, spoil := range map[string]func(*setup.Tools){
		"no name":            func(t *setup.Tools) { t.Name = "" },
		"a name with /":      func(t *setup.Tools) { t.Name = "../x" },
		"two lines":          func(t *setup.Tools) { t.Version = "1\nevil" },
		"no version":         func(t *setup.Tools) { t.Version = "" },
		"a file for service": func(t *setup.Tools) { t.Service = "file:///etc" },
		"a password":         func(t *setup.Tools) { t.Service = "https://u:p@x" },
		"a space":            func(t *setup.Tools) { t.Service = "https://x/ y" },
		"no files":           func(t *setup.Tools) { t.Files = nil },
		"an option":          func(t *setup.Tools) { t.Files[0].FileName = "-rf" },
		"a folder":           func(t *setup.Tools) { t.Files[0].FileName = "a/b" },
		"the script itself":  func(t *setup.Tools) { t.Files[0].FileName = setup.ShellName },
		"one name twice":     func(t *setup.Tools) { t.Files[0].FileName = strings.ToUpper(t.Files[1].FileName) },
		"a path with spaces": func(t *setup.Tools) { t.Files[0].Path = "/a b" },
		"a relative path":    func(t *setup.Tools) { t.Files[0].Path = "a" },
		"another host":       func(t *setup.Tools) { t.Files[0].Path = "/'; evil" },
		"a system":           func(t *setup.Tools) { t.Files[0].System = "linux amd64" },
		"no digest":          func(t *setup.Tools) { t.Files[0].SHA256 = digest.Digest{} },
		"no size":            func(t *setup.Tools) { t.Files[0].Size = 0 },
	} {
		bad := tools("https://updates.vendor.example")
		spoil(&bad)
		if _, _, err := setup.Scripts(bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestNothingIsLeftWhenInterrupted(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{})
	asked := make(chan struct{}, 9)
	p := newPlace(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-waits:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(waits) })
	cmd := exec.CommandContext(t.Context(), "dash", p.bin(setup.ShellName))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ends with 0")
	}
	p.has()
}

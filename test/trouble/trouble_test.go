// Package trouble gives the update tool bad input and a bad world, through its command
// line and a real service: each gets its exit code and its words, and changes nothing.
package trouble

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"uplevel/test/lab"
)

// secret has everything that shells, files and prompts stumble over.
const secret = `p$ "w'\x ü` + "é9"

// world is a service with a product of three levels, and customers of all kinds.
type world struct {
	*lab.Lab
	t       *testing.T
	pack    string
	flipped []string // manifests
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
	for level := range 3 {
		w.write(l.Path("dist", fmt.Sprint(level), "bin/run"), fmt.Sprintf("run %d", level))
		w.write(l.Path("dist", fmt.Sprint(level), "lib/big.jar"), strings.Repeat(fmt.Sprintf("jar %d ", level), 1000))
		w.write(l.Path("dist", fmt.Sprint(level), "LICENSE"), "free")
	}
	if w.pack, _, err = l.PublishTwo(t.Context(), "shop", l.Path("dist/0"), l.Path("dist/1")); err != nil {
		t.Fatal(err)
	}
	w.must("uplevel-publish", "level", "shop", "1", "--dist", l.Path("dist/2"), "--notes", l.Path("notes.yaml"))
	w.customer("secretive", secret, "--product", "shop", "--kind", "paid", "--eula-accepted-by", "X")
	w.customer("lapsed", "lapsed passw0rd", "--product", "shop", "--kind", "trial", "--eula-accepted-by", "X")
	w.must("upleveld", "admin", "organisation", "revoke", "lapsed")
	w.customer("elsewhere", "elsewhere passw0rd", "--product", "other", "--kind", "paid", "--eula-accepted-by", "X")
	return w
}

func (w *world) must(name string, args ...string) {
	w.t.Helper()
	if _, err := w.Do(w.t.Context(), w.Dir, name, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// customer makes an organisation with one operator and one subscription.
func (w *world) customer(name, password string, subscription ...string) {
	w.t.Helper()
	w.must("upleveld", "admin", "organisation", "add", name)
	add := exec.Command(w.Path("bin/upleveld"), "admin", "user", "add", name+"@example.com", "--organisation", name, "--role", "operator", "--password-stdin")
	add.Env, add.Stdin = w.Env, strings.NewReader(password)
	if out, err := add.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	w.must("upleveld", append([]string{"admin", "subscription", "add", "--organisation", name}, subscription...)...)
}

func (w *world) home() string {
	w.t.Helper()
	home, err := os.MkdirTemp(w.Dir, "home-")
	if err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", w.pack+"/.", home).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return home
}

// said runs the tool in a home with further environment, without a terminal.
func (w *world) said(home string, env []string, stdin string, args ...string) (int, string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, w.Path("bin/uplevel"), args...)
	cmd.Dir, cmd.Stdin = home, strings.NewReader(stdin)
	cmd.Env = append(append(append([]string{}, w.Env...), "UPLEVEL_CACHE="+home+"-cache"), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		w.t.Fatalf("%q hangs: %s", args, out)
	}
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// product is what a refused command must leave as it was.
func product(t *testing.T, home string) string {
	t.Helper()
	sum, err := lab.Product(home)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// row is one trouble: what is done, and how the tool must answer.
type row struct {
	name  string
	make  func(home string) // brings the trouble about; nil: none
	undo  func(home string)
	env   []string
	stdin string
	args  []string
	exit  int
	words string
}

func (w *world) try(r row) {
	w.t.Helper()
	home := w.home()
	before := product(w.t, home)
	if r.make != nil {
		r.make(home)
	}
	code, said := w.said(home, r.env, r.stdin, r.args...)
	if r.undo != nil {
		r.undo(home)
	}
	if code != r.exit || !strings.Contains(said, r.words) {
		w.t.Errorf("%s: exit %d, want %d and %q:\n%s", r.name, code, r.exit, r.words, said)
	}
	if strings.Contains(said, secret) {
		w.t.Errorf("%s: the password is shown", r.name)
	}
	if product(w.t, home) != before {
		w.t.Errorf("%s: something was changed", r.name)
	}
}

func TestTroubleHasItsCodeAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	as := func(name string) []string {
		return []string{"UPDATE_TOOL_USERNAME=" + name + "@example.com", "UPDATE_TOOL_PASSWORD=" + name + " passw0rd"}
	}
	nobody := []string{"UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE="}
	for _, r := range append([]row{
		{name: "wrong password", args: []string{"update", "-p", "wrong"}, exit: 11, words: "Invalid credentials"},
		{name: "hint about the shell", args: []string{"update", "-p", "wrong"}, exit: 11, words: "single quotes"},
		{name: "unknown user", args: []string{"update", "-u", "nobody@example.com"}, exit: 11, words: "Invalid credentials"},
		{name: "not subscribed", env: as("elsewhere"), args: []string{"update"}, exit: 12},
		{name: "access ended", env: as("lapsed"), args: []string{"update"}, exit: 12},
		{name: "no such level", args: []string{"update", "-l", "9"}, exit: 1, words: "uplevel: Invalid update level"},
		{name: "malformed level", args: []string{"update", "-l", "new"}, exit: 1, words: "uplevel: Invalid update level"},
		{name: "level of another version", args: []string{"update", "-l", "7.1"}, exit: 1, words: "uplevel: Invalid update level"},
		{name: "service down", args: []string{"update", "--service", "https://127.0.0.1:1"}, exit: 13, words: "refused"},
		{name: "not a product home", args: []string{"update", "--dir", w.Dir}, exit: 1, words: "uplevel: Unable to identify the product"},
		{name: "unknown flag", args: []string{"update", "--frobnicate", "2"}, exit: 10, words: "--frobnicate"},
		{name: "unknown flag, told as JSON", args: []string{"update", "--frobnicate", "--output", "json"}, exit: 10, words: `"exit_code": 10`},
		{name: "missing argument, told as JSON", env: []string{"UPLEVEL_OUTPUT=json"}, args: []string{"resolve"}, exit: 10, words: `"exit_code": 10`},
		{name: "unknown command", args: []string{"frobnicate"}, exit: 10, words: "frobnicate"},
		{name: "unknown help", args: []string{"help", "frobnicate"}, exit: 10, words: "frobnicate"},
		{name: "help with a bad environment", env: []string{"UPLEVEL_OUTPUT=xml"}, args: []string{"help", "exit-codes"}, exit: 0, words: "credentials refused"},
		{name: "bad value", args: []string{"update", "--on-conflict", "ours"}, exit: 10, words: "--on-conflict"},
		{name: "no user, no terminal", env: nobody, args: []string{"update"}, exit: 10, words: "--username"},
		{name: "no password, no terminal", env: nobody, args: []string{"update", "-u", "x@example.com"}, exit: 10, words: "--password"},
		{name: "password by flag before the environment", env: []string{"UPLEVEL_PASSWORD_FILE=/nowhere"}, args: []string{"update", "-p", "wrong"}, exit: 11, words: "Invalid credentials"},
		{name: "empty password", env: nobody, stdin: "\n", args: []string{"update", "-u", "x@example.com", "--password-stdin"}, exit: 10, words: "--password-stdin gives an empty password"},
		{name: "empty token", args: []string{"update", "--token-file", "/dev/null"}, exit: 10, words: "/dev/null is empty"},
		{name: "token refused", args: []string{"update", "--token-file", w.Path("dist/1/LICENSE")}, exit: 11, words: "Ask for another one"},
		{name: "broken template", args: []string{"update", "--template", "{{.Modified"}, exit: 10, words: "--template: "},
		{name: "template of an unknown field", args: []string{"update", "--template", "{{.Changed}}"}, exit: 10, words: "Changed"},
		{name: "copy of what is only prepared", args: []string{"prepare", "--to", "../copy"}, exit: 10, words: "--to makes a copy"},
		{name: "plan that is none", args: []string{"apply", "nowhere"}, exit: 10, words: "The plan cannot be read"},
		{name: "nothing to continue", args: []string{"--continue"}, exit: 1, words: "Run uplevel update"},
		{name: "nothing to revert", args: []string{"--revert"}, exit: 1, words: "Unable to revert as backups could not be found"},
	}, w.badWorld()...) {
		w.try(r)
	}
}

// badWorld are the troubles that lie outside the tool.
func (w *world) badWorld() []row {
	portal := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte("<html>Please log in to the Wi-Fi"))
	}))
	w.t.Cleanup(portal.Close)
	other := httptest.NewTLSServer(http.NotFoundHandler())
	w.t.Cleanup(other.Close)
	lies := w.liar()
	var held *flock.Flock
	return []row{
		{name: "captive portal", args: []string{"update", "--service", portal.URL}, exit: 13, words: "not the update service"},
		{name: "TLS not trusted", args: []string{"update", "--service", other.URL}, exit: 13, words: "not trusted"},
		{name: "metadata changed on the way", args: []string{"update", "--service", lies("/tuf/timestamp.json")}, exit: 14, words: "timestamp"},
		{name: "answer that is no JSON", args: []string{"update", "--service", lies("/api/v1/check")}, exit: 13, words: "no JSON"},
		{name: "wrong byte in an object", make: func(string) { w.flip("lib/big.jar") }, undo: func(string) { w.flip("lib/big.jar") }, args: []string{"update"}, exit: 14, words: "signed"},
		{name: "wrong byte in a manifest", make: func(string) { w.flipManifests() }, undo: func(string) { w.flipManifests() }, args: []string{"update"}, exit: 14, words: "signed"},
		{name: "second tool", make: func(home string) {
			held = flock.New(filepath.Join(home, "updates/lock"))
			if ok, err := held.TryLock(); !ok || err != nil {
				w.t.Fatal(ok, err)
			}
		}, undo: func(home string) {
			if err := held.Unlock(); err != nil {
				w.t.Error(err)
			}
			if err := os.Remove(filepath.Join(home, "updates/lock")); err != nil {
				w.t.Error(err)
			}
		}, args: []string{"update"}, exit: 15, words: "at work"},
		{name: "read-only home", make: func(home string) { w.readOnly(home) }, undo: func(home string) { w.unmount(home) }, args: []string{"update"}, exit: 15, words: "cannot be written"},
	}
}

// liar returns addresses of a service that answers truly but for one path, where it
// changes the last byte but one.
func (w *world) liar() func(path string) string {
	var service string
	for _, e := range w.Env {
		if v, ok := strings.CutPrefix(e, "UPLEVEL_SERVICE="); ok {
			service = v
		}
	}
	to, err := url.Parse(service)
	if err != nil {
		w.t.Fatal(err)
	}
	return func(path string) string {
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.Transport = insecure()
		proxy.ModifyResponse = func(r *http.Response) error {
			if r.Request.URL.Path != path {
				return nil
			}
			return spoil(r)
		}
		s := httptest.NewServer(proxy)
		w.t.Cleanup(s.Close)
		return s.URL
	}
}

// flip changes one byte of the stored object of a file of level 2, or puts it right.
func (w *world) flip(path string) {
	w.t.Helper()
	content, err := os.ReadFile(w.Path("dist/2", path))
	if err != nil {
		w.t.Fatal(err)
	}
	w.flipObject(fmt.Sprintf("%x", sha256.Sum256(content)))
}

func (w *world) flipObject(name string) {
	w.t.Helper()
	file := w.Path("service/objects/objects", name[:2], name)
	stored, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	stored[len(stored)/2] ^= 1
	if err := os.WriteFile(file, stored, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// flipManifests flips the stored manifests of levels 1 and 2, or puts them right.
func (w *world) flipManifests() {
	w.t.Helper()
	if w.flipped == nil {
		w.flipped = w.manifests()
	}
	for _, name := range w.flipped {
		w.flipObject(name)
	}
}

func (w *world) readOnly(home string) {
	w.t.Helper()
	if os.Geteuid() != 0 {
		w.t.Skip("SKIPPED: mounting needs root: run sudo make test")
	}
	if err := unix.Mount(home, home, "", unix.MS_BIND, ""); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Mount("", home, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) unmount(home string) {
	w.t.Helper()
	if err := unix.Unmount(home, unix.MNT_DETACH); err != nil {
		w.t.Error(err)
	}
}

// TestAnyPasswordWorksAnyWay gives a password with everything in it by each door.
func TestAnyPasswordWorksAnyWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	for name, end := range map[string]string{"plain": "", "lf": "\n", "crlf": "\r\n"} {
		w.write(w.Path(name), secret+end)
	}
	user := []string{"UPDATE_TOOL_USERNAME=secretive@example.com", "UPDATE_TOOL_PASSWORD="}
	for name, r := range map[string]row{
		"flag":        {args: []string{"-p", secret}},
		"flag=":       {args: []string{"--password=" + secret}},
		"environment": {env: []string{"UPDATE_TOOL_PASSWORD=" + secret}},
		"own name":    {env: []string{"UPLEVEL_PASSWORD=" + secret}},
		"file":        {args: []string{"--password-file", w.Path("plain")}},
		"file, LF":    {args: []string{"--password-file", w.Path("lf")}},
		"file, CRLF":  {args: []string{"--password-file", w.Path("crlf")}},
		"command":     {args: []string{"--password-command", "cat " + w.Path("lf")}},
		"input":       {args: []string{"--password-stdin"}, stdin: secret + "\n"},
		"input, bare": {args: []string{"--password-stdin"}, stdin: secret},
	} {
		code, said := w.said(home, append(append([]string{}, user...), r.env...), r.stdin, append([]string{"check"}, r.args...)...)
		if code != 0 || strings.Contains(said, secret) {
			t.Errorf("%s: exit %d: %s", name, code, said)
		}
	}
}

// TestPromptOnATerminal types address and password at a terminal while output and errors
// go through tee, as U2's users do.
func TestPromptOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	log := w.Path("typed.log")
	cmd := exec.Command("sh", "-c", "uplevel update --template 'Modified: {{.Modified}}' 2>&1 | tee "+log+" >/dev/null")
	cmd.Dir, cmd.Env = home, append(append([]string{}, w.Env...), "UPDATE_TOOL_USERNAME=", "UPDATE_TOOL_PASSWORD=", "UPLEVEL_TOKEN_FILE=")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var seen bytes.Buffer
	for _, step := range []struct{ prompt, answer string }{
		{"Email: ", "secretive@example.com"}, {"Password for secretive@example.com: ", secret},
	} {
		waitFor(t, terminal, &seen, step.prompt)
		if _, err := terminal.WriteString(step.answer + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v, seen %q", err, seen.String())
	}
	printed, err := os.ReadFile(log)
	if err != nil || strings.Count("\n"+string(printed), "\nModified: [") != 1 {
		t.Errorf("the log holds %q, %v", printed, err)
	}
	if strings.Contains(seen.String()+string(printed), secret) {
		t.Error("the password is shown")
	}
}

func waitFor(t *testing.T, terminal *os.File, seen *bytes.Buffer, text string) {
	t.Helper()
	if err := terminal.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Log("no deadline on this terminal:", err)
	}
	buffer := make([]byte, 1024)
	for !strings.Contains(seen.String(), text) {
		n, err := terminal.Read(buffer)
		seen.Write(buffer[:n])
		if err != nil {
			t.Fatalf("waiting for %q: %v, seen %q", text, err, seen.String())
		}
	}
}

// TestCopyWhileConflictsWait makes an updated copy of a home whose own update waits for
// the operator, as a user without a home folder.
func TestCopyWhileConflictsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	w.write(filepath.Join(home, "bin/run"), "run here")
	if code, said := w.said(home, nil, "", "update"); code != 3 {
		t.Fatal(code, said)
	}
	before := product(t, home)
	nowhere := []string{"UPLEVEL_CACHE=", "HOME=/dev/null", "XDG_CACHE_HOME="}
	if code, said := w.said(home, nowhere, "", "update", "--to", home+"-copy", "--on-conflict", "mine"); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
	if sides, err := filepath.Glob(filepath.Join(home+"-copy", "bin/run.*")); err != nil || len(sides) > 0 {
		t.Errorf("the copy has %q, %v", sides, err)
	}
	if product(t, home) != before {
		t.Error("the original was changed")
	}
	if code, said := w.said(home, []string{"UPLEVEL_CACHE=/dev/null/x"}, "", "update"); code != 15 || !strings.Contains(said, "UPLEVEL_CACHE") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// TestWithdrawnEULAAndLower are troubles that change the world for good, one after the
// other.
func TestWithdrawnEULAAndLower(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	if code, said := w.said(home, nil, "", "update"); code != 0 {
		t.Fatal(said)
	}
	before := product(t, home)
	for _, r := range []row{
		{name: "lower", args: []string{"update", "-l", "1"}, exit: 1, words: "Invalid update level"},
		{name: "the same", args: []string{"update", "-l", "2"}, exit: 0, words: "nothing to do"},
	} {
		if code, said := w.said(home, nil, "", r.args...); code != r.exit || !strings.Contains(said, r.words) || product(t, home) != before {
			t.Errorf("%s: exit %d: %s", r.name, code, said)
		}
	}
	w.must("uplevel-publish", "withdraw", "shop", "1", "2", "--reason", "It eats files")
	w.try(row{name: "withdrawn", args: []string{"update", "-l", "2"}, exit: 15, words: "It eats files"})
	w.write(w.Path("terms.txt"), "Terms.")
	w.must("upleveld", "admin", "eula", "add", w.Path("terms.txt"), "--version", "1")
	w.try(row{name: "EULA never accepted", args: []string{"update"}, exit: 12, words: "--accept-eula"})
	other := w.home()
	if code, said := w.said(other, nil, "", "check", "--accept-eula"); code != 0 {
		t.Errorf("EULA accepted with check: exit %d: %s", code, said)
	}
	if code, said := w.said(other, nil, "", "update", "--accept-eula"); code != 0 || !strings.Contains(said, "level 1.0 to 1.1") {
		t.Errorf("EULA accepted: exit %d: %s", code, said)
	}
}

// TestUpdateOnATerminal has everything on a terminal, where progress is drawn: it must
// end, and leave nothing of the drawing behind.
func TestUpdateOnATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	home := w.home()
	cmd := exec.CommandContext(ctx, w.Path("bin/uplevel"), "update")
	cmd.Dir, cmd.Env = home, append(append([]string{}, w.Env...), "TERM=xterm", "UPLEVEL_CACHE="+home+"-cache")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	seen, _ := io.ReadAll(terminal) // ends with EIO when the other side is closed
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v, seen %q", err, seen)
	}
	if !strings.Contains(string(seen), "\x1b[32mshop-1 went from level 1.0 to 1.2.") {
		t.Errorf("seen %q", seen)
	}
}

// TestWayBack goes back to a level while another change is pending, and reads what is
// said and logged about it.
func TestWayBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.home()
	for _, r := range []struct {
		args        []string
		exit        int
		words, none string
	}{
		{args: []string{"update", "-l", "1"}, words: "Go back with: uplevel revert"},
		{args: []string{"prepare"}, words: "Level 1.2 is prepared"},
		{args: []string{"revert", "--to", "new"}, exit: 1, words: "Invalid update level"},
		{args: []string{"current-state"}, words: "to level 1.2 is prepared"},
		{args: []string{"revert", "--to", "0"}, words: "went from level 1.1 to 1.0.", none: "Go back with"},
		{args: []string{"current-state"}, words: "1.0 (channel full)", none: "Pending"},
		{args: []string{"revert"}, exit: 1, words: "there is no update to take back"},
		{args: []string{"prepare"}, words: "Level 1.2 is prepared"},
		{args: []string{"revert"}, words: "The pending change was dropped", none: "modified"},
		{args: []string{"update", "--to", home + "-copy"}, words: "Go back with: uplevel --dir " + home + "-copy revert"},
		{args: []string{"prepare"}, words: "Commit it with uplevel apply."},
		{args: []string{"apply", "--dir", home, "--no-report"}, words: "What it brings, with instructions: updates/update-summary-0000-0002.md"},
		{args: []string{"--version", "--template", "{{.OS}}"}, words: "linux\n"},
	} {
		code, said := w.said(home, nil, "", r.args...)
		if code != r.exit || !strings.Contains(said, r.words) || r.none != "" && strings.Contains(said, r.none) {
			t.Errorf("%q: exit %d, want %d, %q and no %q:\n%s", r.args, code, r.exit, r.words, r.none, said)
		}
	}
	logs, err := filepath.Glob(filepath.Join(home, "updates/logs/uplevel-*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	log, err := os.ReadFile(logs[0])
	for _, words := range []string{`operation="update" outcome="done" from="1.0" to="1.1"`, `phase ends phase="commit"`, `DEBUG - file what="modified" path="`} {
		if err != nil || !strings.Contains(string(log), words) {
			t.Errorf("the log has no %q, %v:\n%s", words, err, log)
		}
	}
}

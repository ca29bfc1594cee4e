package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	product    = "allure"
	version    = "2"
	operator   = "operator@bank.example"
	secret     = `demo p$ssw0rd "quoted"`
	organised  = "Example Bank"
	customJVM  = `DEFAULT_JVM_OPTS='"-Xmx512m"'`
	logContent = "2026-11-23 03:00:00 report server started\n"
)

// demo is one run: its folder, its service and its stage.
type demo struct {
	stage

	root    string // of the repository
	dir     string // build/demo
	listen  string
	service *exec.Cmd
	env     map[string]string
	order   []string // of env
}

func newDemo() (*demo, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	d := &demo{root: root, dir: filepath.Join(root, "build", "demo"), env: map[string]string{}}
	d.out = os.Stdout
	if err := os.RemoveAll(d.dir); err != nil {
		return nil, err
	}
	for _, sub := range []string{"bin", "releases", "work"} {
		if err := os.MkdirAll(d.path(sub), 0o755); err != nil {
			return nil, err
		}
	}
	d.stage.dir = d.path("work")
	d.set("PATH", d.path("bin")+":"+os.Getenv("PATH"))
	return d, nil
}

func (d *demo) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// set gives the commands that follow, and demo.env, a variable.
func (d *demo) set(name, value string) {
	if _, known := d.env[name]; !known {
		d.order = append(d.order, name)
	}
	d.env[name] = value
	d.stage.env = os.Environ()
	for _, n := range d.order {
		d.stage.env = append(d.stage.env, n+"="+d.env[n])
	}
}

func (d *demo) prepare(ctx context.Context) error {
	d.title("Building the three programs and fetching five releases of a real product")
	var doing atomic.Value
	doing.Store("building")
	return waiting(d.out, &doing, func() error {
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error { return d.build(ctx) })
		both.Go(func() error {
			return fetchReleases(ctx, filepath.Join(d.root, "build", "demo-cache"), d.path("releases"), func(what string) {
				doing.Store("building; " + what)
				d.note("%s", what)
			})
		})
		return both.Wait()
	})
}

func (d *demo) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", d.path("bin")+"/",
		"./cmd/uplevel", "./cmd/upleveld", "./cmd/uplevel-publish")
	build.Dir = d.root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building failed: %w\n%s", err, said)
	}
	return nil
}

func (d *demo) startService(ctx context.Context) error {
	d.title("The service, on embedded defaults")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	log, err := os.Create(d.path("upleveld.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(d.out, "\n$ upleveld serve --dev --data service --listen %s &\n", d.listen)
	d.service = exec.Command(d.path("bin", "upleveld"), "serve", "--dev", "--data", d.path("service"), "--listen", d.listen)
	d.service.Stdout, d.service.Stderr = log, log
	if err := d.service.Start(); err != nil {
		return err
	}
	if err := d.awaitService(ctx); err != nil {
		return err
	}
	return d.readServiceEnv()
}

func (d *demo) awaitService(ctx context.Context) error {
	for range 150 {
		if _, err := os.Stat(d.path("service", "demo.env")); err == nil {
			if c, err := net.DialTimeout("tcp", d.listen, time.Second); err == nil {
				return c.Close()
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return fmt.Errorf("the service did not come up within 30 s: look at %s", d.path("upleveld.log"))
}

// readServiceEnv takes over what `serve --dev` wrote, and puts a counting door in
// front of the service for the length of the demo.
func (d *demo) readServiceEnv() error {
	text, err := os.ReadFile(d.path("service", "demo.env"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(name, "#") {
			d.set(name, unquote(value))
		}
	}
	d.set("UPLEVEL_KEYS", d.path("keys"))
	d.set("UPLEVEL_CACHE", d.path("cache"))
	if d.wire, err = newMeter(d.listen); err != nil {
		return err
	}
	return nil
}

// publish is the release engineer's part.
func (d *demo) publish(ctx context.Context) error {
	d.title("The vendor's release engineer publishes five levels")
	lines := []string{
		"uplevel-publish keys init",
		"uplevel-publish product add allure 2 --dist ../releases/2.38.1 --platform unix --rules ../../../demo/rules.yaml",
	}
	for level, r := range releases()[1:] {
		lines = append(lines, fmt.Sprintf("uplevel-publish level allure 2 --dist ../releases/%s --notes ../../../demo/notes/%d.yaml",
			r.version, level+1))
	}
	lines = append(lines, "uplevel-publish pack allure 2 --level 0 --out allure-2")
	return d.all(ctx, lines...)
}

// admit is the subscription manager's part.
func (d *demo) admit(ctx context.Context) error {
	d.title("The vendor's subscription manager admits a customer: accepted EULA, operator, 90-day trial")
	d.set("DEMO_PASSWORD", secret)
	err := d.all(ctx,
		"upleveld admin eula add ../../../demo/eula.txt --version 2026-01",
		"upleveld admin organisation add 'Example Bank'",
		`printf %s "$DEMO_PASSWORD" | upleveld admin user add operator@bank.example --organisation 'Example Bank' --role operator --password-stdin`,
		"upleveld admin subscription add --organisation 'Example Bank' --product allure --kind trial --eula-accepted-by 'Jo Doe'",
	)
	d.set("UPDATE_TOOL_USERNAME", operator)
	d.set("UPDATE_TOOL_PASSWORD", secret)
	d.home = d.path("work", "allure-2")
	d.set("UPLEVEL_DEMO_HOME", d.home)
	return errors.Join(err, d.writeEnv())
}

// tellJourney writes the operator's commands into the file that JOURNEY names.
func (d *demo) tellJourney(context.Context) error {
	file := os.Getenv("JOURNEY")
	if file == "" {
		return nil
	}
	return d.journey.write(filepath.Join(d.root, file), d.home, "allure-2", d.wire.listener.Addr().String(), "updates.example",
		d.listen, "updates.example", d.dir+"/", "")
}

// customise is what every operator does: a setting, and files that appear at work.
func (d *demo) customise(ctx context.Context) error {
	d.title("The operator gives Java more memory, names a plugin and gives it a script; the product writes a log")
	d.changeDir(d.home)
	if _, err := d.typed(ctx, 0, `sed -i "s|^DEFAULT_JVM_OPTS=.*|DEFAULT_JVM_OPTS='\"-Xmx512m\"'|" bin/allure && grep -n '^DEFAULT_JVM_OPTS' bin/allure`); err != nil {
		return err
	}
	if _, err := d.typed(ctx, 0, `cd plugins/behaviors-plugin && sed -i 's|^name: .*|name: Behaviours at Example Bank|; s|- index.js|- index.js\n  - bank.js|' allure-plugin.yml && cat allure-plugin.yml`); err != nil {
		return err
	}
	if _, err := d.typed(ctx, 0, "mkdir -p logs && echo '03:00 report server started' > logs/server.log"); err != nil {
		return err
	}
	return d.javaVersion(ctx)
}

func (d *demo) look(ctx context.Context) error {
	d.title("What is newer, and what would an update do")
	d.journey = &journey{}
	d.stage.env = append(d.stage.env, "UPLEVEL_SERVICE=https://"+d.wire.listener.Addr().String())
	return d.all(ctx, "uplevel current-state", "uplevel check", "uplevel plan")
}

// refusals shows that a wrong password and a wrong byte get nowhere.
func (d *demo) refusals(ctx context.Context) error {
	d.title("A wrong password, and one flipped byte on the service's disk")
	told := d.journey
	d.journey = nil
	defer func() { d.journey = told }()
	if _, err := d.typed(ctx, 11, "uplevel update -p 'not the password'"); err != nil {
		return err
	}
	object, err := d.objectOf(d.path("releases", "2.42.0", "lib", "slf4j-api-2.0.18.jar"))
	if err != nil {
		return err
	}
	if err := flip(object); err != nil {
		return err
	}
	d.note("(one byte of the stored slf4j-api-2.0.18.jar is now another)")
	if _, err := d.typed(ctx, 14, "uplevel update"); err != nil {
		return err
	}
	d.note("(the byte is put right again)")
	return flip(object)
}

func (d *demo) update(ctx context.Context) error {
	d.title("The update: prepared while the product runs. Both sides' changes are merged; one key is asked for, and the product is wholly old until it is decided")
	for _, step := range []struct {
		code int
		line string
	}{
		{3, "uplevel prepare"},
		{3, "uplevel apply"},
		{0, "uplevel current-state"},
		{0, "uplevel conflicts"},
		{0, "uplevel resolve plugins/behaviors-plugin/allure-plugin.yml --theirs"},
		{0, "uplevel --continue"},
		{0, "cat plugins/behaviors-plugin/allure-plugin.yml"},
		{0, "grep -n '^DEFAULT_JVM_OPTS' bin/allure && cat logs/server.log"},
		{0, "uplevel verify"},
		{0, "uplevel history"},
	} {
		if _, err := d.typed(ctx, step.code, step.line); err != nil {
			return err
		}
	}
	return d.javaVersion(ctx)
}

// prove compares with the published release by a program that is not ours.
func (d *demo) prove(ctx context.Context) error {
	d.title("Proof by diff: all but the operator's files equal release 2.42.0, byte for byte")
	out, err := d.typed(ctx, 0, "diff -rq --no-dereference --exclude=updates --exclude='uplevel*' ../../releases/2.42.0 . ; true")
	if err != nil {
		return err
	}
	const plugin = "plugins/behaviors-plugin/allure-plugin.yml"
	if got := strings.TrimSpace(out); got != "Files ../../releases/2.42.0/bin/allure and ./bin/allure differ\nOnly in .: logs\n"+
		"Files ../../releases/2.42.0/"+plugin+" and ./"+plugin+" differ" {
		return fmt.Errorf("the installation differs from the release in more than the operator's files:\n%s", got)
	}
	d.note("only the two files that the operator changed, and the log")
	return nil
}

func (d *demo) goBack(ctx context.Context) error {
	d.title("Back to where it was, without network")
	if err := d.all(ctx, "uplevel revert", "uplevel current-state", "grep -n '^DEFAULT_JVM_OPTS' bin/allure && cat logs/server.log plugins/behaviors-plugin/allure-plugin.yml"); err != nil {
		return err
	}
	return d.javaVersion(ctx)
}

func (d *demo) chosenLevel(ctx context.Context) error {
	d.title("Up to a chosen level: what was decided once is not asked again")
	if err := d.all(ctx, "uplevel update --level 3", "uplevel current-state", "uplevel verify"); err != nil {
		return err
	}
	if _, err := d.typed(ctx, 0, "upleveld check --deep"); err != nil {
		return err
	}
	return d.javaVersion(ctx)
}

// hotfix is one customer's fix tonight, before the level that will contain it.
func (d *demo) hotfix(ctx context.Context) error {
	d.title("A hotfix for one customer, tonight: it needs neither network nor credentials, and the next level keeps it")
	told := d.journey
	d.journey = nil
	d.changeDir(d.path("work"))
	err := d.all(ctx,
		"cp -R ../releases/2.41.0 ../hotfix && sed -i '/xray-plugin/d' ../hotfix/config/allure.yml",
		"uplevel-publish hotfix allure 2 --for 'Example Bank' --level 3 --dist ../hotfix --notes ../../../demo/notes/hotfix.yaml --out .",
	)
	d.changeDir(d.home)
	d.journey = told
	if err != nil {
		return err
	}
	return d.all(ctx,
		"uplevel apply-hotfix ../allure-2-Example_Bank-hf1.zip",
		"uplevel current-state",
		"uplevel update",
		"uplevel current-state && grep -c xray config/allure.yml; true",
		"uplevel revert-hotfix",
		"uplevel verify && grep -c xray config/allure.yml",
	)
}

func (d *demo) javaVersion(ctx context.Context) error {
	if _, missing := exec.LookPath("java"); missing == nil {
		_, err := d.typed(ctx, 0, "bin/allure --version")
		return err
	}
	d.note("(no Java here: bin/allure --version is left out)")
	return nil
}

// all types lines that must succeed.
func (d *demo) all(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := d.typed(ctx, 0, line); err != nil {
			return err
		}
	}
	return nil
}

// changeDir changes the folder the commands run in.
func (d *demo) changeDir(dir string) { d.stage.dir = dir }

func (d *demo) stopService() error {
	if d.service == nil || d.service.Process == nil {
		return nil
	}
	if err := d.service.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the service: %w", err)
	}
	if err := d.service.Wait(); err != nil {
		return fmt.Errorf("the service ended badly: %w", err)
	}
	return nil
}

package hostile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"uplevel/internal/problem"
)

// finals puts what is no decision where the operator's decision on a conflict is looked for.
// Only a file, or a link to one, decides; nothing else is opened, waited for or read for ever.
func (w *world) finals() {
	const conflict = "lib/big.jar"
	link := func(target string) func(string) error {
		return func(name string) error { return os.Symlink(target, name) }
	}
	outside := filepath.Join(w.area, "outside")
	if err := syscall.Mkfifo(filepath.Join(outside, "pipe"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	for what, c := range map[string]struct {
		put   func(name string) error
		exits []problem.Kind
	}{
		"pipe":           {func(name string) error { return syscall.Mkfifo(name, 0o644) }, []problem.Kind{problem.Conflicts}},
		"device":         {func(name string) error { return syscall.Mknod(name, syscall.S_IFCHR|0o666, 1<<8|5) }, []problem.Kind{problem.Conflicts}},
		"socket":         {func(name string) error { return syscall.Mknod(name, syscall.S_IFSOCK|0o666, 0) }, []problem.Kind{problem.Conflicts}},
		"folder":         {func(name string) error { return os.Mkdir(name, 0o755) }, []problem.Kind{problem.Conflicts}},
		"link to a pipe": {link(filepath.Join(outside, "pipe")), []problem.Kind{problem.Failed, problem.Conflicts, problem.Refused}},
		"link to a pipe of the product": {func(name string) error {
			pipe := filepath.Join(filepath.Dir(name), "pipe")
			return errors.Join(syscall.Mkfifo(pipe, 0o644), os.Symlink("pipe", name))
		}, []problem.Kind{problem.Conflicts}},
		"link to a device": {link("/dev/zero"), []problem.Kind{problem.Failed, problem.Conflicts, problem.Refused}},
		"link to itself":   {link("big.jar.final"), []problem.Kind{problem.Failed, problem.Conflicts, problem.Refused}},
		"link to nothing":  {link("nothing"), []problem.Kind{problem.Failed, problem.Conflicts, problem.Refused}},
		"link to a folder": {link(outside), []problem.Kind{problem.Failed, problem.Conflicts, problem.Refused}},
	} {
		home := w.home("final")
		w.write(filepath.Join(home, conflict), "mine\x00")
		if r, err := w.Do(w.t.Context(), home, "uplevel", "update"); r.Exit != int(problem.Conflicts) {
			w.t.Fatal(err, r.Output)
		}
		if err := c.put(filepath.Join(home, conflict+".final")); err != nil {
			w.t.Fatal(err)
		}
		w.try(attempt{
			door: ".final of a conflict", what: what, dir: home, program: "uplevel", args: []string{"--continue"}, memory: toolMemory,
			exits: c.exits, words: []string{"Next:", conflict + ".final"},
		})
		w.remove(home)
	}
	w.remove(filepath.Join(outside, "pipe"))
}

// takenOver has the tool find what another tool left, or somebody wrote in its name.
func (w *world) takenOver() {
	left := func(level, more string) string {
		return fmt.Sprintf(`{"update-level":%s,"channel":"full"%s}`, level, more)
	}
	outside := filepath.Join(w.area, "outside")
	for what, text := range map[string]string{
		"a level of nobody":     left(`"7"`, ""),
		"a level below":         left(`"-1"`, ""),
		"a level beyond":        left(`"99999999999999999999"`, ""),
		"a level as a command":  left(`"0; touch canary"`, ""),
		"a level as a path":     left(`"../../canary"`, ""),
		"a level as a list":     left(`[0]`, ""),
		"a channel as a path":   `{"update-level":"0","channel":"../../../outside"}`,
		"a channel of nobody":   `{"update-level":"0","channel":"` + strings.Repeat("x", 70_000) + `"}`,
		"a backup outside":      left(`"0"`, `,"product":{"backup":"`+outside+`"}`),
		"hotfixes of nobody":    left(`"0"`, `,"hotfixes":["../../canary","\u001b[2J",{"name":"/etc/passwd"}]`),
		"hotfixes without end":  left(`"0"`, `,"hotfixes":[`+strings.Repeat(`"a",`, 200_000)+`"a"]`),
		"folders that are none": left(`"0"`, `,"resources":"/","security":"/etc"`),
	} {
		home := w.home("left")
		w.write(filepath.Join(home, "updates/config.json"), text)
		w.write(filepath.Join(home, "updates/wum/summary.yaml"), "a: &a [*a]")
		for _, args := range [][]string{{"current-state"}, {"update", "--dry-run"}, {"--continue"}, {"revert"}} {
			w.try(attempt{
				door: "a home of another tool", what: what + ", " + args[0], dir: home, program: "uplevel", args: args, memory: toolMemory, words: []string{"Next:"},
				exits: []problem.Kind{0, problem.Failed, problem.Conflicts, problem.Refused, problem.Verification, problem.NotEntitled},
			})
		}
		w.remove(home)
	}
}

package selfupdate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"uplevel/internal/problem"
)

// askTime is how long a package manager may take to answer.
const askTime = 20 * time.Second

// manager is a package manager that can say whose a file is.
type manager struct {
	program string   // that is asked
	args    []string // before the path
	pattern bool     // what it is asked for is a pattern
	none    string   // what it says of a file that no package owns; it exits with an error then
	name    func(answer string) string
	renew   [][]string // the first of whose programs is there renews a package
}

// asked is how a manager is asked for a file, of whatever name.
func (m manager) asked(file string) string {
	if !m.pattern {
		return file
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(file)
}

func managers() []manager {
	return []manager{
		{
			program: "dpkg-query", args: []string{"-S"}, pattern: true, none: "no path found matching pattern",
			name:  func(answer string) string { return before(before(before(answer, ": "), ","), ":") },
			renew: [][]string{{"apt-get", "install", "--only-upgrade"}},
		},
		{
			program: "rpm", args: []string{"-q", "--queryformat", "%{NAME}\\n", "-f"}, none: "is not owned by any package",
			name:  func(answer string) string { return before(answer, "\n") },
			renew: [][]string{{"dnf", "upgrade"}, {"zypper", "update"}, {"yum", "update"}},
		},
		{
			program: "apk", args: []string{"info", "--who-owns"}, none: "Could not find owner package",
			name: func(answer string) string {
				_, full, _ := strings.Cut(before(answer, "\n"), " is owned by ")
				for range 2 { // NAME-VERSION-rN
					if i := strings.LastIndexByte(full, '-'); i > 0 {
						full = full[:i]
					}
				}
				return full
			},
			renew: [][]string{{"apk", "upgrade"}},
		},
	}
}

func before(text, mark string) string {
	first, _, _ := strings.Cut(text, mark)
	return strings.TrimSpace(first)
}

// Packages asks the system's package managers whose a file is.
type Packages struct {
	Find func(program string) (string, error) // exec.LookPath
	Run  func(ctx context.Context, program string, args ...string) (answer string, exit int, err error)
}

// SystemPackages asks those of this system.
func SystemPackages() Packages { return Packages{Find: exec.LookPath, Run: run} }

// Owned refuses to replace a program that a package owns, naming the command that renews
// the package. A package manager that gives no answer is no answer either.
func (m Packages) Owned(ctx context.Context, p Program) error {
	if name, ok := cellar(p.file); ok {
		return owned(p, name, []string{"brew", "upgrade"})
	}
	for _, one := range managers() {
		program, err := m.Find(one.program)
		if errors.Is(err, exec.ErrNotFound) {
			continue
		}
		var answer string
		exit := 0
		if err == nil {
			answer, exit, err = m.Run(ctx, program, append(one.args, one.asked(p.file))...)
		}
		switch {
		case err == nil && exit == 0 && one.name(answer) != "":
			return owned(p, one.name(answer), m.renewing(one))
		case err == nil && exit != 0 && strings.Contains(answer, one.none):
			continue
		case err == nil:
			err = fmt.Errorf("exit %d: %.200s", exit, strings.TrimSpace(answer))
		}
		return problem.New(problem.Refused, "See what "+one.program+" says of "+p.file+", then run self-update.",
			"It is not known whether a package owns the update tool: %s: %w", one.program, err)
	}
	return nil
}

func (m Packages) renewing(one manager) []string {
	for _, command := range one.renew {
		if _, err := m.Find(command[0]); err == nil {
			return command
		}
	}
	return one.renew[0]
}

func owned(p Program, name string, command []string) error {
	return problem.New(problem.Refused, "Renew it with: "+strings.Join(append(command, name), " "),
		"The update tool %s belongs to the package %s", p.file, name).Standing("The update tool is as it was.")
}

// cellar returns the package of a file that Homebrew installed.
func cellar(file string) (string, bool) {
	_, rest, ok := strings.Cut(filepath.ToSlash(file), "/Cellar/")
	if !ok || runtime.GOOS == "windows" {
		return "", false
	}
	return before(rest, "/"), true
}

// run runs a package manager in plain English, without a shell.
func run(ctx context.Context, program string, args ...string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var out bounded
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // one of managers, and a path
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return out.String(), ended.ExitCode(), nil
	}
	return out.String(), 0, err
}

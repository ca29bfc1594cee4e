package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// TestNextStepsCanBeTyped puts the program's name, and the product that was named,
// before the commands of a next step, and before nothing else.
func TestNextStepsCanBeTyped(t *testing.T) {
	t.Parallel()
	plain := &tool{args: []string{"/opt/bin/wso2update_linux"}}
	onPath := &tool{args: []string{"wso2update_linux"}}
	spaced := &tool{args: []string{"/opt/my products/bin/uplevel"}}
	named := &tool{args: []string{"uplevel"}, options: options{dir: "/opt/my $shop", given: map[string]bool{"dir": true}}}
	copied := &tool{args: []string{"uplevel"}, options: options{to: "../new"}, home: &install.Home{}, copied: true}
	commands := namesOf((&tool{args: plain.args}).rootCommand())
	for _, c := range []struct {
		tool       *tool
		next, want string
	}{
		{plain, "Run check to see the levels there are.", "Run /opt/bin/wso2update_linux check to see the levels there are."},
		{plain, "See the changes with history.", "See the changes with /opt/bin/wso2update_linux history."},
		{onPath, "Run check to see.", "Run wso2update_linux check to see."},
		{spaced, "Run check to see.", "Run '/opt/my products/bin/uplevel' check to see."},
		{plain, "Read with options what to say.", "Read with options what to say."},
		{plain, "ask your vendor", "Ask your vendor"},
		{plain, "", ""},
		{plain, "Check user and password.", "Check user and password."},
		{named, "Then run --continue.", "Then run uplevel --dir '/opt/my $shop' --continue."},
		{copied, "Then run --continue.", "Then run uplevel --dir ../new --continue."},
	} {
		c.tool.commands = commands
		if got := c.tool.withName(c.next); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.next, got, c.want)
		}
	}
}

// TestWhatAnOfflineUpdateIsFor: one that goes to the level of that number in another
// channel repairs nothing.
func TestWhatAnOfflineUpdateIsFor(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]created{
		"uplevel apply-update x.zip":           {From: []string{"1.2"}, To: "1.2"},
		"uplevel verify --repair --from x.zip": {From: []string{"1.2"}, To: "1.2", repairs: true},
		"uplevel apply-update x.zip, or at level 1.2 uplevel verify --repair --from x.zip": {From: []string{"1.2", "1.1"}, To: "1.2", repairs: true},
	} {
		r.File = "/tmp/x.zip"
		if got := (&tool{args: []string{"uplevel"}}).use(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestFlagsComeBeforeTheEnvironment lists what was given how, and where the password
// is taken from.
func TestFlagsComeBeforeTheEnvironment(t *testing.T) {
	t.Parallel()
	all := options{password: "a", passwordFile: "b", passwordCommand: "c", passwordStdin: true}
	for flag, want := range map[string]string{
		"": "password-file", "password": "password", "password-stdin": "password-stdin", "password-command": "password-command",
	} {
		all.given = map[string]bool{flag: true}
		if got := all.passwordFrom(); got != want {
			t.Errorf("with --%s: from %q, want %q", flag, got, want)
		}
	}
	if got := new(options).passwordFrom(); got != "" {
		t.Errorf("without any: %q", got)
	}
}

// TestTextsFitATerminal looks at the exit codes as help prints them, and at the line
// of an interruption.
func TestTextsFitATerminal(t *testing.T) {
	t.Parallel()
	help := (&tool{args: []string{"uplevel"}}).exitCodesTopic().Long
	for line := range strings.Lines(help) {
		if len(line) > 80 {
			t.Errorf("%q is longer than a terminal is wide", line)
		}
	}
	for _, c := range exitCodes() {
		if !strings.Contains(strings.Join(strings.Fields(help), " "), c.code+" "+c.meaning) {
			t.Errorf("help lost a word of %s", c.code)
		}
	}
	if got := oneLine("Interrupted: context canceled"); got != "Interrupted" {
		t.Errorf("an interruption reads %q", got)
	}
}

func TestAnErrorOfTheProgramItselfIsNoSelfUpdate(t *testing.T) {
	t.Parallel()
	tool := &tool{log: slog.New(slog.DiscardHandler)}
	err := tool.guarded(func() error { panic("a mistake") })
	if problem.KindOf(err) != problem.Failed || !strings.Contains(err.Error(), "a mistake") {
		t.Errorf("got %v", err)
	}
}

func TestLogsAreCalledAlikeOnEverySystem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"/p/bin/wso2update_linux": "wso2update", "wso2update_darwin_arm64": "wso2update", "wso2update_windows.exe": "wso2update",
		"wso2update_windows_arm64.exe": "wso2update", "WSO2UPDATE_WINDOWS.EXE": "WSO2UPDATE", ".exe": ".exe",
		"uplevel": "uplevel", "uplevel_linux_amd64": "uplevel", "our_linux_tool": "our_linux_tool",
	} {
		if got := (&tool{args: []string{name}}).stem(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestAFileIsNamedAndNotTheCall: a file that is not there is told as that, and is still
// known as that to the code.
func TestAFileIsNamedAndNotTheCall(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "none.zip")
	_, _, plain := openPlain(name)
	_, bounded := readBounded(name, 1)
	for _, err := range []error{plain, bounded} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%v", err)
		}
	}
}

// TestADeviceIsNoPlan: it is refused before a byte of it is read.
func TestADeviceIsNoPlan(t *testing.T) {
	t.Parallel()
	if data, err := readPlan("/dev/zero"); err == nil || data != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

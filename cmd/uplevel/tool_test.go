package main

import (
	"strings"
	"testing"

	"uplevel/internal/install"
)

// TestNextStepsCanBeTyped puts the program's name, and the product that was named,
// before the commands of a next step, and before nothing else.
func TestNextStepsCanBeTyped(t *testing.T) {
	t.Parallel()
	plain := &tool{args: []string{"/opt/bin/wso2update_linux"}}
	named := &tool{args: []string{"uplevel"}, options: options{dir: "/opt/my $shop", given: map[string]bool{"dir": true}}}
	copied := &tool{args: []string{"uplevel"}, options: options{to: "../new"}, home: &install.Home{}, copied: true}
	for _, c := range []struct {
		tool       *tool
		next, want string
	}{
		{plain, "Run check to see the levels there are.", "Run wso2update_linux check to see the levels there are."},
		{plain, "See the changes with history.", "See the changes with wso2update_linux history."},
		{plain, "ask your vendor", "Ask your vendor"},
		{plain, "", ""},
		{plain, "Check user and password.", "Check user and password."},
		{named, "Then run --continue.", "Then run uplevel --dir '/opt/my $shop' --continue."},
		{copied, "Then run --continue.", "Then run uplevel --dir ../new --continue."},
	} {
		if got := c.tool.withName(c.next); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.next, got, c.want)
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

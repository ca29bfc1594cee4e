package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"uplevel/internal/problem"
)

// TestHelpFitsATerminal reads the help of every command, on 80 columns.
func TestHelpFitsATerminal(t *testing.T) {
	t.Parallel()
	u := &tool{args: []string{"uplevel"}}
	root := u.rootCommand()
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.InitDefaultHelpFlag()
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > helpWidth+2 && cmd.Name() != "completion" {
				t.Errorf("%s --help is too wide: %s", cmd.CommandPath(), line)
			}
		}
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(root)
}

// TestHelpLeavesNothingOut wants each command on the first page once, and each option
// that all take once on its page.
func TestHelpLeavesNothingOut(t *testing.T) {
	t.Parallel()
	u := &tool{args: []string{"uplevel"}}
	root := u.rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	if err := root.Help(); err != nil {
		t.Fatal(err)
	}
	for _, c := range root.Commands() {
		if c.Runnable() && c.Name() != "help" && strings.Count(out.String(), "\n  "+c.Name()+" ") != 1 {
			t.Errorf("help does not list %s once", c.Name())
		}
	}
	var names []string
	for _, g := range optionGroups() {
		names = append(names, g.names...)
	}
	root.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if n := len(slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s != f.Name })); n != 1 && f.Name != "help" {
			t.Errorf("help options lists --%s %d times", f.Name, n)
		}
	})
	for _, name := range append(names, usual()...) {
		if root.Flag(name) == nil {
			t.Errorf("help names --%s, which is no option", name)
		}
	}
}

// TestWrongArgumentsSayWhatToType looks at what a mistyped command is told.
func TestWrongArgumentsSayWhatToType(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"updat":           "Did you mean bin/uplevel update?",
		"frobnicate":      "See the commands with bin/uplevel --help.",
		"get-summary 0":   "Type bin/uplevel get-summary FROM TO; see",
		"bundle sho x":    "Did you mean bin/uplevel bundle show?",
		"check extra":     "Type bin/uplevel check; see bin/uplevel check --help.",
		"check --nothing": "See bin/uplevel check --help.",
	} {
		u := &tool{args: []string{"bin/uplevel"}, getenv: func(string) string { return "" }}
		root := u.rootCommand()
		root.SetArgs(strings.Fields(typed))
		err := root.Execute()
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Kind != problem.Usage || !strings.Contains(p.Next, want) {
			t.Errorf("%s: %v; want %q", typed, err, want)
		}
	}
}

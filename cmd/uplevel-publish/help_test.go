package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// TestHelpFitsATerminal: no help has a line that a terminal of 80 columns would break.
func TestHelpFitsATerminal(t *testing.T) {
	t.Parallel()
	p := &program{}
	commands := []*cobra.Command{p.root()}
	for len(commands) > 0 {
		cmd := commands[0]
		commands = append(commands[1:], cmd.Commands()...)
		var said bytes.Buffer
		cmd.SetOut(&said)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), "Usage:") {
			t.Errorf("%s --help tells no usage", cmd.CommandPath())
		}
		for line := range strings.Lines(said.String()) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s --help is wider than 80 columns: %s", cmd.CommandPath(), line)
			}
		}
	}
}

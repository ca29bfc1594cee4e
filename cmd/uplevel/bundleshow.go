package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/problem"
	"uplevel/internal/support"
)

// shownBundle is a bundle, or one of its members.
type shownBundle struct {
	File    string          `json:"file"`
	Names   []string        `json:"names"` // every member in the zip
	Summary support.Summary `json:"summary"`
	Member  string          `json:"member,omitempty"`
	Text    string          `json:"text,omitempty"` // of the member
}

func (t *tool) bundleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bundle", Short: "Look into a support bundle", Args: t.usageOf(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
		return usage("Type "+t.called()+" bundle show FILE.", "bundle wants to know what to do")
	}}
	cmd.AddCommand(t.command("show FILE [MEMBER]", "Tell what is in a support bundle, or print one member", cobra.RangeArgs(1, 2), func(_ context.Context, args []string) error {
		return t.showBundle(args)
	}))
	return cmd
}

// showBundle reads a bundle that anybody may have made: it writes nothing, and what it
// prints is harmless.
func (t *tool) showBundle(args []string) error {
	f, size, err := openPlain(args[0])
	if err != nil {
		return problem.New(problem.Failed, "Give the file that support-bundle wrote.", "The bundle cannot be read: %w", err)
	}
	defer f.Close()
	b, err := support.Open(f, size)
	if err != nil {
		return err
	}
	res := shownBundle{File: args[0], Names: b.Names(), Summary: b.Summary}
	if len(args) == 2 {
		res.Member = args[1]
		if res.Text, err = b.Read(args[1]); err != nil {
			return err
		}
		return t.show(res, nil, func() { t.sayf("%s", res.Text) })
	}
	return t.show(res, nil, func() { t.tellShown(res) })
}

func (t *tool) tellShown(r shownBundle) {
	s := r.Summary
	line := func(what, text string) {
		if text != "" {
			t.sayf("%-10s %s\n", what+":", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n           "))
		}
	}
	product := "not known"
	if s.Product != "" {
		product = s.Product + "-" + s.Version
	}
	line("Product", product)
	line("Level", strings.TrimSpace(orText(s.Level, "not known")+" "+inBrackets(s.Channel)+" "+strings.Join(s.Hotfixes, ", ")))
	line("Tool", s.Program+" "+s.Tool+" on "+s.System)
	line("Made", s.Created.UTC().Format("2006-01-02 15:04:05 MST"))
	line("Pending", s.Pending)
	if s.CommitOpen {
		line("Commit", "open: it was cut, and waits for the next start of the tool")
	}
	line("Root", s.Root)
	if v := s.Verified; v != nil {
		t.sayf("%-10s %d as signed, %d customised, %d merged, %d missing, %d damaged\n", "Files:", v.Pristine, len(v.Customised), len(v.Merged), len(v.Missing), len(v.Damaged))
		line("Damaged", strings.Join(v.Damaged, "\n"))
		line("Missing", strings.Join(v.Missing, "\n"))
	}
	t.sayf("%-10s %d objects, %s\n", "Store:", s.Store.Objects, size(s.Store.Bytes))
	line("Failures", strings.Join(s.Failures, "\n"))
	line("Doctor", s.Doctor)
	t.tellUnread(s.Unread)
	t.sayf("Members (print one with: %s bundle show %s MEMBER):\n", t.called(), quoted(r.File))
	known := map[string]support.Member{}
	for _, m := range s.Members {
		known[m.Name] = m
	}
	for _, name := range r.Names {
		m, told := known[name]
		if !told {
			continue // what is told above
		}
		t.sayf("  %-44s %10s  taken out: %s\n", name, size(m.Size), support.Told(m.Redacted))
	}
}

func inBrackets(channel string) string {
	if channel == "" {
		return ""
	}
	return "(channel " + channel + ")"
}

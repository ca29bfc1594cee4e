package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitCode is one row of the table that help and docs/exit-codes.md show.
type exitCode struct {
	code    string
	meaning string
}

func exitCodes() []exitCode {
	return []exitCode{
		{"0", "done, or nothing to do; also plan with conflicts (they are listed) and verify with customised files only"},
		{"1", "failed; the installation is as it was: no such level, a level of another version, malformed or lower level, --continue with nothing pending, and what no other code names"},
		{"2", "the tool renewed itself and did nothing else: only with --self-update=exit"},
		{"3", "conflicts to resolve; nothing applied yet; also --continue with something unresolved"},
		{"4", "reverted by --revert"},
		{"10", "wrong usage, or no terminal and a value missing"},
		{"11", "credentials refused"},
		{"12", "not entitled: expired, revoked, no EULA ever accepted by the organisation, product not subscribed"},
		{"13", "service or network unreachable, or what answers is not the service"},
		{"14", "verification failed: signature, digest, expiry, rollback; verify found damage"},
		{"15", "refused before starting: disk, permissions, lock held, withdrawn level, policy"},
		{"16", "failed and rolled back"},
		{"17", "failed and could not roll back (says what stands and what to do)"},
		{"18", "declined at a prompt"},
		{"100, 101", "only with check --exit-code: updates, security updates"},
		{"130", "interrupted, and rolled back or resumable"},
	}
}

func (t *tool) exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Exit codes:\n\n")
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "  %-9s %s\n", c.code, strings.Join(wrapped(c.meaning, 66), "\n"+strings.Repeat(" ", 12)))
	}
	return &cobra.Command{Use: "exit-codes", Short: "What each exit code means", Long: b.String()}
}

// wrapped breaks text into lines of at most width bytes, between words.
func wrapped(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// exitCodesDocument is docs/exit-codes.md; a test compares.
func exitCodesDocument() string {
	var b strings.Builder
	b.WriteString("# Exit codes of `uplevel`\n\nMade from the table that `uplevel help exit-codes` prints.\n\n| code | meaning |\n| --- | --- |\n")
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "| %s | %s |\n", c.code, c.meaning)
	}
	return b.String()
}

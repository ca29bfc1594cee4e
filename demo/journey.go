package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// journey collects what a person types and sees, for the README.
type journey struct{ text strings.Builder }

// add appends one command with its output, long outputs cut.
func (j *journey) add(line, printed string, code int) {
	const most = 16
	fmt.Fprintf(&j.text, "$ %s\n", line)
	lines := strings.Split(strings.TrimRight(printed, "\n"), "\n")
	if len(lines) > most {
		left := len(lines) - most
		lines = append(lines[:most:most], fmt.Sprintf("… (%d more lines)", left))
	}
	for _, l := range lines {
		if l != "" {
			j.text.WriteString(l + "\n")
		}
	}
	if code != 0 {
		fmt.Fprintf(&j.text, "[exit %d]\n", code)
	}
	j.text.WriteString("\n")
}

// write puts the journey between the markers of a Markdown file.
func (j *journey) write(file string, hide ...string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const start, end = "<!-- journey: made by `make journey` from real output; do not edit by hand -->\n", "<!-- /journey -->"
	head, rest, ok := bytes.Cut(old, []byte(start))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the journey", file)
	}
	text := strings.TrimRight(j.text.String(), "\n")
	for i := 0; i+1 < len(hide); i += 2 {
		text = strings.ReplaceAll(text, hide[i], hide[i+1])
	}
	var b bytes.Buffer
	b.Write(head)
	fmt.Fprintf(&b, "%s```\n%s\n```\n%s", start, text, end)
	b.Write(tail)
	return os.WriteFile(file, b.Bytes(), 0o644)
}

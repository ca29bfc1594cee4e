package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"uplevel/internal/problem"
)

// maxSecret bounds the bytes of a file with a passphrase or token.
const maxSecret = 64 << 10

// keyPassphrase returns what opens the key files: from --passphrase-file,
// UPLEVEL_KEY_PASSPHRASE, or a person at a terminal, who is asked once a run, and twice
// the same when keys are made.
func (p *program) keyPassphrase(ctx context.Context, making bool) (string, error) {
	if p.passphrase != "" {
		return p.passphrase, nil
	}
	var err error
	switch fromEnv := p.getenv("UPLEVEL_KEY_PASSPHRASE"); {
	case p.passphraseFile != "" && (fromEnv == "" || p.getenv(variableOf("passphrase-file")) != p.passphraseFile):
		p.passphrase, err = readSecret(p.passphraseFile)
	case fromEnv != "":
		p.passphrase = fromEnv
	default:
		p.passphrase, err = p.askPassphrase(ctx, making)
	}
	if err == nil && p.passphrase == "" {
		err = problem.New(problem.Usage, "Give one with UPLEVEL_KEY_PASSPHRASE or --passphrase-file.", "The passphrase is empty")
	}
	return p.passphrase, err
}

func (p *program) askPassphrase(ctx context.Context, making bool) (string, error) {
	first, err := p.prompt(ctx, "Passphrase of the keys: ")
	if err != nil || !making {
		return first, err
	}
	second, err := p.prompt(ctx, "The same again: ")
	if err == nil && first != second {
		err = problem.New(problem.Usage, "Type it again.", "The two passphrases differ")
	}
	return first, err
}

// readSecret reads a file and drops one line end from its end.
func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", problem.New(problem.Usage, "Name a file that can be read.", "Unable to read the passphrase: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// terminalPrompt asks at the terminal that standard input is, without echo. Where
// there is none it says which options were missing.
func terminalPrompt(ctx context.Context, question string) (string, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return "", problem.New(problem.Usage, "Give it with UPLEVEL_KEY_PASSPHRASE or --passphrase-file.",
			"--passphrase-file is missing, and there is no terminal to ask at")
	}
	var out io.Writer = os.Stderr
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		defer tty.Close()
		out = tty
	}
	before, err := term.GetState(in)
	if err != nil {
		return "", fmt.Errorf("asking for the passphrase: %w", err)
	}
	fmt.Fprint(out, question)
	defer fmt.Fprintln(out)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(in)
		answers <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(in, before)
		return "", ctx.Err()
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("asking for the passphrase: %w", a.err)
		}
		return string(a.text), nil
	}
}

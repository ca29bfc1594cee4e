package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"uplevel/internal/api"
)

// maxSecret bounds a password or token.
const maxSecret = 64 << 10

// credentials get a token once, when the service first wants one.
type credentials struct {
	tool   *tool
	client *api.Client
	token  string

	password string // as it was read: a pipe tells it once
}

// had are the secrets that were had so far.
func (c *credentials) had() []string {
	if c == nil {
		return nil
	}
	return []string{c.token, c.password}
}

// get returns the token: the one given, or one for the user's password.
func (c *credentials) get(ctx context.Context) (string, error) {
	if c.token != "" {
		return c.token, nil
	}
	o := &c.tool.options
	if o.tokenCounts() {
		data, err := readOption("token-file", o.tokenFile, maxSecret)
		if err != nil {
			return "", err
		}
		if c.token = strings.TrimSpace(string(data)); c.token == "" {
			return "", usage("Name a file that holds a token with --token-file.", "--token-file: %s is empty", o.tokenFile)
		}
		return c.token, nil
	}
	user, err := c.tool.user(ctx)
	if err != nil {
		return "", err
	}
	if c.password == "" {
		if c.password, err = c.tool.password(ctx, user); err != nil {
			return "", err
		}
	}
	// Tokens go to the service without the client's own token function: it is this one.
	bare := *c.client
	bare.Token = nil
	token, err := bare.NewToken(ctx, api.TokenRequest{Email: user, Password: c.password})
	if err != nil {
		return "", err
	}
	c.token = token.Token
	return c.token, nil
}

// tokenCounts reports whether the token file is used. A publisher's environment may name
// one; a user who is named as well wins over it, and a token file on the command line
// over both.
func (o *options) tokenCounts() bool {
	return o.tokenFile != "" && (o.given["token-file"] || o.username == "" && !o.given[o.passwordFrom()])
}

// user returns who is meant: by flag, environment, U2's config.json, or at the prompt.
func (t *tool) user(ctx context.Context) (string, error) {
	if t.options.username != "" {
		return t.options.username, nil
	}
	if t.home != nil {
		if name := t.home.ConfigText("username"); name != "" {
			return name, nil
		}
	}
	if !t.onTerminal() {
		return "", usage("Give --username and a password, or --token-file.", "There is no terminal to ask for the user: --username is missing")
	}
	return t.ask(ctx, "Email: ", false)
}

// passwordFrom names the option that gives the password: one on the command line before
// one in the environment. It is empty when there is none.
func (o *options) passwordFrom() string {
	set := map[string]bool{
		"password-file": o.passwordFile != "", "password-stdin": o.passwordStdin,
		"password-command": o.passwordCommand != "", "password": o.password != "",
	}
	for _, byFlag := range []bool{true, false} {
		for _, name := range []string{"password-file", "password-stdin", "password-command", "password"} {
			if set[name] && o.given[name] == byFlag {
				return name
			}
		}
	}
	return ""
}

// password returns the password: from an option, or as typed at the prompt. From a file,
// a command and standard input exactly one line end is dropped.
func (t *tool) password(ctx context.Context, user string) (password string, err error) {
	o := &t.options
	from := o.passwordFrom()
	switch {
	case from == "password":
		return o.password, nil
	case from == "" && !t.onTerminal():
		return "", usage("Give --password-file, --password-stdin, --password-command or --token-file.",
			"There is no terminal to ask for the password: --password is missing")
	case from == "":
		return t.ask(ctx, "Password for "+user+": ", true)
	case from == "password-command":
		password, err = t.passwordFromCommand(ctx, o.passwordCommand)
	default:
		password, err = t.passwordFromInput(from)
	}
	if err == nil && password == "" {
		err = usage("See that it gives the password.", "--%s gives an empty password", from)
	}
	return password, err
}

// passwordFromInput reads the file that was named, or standard input.
func (t *tool) passwordFromInput(from string) (string, error) {
	if from == "password-file" {
		data, err := readOption(from, t.options.passwordFile, maxSecret)
		return dropLineEnd(data), err
	}
	data, err := io.ReadAll(io.LimitReader(t.stdin, maxSecret))
	return dropLineEnd(data), err
}

// passwordFromCommand runs a program, without a shell: words are split at spaces.
func (t *tool) passwordFromCommand(ctx context.Context, line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", usage("Name a program with --password-command.", "--password-command is empty")
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // the operator's own program
	cmd.Stderr = t.stderr
	cmd.WaitDelay = time.Second // what it started itself may hold its output open
	out, err := cmd.Output()
	if err != nil {
		return "", usage("Try the command by itself.", "--password-command failed: %w", err)
	}
	return dropLineEnd(out), nil
}

func dropLineEnd(data []byte) string {
	if rest, ok := bytes.CutSuffix(data, []byte("\r\n")); ok {
		return string(rest)
	}
	return string(bytes.TrimSuffix(data, []byte("\n")))
}

// onTerminal reports whether a person types: standard input is a terminal, wherever
// output and errors go.
func (t *tool) onTerminal() bool { return t.stdin != nil && term.IsTerminal(int(t.stdin.Fd())) }

// ask prompts on the terminal itself, so that it is seen when output and errors go
// elsewhere, and reads a line; a secret is not echoed.
func (t *tool) ask(ctx context.Context, prompt string, secret bool) (string, error) {
	to := t.stderr
	if tty, err := os.OpenFile(terminalName(), os.O_WRONLY, 0); err == nil {
		defer tty.Close()
		to = tty
	}
	fd := int(t.stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		if secret {
			data, err := term.ReadPassword(fd)
			read <- line{string(data), err}
			return
		}
		text, err := readLine(t.stdin)
		read <- line{text, err}
	}()
	if secret {
		waitForSilence(fd, before)
	}
	fmt.Fprint(to, prompt)
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		fmt.Fprintln(to)
		return "", ctx.Err()
	case l := <-read:
		if secret {
			fmt.Fprintln(to)
		}
		if l.err == nil && l.text == "" {
			l.err = usage("Type it, or give it by option.", "Nothing was typed at the prompt")
		}
		return l.text, l.err
	}
}

// waitForSilence waits until the terminal's echo is off: who types as soon as the prompt is
// there must not see it. Where it was off before nothing changes, and the wait ends.
func waitForSilence(fd int, before *term.State) {
	for range 100 {
		if now, err := term.GetState(fd); err != nil || *now != *before {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// readLine reads up to a line end byte by byte: what follows is not ours to take.
func readLine(r io.Reader) (string, error) {
	var text []byte
	var one [1]byte
	for len(text) < maxSecret {
		n, err := r.Read(one[:])
		if n == 1 && one[0] == '\n' {
			break
		}
		if n == 1 {
			text = append(text, one[0])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimRight(string(text), "\r"), nil
}

func terminalName() string {
	if runtime.GOOS == "windows" {
		return "CONOUT$"
	}
	return "/dev/tty"
}

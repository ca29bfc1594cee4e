package u2

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// types runs a command at a terminal, with a person who answers prompts: "types CODE
// PROMPT ANSWER… -- COMMAND…" fails unless every prompt comes, is answered, and the command
// ends with CODE. What was seen on the terminal is kept in the file "screen". An answer ^C
// is the key.
func types(ts *testscript.TestScript, _ bool, args []string) {
	split := slices.Index(args, "--")
	if split < 1 || split%2 == 0 || split == len(args)-1 {
		ts.Fatalf("usage: types CODE PROMPT ANSWER… -- COMMAND…")
	}
	cmd := exec.Command(args[split+1], args[split+2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "WORK", "TOOL", "NO_COLOR", "TMPDIR", "UPLEVEL_CACHE", "UPLEVEL_SERVICE", "UPLEVEL_CA_CERT", "UPDATE_TOOL_USERNAME", "UPDATE_TOOL_PASSWORD"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	terminal, err := pty.Start(cmd)
	ts.Check(err)
	defer terminal.Close()
	s := screen{terminal: terminal}
	for i := 1; i < split; i += 2 {
		if !s.waitFor(args[i]) {
			_ = cmd.Process.Kill()
			ts.Fatalf("the prompt %q does not come: %q", args[i], s.seen.String())
		}
		answer := args[i+1] + "\n"
		if args[i+1] == "^C" {
			answer = "\x03"
		}
		_, err := terminal.WriteString(answer)
		ts.Check(err)
	}
	s.waitFor("\x00never") // to its end
	err = cmd.Wait()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("screen"), s.seen.Bytes(), 0o600))
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("it ended with %d, want %s: %s", code, args[0], s.seen.String())
	}
}

// screen is what a person sees.
type screen struct {
	terminal *os.File
	seen     bytes.Buffer
	read     int // up to where earlier prompts were found
}

// waitFor reads until text is seen; false when the terminal ends before, or it takes too
// long.
func (s *screen) waitFor(text string) bool {
	_ = s.terminal.SetReadDeadline(time.Now().Add(time.Minute))
	buffer := make([]byte, 4096)
	for {
		if i := strings.Index(s.seen.String()[s.read:], text); i >= 0 {
			s.read += i + len(text)
			return true
		}
		n, err := s.terminal.Read(buffer)
		s.seen.Write(buffer[:n])
		if err != nil {
			return false
		}
	}
}

func TestAScreenIsReadPromptByPrompt(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("Email: Password: "); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := screen{terminal: r}
	if !s.waitFor("Email: ") || s.waitFor("Email: ") {
		t.Error("a prompt that came once counts twice, or never")
	}
}

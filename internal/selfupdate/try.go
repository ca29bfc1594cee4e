package selfupdate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Bounds of trying a new program.
const (
	tryTime = 30 * time.Second
	trySays = 64 << 10 // bytes
)

// Mark is the environment variable by which the new program knows that it was started in
// the place of an older one, and does not renew itself again: it holds its version.
const Mark = "UPLEVEL_SELF_UPDATED"

// try runs a program for its version. One that does not start, takes too long, or says
// another version or system than was signed, is refused.
func try(ctx context.Context, file string, want release.Tool) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	out, err := start(ctx, file, want.Version)
	// A child that was forked while the file was written holds it open until it runs.
	for again := 0; errors.Is(err, syscall.ETXTBSY) && again < 20 && ctx.Err() == nil; again++ {
		time.Sleep(50 * time.Millisecond)
		out, err = start(ctx, file, want.Version)
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	if err == nil {
		err = saysIt(out, want)
	}
	if err != nil {
		return problem.New(problem.Verification, "Tell your vendor. This update tool goes on without it.",
			"The new update tool %s does not work here and was not taken: %w", want.Version, err).
			Standing("The update tool is as it was.")
	}
	return nil
}

func start(ctx context.Context, file, version string) ([]byte, error) {
	var out bounded
	cmd := exec.CommandContext(ctx, file, "version", "--output", "json")
	cmd.Env = environment(withoutOptions(os.Environ()), version)
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return out.Bytes(), err
}

func saysIt(out []byte, want release.Tool) error {
	var said struct {
		Version      string `json:"version"`
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("it does not say its version: %w", err)
	}
	if said.Version != want.Version || said.OS+"/"+said.Architecture != want.System {
		return fmt.Errorf("it says that it is %.60s for %.60s", said.Version, said.OS+"/"+said.Architecture)
	}
	return nil
}

// bounded keeps the first bytes of what is written and takes the rest.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := trySays - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// withoutOptions leaves out what the tool takes for options: a template or a password of the
// command that runs has no place in the trial.
func withoutOptions(env []string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		return strings.HasPrefix(e, "UPLEVEL_") || strings.HasPrefix(e, "UPDATE_TOOL_")
	})
}

// environment returns the environment of the new program.
func environment(env []string, version string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, Mark+"=") {
			kept = append(kept, e)
		}
	}
	return append(kept, Mark+"="+version)
}

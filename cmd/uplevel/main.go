// Uplevel is the update tool: it brings an installation of a server product to the
// update level its operator chooses, and back. docs/guides/operator.md shows it at work.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// softMemory is what the collector of garbage keeps the program's memory near to, in
// bytes: the tool runs beside the product, on machines that were sized for it.
const softMemory = 36 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := &tool{
		args: os.Args, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, now: time.Now,
	}
	code := t.run(ctx)
	stop()
	os.Exit(code)
}

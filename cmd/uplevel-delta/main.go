// Command uplevel-delta is a developer program, not shipped: it makes the delta between two
// folders and applies it, so that anybody can judge the engine on trees of their own.
//
//	uplevel-delta make OLD NEW PATCH
//	uplevel-delta apply OLD PATCH OUT
//
// PATCH holds the manifest of NEW, as a delta of that of OLD, and the delta of the contents.
// OUT must not exist; every file is compared with its digest as it is written.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
)

const usage = `usage: uplevel-delta [-workers N] make OLD NEW PATCH
       uplevel-delta [-workers N] apply OLD PATCH OUT`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "uplevel-delta:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("uplevel-delta", flag.ContinueOnError)
	flags.SetOutput(stderr)
	workers := flags.Int("workers", runtime.NumCPU(), "blocks at a `TIME`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 4 {
		return errors.New(usage)
	}
	a, b, c := flags.Arg(1), flags.Arg(2), flags.Arg(3)
	switch flags.Arg(0) {
	case "make":
		return makePatch(ctx, a, b, c, *workers)
	case "apply":
		return applyPatch(ctx, a, b, c, *workers)
	}
	return errors.New(usage)
}

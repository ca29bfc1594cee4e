package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"uplevel/test/bench/deltas"
)

// compareDeltas compares what travels, and what it costs to make and to apply it: on real
// releases or, in the short form, without the network, on a made-up product.
func compareDeltas(ctx context.Context, short bool, out string) error {
	dir, err := os.MkdirTemp("", "uplevel-releases-")
	if err != nil {
		return err
	}
	return errors.Join(measureDeltas(ctx, dir, short, out), os.RemoveAll(dir))
}

func measureDeltas(ctx context.Context, dir string, short bool, out string) error {
	get := func() ([]deltas.Pair, error) { return deltas.Releases(ctx, filepath.Join("build", "bench-cache"), dir) }
	if short {
		get = func() ([]deltas.Pair, error) { return deltas.MadeUp(dir) }
	}
	pairs, err := get()
	if err != nil {
		return err
	}
	report, err := deltas.Measure(ctx, ".", pairs, func(said string) { fmt.Fprintln(os.Stderr, said) })
	if err != nil {
		return err
	}
	table := fmt.Sprintf("Measured on %s with %d cores, %s/%s, %s.\n\n%s", time.Now().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), report.Tables())
	fmt.Print(table)
	if out == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(out), "deltas.svg"), report.Plot(), 0o644); err != nil {
		return err
	}
	return write(out, "deltas", table)
}

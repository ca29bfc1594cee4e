// Command wharf makes and applies the patches of itch.io's wharf, which is a library: the
// benchmark measures them beside Uplevel's deltas. It is a module of its own, so that
// Uplevel depends on nothing of it.
//
//	wharf make OLD NEW PATCH
//	wharf apply OLD PATCH OUT
//
// A patch is optimised, as itch.io's servers do before a player fetches it, and compressed
// with brotli at its best quality.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/itchio/headway/state"
	"github.com/itchio/lake/pools/fspool"
	"github.com/itchio/lake/tlc"
	"github.com/itchio/savior/filesource"
	"github.com/itchio/savior/seeksource"
	_ "github.com/itchio/wharf/compressors/cbrotli"
	_ "github.com/itchio/wharf/decompressors/cbrotli"
	"github.com/itchio/wharf/pwr"
	"github.com/itchio/wharf/pwr/patcher"
	"github.com/itchio/wharf/pwr/rediff"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wharf:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("usage: wharf make OLD NEW PATCH | wharf apply OLD PATCH OUT")
	}
	switch args[0] {
	case "make":
		return makePatch(ctx, args[1], args[2], args[3])
	case "apply":
		return applyPatch(args[1], args[2], args[3])
	}
	return fmt.Errorf("%q is neither make nor apply", args[0])
}

func makePatch(ctx context.Context, oldDir, newDir, name string) error {
	first, err := diff(ctx, oldDir, newDir)
	if err != nil {
		return err
	}
	best, err := rediff.NewContext(rediff.Params{
		Consumer: quiet(), Compression: compression(9), PatchReader: seeksource.FromBytes(first), Partitions: 1,
	})
	if err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	err = best.Optimize(rediff.OptimizeParams{
		TargetPool:  fspool.New(best.GetTargetContainer(), oldDir),
		SourcePool:  fspool.New(best.GetSourceContainer(), newDir),
		PatchWriter: struct{ io.Writer }{file}, // it would close it
	})
	return errors.Join(err, file.Close())
}

// diff returns the patch as it is before it is optimised.
func diff(ctx context.Context, oldDir, newDir string) ([]byte, error) {
	old, err := tlc.WalkAny(oldDir, tlc.WalkOpts{})
	if err != nil {
		return nil, err
	}
	next, err := tlc.WalkAny(newDir, tlc.WalkOpts{})
	if err != nil {
		return nil, err
	}
	signature, err := pwr.ComputeSignature(ctx, old, fspool.New(old, oldDir), quiet())
	if err != nil {
		return nil, err
	}
	d := pwr.DiffContext{
		Compression: compression(1), Consumer: quiet(),
		SourceContainer: next, Pool: fspool.New(next, newDir),
		TargetContainer: old, TargetSignature: signature,
	}
	var patch bytes.Buffer
	err = d.WritePatch(ctx, &patch, io.Discard)
	return patch.Bytes(), err
}

func applyPatch(oldDir, name, out string) error {
	file, err := filesource.Open(name)
	if err != nil {
		return err
	}
	err = patcher.PatchFresh(patcher.PatchFreshParams{PatchReader: file, TargetDir: oldDir, OutputDir: out, Consumer: quiet()})
	return errors.Join(err, file.Close())
}

func quiet() *state.Consumer { return &state.Consumer{} }

func compression(quality int32) *pwr.CompressionSettings {
	return &pwr.CompressionSettings{Algorithm: pwr.CompressionAlgorithm_BROTLI, Quality: quality}
}

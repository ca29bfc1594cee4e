package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// programs builds the programs of the repository at root and copies them into a folder. They
// are linked once for all tests that run side by side: what lies in build/programs, and is
// what would come out, the go command leaves as it is.
func programs(ctx context.Context, root, into string, flags ...string) error {
	kind := "plain"
	if slices.Contains(flags, "-race") {
		kind = "race"
	}
	built := filepath.Join(root, "build", "programs", kind)
	if err := os.MkdirAll(built, 0o755); err != nil {
		return err
	}
	lock := flock.New(built + ".lock")
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return fmt.Errorf("waiting for another build: %w", err)
	}
	err := buildAndCopy(ctx, root, built, into, flags)
	return errors.Join(err, lock.Close())
}

func buildAndCopy(ctx context.Context, root, built, into string, flags []string) error {
	names := []string{"uplevel", "upleveld", "uplevel-publish"}
	args := append([]string{"build"}, flags...)
	args = append(args, "-o", built+string(filepath.Separator))
	for _, name := range names {
		args = append(args, "./cmd/"+name)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, said)
	}
	for _, name := range names {
		if err := copyProgram(filepath.Join(built, name), filepath.Join(into, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

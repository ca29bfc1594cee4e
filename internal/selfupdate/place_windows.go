package selfupdate

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"uplevel/internal/durable"
)

// place puts the staged program in the place of the old one. A file that runs cannot be
// replaced but renamed: it goes aside and is removed by the next start.
func (p Program) place() error {
	if err := durable.Rename(p.file, p.aside()); err != nil {
		return err
	}
	if err := durable.Rename(p.staged(), p.file); err != nil {
		return errors.Join(err, durable.Rename(p.aside(), p.file))
	}
	return nil
}

// keepOwner does nothing: on Windows a file takes its rights from its folder.
func keepOwner(*os.File, fs.FileInfo) (sameGroup bool, err error) { return true, nil }

// ownerOf, onlyOf and slipped do not judge: on Windows a folder's rights are told by no owner.
func ownerOf(string) (uint32, error) { return 0, nil }
func onlyOf(string, uint32) error    { return nil }
func (Program) slipped(string) error { return nil }

// Continue runs the program on the same arguments and returns its exit code. Interrupts
// reach it by themselves: both are on one console.
func (p Program) Continue(args, env []string, version string) (exit int, err error) {
	cmd := exec.Command(p.file, args[1:]...) //nolint:gosec,noctx // the program's own file; it ends by itself
	cmd.Args[0] = args[0]
	cmd.Env = environment(env, version)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended.ExitCode(), nil
	}
	return 0, err
}

//go:build linux

// Package powercut gives tests file systems of their own, each in an image file on a loop
// device, whose power can be cut: what was not synced is gone then, as after a real cut.
package powercut

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is a kind of file system.
type Kind string

// The kinds that disks are made of.
const (
	Ext4 Kind = "ext4"
	XFS  Kind = "xfs"
)

// Loss is what a cut loses.
type Loss uint32

// With Unflushed the journal is lost, too: a directory that was not synced is seen as it
// was. With Flushed the journal had reached the disk and contents had not: a file that was
// not synced is there and empty.
const (
	Flushed   Loss = 1 // FS_GOING_FLAGS_LOGFLUSH
	Unflushed Loss = 2 // FS_GOING_FLAGS_NOLOGFLUSH
)

const goingDown = 0x8004587D // FS_IOC_SHUTDOWN

// Disk is a file system in an image file, mounted at At.
type Disk struct {
	Kind  Kind
	Image string
	At    string
}

// Require fails the test in CI, and skips it loudly elsewhere, where disks cannot be made.
func Require(t *testing.T) {
	t.Helper()
	lack := missing()
	switch {
	case lack == "":
	case os.Getenv("CI") != "":
		t.Fatalf("power cannot be cut: %s: scripts/install-deps installs what is needed, and it takes root", lack)
	default:
		t.Skipf("SKIPPED, and nothing was tried: power cannot be cut: %s; run scripts/install-deps, and the test as root", lack)
	}
}

func missing() string {
	if os.Getuid() != 0 {
		return "a file system cannot be mounted by this user"
	}
	for _, program := range []string{"mkfs.ext4", "mkfs.xfs", "mount", "fallocate"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is missing"
		}
	}
	return ""
}

// Folder makes a folder for images, in memory where the system has room there, so that a
// sync costs no time of a real disk; it is removed with the test.
func Folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercut-") //nolint:usetesting // the place is the point of it
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// New makes a disk named name in dir and mounts it.
func New(dir, name string, kind Kind) (*Disk, error) {
	d := &Disk{Kind: kind, Image: filepath.Join(dir, name+".img"), At: filepath.Join(dir, name)}
	image, err := os.Create(d.Image)
	if err != nil {
		return nil, err
	}
	size, format := int64(96<<20), []string{"mkfs.ext4", "-q", "-F", "-J", "size=4", d.Image}
	if kind == XFS {
		size, format = 320<<20, []string{"mkfs.xfs", "-q", "-f", d.Image} // the smallest that it makes
	}
	if err := errors.Join(image.Truncate(size), image.Close()); err != nil {
		return nil, err
	}
	if err := run(format...); err != nil {
		return nil, err
	}
	// What is zero is a hole from now on, which a clone does not copy: XFS has 64 MB of it.
	if err := run("fallocate", "--dig-holes", d.Image); err != nil {
		return nil, err
	}
	return d, d.Mount()
}

// Clone makes a disk named name of an unmounted one, as it is, and mounts it.
func (d *Disk) Clone(name string) (*Disk, error) {
	dir := filepath.Dir(d.Image)
	c := &Disk{Kind: d.Kind, Image: filepath.Join(dir, name+".img"), At: filepath.Join(dir, name)}
	if err := run("cp", "--sparse=always", d.Image, c.Image); err != nil {
		return nil, err
	}
	return c, c.Mount()
}

// Mount mounts the disk; what its journal holds is played back by the kernel.
func (d *Disk) Mount() error {
	if err := os.MkdirAll(d.At, 0o755); err != nil {
		return err
	}
	options := "loop"
	if d.Kind == XFS {
		options = "loop,nouuid" // clones have one identity
	}
	return run("mount", "-t", string(d.Kind), "-o", options, d.Image, d.At)
}

// Unmount writes everything out and unmounts.
func (d *Disk) Unmount() error { return Unmount(d.At) }

// Unmount unmounts what is mounted at a path. A program that has just died may still hold it
// for a moment.
func Unmount(at string) error {
	const tries = 100
	for n := 1; ; n++ {
		err := unix.Unmount(at, 0)
		if err == nil || n == tries || !errors.Is(err, unix.EBUSY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Cut cuts the power now and brings the disk back up.
func (d *Disk) Cut(loss Loss) error {
	if err := d.Kill(loss); err != nil {
		return err
	}
	return d.Mount()
}

// Kill cuts the power and leaves the disk unmounted.
func (d *Disk) Kill(loss Loss) error {
	if err := d.Shut(loss); err != nil {
		return err
	}
	return d.Unmount()
}

// Shut cuts the power and leaves the disk as it is then: mounted, and failing.
func (d *Disk) Shut(loss Loss) error {
	dir, err := os.Open(d.At)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(dir.Fd()), goingDown, int(loss))
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("cutting the power of %s: %w", d.At, err)
	}
	return nil
}

// Close unmounts the disk and removes it.
func (d *Disk) Close() error {
	return errors.Join(d.Unmount(), os.Remove(d.Image), os.Remove(d.At))
}

func run(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

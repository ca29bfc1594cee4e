package selfupdate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Program is the file of the tool that runs.
type Program struct {
	file string // links resolved
	dir  string
	stem string // of what lies beside it meanwhile
	ext  string // .exe, where programs need it
}

// Locate returns the program of an executable, through symbolic links: what is replaced is
// the file, and links to it stay.
func Locate(executable string) (Program, error) {
	file, err := filepath.EvalSymlinks(executable)
	if err != nil {
		return Program{}, fmt.Errorf("looking for the update tool's own file: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return Program{}, fmt.Errorf("looking for the update tool's own file: %w", err)
	}
	p := Program{file: file, dir: filepath.Dir(file)}
	if p.ext = filepath.Ext(file); !strings.EqualFold(p.ext, ".exe") {
		p.ext = ""
	}
	p.stem = "." + strings.TrimSuffix(filepath.Base(file), p.ext)
	return p, nil
}

// File returns where the program lies.
func (p Program) File() string { return p.file }

// In reports whether the program lies in a folder, however deep.
func (p Program) In(dir string) bool {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(resolved, p.file)
	return err == nil && filepath.IsLocal(rel)
}

// Beside refuses a file beside the program that somebody may have put there who neither owns
// nor runs it. One that is not there is no error.
func (p Program) Beside(name string) error {
	if err := p.slipped(filepath.Join(p.dir, name)); err != nil {
		return problem.New(problem.Refused, "Move the tool, and what the vendor gave with it, to a folder of your own.",
			"%s beside the update tool cannot be trusted: %w", name, err)
	}
	return nil
}

// Trusts refuses a home that others may write into than who owns the program: what a home
// trusts would decide what runs with the rights of whoever calls the program.
func (p Program) Trusts(home string) error {
	owner, err := ownerOf(p.file)
	for _, dir := range []string{home, filepath.Join(home, "updates")} {
		if err == nil {
			err = onlyOf(dir, owner)
		}
	}
	if err != nil {
		return problem.New(problem.Refused, "Put the vendor's vendor.json beside the tool, then run self-update; or replace the tool by hand.",
			"The update tool %s is not renewed by what this product trusts: %w", p.file, err)
	}
	return nil
}

// Names of what lies beside the program while it is renewed; all begin with a dot.
func (p Program) lock() string   { return filepath.Join(p.dir, p.stem+".renewing") }
func (p Program) staged() string { return filepath.Join(p.dir, p.stem+".new"+p.ext) }
func (p Program) aside() string  { return filepath.Join(p.dir, p.stem+".old"+p.ext) }

// Content gives a program's verified content, fetching it first where it must be.
type Content func(ctx context.Context, program release.Ref) (io.ReadCloser, error)

// Replace puts a signed tool in the place of the program: it is fetched, verified by its
// digest, written beside, run to say its version, and only then renamed over the old one.
// Name, mode and owner stay. After an error the old program is there as it was and nothing
// lies beside it; errors are of kinds problem.Refused, Verification and that of content.
func (p Program) Replace(ctx context.Context, tool release.Tool, content Content) error {
	lock, err := durable.TryLock(p.lock(), "another update tool")
	if err != nil {
		return p.cannot(err)
	}
	err = p.replace(ctx, tool, content)
	_ = lock.Release() // what cannot be removed now the next start removes
	return err
}

func (p Program) replace(ctx context.Context, tool release.Tool, content Content) error {
	p.sweep()
	old, err := os.Lstat(p.file)
	if err != nil {
		return p.cannot(err)
	}
	if same, err := p.holds(tool.Program, old); err != nil || same {
		return err // another tool was faster
	}
	defer p.sweep()
	if err := p.stage(ctx, tool, old, content); err != nil {
		return err
	}
	if err := try(ctx, p.staged(), tool); err != nil {
		return err
	}
	if err := p.place(); err != nil {
		// A folder that cannot be synced has the new program in it all the same; a power cut
		// could bring back the old one, as whole as this one is.
		if now, statErr := os.Lstat(p.file); statErr == nil {
			if same, holdErr := p.holds(tool.Program, now); holdErr == nil && same {
				return nil
			}
		}
		return p.cannot(err)
	}
	return nil
}

// holds reports whether the program is what is wanted already.
func (p Program) holds(want release.Ref, info fs.FileInfo) (bool, error) {
	if info.Size() != want.Size {
		return false, nil
	}
	f, err := os.Open(p.file)
	if err != nil {
		return false, p.cannot(err)
	}
	defer f.Close()
	sum, _, err := digest.Copy(io.Discard, f)
	if err != nil {
		return false, p.cannot(err)
	}
	return sum == want.Sum, nil
}

// stage writes the new program beside the old one, with its mode and owner, synced.
func (p Program) stage(ctx context.Context, tool release.Tool, old fs.FileInfo, content Content) error {
	f, err := durable.Create(p.staged(), 0o700)
	if err != nil {
		return p.cannot(err)
	}
	defer f.Discard()
	sameGroup, err := keepOwner(f.File, old)
	if err != nil {
		return p.cannot(fmt.Errorf("it would belong to somebody else: %w", err))
	}
	r, err := content(ctx, tool.Program)
	if err != nil {
		return err
	}
	from := &source{Reader: digest.NewReader(r, tool.Program.Sum, tool.Program.Size)}
	_, err = io.Copy(f, from)
	err = errors.Join(err, r.Close())
	switch {
	case errors.Is(err, digest.ErrMismatch):
		return problem.New(problem.Verification, "Run the command again; if it stays so, tell your vendor.",
			"The update tool %s is not what the vendor signed: %w", tool.Version, err)
	case from.err != nil: // it was reading that failed
		return from.err
	case err != nil:
		return p.cannot(err)
	}
	bits := fs.ModePerm | fs.ModeSetuid | fs.ModeSticky
	if sameGroup {
		bits |= fs.ModeSetgid
	}
	if err := f.Chmod(old.Mode() & bits); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return p.cannot(err)
	}
	if err := f.Commit(); err != nil {
		return p.cannot(err)
	}
	return nil
}

// source tells failing to read from failing to write.
type source struct {
	io.Reader

	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Sweep removes what a cut left beside the program, and on Windows what was renamed aside
// because it ran. While another tool renews the program it does nothing.
func (p Program) Sweep() error {
	_, lockErr := os.Lstat(p.lock())
	_, oldErr := os.Lstat(p.aside())
	if errors.Is(lockErr, fs.ErrNotExist) && errors.Is(oldErr, fs.ErrNotExist) {
		return nil
	}
	lock, err := durable.TryLock(p.lock(), "another update tool")
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	p.sweep()
	return lock.Release()
}

// sweep removes what lies beside; the lock is held. What cannot be removed is tried again
// by the next start.
func (p Program) sweep() {
	_ = durable.Remove(p.aside())
	_ = durable.Remove(p.staged())
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return
	}
	half := "." + filepath.Base(p.staged()) + ".partial-"
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), half) {
			_ = durable.Remove(filepath.Join(p.dir, e.Name()))
		}
	}
}

// cannot says why the program stays as it is, and what to do.
func (p Program) cannot(err error) error {
	next := "Look at the folder " + p.dir + ", then run self-update."
	switch {
	case errors.Is(err, durable.ErrLocked):
		next = "Wait until it is done, then run the command again."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		next = "Make room in " + p.dir + ", then run self-update."
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		next = "Run self-update as who may write into " + p.dir + ", or replace " + p.file + " by hand."
	}
	return problem.New(problem.Refused, next, "The update tool %s cannot be replaced: %w", p.file, err).
		Standing("The update tool is as it was.")
}

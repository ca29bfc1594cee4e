package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
)

// Names inside the home's updates folder.
const (
	updatesDir    = "updates"
	productFile   = "updates/product.txt"
	configFile    = "updates/config.json"
	decisionsFile = "updates/decisions.json"
	stateFile     = "updates/state.json"
	storeDir      = "updates/store"
	historyDir    = "updates/history"
	trustDir      = "updates/trust"
	lockFile      = "updates/lock"
	cacheFile     = "updates/scan-cache"
	stagingDir    = "updates/staging"
	pendingFile   = "updates/staging/pending.json"
	undoFile      = "updates/staging/undo.json"
	journalFile   = "updates/COMMITTING"
	elsewhereFile = "updates/staging/elsewhere" // name of the staging folders on other mounts
	mountStaging  = ".uplevel-staging-"         // its beginning
	unidentified  = "Unable to identify the product"
	maxStateBytes = 16 << 20
)

// Options are what a [Home] takes from outside.
type Options struct {
	Now    func() time.Time
	Holder string       // who holds the lock, as others are told: "uplevel 1.2 (process 4711)"
	Fault  func() error // called before every operation of a commit; nil: none. For tests.

	ReadOnly bool // looking leaves the scan cache as it is
}

// Home is an open product home. It is not safe for concurrent use.
type Home struct {
	dir   string
	root  *os.Root
	opts  Options
	state State

	lookFault func(rel string) error // tests let a look fail
	readFault func(rel string) error // or the disk not give a file's content
}

// Find returns the product home that a command means: dir if it is given, else the
// home whose bin holds the executable, else the current folder or one above it.
func Find(dir, executable string) (string, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err == nil && isHome(abs) {
			return abs, nil
		}
		if _, err := os.Stat(filepath.Join(abs, productFile)); err != nil && !errors.Is(err, fs.ErrNotExist) && !belowFile(err) {
			return "", problem.New(problem.Failed, "Run it as a user who may read the product's folder.", "%s: %w", unidentified, err)
		}
		return "", problem.New(problem.Failed, "Give the folder that holds updates/product.txt with --dir.",
			"%s: %s has no updates/product.txt", unidentified, dir)
	}
	if bin := filepath.Dir(executable); filepath.Base(bin) == "bin" && isHome(filepath.Dir(bin)) {
		return filepath.Dir(bin), nil
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", problem.New(problem.Failed, "Give the product's folder with --dir.", "%s: %w", unidentified, err)
	}
	for at := wd; ; at = filepath.Dir(at) {
		if isHome(at) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", problem.New(problem.Failed, "Change to the product's folder, or give it with --dir.",
				"%s: neither %s nor a folder above it has updates/product.txt", unidentified, wd)
		}
	}
}

func isHome(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, productFile))
	return err == nil && info.Mode().IsRegular()
}

// Open opens the home at dir and reads what is installed. It never writes. The caller
// closes it.
func Open(dir string, opts Options) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, problem.New(problem.Failed, "Give the product's folder with --dir.", "%s: %w", unidentified, err)
	}
	h := &Home{dir: abs, root: root, opts: opts}
	if err := h.readState(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return h, nil
}

// Close lets go of the home.
func (h *Home) Close() error { return h.root.Close() }

// Dir returns the absolute path of the home.
func (h *Home) Dir() string { return h.dir }

// State returns what is installed. There is always a pack's id.
func (h *Home) State() State {
	s := h.state
	if s.Pack == "" {
		s.Pack = takenOverPack(s.Line())
	}
	return s
}

// OpenFile opens a plain file of the product; nothing is followed out of the home.
func (h *Home) OpenFile(rel string) (io.ReadCloser, error) {
	f, err := h.openPlain(rel, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Writable reports, without writing, why this user may not change the product; nil: they may.
func (h *Home) Writable() error { return writable(h.abs(updatesDir)) }

func (h *Home) abs(rel string) string { return filepath.Join(h.dir, filepath.FromSlash(rel)) }

// Lock keeps other tools away from the home until the returned function is called.
// A lock that is held, or a home that may not be written, is refused.
func (h *Home) Lock() (func() error, error) {
	if err := h.stay(writtenByPath()...); err != nil {
		return nil, err
	}
	lock, err := durable.TryLock(h.abs(lockFile), h.opts.Holder)
	switch {
	case errors.Is(err, durable.ErrLocked):
		return nil, problem.New(problem.Refused, "Wait for it to end, then try again.",
			"Another update tool is at work on this product: %w", err)
	case errors.Is(err, fs.ErrPermission) && h.exists(lockFile):
		return nil, problem.New(problem.Refused, "Wait for it to end. If none is at work, one was cut off: remove updates/lock, or run it as that user.",
			"The update tool of another user is at work on this product: %w", err)
	case errors.Is(err, syscall.ENOLCK) || isUnsupported(err):
		return nil, problem.New(problem.Refused, "Mount the product's folder with locks, or have its server give them.",
			"The file system gives no lock, so that another update tool could not be kept away: %w", err)
	case isFull(err):
		return nil, problem.New(problem.Refused, "Free some space, then run the command again.", "The disk of the product is full: %w", err)
	case err != nil:
		return nil, problem.New(problem.Refused, "Run it as the user who owns the product's folder, on a disk that may be written.",
			"The product's folder cannot be written: %w", err)
	}
	if err := h.readState(); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return func() error {
		if h.CommitOpen() { // recovery must not fail for want of a new file on a full disk
			return lock.Leave()
		}
		return lock.Release()
	}, nil
}

// readSmall reads a file of the updates folder, bounded.
func (h *Home) readSmall(rel string) ([]byte, error) { return h.read(rel, maxStateBytes) }

// readJournalBytes reads the journal: at most some hundred bytes for each entry that a
// manifest may list.
func (h *Home) readJournalBytes() ([]byte, error) {
	return h.read(journalFile, 1024*manifest.MaxEntries)
}

// read reads a file of the tool's own. What it is is looked at before it is opened: a pipe
// would be waited for.
func (h *Home) read(rel string, limit int64) ([]byte, error) {
	info, err := h.root.Stat(rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s: no plain file, or larger than %d bytes", rel, limit)
	}
	f, err := h.root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, info.Size())
	n, err := readFull(f, data)
	return data[:n], err
}

// Moved reports whether another tool changes what is installed, or did since it was read:
// what was found in between is of two levels.
func (h *Home) Moved() bool {
	now := &Home{dir: h.dir, root: h.root, opts: h.opts}
	return h.CommitOpen() || now.readState() != nil || !reflect.DeepEqual(now.state, h.state)
}

// CommitOpen reports whether a commit was cut and waits for [Home.Recover].
func (h *Home) CommitOpen() bool {
	_, err := h.lstat(journalFile)
	return !errors.Is(err, fs.ErrNotExist) // what cannot be looked at must not be passed over
}

// cleanLitter removes staging folders that belong to no prepared change and files that
// were being written when the power went.
func (h *Home) cleanLitter(ctx context.Context) error {
	keep, err := h.present(pendingFile)
	if err != nil {
		return err
	}
	if !keep {
		if err := h.removeStaging(ctx); err != nil {
			return err
		}
	}
	for _, dir := range []string{updatesDir, storeDir, historyDir} {
		if err := h.removePartials(dir); err != nil {
			return err
		}
	}
	return h.cleanTrust()
}

// cleanTrust removes what a cut left of a refresh of the metadata, unless a refresh is at
// work there right now.
func (h *Home) cleanTrust() error {
	if !h.exists(trustDir) {
		return nil
	}
	lock, err := durable.TryLock(h.abs(trustDir+"/lock"), h.opts.Holder)
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(h.removePartials(trustDir), lock.Release())
}

func isUnsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

func (h *Home) removePartials(dir string) error {
	entries, err := fs.ReadDir(h.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), ".partial-") {
			if err := h.root.Remove(dir + "/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// lstat looks at rel without following a link at its end; what lies below something
// that is no folder is not there.
func (h *Home) lstat(rel string) (fs.FileInfo, error) {
	if h.lookFault != nil {
		if err := h.lookFault(rel); err != nil {
			return nil, err
		}
	}
	info, err := h.root.Lstat(rel)
	if err != nil && belowFile(err) {
		return nil, &fs.PathError{Op: "lstat", Path: rel, Err: fs.ErrNotExist}
	}
	return info, err
}

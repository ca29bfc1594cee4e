package pack

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// zipSink writes a zip archive with one folder at the top. Times are all the same, so
// that equal packs are equal bytes.
type zipSink struct {
	out  *durable.File
	zip  *zip.Writer
	top  string
	when time.Time
	done map[string]bool
}

func newZip(out, top string, when time.Time) (sink, error) {
	file, err := durable.Create(out, 0o644)
	if err != nil {
		return nil, fmt.Errorf("writing the pack: %w", err)
	}
	z := &zipSink{out: file, zip: zip.NewWriter(file), top: top, when: when.UTC().Truncate(2 * time.Second), done: map[string]bool{}}
	return z, z.dir("", 0o755)
}

func (z *zipSink) header(path string, mode fs.FileMode) (io.Writer, error) {
	name := strings.TrimSuffix(z.top+"/"+path, "/")
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: z.when}
	h.SetMode(mode)
	if mode.IsDir() {
		h.Name, h.Method = name+"/", zip.Store
	}
	return z.zip.CreateHeader(h)
}

func (z *zipSink) dir(path string, mode uint32) error {
	if z.done[path] {
		return nil
	}
	z.done[path] = true
	_, err := z.header(path, fs.ModeDir|fs.FileMode(mode))
	return err
}

func (z *zipSink) file(path string, mode uint32, size int64, r io.Reader) error {
	return z.add(path, fs.FileMode(mode), size, r)
}

func (z *zipSink) add(path string, mode fs.FileMode, size int64, r io.Reader) error {
	w, err := z.header(path, mode)
	if err != nil {
		return err
	}
	return copyExactly(w, r, size)
}

func (z *zipSink) link(path, target string) error {
	return z.add(path, fs.ModeSymlink|0o777, int64(len(target)), strings.NewReader(target))
}

func (z *zipSink) commit() error {
	if err := z.zip.Close(); err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	return z.out.Commit()
}

func (z *zipSink) discard() { z.out.Discard() }

func copyExactly(w io.Writer, r io.Reader, size int64) error {
	n, err := io.Copy(w, r)
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes, want %d", n, size)
	}
	return err
}

// homeSink writes a product home beside its place and renames it when it is whole.
type homeSink struct {
	out, tmp string
	root     *os.Root
	when     time.Time
	modes    map[string]fs.FileMode // of folders, set last: some may not be writable
}

func newHome(out string, when time.Time) (sink, error) {
	if entries, err := os.ReadDir(out); len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Refused, "Choose another folder with --out.",
			"Unable to write the pack: %s is there already", out)
	}
	parent := filepath.Dir(filepath.Clean(out))
	if err := durable.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("writing the pack: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(out)+".partial-*")
	if err != nil {
		return nil, fmt.Errorf("writing the pack: %w", err)
	}
	root, err := os.OpenRoot(tmp)
	if err != nil {
		return nil, errors.Join(err, os.Remove(tmp))
	}
	return &homeSink{out: out, tmp: tmp, root: root, when: when, modes: map[string]fs.FileMode{".": 0o755}}, nil
}

func (h *homeSink) dir(path string, mode uint32) error {
	name := filepath.FromSlash(path)
	if _, made := h.modes[name]; made {
		return nil
	}
	h.modes[name] = fs.FileMode(mode)
	return h.root.Mkdir(name, 0o700)
}

func (h *homeSink) file(path string, mode uint32, size int64, r io.Reader) error {
	name := filepath.FromSlash(path)
	f, err := h.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = copyExactly(f, r, size)
	if err == nil {
		err = f.Chmod(fs.FileMode(mode))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return h.root.Chtimes(name, h.when, h.when)
}

func (h *homeSink) link(path, target string) error {
	return h.root.Symlink(target, filepath.FromSlash(path))
}

func (h *homeSink) commit() error {
	names := make([]string, 0, len(h.modes))
	for name := range h.modes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) { // what lies in a folder before it
		if err := h.root.Chmod(name, h.modes[name]); err != nil {
			return err
		}
	}
	if err := durable.SyncFS(h.tmp); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("writing the pack: %w", err)
	}
	if err := os.Remove(h.out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing the pack: %w", err)
	}
	if err := durable.Rename(h.tmp, h.out); err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	h.tmp = ""
	return nil
}

// discard removes what was written unless it was committed. Folders are made writable
// first, so that what lies in them can go.
func (h *homeSink) discard() {
	defer h.root.Close()
	if h.tmp == "" {
		return
	}
	for name := range h.modes {
		_ = h.root.Chmod(name, 0o700)
	}
	_ = os.RemoveAll(h.tmp)
}

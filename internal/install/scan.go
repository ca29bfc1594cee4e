package install

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
)

// Look returns what stands at paths. A path below a link, below another home, or below
// something that is no folder counts as empty; nothing is followed out of the home.
// With remember, the hashes of files whose stat record is as before come from the scan
// cache, and the cache is written anew.
func (h *Home) Look(ctx context.Context, paths []string, remember bool) (manifest.Tree, error) {
	cache := statCache{}
	if remember {
		cache = h.readCache()
	}
	s := scanner{home: h, folders: map[string]bool{"": true}, cache: cache}
	entries, err := s.stat(paths)
	if err != nil {
		return manifest.Tree{}, err
	}
	if err := s.hash(ctx, entries); err != nil {
		return manifest.Tree{}, err
	}
	if remember && !h.opts.ReadOnly {
		h.writeCache(s.fresh(entries))
	}
	found := make([]manifest.Entry, 0, len(entries))
	for _, e := range entries {
		found = append(found, e.Entry)
	}
	return manifest.NewTree(found)
}

type scanner struct {
	home    *Home
	folders map[string]bool // folder → a real folder of this home
	cache   statCache
}

type looked struct {
	manifest.Entry

	id     identity
	hashed bool
}

func (s *scanner) stat(paths []string) ([]*looked, error) {
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	var found []*looked
	for _, p := range slices.Compact(sorted) {
		if is, err := s.inside(parent(p)); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", parent(p), err)
		} else if !is {
			continue
		}
		info, err := s.home.lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p, err)
		}
		e, err := s.home.entry(p, info)
		if err != nil {
			return nil, err
		}
		l := &looked{Entry: e, id: identityOf(info)}
		if e.Kind == manifest.File {
			l.Sum, l.hashed = s.cache.lookup(p, l.id)
		}
		found = append(found, l)
	}
	return found, nil
}

// inside reports whether dir is a real folder of this home: no link on the way, and no
// other product's home.
func (s *scanner) inside(dir string) (bool, error) {
	if known, ok := s.folders[dir]; ok {
		return known, nil
	}
	is, err := s.inside(parent(dir))
	if err != nil {
		return false, err
	}
	if is {
		if is, err = s.home.ownFolder(dir); err != nil {
			return false, err
		}
	}
	s.folders[dir] = is
	return is, nil
}

// ownFolder reports whether dir is a folder, and not the home of another product, which
// is foreign to this one.
func (h *Home) ownFolder(dir string) (bool, error) {
	info, err := h.lstat(dir)
	if err != nil || !info.IsDir() {
		return false, ignoreMissing(err)
	}
	nested, err := h.present(dir + "/" + productFile)
	return err == nil && !nested, err
}

func (h *Home) entry(p string, info fs.FileInfo) (manifest.Entry, error) {
	e := manifest.Entry{Path: p, Mode: uint32(info.Mode().Perm())}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		e.Kind, e.Size = manifest.File, info.Size()
	case mode.IsDir():
		e.Kind = manifest.Dir
	case mode&fs.ModeSymlink != 0:
		target, err := h.root.Readlink(p)
		if err != nil {
			return e, fmt.Errorf("looking at %s: %w", p, err)
		}
		e.Kind, e.Mode, e.Target = manifest.Link, 0, target
	default:
		e.Kind = manifest.Other
	}
	return e, nil
}

// hash reads every file whose digest is not known yet, on all cores.
func (s *scanner) hash(ctx context.Context, entries []*looked) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	buffers := sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}
	for _, e := range entries {
		if e.Kind != manifest.File || e.hashed {
			continue
		}
		work.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			buffer := buffers.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
			defer buffers.Put(buffer)
			var err error
			e.Sum, e.Size, err = s.home.sum(e.Path, *buffer)
			return err
		})
	}
	return work.Wait()
}

func (h *Home) sum(p string, buffer []byte) (digest.Digest, int64, error) {
	if h.readFault != nil {
		if err := h.readFault(p); err != nil {
			return digest.Digest{}, 0, fmt.Errorf("reading %s: %w", p, err)
		}
	}
	f, err := h.root.Open(p)
	if err != nil {
		return digest.Digest{}, 0, fmt.Errorf("reading %s: %w", p, err)
	}
	defer f.Close()
	hash := sha256.New()
	var size int64
	for {
		n, err := f.Read(buffer)
		hash.Write(buffer[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return digest.Digest{}, 0, fmt.Errorf("reading %s: %w", p, err)
		}
	}
	var sum digest.Digest
	hash.Sum(sum[:0])
	return sum, size, nil
}

// fresh is the cache of what was looked at. Where other content lies under the stat record
// that is known, the old record stays: it is what tells of a change without a trace.
func (s *scanner) fresh(entries []*looked) statCache {
	c := statCache{}
	for _, e := range entries {
		if e.Kind != manifest.File {
			continue
		}
		c[e.Path] = record{ID: e.id, Sum: e.Sum}
		if old, known := s.cache[e.Path]; known && old.ID.is(e.id) && old.Sum != e.Sum {
			c[e.Path] = old
		}
	}
	return c
}

func parent(p string) string {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return ""
	}
	return p[:i]
}

func readFull(f *os.File, data []byte) (int, error) {
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

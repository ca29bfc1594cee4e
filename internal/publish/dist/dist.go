// Package dist reads a distribution, a folder or a zip archive, into the tree of a
// level. An archive is judged before anything of it is believed: what it refuses is
// described in docs/design/publishing.md.
package dist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
)

// ProductFile names product and version inside a distribution.
const ProductFile = "updates/product.txt"

// maxProductFile bounds the bytes of that file.
const maxProductFile = 4 << 10

// Options tell how to read a distribution. The zero value works, without a cache.
type Options struct {
	CacheDir string           // folder of scan caches; empty: every file is read
	Now      func() time.Time // the clock; required with CacheDir
	MaxTotal int64            // bytes of all files unpacked; 0: 256 GiB
	Workers  int              // files hashed at once; 0: one per processor
}

// Build is a distribution that was read. Close it.
type Build struct {
	Tree    manifest.Tree    // what can be published; passes [manifest.Tree.Check]
	Outward []manifest.Entry // links that leave the product; not in Tree
	SetID   []string         // files with set-user-id or set-group-id; in Tree without
	Product string           // what updates/product.txt says, trimmed; empty: there is none
	Read    int              // files whose content was read; the others are cached

	source source
}

// source is a folder or an archive.
type source interface {
	items(ctx context.Context) ([]item, error)
	open(name string) (io.ReadCloser, error)
	Close() error
}

// item is one path of a source, not hashed yet.
type item struct {
	entry manifest.Entry
	setID bool
	stamp string // changes when the content may have changed
	when  time.Time
}

// Open reads the distribution at name: a folder, which is the product home itself, or
// a zip archive, of which one top-level folder is dropped. What belongs to the update
// tool is left out.
func Open(ctx context.Context, name string, opts Options) (*Build, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, problem.New(problem.Failed, "Name the folder or zip of a build with --dist.",
			"Unable to read the distribution: %w", err)
	}
	var src source
	switch {
	case info.IsDir():
		src, err = openFolder(name)
	case info.Mode().IsRegular():
		src, err = openArchive(ctx, name, opts.MaxTotal)
	default: // a pipe that nobody writes to would hold the publisher for ever
		err = errors.New("it is neither folder nor file")
	}
	if err != nil {
		return nil, refuse(name, err)
	}
	b := &Build{source: src}
	if err := b.scan(ctx, name, opts); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return b, nil
}

func refuse(name string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return problem.New(problem.Refused, "Build the distribution again, without what is named above.",
		"Unable to publish %s: %w", name, err)
}

// Open returns the content of a file of the tree.
func (b *Build) Open(name string) (io.ReadCloser, error) { return b.source.open(name) }

// Close gives back what was opened.
func (b *Build) Close() error { return b.source.Close() }

func (b *Build) scan(ctx context.Context, name string, opts Options) error {
	items, err := b.source.items(ctx)
	if err != nil {
		return refuse(name, err)
	}
	if err := b.readProduct(items); err != nil {
		return refuse(name, err)
	}
	items = slices.DeleteFunc(items, func(i item) bool { return manifest.Reserved(i.entry.Path) })
	if len(items) == 0 {
		return refuse(name, errors.New("it is empty"))
	}
	known := loadCache(opts.CacheDir, name)
	if b.Read, err = hashAll(ctx, b.source, items, known, opts.Workers); err != nil {
		return refuse(name, err)
	}
	if opts.CacheDir != "" {
		if err := saveCache(opts.CacheDir, name, items, opts.Now()); err != nil {
			return err
		}
	}
	if err := b.fill(items); err != nil {
		return refuse(name, err)
	}
	return nil
}

func (b *Build) readProduct(items []item) error {
	i := slices.IndexFunc(items, func(i item) bool { return i.entry.Path == ProductFile })
	if i < 0 || items[i].entry.Kind != manifest.File {
		return nil
	}
	r, err := b.source.open(ProductFile)
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxProductFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxProductFile {
		return fmt.Errorf("%s is longer than %d bytes", ProductFile, maxProductFile)
	}
	b.Product = string(bytes.TrimSpace(text))
	return nil
}

// fill makes the tree of items, links that leave set aside.
func (b *Build) fill(items []item) error {
	entries := make([]manifest.Entry, 0, len(items))
	for _, i := range items {
		entries = append(entries, i.entry)
		if i.setID {
			b.SetID = append(b.SetID, i.entry.Path)
		}
	}
	entries = withFolders(entries)
	tree, err := manifest.NewTree(entries)
	if err != nil {
		return err
	}
	kept := make([]manifest.Entry, 0, len(entries))
	for _, e := range tree.Entries() {
		if e.Kind == manifest.Link && leaves(tree, e) {
			b.Outward = append(b.Outward, e)
		} else {
			kept = append(kept, e)
		}
	}
	if b.Tree, err = manifest.NewTree(kept); err != nil {
		return err
	}
	slices.Sort(b.SetID)
	return b.Tree.Check()
}

// withFolders adds the folders above entries that an archive does not list.
func withFolders(entries []manifest.Entry) []manifest.Entry {
	listed := make(map[string]bool, len(entries))
	for _, e := range entries {
		listed[e.Path] = true
	}
	for _, e := range entries {
		for up := path.Dir(e.Path); up != "." && !listed[up]; up = path.Dir(up) {
			listed[up] = true
			entries = append(entries, manifest.Entry{Path: up, Kind: manifest.Dir, Mode: 0o755})
		}
	}
	return entries
}

// leaves reports whether following link leads out of the product at any step, alone or
// through other links. A link that leads round in circles leads nowhere, not outside.
func leaves(tree manifest.Tree, link manifest.Entry) bool {
	if manifest.CheckTarget(link.Path, link.Target) != nil {
		return true
	}
	at := parts(path.Dir(link.Path))
	todo := strings.Split(link.Target, "/")
	for steps := 0; len(todo) > 0 && steps < 4*manifest.MaxPath; steps++ {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return true
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(slices.Clip(at), part)
		e, ok := tree.Lookup(strings.Join(at, "/"))
		if !ok || e.Kind != manifest.Link {
			continue
		}
		if strings.HasPrefix(e.Target, "/") {
			return true
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(e.Target, "/"), todo...)
	}
	return false
}

func parts(dir string) []string {
	if dir == "." {
		return nil
	}
	return strings.Split(dir, "/")
}

// hashAll fills in the digests of files, several at once, and returns how many were read.
func hashAll(ctx context.Context, src source, items []item, known map[string]cached, workers int) (int, error) {
	if workers <= 0 {
		workers = runtime.NumCPU()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	read := 0
	for n := range items {
		i := &items[n]
		if i.entry.Kind != manifest.File {
			continue
		}
		if c, ok := known[i.entry.Path]; ok && c.stamp == i.stamp {
			i.entry.Sum = c.sum
			continue
		}
		read++
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return hashOne(src, i)
		})
	}
	return read, group.Wait()
}

func hashOne(src source, i *item) error {
	r, err := src.open(i.entry.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	sum, size, err := digest.Copy(io.Discard, r)
	if err != nil {
		return fmt.Errorf("reading %s: %w", i.entry.Path, err)
	}
	if size != i.entry.Size {
		return fmt.Errorf("%s changed while it was read", i.entry.Path)
	}
	i.entry.Sum = sum
	return nil
}

// folder is a distribution unpacked on disk.
type folder struct{ root *os.Root }

func openFolder(name string) (source, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &folder{root: root}, nil
}

func (f *folder) Close() error { return f.root.Close() }

func (f *folder) open(name string) (io.ReadCloser, error) {
	return f.root.Open(filepath.FromSlash(name))
}

func (f *folder) items(ctx context.Context) ([]item, error) {
	var items []item
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		if skipped(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		i, err := f.item(name, d)
		if err != nil {
			return err
		}
		items = append(items, i)
		if len(items) > manifest.MaxEntries {
			return fmt.Errorf("it has more than %d entries", manifest.MaxEntries)
		}
		return nil
	})
	return items, err
}

// skipped reports whether a path is the update tool's: of updates/ only product.txt is
// looked at.
func skipped(name string) bool {
	return manifest.Reserved(name) && name != "updates" && name != ProductFile
}

func (f *folder) item(name string, d fs.DirEntry) (item, error) {
	if err := manifest.CheckPath(name); err != nil {
		return item{}, fmt.Errorf("%q: %w", name, err)
	}
	info, err := d.Info()
	if err != nil {
		return item{}, err
	}
	i := item{entry: manifest.Entry{Path: name, Mode: uint32(info.Mode().Perm())}}
	switch {
	case info.IsDir():
		i.entry.Kind = manifest.Dir
	case info.Mode().IsRegular():
		i.entry.Kind, i.entry.Size = manifest.File, info.Size()
		i.setID = info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0
		i.stamp, i.when = stampOf(info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := f.root.Readlink(filepath.FromSlash(name))
		if err != nil {
			return item{}, err
		}
		i.entry.Kind, i.entry.Mode, i.entry.Target = manifest.Link, 0, filepath.ToSlash(target)
	default:
		return item{}, fmt.Errorf("%q is a %s: only files, folders and links are published", name, info.Mode().Type())
	}
	return i, nil
}

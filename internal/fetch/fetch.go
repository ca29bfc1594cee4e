// Package fetch gets objects of a level into a cache folder: several at a time,
// resumed where a connection broke, and verified before they count as there. The cache
// is shared by all products of a user and safe to delete at any time.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Source is where objects come from.
type Source interface {
	Deliveries(ctx context.Context, r api.DeliveryRequest) (api.DeliveryAnswer, error)
	// Object opens a stored object at offset and returns its whole stored size, -1 when
	// it is not told. A URL that is over is problem.NotEntitled.
	Object(ctx context.Context, url string, offset int64) (io.ReadCloser, int64, error)
}

// Progress is told how a fetch goes on. Its methods are called from several goroutines.
type Progress interface {
	Start(phase string, items int, bytes int64)
	Item(name string)
	Bytes(n int64)
	Done()
}

// Limits of one fetch.
const (
	atOnce       = 4                // downloads at a time
	batch        = 1000             // digests asked for in one request
	attempts     = 5                // times in a row that a download is tried without getting on
	spans        = 3                // times the stall time that a download is tried without getting on
	progress     = 1 << 20          // bytes of one try that count as getting on
	enough       = 60 << 10         // bytes that must come in each span of the stall time
	defaultStall = 60 * time.Second // and that span
	allowance    = 1 << 20          // stored bytes beyond the content's own size
)

// Fetcher gets objects. Source and Dir are required.
type Fetcher struct {
	Source   Source
	Dir      string   // cache folder; made when missing
	Progress Progress // nil: nobody is told
	// Pause waits before a download is taken up again; nil waits by the clock.
	Pause func(ctx context.Context, d time.Duration) error
	// Stall is how long a download may bring less than 60 KiB before it is given up and
	// taken up again; zero means a minute.
	Stall time.Duration
	// Now tells how old what kills left is; nil: it stays.
	Now func() time.Time
}

// job is what one call is about.
type job struct {
	line  release.Line
	level int
}

// Sizes returns the stored bytes of those refs that are not in the cache.
func (f *Fetcher) Sizes(ctx context.Context, line release.Line, level int, refs []release.Ref) (int64, error) {
	var total int64
	deliveries, err := f.deliveries(ctx, job{line, level}, lacking(refs, f.has))
	for _, d := range deliveries {
		total += d.Size
	}
	return total, err
}

// Fetch gets all of refs into the cache, verified. What is there, and whole, is not fetched
// again; after an error what was fetched stays, and the next call goes on from there.
func (f *Fetcher) Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error {
	missing := lacking(refs, f.whole)
	if len(missing) == 0 {
		return nil
	}
	j := job{line, level}
	deliveries, err := f.deliveries(ctx, j, missing)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return cacheTrouble(err)
	}
	f.sweep()
	f.start(deliveries)
	defer f.done()
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i, ref := range missing {
		work.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f.one(ctx, j, ref, deliveries[i])
		})
	}
	return work.Wait()
}

// lacking returns those of refs that are not there, each once.
func lacking(refs []release.Ref, there func(release.Ref) bool) []release.Ref {
	var missing []release.Ref
	seen := map[digest.Digest]bool{}
	for _, r := range refs {
		if seen[r.Sum] {
			continue
		}
		seen[r.Sum] = true
		if !there(r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// has reports whether an object was kept. An empty file is what a power cut left of it.
func (f *Fetcher) has(r release.Ref) bool {
	info, err := os.Stat(f.file(r))
	return err == nil && info.Size() > 0
}

// whole reports whether what was kept of an object is still that. Nothing in the cache is synced,
// so that a power cut may leave a file of the right size and other bytes. It goes.
func (f *Fetcher) whole(r release.Ref) bool {
	file, err := os.Open(f.file(r))
	if err != nil {
		return false
	}
	defer file.Close()
	if err := verify(file, r); err != nil {
		_ = os.Remove(file.Name()) // one that stays has the new one renamed over it
		return false
	}
	return true
}

func (f *Fetcher) file(r release.Ref) string {
	name := r.Sum.String()
	return filepath.Join(f.Dir, name[:2], name)
}

// deliveries asks for URLs, in batches.
func (f *Fetcher) deliveries(ctx context.Context, j job, refs []release.Ref) ([]api.Delivery, error) {
	var all []api.Delivery
	for len(refs) > 0 {
		n := min(len(refs), batch)
		request := api.DeliveryRequest{Product: j.line.Product, Version: j.line.Version, Channel: j.line.Channel, Level: j.level}
		for _, r := range refs[:n] {
			request.Objects = append(request.Objects, r.Sum)
		}
		answer, err := f.Source.Deliveries(ctx, request)
		if err != nil {
			return nil, err
		}
		if len(answer.Items) != n {
			return nil, problem.New(problem.Unreachable, "Tell your vendor.", "The service answers %d URLs for %d objects", len(answer.Items), n)
		}
		for i, d := range answer.Items {
			if d.Object != refs[i].Sum || d.Size < 0 || d.Size > refs[i].Size+refs[i].Size/50+allowance {
				return nil, problem.New(problem.Verification, "Tell your vendor.", "The service answers something else for object %s", refs[i].Sum)
			}
		}
		all = append(all, answer.Items...)
		refs = refs[n:]
	}
	return all, nil
}

func (f *Fetcher) start(deliveries []api.Delivery) {
	if f.Progress == nil {
		return
	}
	var bytes int64
	for _, d := range deliveries {
		bytes += d.Size
	}
	f.Progress.Start("download", len(deliveries), bytes)
}

func (f *Fetcher) done() {
	if f.Progress != nil {
		f.Progress.Done()
	}
}

// Open returns the verified content of an object in the cache, or an error that is
// fs.ErrNotExist. Reading content that was damaged since ends with a *problem.Error of
// kind Verification that is digest.ErrMismatch; the entry is gone then, and fetched
// again the next time.
func (f *Fetcher) Open(ref release.Ref) (io.ReadCloser, error) {
	file, err := os.Open(f.file(ref))
	if err != nil {
		return nil, err
	}
	r, err := object.NewReader(file, ref.Sum, ref.Size)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &content{ReadCloser: r, file: file}, nil
}

// Stored returns an object of the cache in its stored form, verified by nobody, or an
// error that is fs.ErrNotExist.
func (f *Fetcher) Stored(ref release.Ref) (io.ReadCloser, error) { return os.Open(f.file(ref)) }

// content removes its file from the cache when that turns out to be damaged.
type content struct {
	io.ReadCloser
	file *os.File
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if errors.Is(err, digest.ErrMismatch) {
		_ = os.Remove(c.file.Name())
		err = problem.New(problem.Verification, "Run the command again: it is fetched anew.",
			"Object %s in the download cache is damaged (%s): %w", filepath.Base(c.file.Name()), c.file.Name(), err)
	}
	return n, err
}

func (c *content) Close() error { return errors.Join(c.ReadCloser.Close(), c.file.Close()) }

func wrongContent(ref release.Ref, err error) error {
	return problem.New(problem.Verification, "Run the command again; if it stays, tell your vendor.",
		"Object %s from the service is not what the vendor signed: %w", ref.Sum, err)
}

func cacheTrouble(err error) error {
	const next = "Name a folder that can be written with UPLEVEL_CACHE."
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return problem.New(problem.Refused, "Make room, or name a folder elsewhere with UPLEVEL_CACHE.", "There is no room for the download cache: %w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return problem.New(problem.Refused, next, "The download cache cannot be written: %w", err)
	}
	return fmt.Errorf("download cache: %w", err)
}

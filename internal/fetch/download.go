package fetch

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// one gets one object. A broken connection is taken up again where it stopped; a URL
// that is over is renewed.
func (f *Fetcher) one(ctx context.Context, j job, ref release.Ref, d api.Delivery) error {
	file := f.file(ref)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return cacheTrouble(err)
	}
	partial, letGo, err := f.partial(file)
	if err != nil {
		return err
	}
	defer letGo()
	if f.Progress != nil {
		f.Progress.Item(ref.Sum.String())
	}
	renewed := false
	for attempt := 1; ; attempt++ {
		err := f.attempt(ctx, ref, d, partial)
		switch {
		case err == nil:
			return f.keep(partial, file)
		case ctx.Err() != nil:
			return ctx.Err()
		case problem.KindOf(err) == problem.NotEntitled && !renewed:
			renewed = true
			if d, err = f.renew(ctx, j, ref); err != nil {
				return err
			}
		case problem.KindOf(err) == problem.Verification, problem.KindOf(err) == problem.NotEntitled, attempt == attempts:
			return err
		default:
			if err := f.pause(ctx, time.Duration(attempt)*500*time.Millisecond); err != nil {
				return err
			}
		}
	}
}

func (f *Fetcher) renew(ctx context.Context, j job, ref release.Ref) (api.Delivery, error) {
	fresh, err := f.deliveries(ctx, j, []release.Ref{ref})
	if err != nil {
		return api.Delivery{}, err
	}
	return fresh[0], nil
}

// partial returns the name to download to. One tool at a time goes on with the shared
// partial file; another that wants the same object meanwhile downloads on its own.
func (f *Fetcher) partial(file string) (name string, letGo func(), err error) {
	lock, err := durable.TryLock(file+".lock", "a download")
	if err == nil {
		return file + ".partial", func() { _ = lock.Release() }, nil
	}
	if !errors.Is(err, durable.ErrLocked) {
		return "", nil, cacheTrouble(err)
	}
	own, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".own-*")
	if err != nil {
		return "", nil, cacheTrouble(err)
	}
	return own.Name(), func() { _ = os.Remove(own.Name()) }, own.Close()
}

// attempt downloads what is missing of the partial file and verifies all of it.
func (f *Fetcher) attempt(ctx context.Context, ref release.Ref, d api.Delivery, partial string) error {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return cacheTrouble(err)
	}
	defer file.Close()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return cacheTrouble(err)
	}
	if have > d.Size {
		have = 0
	}
	if have < d.Size || d.Size == 0 {
		if err := f.download(ctx, file, d, have); err != nil {
			return err
		}
	}
	err = verify(file, ref)
	if errors.Is(err, digest.ErrMismatch) {
		// What was resumed may belong to other stored bytes: the next try begins anew,
		// and one that was whole is wrong at its source.
		if err := file.Truncate(0); err != nil {
			return cacheTrouble(err)
		}
		if have == 0 {
			return errors.Join(wrongContent(ref, err), os.Remove(partial))
		}
	}
	return err
}

// download appends from offset on, and is given up when nothing comes for a while.
func (f *Fetcher) download(ctx context.Context, file *os.File, d api.Delivery, offset int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, _, err := f.Source.Object(ctx, d.URL, offset)
	if errors.Is(err, api.ErrRange) {
		offset = 0
		body, _, err = f.Source.Object(ctx, d.URL, 0)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if err := file.Truncate(offset); err != nil {
		return cacheTrouble(err)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return cacheTrouble(err)
	}
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watch.Stop()
	n, err := io.Copy(file, &counted{r: io.LimitReader(body, d.Size-offset+1), watch: watch, progress: f.Progress})
	switch {
	case context.Cause(ctx) != nil && errors.Is(context.Cause(ctx), errStalled):
		return problem.New(problem.Unreachable, "Check the network, then run the command again; it goes on from here.", "A download stalled: %w", errStalled)
	case err != nil:
		return problem.New(problem.Unreachable, "Check the network, then run the command again; it goes on from here.", "A download broke off: %w", err)
	case offset+n < d.Size:
		return problem.New(problem.Unreachable, "Check the network, then run the command again; it goes on from here.", "A download ended %d bytes early", d.Size-offset-n)
	}
	return nil
}

var errStalled = errors.New("no byte came for a minute")

// counted tells progress and keeps the watch from biting while bytes come.
type counted struct {
	r        io.Reader
	watch    *time.Timer
	progress Progress
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.watch.Reset(stall)
		if c.progress != nil {
			c.progress.Bytes(int64(n))
		}
	}
	return n, err
}

func verify(file *os.File, ref release.Ref) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return cacheTrouble(err)
	}
	r, err := object.NewReader(file, ref.Sum, ref.Size)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// keep gives a verified download its name. It is not synced: what a power cut damages
// is noticed when it is opened, and fetched again.
func (f *Fetcher) keep(partial, file string) error {
	if err := os.Rename(partial, file); err != nil { //nolint:forbidigo // a cache needs no sync
		if _, statErr := os.Stat(file); statErr == nil && errors.Is(err, fs.ErrNotExist) {
			return nil // another tool was faster
		}
		return cacheTrouble(err)
	}
	return nil
}

func (f *Fetcher) pause(ctx context.Context, d time.Duration) error {
	if f.Pause != nil {
		return f.Pause(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

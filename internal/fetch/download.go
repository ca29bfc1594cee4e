package fetch

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
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
// that is over is renewed. Who gets on may go on: tries are counted from the last that
// brought much.
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
	if f.has(ref) {
		return nil // another tool was faster
	}
	m := &meter{progress: f.Progress}
	wrong := 0 // times that the whole was not what it must be
	for attempt, renewed := 1, false; ; attempt++ {
		got, err := f.attempt(ctx, ref, d, partial, m)
		if errors.Is(err, digest.ErrMismatch) {
			wrong++
		}
		// Begun anew once: a source that breaks off and lies could go on for ever.
		if wrong > 1 && problem.KindOf(err) != problem.Verification {
			return errors.Join(wrongContent(ref, err), os.RemoveAll(partial))
		}
		if got >= progress {
			attempt, renewed = 1, false
		}
		kind := problem.KindOf(err)
		switch {
		case err == nil:
			return f.keep(partial, file)
		case ctx.Err() != nil:
			return ctx.Err()
		case kind == problem.NotEntitled && !renewed:
			renewed = true
			if d, err = f.renew(ctx, j, ref); err != nil {
				return err
			}
		case kind == problem.Verification, kind == problem.NotEntitled, kind == problem.Refused, attempt >= attempts:
			return err
		default:
			wait := time.Duration(attempt) * (400*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond) //nolint:gosec // jitter
			if err := f.pause(ctx, wait); err != nil {
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

// attempt downloads what is missing of the partial file, verifies all of it, and
// returns the bytes that came.
func (f *Fetcher) attempt(ctx context.Context, ref release.Ref, d api.Delivery, partial string, m *meter) (int64, error) {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	defer file.Close()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	if have > d.Size {
		have = 0
	}
	var got int64
	if have < d.Size || d.Size == 0 {
		if got, err = f.download(ctx, file, d, have, m); err != nil {
			return got, err
		}
	}
	err = verify(file, ref)
	if errors.Is(err, digest.ErrMismatch) {
		// What was resumed may belong to other stored bytes: the next try begins anew,
		// and one that was whole is wrong at its source.
		if err := file.Truncate(0); err != nil {
			return got, cacheTrouble(err)
		}
		if have == 0 {
			return got, errors.Join(wrongContent(ref, err), os.Remove(partial))
		}
		return 0, err // what came is of no use
	}
	return got, err
}

// download appends from offset on, and is given up when too little comes for a while.
func (f *Fetcher) download(ctx context.Context, file *os.File, d api.Delivery, offset int64, m *meter) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, _, err := f.Source.Object(ctx, d.URL, offset)
	if errors.Is(err, api.ErrRange) {
		offset = 0
		body, _, err = f.Source.Object(ctx, d.URL, 0)
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if err := file.Truncate(offset); err != nil {
		return 0, cacheTrouble(err)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, cacheTrouble(err)
	}
	stall := f.stall()
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watch.Stop()
	in := &counted{r: io.LimitReader(body, d.Size-offset+1), again: func() { watch.Reset(stall) }, at: offset, meter: m}
	m.reached(offset)
	n, err := io.Copy(file, in)
	const next = "Check the network, then run the command again; it goes on from here."
	switch {
	case err != nil && in.err == nil: // it was writing that failed
		return n, cacheTrouble(err)
	case errors.Is(context.Cause(ctx), errStalled):
		return n, problem.New(problem.Unreachable, next, "A download stalled: less than %d KiB came in %s: %w", enough>>10, stall, errStalled)
	case err != nil:
		return n, problem.New(problem.Unreachable, next, "A download broke off: %w", err)
	case offset+n < d.Size:
		return n, problem.New(problem.Unreachable, next, "A download ended %d bytes early", d.Size-offset-n)
	}
	return n, nil
}

var errStalled = errors.New("too slow")

// stall returns how long a download may bring too little.
func (f *Fetcher) stall() time.Duration {
	if f.Stall > 0 {
		return f.Stall
	}
	return defaultStall
}

// counted tells progress and keeps the watch from biting while enough comes.
type counted struct {
	r     io.Reader
	again func() // starts the watch again
	since int64  // bytes since then
	at    int64  // offset in the object
	meter *meter
	err   error // of reading, but for the end
}

// meter tells progress of one object, each byte once however often it comes.
type meter struct {
	progress Progress
	told     int64
}

func (m *meter) reached(offset int64) {
	if m.progress != nil && offset > m.told {
		m.progress.Bytes(offset - m.told)
		m.told = offset
	}
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.since += int64(n); c.since >= enough {
		c.since = 0
		c.again()
	}
	c.at += int64(n)
	c.meter.reached(c.at)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
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

package fetch

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// one gets one object.
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
	if f.whole(ref) {
		return nil // another tool was faster
	}
	return f.persist(ctx, transfer{
		d:      d,
		verify: func(file *os.File) error { return verify(file, ref) },
		wrong:  func(err error) error { return wrongContent(ref, err) },
		renew: func(ctx context.Context) (api.Delivery, error) {
			fresh, err := f.deliveries(ctx, j, []release.Ref{ref})
			if err != nil {
				return d, err
			}
			return fresh[0], nil
		},
	}, partial, file)
}

// transfer is what is downloaded, and what it must be.
type transfer struct {
	d      api.Delivery
	verify func(*os.File) error                        // digest.ErrMismatch: something else came
	wrong  func(error) error                           // says so
	renew  func(context.Context) (api.Delivery, error) // gets an address that is good again; nil: there is none
}

// persist downloads to partial until it is whole, then gives it its name. A broken
// connection is taken up again where it stopped; an address that is over is renewed. Who
// gets on may go on: tries are counted from the last that got a good deal further than
// any before it.
func (f *Fetcher) persist(ctx context.Context, t transfer, partial, file string) error {
	m := &meter{progress: f.Progress}
	var furthest int64
	var late atomic.Bool // for so long nothing was got
	watch := time.AfterFunc(spans*f.stall(), func() { late.Store(true) })
	defer watch.Stop()
	for attempt, renewed, anew := 1, false, false; ; attempt++ {
		reached, err := f.attempt(ctx, t, partial, m)
		if reached >= furthest+progress {
			furthest, attempt, renewed = reached, 1, false
			late.Store(false)
			watch.Reset(spans * f.stall())
		}
		kind := problem.KindOf(err)
		switch {
		case err == nil:
			return f.keep(partial, file)
		case ctx.Err() != nil:
			return ctx.Err()
		case kind == problem.NotEntitled && t.renew != nil && !renewed:
			renewed = true
			if t.d, err = t.renew(ctx); err != nil {
				return err
			}
			continue
		case kind == problem.Verification, kind == problem.NotEntitled, kind == problem.Refused, api.Lasting(err):
			return err
		case errors.Is(err, digest.ErrMismatch):
			// Begun anew once: a source that breaks off and lies could go on for ever.
			if anew || attempt >= attempts {
				return errors.Join(t.wrong(err), os.RemoveAll(partial))
			}
			anew, furthest = true, 0
		case attempt >= attempts, late.Load():
			return err
		}
		wait := time.Duration(attempt) * (400*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond) //nolint:gosec // jitter
		if err := f.pause(ctx, wait); err != nil {
			return err
		}
	}
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
// returns how far it got.
func (f *Fetcher) attempt(ctx context.Context, t transfer, partial string, m *meter) (int64, error) {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	defer file.Close()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	if have > t.d.Size {
		have = 0
	}
	reached := have
	if have < t.d.Size || t.d.Size == 0 {
		if reached, err = f.download(ctx, file, t.d, have, m); err != nil {
			return reached, err
		}
	}
	err = t.verify(file)
	if errors.Is(err, digest.ErrMismatch) {
		// What was resumed may belong to other stored bytes: the next try begins anew,
		// and one that was whole is wrong at its source.
		if err := file.Truncate(0); err != nil {
			return 0, cacheTrouble(err)
		}
		if have == 0 {
			return 0, errors.Join(t.wrong(err), os.Remove(partial))
		}
		return 0, err // what came is of no use
	}
	return reached, err
}

// download appends from offset on, and is given up when too little comes for a while. It
// returns how far it got.
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
		return offset + n, cacheTrouble(err)
	case errors.Is(context.Cause(ctx), errStalled):
		return offset + n, problem.New(problem.Unreachable, next, "A download stalled: less than %d KiB came in %s: %w", enough>>10, stall, errStalled)
	case err != nil:
		return offset + n, problem.New(problem.Unreachable, next, "A download broke off: %w", err)
	case offset+n < d.Size:
		return offset + n, problem.New(problem.Unreachable, next, "A download ended %d bytes early", d.Size-offset-n)
	}
	return offset + n, nil
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
// is noticed before it counts as there, and fetched again.
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

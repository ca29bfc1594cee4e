package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// uploads bounds how many objects travel at once.
const uploads = 4

// inMemory is the content size in bytes up to which the stored form is made in memory.
const inMemory = 1 << 20

// content to upload: a file of the build, or bytes made while publishing.
type upload struct {
	release.Ref
	open func() (io.ReadCloser, error)
}

func bytesUpload(data []byte) upload {
	return upload{
		Ref:  release.Ref{Sum: digest.Of(data), Size: int64(len(data))},
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// filesOf returns the contents of tree, each once; those of known are left out.
func filesOf(tree, known manifest.Tree, open func(string) (io.ReadCloser, error)) []upload {
	seen := map[digest.Digest]bool{}
	for _, e := range known.Entries() {
		seen[e.Sum] = true
	}
	var all []upload
	for _, e := range tree.Entries() {
		if e.Kind != manifest.File || seen[e.Sum] {
			continue
		}
		seen[e.Sum] = true
		all = append(all, upload{
			Ref:  release.Ref{Sum: e.Sum, Size: e.Size},
			open: func() (io.ReadCloser, error) { return open(e.Path) },
		})
	}
	return all
}

// store uploads those of the contents that the service lacks and adds to out.
func (p *Publisher) store(ctx context.Context, all []upload, out *Outcome) error {
	p.sweep()
	missing, err := p.missing(ctx, all)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		p.say("Uploading %d objects; the service has %d already.", len(missing), len(all)-len(missing))
	}
	var sent, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, u := range missing {
		group.Go(func() error {
			n, err := p.put(ctx, u)
			sent.Add(n)
			if d := done.Add(1); d%100 == 0 {
				p.say("Uploaded %d of %d objects.", d, len(missing))
			}
			return err
		})
	}
	err = group.Wait()
	out.Stored += len(missing)
	out.Sent += sent.Load()
	return err
}

// offer uploads what the service has lost of a level that is published already. Notes
// and record come from the cache; where they are neither, only a backup has them.
func (p *Publisher) offer(ctx context.Context, d *draft, level published, out *Outcome) error {
	all := append(filesOf(d.build.Tree, manifest.Tree{}, d.build.Open), bytesUpload(d.manifest))
	for _, ref := range []release.Ref{level.Record, level.record.Notes} {
		if data, err := p.cached(ref); err == nil {
			all = append(all, bytesUpload(data))
		}
	}
	return p.store(ctx, all, out)
}

func (p *Publisher) missing(ctx context.Context, all []upload) ([]upload, error) {
	var missing []upload
	for batch := range slices.Chunk(all, api.MaxObjectsAsked) {
		sums := make([]digest.Digest, len(batch))
		for i, u := range batch {
			sums[i] = u.Sum
		}
		lacking, err := p.Store.Missing(ctx, sums)
		if err != nil {
			return nil, err
		}
		lacks := make(map[digest.Digest]bool, len(lacking))
		for _, sum := range lacking {
			lacks[sum] = true
		}
		for _, u := range batch {
			if lacks[u.Sum] {
				missing = append(missing, u)
			}
		}
	}
	return missing, nil
}

// put uploads one object and returns the bytes of its stored form.
func (p *Publisher) put(ctx context.Context, u upload) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if u.Size > inMemory {
		return p.putLarge(ctx, u)
	}
	var stored bytes.Buffer
	if err := u.encode(&stored); err != nil {
		return 0, err
	}
	size := int64(stored.Len())
	return size, p.Store.PutObject(ctx, u.Sum, bytes.NewReader(stored.Bytes()), size)
}

// uploadFile begins the names of files that are uploaded; one that is older than litterAge
// was left by a publisher that was killed.
const (
	uploadFile = "upload-"
	litterAge  = 24 * time.Hour
)

// sweep removes what killed publishers left in the cache. What stays is only in the way.
func (p *Publisher) sweep() {
	left, _ := os.ReadDir(p.Cache)
	for _, e := range left {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), uploadFile) {
			continue
		}
		if info, err := e.Info(); err == nil && p.Now().Sub(info.ModTime()) > litterAge {
			_ = os.Remove(filepath.Join(p.Cache, e.Name()))
		}
	}
}

// putLarge makes the stored form in a file, so that memory does not grow with it.
func (p *Publisher) putLarge(ctx context.Context, u upload) (int64, error) {
	if err := durable.MkdirAll(p.Cache, 0o700); err != nil {
		return 0, fmt.Errorf("making the cache folder: %w", err)
	}
	file, err := os.CreateTemp(p.Cache, uploadFile+"*")
	if err != nil {
		return 0, fmt.Errorf("compressing %s: %w", u.Sum, err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	if err := u.encode(file); err != nil {
		return 0, err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return 0, fmt.Errorf("compressing %s: %w", u.Sum, err)
	}
	return size, p.Store.PutObject(ctx, u.Sum, file, size)
}

// encode writes the stored form to w and refuses content that is no longer what was
// scanned.
func (u upload) encode(w io.Writer) error {
	r, err := u.open()
	if err != nil {
		return fmt.Errorf("reading %s: %w", u.Sum, err)
	}
	defer r.Close()
	sum, _, err := object.Encode(w, r)
	if err != nil {
		return fmt.Errorf("compressing %s: %w", u.Sum, err)
	}
	if sum != u.Sum {
		return problem.New(problem.Refused, "Leave the distribution alone while it is published, and run the command again.",
			"The distribution changed while it was published: a file is no longer %s", u.Sum)
	}
	return nil
}

// keepObject keeps a small object that the next publication will read. A cache is a
// hint: what cannot be written is fetched again.
func (p *Publisher) keepObject(sum digest.Digest, data []byte) {
	name := p.objectName(sum)
	if err := durable.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return
	}
	var stored bytes.Buffer
	if _, _, err := object.Encode(&stored, bytes.NewReader(data)); err == nil {
		_ = durable.WriteFile(name, stored.Bytes(), 0o600)
	}
}

// cached returns a kept object, verified.
func (p *Publisher) cached(ref release.Ref) ([]byte, error) {
	file, err := os.Open(p.objectName(ref.Sum))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := object.NewReader(file, ref.Sum, ref.Size)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

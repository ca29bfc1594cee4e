package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// Zips is where zips of hotfixes come from.
type Zips interface {
	// HotfixZip opens a zip by the hotfix's name at offset, and returns its whole size.
	HotfixZip(ctx context.Context, product, version, name string, offset int64) (io.ReadCloser, int64, error)
}

// zipSource gives one zip as if it were an object.
type zipSource struct {
	Source

	zips Zips
	h    api.Hotfix
}

func (s zipSource) Object(ctx context.Context, _ string, offset int64) (io.ReadCloser, int64, error) {
	return s.zips.HotfixZip(ctx, s.h.Product, s.h.Version, s.h.Name, offset)
}

// Hotfix gets the zip of a registered hotfix into the cache, goes on where a connection
// broke, and returns its file. Its digest is the one that the service tells: who made the
// hotfix is for the zip's own signature to prove.
func (f *Fetcher) Hotfix(ctx context.Context, zips Zips, h api.Hotfix) (string, error) {
	if h.Size <= 0 || h.Size > bundle.MaxZip {
		return "", problem.New(problem.Verification, "Tell your vendor.", "The service tells of a hotfix of %d bytes", h.Size)
	}
	own := *f
	own.Source = zipSource{f.Source, zips, h}
	ref := release.Ref{Sum: h.SHA256, Size: h.Size}
	file := f.file(ref) + ".zip"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", cacheTrouble(err)
	}
	partial, letGo, err := f.partial(file)
	if err != nil {
		return "", err
	}
	defer letGo()
	if isZip(file, ref) == nil {
		return file, nil
	}
	f.start([]api.Delivery{{Size: h.Size}})
	defer f.done()
	return file, own.zip(ctx, ref, partial, file)
}

// zip downloads to partial until it is whole, then gives it its name.
func (f *Fetcher) zip(ctx context.Context, ref release.Ref, partial, file string) error {
	m := &meter{progress: f.Progress}
	for attempt := 1; ; attempt++ {
		got, err := f.more(ctx, ref, partial, m)
		if got >= progress {
			attempt = 1
		}
		kind := problem.KindOf(err)
		switch {
		case err == nil:
			return f.keep(partial, file)
		case ctx.Err() != nil:
			return ctx.Err()
		case kind != problem.Unreachable && !errors.Is(err, digest.ErrMismatch), attempt >= attempts:
			return err
		}
		wait := time.Duration(attempt) * (400*time.Millisecond + time.Duration(rand.IntN(200))*time.Millisecond) //nolint:gosec // jitter
		if err := f.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// more downloads what is missing of a zip and judges all of it; a wrong one is removed.
func (f *Fetcher) more(ctx context.Context, ref release.Ref, partial string, m *meter) (int64, error) {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	defer file.Close()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, cacheTrouble(err)
	}
	if have > ref.Size {
		have = 0
	}
	var got int64
	if have < ref.Size {
		if got, err = f.download(ctx, file, api.Delivery{Size: ref.Size}, have, m); err != nil {
			return got, err
		}
	}
	if err := isZip(partial, ref); err != nil {
		wrong := problem.New(problem.Verification, "Run the command again; if it stays, tell your vendor.",
			"The hotfix from the service is not the one that it lists: %w", err)
		return got, errors.Join(wrong, os.Remove(partial))
	}
	return got, nil
}

// isZip compares a file with its digest.
func isZip(name string, ref release.Ref) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if n != ref.Size || digest.Digest(h.Sum(nil)) != ref.Sum {
		return digest.ErrMismatch
	}
	return nil
}

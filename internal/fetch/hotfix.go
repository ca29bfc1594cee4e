package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"

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
	if there, err := os.Open(file); err == nil {
		err = errors.Join(isZip(there, ref), there.Close())
		if err == nil {
			return file, nil
		}
	}
	d := api.Delivery{Size: h.Size}
	f.start([]api.Delivery{d})
	defer f.done()
	return file, own.persist(ctx, transfer{
		d:      d,
		verify: func(file *os.File) error { return isZip(file, ref) },
		wrong: func(err error) error {
			return problem.New(problem.Verification, "Run the command again; if it stays, tell your vendor.",
				"The hotfix from the service is not the one that it lists: %w", err)
		},
	}, partial, file)
}

// isZip compares a file with its digest.
func isZip(file *os.File, ref release.Ref) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return cacheTrouble(err)
	}
	h := sha256.New()
	n, err := io.Copy(h, file)
	if err != nil {
		return cacheTrouble(err)
	}
	if n != ref.Size || digest.Digest(h.Sum(nil)) != ref.Sum {
		return digest.ErrMismatch
	}
	return nil
}

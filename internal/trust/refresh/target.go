package refresh

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

// Target is a target file as the signed metadata describe it.
type Target struct {
	Name   string // target path
	Length int64  // bytes
	Path   string // path in the repository, with the hash prefix of consistent snapshots
	hashes map[string][]byte
}

// Find refreshes and searches for a target of any name, fetching the roles on the way.
// A target that no role lists is trust.ErrNoTarget.
func (c *Client) Find(ctx context.Context, name string) (Target, error) {
	var target Target
	err := c.locked(ctx, func(ctx context.Context, s *session) error {
		if err := s.refresh(ctx); err != nil {
			return err
		}
		found, err := s.v.Find(name, func(step trust.Step) error { return s.targets(ctx, step) })
		if err != nil {
			return err
		}
		target, err = newTarget(name, found, s.v.Consistent())
		return err
	})
	return target, err
}

func newTarget(name string, file metadata.TargetFiles, consistent bool) (Target, error) {
	t := Target{Name: name, Length: file.Length, Path: name, hashes: map[string][]byte{}}
	var prefix string
	for _, kind := range []string{"sha512", "sha256"} {
		if sum := file.Hashes[kind]; len(sum) > 0 {
			t.hashes[kind], prefix = sum, hex.EncodeToString(sum)
		}
	}
	if len(t.hashes) == 0 {
		return Target{}, trust.Refuse(name, errors.New("its role lists no SHA-256 or SHA-512 of it"))
	}
	if consistent {
		dir, base := path.Split(name)
		t.Path = dir + prefix + "." + base
	}
	return t, nil
}

// Download streams a target to w and verifies length and hashes on the way. After an
// error what w got must be thrown away.
func (c *Client) Download(ctx context.Context, t Target, w io.Writer) error {
	within := c.within(t.Length)
	bounded, cancel := context.WithTimeoutCause(ctx, within, errSlow)
	defer cancel()
	err := c.download(bounded, t, w)
	switch {
	case err != nil && errors.Is(context.Cause(bounded), errSlow):
		return tooSlow(t.Name, within.Round(time.Second))
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) download(ctx context.Context, t Target, w io.Writer) error {
	body, err := c.cfg.Targets.Target(ctx, t.Path)
	if err != nil {
		return unreachable(t.Name, err)
	}
	defer body.Close()
	return t.Verify(io.TeeReader(&readErrors{r: io.LimitReader(body, t.Length+1), what: t.Name}, w))
}

// readErrors tells a failing transfer from a target that is wrong.
type readErrors struct {
	r    io.Reader
	what string
}

func (r *readErrors) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreachable(r.what, err)
	}
	return n, err
}

// Verify reads r to its end and refuses content that is not the target's: an error of
// kind problem.Verification. Memory does not grow with the length.
func (t Target) Verify(r io.Reader) error {
	hashes := map[string]hash.Hash{"sha256": sha256.New(), "sha512": sha512.New()}
	n, err := io.Copy(io.MultiWriter(hashes["sha256"], hashes["sha512"]), io.LimitReader(r, t.Length+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", t.Name, err)
	}
	if n != t.Length {
		return t.wrong(fmt.Errorf("it is not %d bytes long", t.Length))
	}
	for kind, want := range t.hashes {
		if got := hashes[kind].Sum(nil); !slices.Equal(got, want) {
			return t.wrong(errors.New("its hash is not the signed one"))
		}
	}
	return nil
}

func (t Target) wrong(err error) error {
	return problem.New(problem.Verification, "Try again; if it stays so, tell the vendor's support.",
		"Unable to trust target %s: %w", t.Name, err)
}

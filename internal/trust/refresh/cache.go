package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

// lockName is the lock's file in the folder; it is there only while a refresh runs.
const lockName = "lock"

const lockPause = 50 * time.Millisecond

// locked makes the folder, takes its lock and calls do with what the folder trusts.
func (c *Client) locked(ctx context.Context, do func(context.Context, *session) error) (err error) {
	if err := durable.MkdirAll(c.cfg.Dir, 0o755); err != nil {
		return c.refused(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errSlow)
	defer cancel()
	lock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if releaseErr := lock.Release(); err == nil && releaseErr != nil {
			err = c.refused(releaseErr)
		}
	}()
	s, err := c.open(c.cfg.Now())
	if err != nil {
		return err
	}
	return do(ctx, s)
}

// lock waits for the lock until it is free, LockWait is over or ctx ends.
func (c *Client) lock(ctx context.Context) (*durable.Lock, error) {
	wait, cancel := context.WithTimeout(ctx, c.cfg.LockWait)
	defer cancel()
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for {
		lock, err := durable.TryLock(filepath.Join(c.cfg.Dir, lockName), c.cfg.Holder)
		switch {
		case err == nil:
			return lock, nil
		case !errors.Is(err, durable.ErrLocked):
			return nil, c.refused(err)
		}
		select {
		case <-pause.C:
		case <-wait.Done():
			if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errSlow) {
				return nil, context.Cause(ctx)
			}
			return nil, problem.New(problem.Refused, "Wait until it is done, then try again.",
				"The trusted metadata in %s are %w", c.cfg.Dir, err)
		}
	}
}

func (c *Client) lockPresent() bool {
	_, err := os.Lstat(filepath.Join(c.cfg.Dir, lockName))
	return err == nil
}

// open starts from the folder's root, or from the configured one while the folder has
// none. A root that is there and damaged is refused and not replaced by the configured
// one: that would bring back keys that were revoked since.
func (c *Client) open(reference time.Time) (*session, error) {
	s := &session{c: c}
	data, err := c.read(trust.RoleRoot)
	if errors.Is(err, fs.ErrNotExist) {
		if len(c.cfg.Root) == 0 {
			return nil, &problem.Error{
				Kind: problem.Verification, Err: fs.ErrNotExist,
				Text: fmt.Sprintf("There is no trusted root in %s, and none came with the product", c.cfg.Dir),
				Next: "Restore updates/root.json from the pack.",
			}
		}
		data, s.fresh = c.cfg.Root, true
	} else if err != nil {
		return nil, c.damagedRoot(err)
	}
	if s.v, err = trust.NewVerifier(data, reference); err != nil {
		if s.fresh {
			return nil, err
		}
		return nil, c.damagedRoot(err)
	}
	s.root = data
	return s, nil
}

func (c *Client) damagedRoot(err error) error {
	return &problem.Error{
		Kind: problem.Verification, Err: err,
		Text: fmt.Sprintf("The trusted root %s is damaged: %v", c.path(trust.RoleRoot), err),
		Next: "Restore this file from another installation or a backup. To start again from the root of the pack, compare its fingerprint with the vendor's and remove the folder " + c.cfg.Dir + ".",
	}
}

func (c *Client) path(role string) string { return filepath.Join(c.cfg.Dir, trust.CacheName(role)) }

// read returns the kept file of role. It reads regular files only, within the limit.
func (c *Client) read(role string) ([]byte, error) {
	if data, ok := c.passing[role]; ok {
		if data == nil {
			return nil, fs.ErrNotExist
		}
		return data, nil
	}
	name := c.path(role)
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	limit := trust.MaxLength(role)
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return data, err
}

// save keeps the verified file of role, synced.
func (c *Client) save(role string, data []byte) error {
	if c.passing != nil {
		c.passing[role] = data
		return nil
	}
	name := c.path(role)
	err := durable.WriteFile(name, data, 0o644)
	// Only a folder is in the way of a file; what a full disk could not replace must stay.
	if info, lookErr := os.Lstat(name); err != nil && lookErr == nil && info.IsDir() {
		if err = os.RemoveAll(name); err == nil {
			err = durable.WriteFile(name, data, 0o644)
		}
	}
	if err != nil {
		return c.refused(err)
	}
	return nil
}

func (c *Client) forget(roles ...string) error {
	for _, role := range roles {
		if c.passing != nil {
			c.passing[role], c.void = nil, append(c.void, role)
			continue
		}
		if err := durable.Remove(c.path(role)); err != nil {
			return c.refused(err)
		}
	}
	return nil
}

func (c *Client) refused(err error) error {
	return problem.New(problem.Refused, "Check who may write there and how much space is left.",
		"Unable to keep trusted metadata in %s: %w", c.cfg.Dir, err)
}

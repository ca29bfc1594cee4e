package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Carried returns a view of metadata that were carried in, root chain to targets, and of
// lines when they came along. They are judged as in the mode trust.Carried, beginning
// with what the folder trusts already, or with the root of the pack: older ones than
// those are transport, and the view is of what was trusted already.
//
// Nothing is written. Metadata that are to be trusted from now on must come with the
// files of product and lines: see [Client.Keep].
func (c *Client) Carried(ctx context.Context, from Remote, lines ...release.Line) (*trust.View, error) {
	view, err := c.settled(func() (*trust.View, error) {
		view, _, err := c.carried(ctx, from, lines)
		return view, err
	})
	if err != nil {
		return nil, err
	}
	return view, c.checkAge(view)
}

// Keep judges carried metadata as [Client.Carried] does and keeps those that are newer
// than what the folder trusts, all of them or, if any is refused, none. A cut in between
// leaves some, and the next Keep or Refresh completes them.
func (c *Client) Keep(ctx context.Context, from Remote, lines ...release.Line) (*trust.View, error) {
	var view *trust.View
	err := c.locked(ctx, func(ctx context.Context, _ *session) (err error) {
		var news *Client
		if view, news, err = c.carried(ctx, from, lines); err != nil {
			return err
		}
		if err := c.checkAge(view); err != nil {
			return err
		}
		return c.take(news)
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

// take writes what a passing client verified, in the order of a refresh. What a new root
// made void goes before that root is written.
func (c *Client) take(p *Client) error {
	if err := c.forget(p.void...); err != nil {
		return err
	}
	order := []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets}
	for _, role := range slices.Sorted(maps.Keys(p.passing)) {
		if !slices.Contains(order, role) {
			order = append(order, role)
		}
	}
	for _, role := range order {
		if data := p.passing[role]; data != nil {
			if err := c.save(role, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// carried judges metadata without writing; the client it returns has what would be kept.
func (c *Client) carried(ctx context.Context, from Remote, lines []release.Line) (*trust.View, *Client, error) {
	passing := &Client{cfg: c.cfg, passing: map[string][]byte{}}
	passing.cfg.Mode, passing.cfg.Remote = trust.Carried, from
	s, err := passing.open(c.cfg.Now())
	if err != nil {
		return nil, nil, err
	}
	trusted := s.v.RootVersion()
	view, err := s.view(ctx, lines)
	if err == nil {
		return view, passing, nil
	}
	older := &Client{cfg: passing.cfg}
	switch {
	case problem.KindOf(err) != problem.Verification:
		return nil, nil, err
	case s.older && errors.Is(err, fs.ErrNotExist):
		// A refresh that was cut off left a timestamp whose snapshot nobody has here.
		if view, cutOff := older.transported(lines); cutOff == nil {
			return view, older, nil
		}
		return nil, nil, err
	case passing.before(ctx, trusted):
		view, err = older.transported(lines)
		return view, older, err
	}
	return nil, nil, err
}

// before reports whether carried metadata are the same vendor's, of before a root that is
// trusted here: their own chain of roots ends before it and verifies, down to their
// timestamp, and where it has the root of the pack's version it is that very root. They
// prove nothing, and need not: what is trusted already judges what they came with.
func (c *Client) before(ctx context.Context, trusted int64) bool {
	first, err := c.cfg.Remote.Metadata(ctx, trust.FileName(trust.RoleRoot, 1), trust.MaxRoot)
	if err != nil {
		return false
	}
	v, err := trust.NewVerifier(first, time.Time{})
	if err != nil {
		return false
	}
	pack, err := trust.NewVerifier(c.cfg.Root, time.Time{})
	for data := first; ; {
		if err == nil && pack.RootVersion() == v.RootVersion() && !bytes.Equal(data, c.cfg.Root) {
			return false
		}
		next, missing := c.cfg.Remote.Metadata(ctx, trust.FileName(trust.RoleRoot, v.RootVersion()+1), trust.MaxRoot)
		if errors.Is(missing, fs.ErrNotExist) {
			break
		}
		if missing != nil || v.RootVersion() >= trusted {
			return false
		}
		if _, refused := v.Root(next); refused != nil {
			return false
		}
		data = next
	}
	if v.RootVersion() >= trusted {
		return false
	}
	timestamp, err := c.cfg.Remote.Metadata(ctx, "timestamp.json", trust.MaxTimestamp)
	if err != nil {
		return false
	}
	_, _, err = v.Peek(timestamp)
	return err == nil
}

// transported returns a view of what the folder trusts, for metadata that are older.
func (c *Client) transported(lines []release.Line) (*trust.View, error) {
	view, fresh, err := c.trusted(lines)
	if fresh {
		return nil, problem.New(problem.Verification, "Make the zip again outside, with create-update of today.",
			"What was carried in was made before the vendor replaced its root keys, and nothing trusted here proves it")
	}
	if err != nil {
		if view, err = c.cutOff(lines, err); err != nil {
			return nil, err
		}
	}
	if view.Expired() {
		role, at := view.Expires()
		return nil, trust.Refuse(trust.CacheName(role), fmt.Errorf("it expired on %s, judged at %s", at.Format(time.RFC3339), view.Reference().Format(time.RFC3339)))
	}
	return view, nil
}

// File is a metadata file by its name in the repository.
type File struct {
	Name string
	Data []byte
}

// Carry refreshes, and returns with the view every file that proves lines to whoever has
// any root of this vendor: all roots, timestamp, snapshot, targets, and the delegated roles
// in order of theirs; with tool also the role of the update tool, where the vendor has one.
func (c *Client) Carry(ctx context.Context, tool bool, lines ...release.Line) (*trust.View, []File, error) {
	var view *trust.View
	var files []File
	err := c.locked(ctx, func(ctx context.Context, s *session) (err error) {
		if view, err = s.view(ctx, lines); err != nil {
			return err
		}
		if tool {
			if tool, err = s.withTool(ctx); err != nil {
				return err
			}
		}
		files, err = s.files(ctx, tool, lines)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return view, files, c.checkAge(view)
}

// withTool takes the role of the update tool; false where the vendor has none that can be
// trusted: levels travel without.
func (s *session) withTool(ctx context.Context) (bool, error) {
	if _, _, err := s.v.Listed(trust.RoleTool); err != nil || !slices.Contains(s.v.Delegated(trust.RoleTargets), trust.RoleTool) {
		return false, nil //nolint:nilerr // a role that was never published has no file
	}
	err := s.targets(ctx, trust.Step{Role: trust.RoleTool, Parent: trust.RoleTargets})
	if spares(err) {
		return false, nil
	}
	return err == nil, err
}

// files returns what a session took, roots before its own from the remote.
func (s *session) files(ctx context.Context, tool bool, lines []release.Line) ([]File, error) {
	files, err := s.chain(ctx)
	if err != nil {
		return nil, err
	}
	below := map[string]bool{trust.RoleTool: tool}
	for _, line := range lines {
		steps, err := s.v.Chain(line)
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			below[step.Role] = true
		}
	}
	var delegated []File
	for _, role := range slices.Sorted(maps.Keys(below)) { // in order of names without versions
		if below[role] {
			if delegated, err = s.add(delegated, role); err != nil {
				return nil, err
			}
		}
	}
	for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets} {
		if files, err = s.add(files, role); err != nil {
			return nil, err
		}
	}
	return append(files, delegated...), nil
}

// add appends the kept file of a role.
func (s *session) add(files []File, role string) ([]File, error) {
	data, err := s.c.read(role)
	if err != nil {
		return nil, s.c.refused(err)
	}
	version := int64(0)
	if role != trust.RoleTimestamp {
		if version, _, err = s.v.Listed(role); err != nil {
			return nil, err
		}
	}
	return append(files, File{trust.FileName(role, version), data}), nil
}

// chain returns all roots up to the trusted one, each verified by the one before.
func (s *session) chain(ctx context.Context) ([]File, error) {
	last, err := s.c.read(trust.RoleRoot)
	if err != nil {
		return nil, s.c.refused(err)
	}
	var files []File
	var v *trust.Verifier
	for n := int64(1); n <= s.v.RootVersion(); n++ {
		file, data := trust.FileName(trust.RoleRoot, n), last
		if n < s.v.RootVersion() {
			if data, err = s.require(ctx, file, trust.MaxRoot); err != nil {
				return nil, err
			}
		}
		if v == nil {
			v, err = trust.NewVerifier(data, time.Time{})
		} else {
			_, err = v.Root(data)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{file, data})
	}
	return files, nil
}

package refresh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// session is one refresh: what was verified so far.
type session struct {
	c     *Client
	v     *trust.Verifier
	root  []byte // the root that v started from
	fresh bool   // root is not kept in the folder yet
	older bool   // what was carried in is older than what the folder has seen
}

// refresh is the TUF client workflow up to targets (specification 5.3 to 5.6).
func (s *session) refresh(ctx context.Context) error {
	if s.fresh {
		if err := s.c.save(trust.RoleRoot, s.root); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{s.roots, s.timestamp, s.snapshot} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.targets(ctx, trust.Step{Role: trust.RoleTargets, Parent: trust.RoleRoot})
}

// view refreshes, lines too, and returns what is trusted then.
func (s *session) view(ctx context.Context, lines []release.Line) (*trust.View, error) {
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	for _, line := range lines {
		if err := s.line(ctx, line); err != nil {
			return nil, err
		}
	}
	if err := s.tool(ctx); err != nil {
		return nil, err
	}
	return s.v.View(s.c.cfg.Mode, lines...)
}

// roots takes one root after the other until there is no next one.
func (s *session) roots(ctx context.Context) error {
	for range trust.MaxRotations {
		file := trust.FileName(trust.RoleRoot, s.v.RootVersion()+1)
		data, err := s.fetch(ctx, file, trust.MaxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rotated, err := s.v.Root(data)
		if err != nil {
			return err
		}
		// Forget first: after a power cut between the two the old root and this step
		// come again, whereas a new root would hide that it rotated keys.
		if rotated {
			if err := s.c.forget(trust.RoleTimestamp, trust.RoleSnapshot); err != nil {
				return err
			}
		}
		if err := s.c.save(trust.RoleRoot, data); err != nil {
			return err
		}
	}
	return nil
}

// timestamp takes the kept timestamp, to compare versions with, then the remote one.
func (s *session) timestamp(ctx context.Context) error {
	remote, err := s.require(ctx, "timestamp.json", trust.MaxTimestamp)
	if err != nil {
		return err
	}
	kept, _ := s.c.read(trust.RoleTimestamp) // a cache is a hint: unreadable means absent
	if s.c.cfg.Mode == trust.Carried {
		if remote, err = s.judgeCarried(kept, remote); err != nil {
			return err
		}
	}
	if len(kept) > 0 {
		_, _ = s.v.Timestamp(kept) // damaged means absent; an expired one still counts
	}
	fresh, err := s.v.Timestamp(remote)
	if err != nil || !fresh {
		return err
	}
	return s.c.save(trust.RoleTimestamp, remote)
}

// judgeCarried sets the reference time from the newer of the kept and the carried
// timestamp and returns that one: older metadata are transport, nothing more.
func (s *session) judgeCarried(kept, remote []byte) ([]byte, error) {
	version, expires, err := s.v.Peek(remote)
	if err != nil {
		return nil, err
	}
	if keptVersion, keptExpires, err := s.v.Peek(kept); err == nil && keptVersion > version {
		remote, expires, s.older = kept, keptExpires, true
	}
	s.v.Judge(trust.CarriedReference(expires))
	return remote, nil
}

// snapshot takes the kept snapshot if it is the one that the timestamp lists, else
// the remote one.
func (s *session) snapshot(ctx context.Context) error {
	version, length, err := s.v.Listed(trust.RoleSnapshot)
	if err != nil {
		return err
	}
	if kept, err := s.c.read(trust.RoleSnapshot); err == nil && s.v.Snapshot(kept, true) == nil {
		return nil
	}
	data, err := s.require(ctx, s.file(trust.RoleSnapshot, version), limit(trust.RoleSnapshot, length))
	if err != nil {
		return err
	}
	if err := s.v.Snapshot(data, false); err != nil {
		return err
	}
	return s.c.save(trust.RoleSnapshot, data)
}

// targets takes the kept file of a targets role if it is the one that the snapshot
// lists, else the remote one.
func (s *session) targets(ctx context.Context, step trust.Step) error {
	version, length, err := s.v.Listed(step.Role)
	if err != nil {
		return err
	}
	if kept, err := s.c.read(step.Role); err == nil && s.v.Targets(kept, step.Role, step.Parent) == nil {
		return nil
	}
	data, err := s.require(ctx, s.file(step.Role, version), limit(step.Role, length))
	if err != nil {
		return err
	}
	if err := s.v.Targets(data, step.Role, step.Parent); err != nil {
		return err
	}
	return s.c.save(step.Role, data)
}

// line takes the roles that lead to line, as far as they are delegated.
func (s *session) line(ctx context.Context, line release.Line) error {
	return s.follow(line, func(step trust.Step) error { return s.targets(ctx, step) })
}

// tool takes the role that lists programs of the update tool, if there is one. Levels do not
// need it: whatever is wrong with it alone, expired, not carried along or signed by others,
// means that there are no programs to be had, and the view says why.
func (s *session) tool(ctx context.Context) error {
	step, published, err := s.v.ToolStep()
	if err == nil && published {
		err = s.targets(ctx, step)
	}
	if spares(err) {
		s.v.WithoutTools(err)
		return nil
	}
	return err
}

// spares reports whether an error about the tool's role says that there is none to be trusted;
// a look that failed on the way is no such answer.
func spares(err error) bool {
	return err != nil && (problem.KindOf(err) == problem.Verification || errors.Is(err, fs.ErrNotExist))
}

// follow calls take for the product's role and then, as that names it, the line's.
func (s *session) follow(line release.Line, take func(trust.Step) error) error {
	for taken := 0; ; taken++ {
		chain, err := s.v.Chain(line)
		if err != nil || len(chain) == taken {
			return err
		}
		if err := take(chain[taken]); err != nil {
			return err
		}
	}
}

// kept is what takes the files of a folder: strictly, as they list one another, or each for
// itself.
type kept func(data []byte, role, parent string) error

func (s *session) strictly(data []byte, role, parent string) error {
	switch role {
	case trust.RoleTimestamp:
		_, err := s.v.Timestamp(data)
		return err
	case trust.RoleSnapshot:
		return s.v.Snapshot(data, true)
	}
	return s.v.Targets(data, role, parent)
}

// trusted takes what the folder holds and nothing else, as its files list one another.
func (c *Client) trusted(lines []release.Line) (view *trust.View, fresh bool, err error) {
	s, err := c.open(time.Time{})
	if err != nil {
		return nil, false, err
	}
	view, err = s.trusted(s.strictly, lines)
	return view, s.fresh, err
}

// cutOff takes each file of the folder for itself, after a refresh that did not come to its
// end. Where that does not help either, it is the error before that counts.
func (c *Client) cutOff(lines []release.Line, before error) (*trust.View, error) {
	s, err := c.open(time.Time{})
	if err != nil || s.fresh {
		return nil, before
	}
	view, err := s.trusted(s.v.Kept, lines)
	if err != nil {
		return nil, before
	}
	return view, nil
}

func (s *session) trusted(take kept, lines []release.Line) (*trust.View, error) {
	reference := s.c.cfg.Now()
	read := func(step trust.Step) error {
		data, err := s.c.read(step.Role)
		if err != nil {
			return s.absent(err)
		}
		if step.Role == trust.RoleTimestamp && s.c.cfg.Mode == trust.Carried {
			_, expires, err := s.v.Peek(data)
			if err != nil {
				return err
			}
			reference = trust.CarriedReference(expires)
		}
		return take(data, step.Role, step.Parent)
	}
	for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets} {
		if err := read(trust.Step{Role: role, Parent: trust.RoleRoot}); err != nil {
			return nil, err
		}
	}
	for _, line := range lines {
		if err := s.follow(line, read); err != nil {
			return nil, err
		}
	}
	step, published, err := s.v.ToolStep()
	if err == nil && published {
		err = read(step)
	}
	if err != nil {
		s.v.WithoutTools(err)
	}
	s.v.Judge(reference)
	return s.v.View(s.c.cfg.Mode, lines...)
}

func (s *session) absent(err error) error {
	return problem.New(problem.Verification, "Run check once with a connection to the update service, or apply an offline update of today.",
		"The trusted metadata in %s are not complete: %w", s.c.cfg.Dir, err)
}

// file returns the name that the repository gives a file.
func (s *session) file(role string, version int64) string {
	if s.v.Consistent() {
		return trust.FileName(role, version)
	}
	return trust.CacheName(role)
}

// limit returns how long a file may be: what is listed, within the role's limit.
func limit(role string, listed int64) int64 {
	if most := trust.MaxLength(role); listed == 0 || listed > most {
		return most
	}
	return listed
}

// require fetches a file that must be there.
func (s *session) require(ctx context.Context, file string, limit int64) ([]byte, error) {
	data, err := s.fetch(ctx, file, limit)
	if errors.Is(err, fs.ErrNotExist) && s.c.passing != nil {
		return nil, problem.New(problem.Verification, "Get one made today by create-update, or connect to the update service once.",
			"The metadata that were carried in lack %s: %w", file, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Unreachable, "Try again later; if it stays so, tell the vendor's support.",
			"The update service has no %s: %w", file, err)
	}
	return data, err
}

var errSlow = errors.New("too slow")

// fetch fetches a file within the time that its length allows.
func (s *session) fetch(ctx context.Context, file string, limit int64) ([]byte, error) {
	within := s.c.within(limit)
	bounded, cancel := context.WithTimeoutCause(ctx, within, errSlow)
	defer cancel()
	data, err := s.c.cfg.Remote.Metadata(bounded, file, limit)
	switch {
	case err != nil && errors.Is(context.Cause(bounded), errSlow):
		return nil, tooSlow(file, within)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, unreachable(file, err)
	case int64(len(data)) > limit:
		return nil, trust.Refuse(file, fmt.Errorf("it is longer than %d bytes", limit))
	}
	return data, nil
}

// within returns how long a transfer of so many bytes may take.
func (c *Client) within(bytes int64) time.Duration {
	return c.cfg.Grace + time.Duration(bytes/c.cfg.MinRate)*time.Second
}

func tooSlow(what string, within time.Duration) error {
	return problem.New(problem.Unreachable, "Check the network and the proxy, then try again.",
		"The update service is too slow: %s did not come within %s: %w", what, within, context.DeadlineExceeded)
}

// unreachable keeps the kind of an error that has one.
func unreachable(what string, err error) error {
	if _, ok := errors.AsType[*problem.Error](err); ok {
		return err
	}
	return problem.New(problem.Unreachable, "Check the network and the proxy, then try again.",
		"Unable to fetch %s: %w", what, err)
}

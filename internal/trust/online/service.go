package online

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// Document is one signed metadata file as a publisher submits it, byte for byte.
type Document struct {
	Role string
	Data []byte
}

// File is a metadata file that is current.
type File struct {
	Role    string
	Version int64
	Data    []byte
}

// Name returns the file's name in the repository: 3.targets.json, timestamp.json.
func (f File) Name() string { return trust.FileName(f.Role, f.Version) }

// Repository is what is current. All calls on one value belong to one transaction that
// holds the lock of the metadata; what was put counts when it commits, all or nothing.
type Repository interface {
	// Current returns the current file of role, or an error that is fs.ErrNotExist.
	Current(ctx context.Context, role string) (File, error)
	// Versions returns the version of every role that has a current file.
	Versions(ctx context.Context) (map[string]int64, error)
	// Put makes file the current one of its role. Earlier versions stay to be had.
	Put(ctx context.Context, file File) error
}

// Objects is where published content lies.
type Objects interface {
	// Content returns an object's verified content, or an error that is fs.ErrNotExist.
	Content(ctx context.Context, ref release.Ref) ([]byte, error)
	// Missing returns those of the objects that are not stored.
	Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error)
}

// Service judges submissions and signs snapshot and timestamp.
type Service struct {
	Keys    Keys   // what the next root shall name
	Older   []Keys // made before; they sign as long as the root in force names them
	Objects Objects
	Now     func() time.Time
}

// Line is a line's levels as a submission made them current.
type Line struct {
	Line   release.Line
	Levels []release.Listed // ascending
}

// Result is what a call made current.
type Result struct {
	Files     []File // new files, in the order they were put; none: nothing changed
	Lines     []Line // lines whose role was submitted
	Snapshot  int64  // version now current
	Timestamp int64  // version now current
}

// Submit makes signed metadata current in one step, or nothing: it checks that every
// file is signed by the threshold of keys that must sign it, is the next version, is
// laid out as docs/design/trust.md says, has neither expired nor a longer life than its
// role may have, and that every object of a new level is stored; then it signs a new
// snapshot and timestamp and verifies the outcome as a client would. Files that are
// current already are passed over, so that a submission may be repeated. Refusals are
// of kind problem.Verification, or problem.Refused when something else came first.
func (s *Service) Submit(ctx context.Context, repo Repository, docs []Document) (Result, error) {
	sub := &submission{s: s, repo: repo, now: s.Now(), files: map[string]File{}}
	var err error
	if sub.versions, err = repo.Versions(ctx); err != nil {
		return Result{}, fmt.Errorf("reading the current metadata: %w", err)
	}
	docs, err = sub.sorted(ctx, docs)
	if err != nil {
		return Result{}, err
	}
	if len(docs) == 0 {
		return Result{Snapshot: sub.versions[trust.RoleSnapshot], Timestamp: sub.versions[trust.RoleTimestamp]}, nil
	}
	if err := sub.accept(ctx, docs); err != nil {
		return Result{}, err
	}
	if err := sub.sign(ctx, true); err != nil {
		return Result{}, err
	}
	if err := sub.verify(ctx); err != nil {
		return Result{}, err
	}
	return sub.put(ctx)
}

// Renew signs the timestamp again when less than 2 days of it are left, snapshot and
// timestamp when less than 7 days of the snapshot are. Before the first submission it
// does nothing.
func (s *Service) Renew(ctx context.Context, repo Repository) (Result, error) {
	return s.again(ctx, repo, false)
}

// Restart signs snapshot and timestamp again, due or not: the database may be a backup,
// older than what clients have seen, and only a new version reaches them.
func (s *Service) Restart(ctx context.Context, repo Repository) (Result, error) {
	return s.again(ctx, repo, true)
}

func (s *Service) again(ctx context.Context, repo Repository, always bool) (Result, error) {
	sub := &submission{s: s, repo: repo, now: s.Now(), files: map[string]File{}}
	var err error
	if sub.versions, err = repo.Versions(ctx); err != nil {
		return Result{}, fmt.Errorf("reading the current metadata: %w", err)
	}
	result := Result{Snapshot: sub.versions[trust.RoleSnapshot], Timestamp: sub.versions[trust.RoleTimestamp]}
	if result.Timestamp == 0 {
		return result, nil
	}
	snapshotDue, timestampDue := always, always
	if !always {
		if snapshotDue, err = sub.due(ctx, trust.RoleSnapshot); err != nil {
			return Result{}, err
		}
		if timestampDue, err = sub.due(ctx, trust.RoleTimestamp); err != nil {
			return Result{}, err
		}
	}
	if !snapshotDue && !timestampDue {
		return result, nil
	}
	if err := sub.mayRenew(ctx); err != nil {
		return Result{}, err
	}
	if err := sub.sign(ctx, snapshotDue); err != nil {
		return Result{}, err
	}
	return sub.put(ctx)
}

// mayRenew refuses to sign with keys that the root does not name: what clients still
// trust would be replaced by what they refuse.
func (sub *submission) mayRenew(ctx context.Context) error {
	if _, err := sub.signing(ctx); err != nil {
		return problem.New(problem.Refused, "Put back the database and the secret file that belong to this root, or name this service's keys in the next one: uplevel-publish keys rotate online.",
			"Unable to sign timestamp and snapshot again: %w", err)
	}
	return nil
}

// current returns the file of role as it will be after the submission.
func (sub *submission) current(ctx context.Context, role string) (File, error) {
	if f, ok := sub.files[role]; ok {
		return f, nil
	}
	f, err := sub.repo.Current(ctx, role)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("reading the current %s: %w", role, err)
	}
	return f, err
}

func refuse(role string, format string, args ...any) error {
	return trust.Refuse(trust.CacheName(role), fmt.Errorf(format, args...))
}

func conflict(format string, args ...any) error {
	return problem.New(problem.Refused, "Run the command again: it starts from what is current.", format, args...)
}

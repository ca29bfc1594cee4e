// Package publish makes a build into a level: scan, validate, upload what the service
// lacks, sign, and make it visible with one submission, last. A reader sees the level
// before or the new one; a run that was cut is repeated and ends in the same level. The
// flow is described in docs/design/publishing.md.
package publish

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/release"
)

// Store is where objects are uploaded to.
type Store interface {
	// Missing returns those of the objects that are not stored.
	Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error)
	// PutObject stores an object, given in its stored form of size bytes.
	PutObject(ctx context.Context, sum digest.Digest, stored io.Reader, size int64) error
}

// Objects gives the published objects of a level, verified.
type Objects interface {
	Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Publisher publishes with the keys of one folder to one service.
type Publisher struct {
	Signer   *signing.Signer
	Store    Store
	Objects  Objects
	Registry Registry // of hotfixes; only [Publisher.Hotfix] uses it
	Cache    string   // folder for scan caches and small objects
	Now      func() time.Time
	Say      func(line string) // progress, one line each; nil: silence
}

func (p *Publisher) say(format string, args ...any) {
	if p.Say != nil {
		p.Say(fmt.Sprintf(format, args...))
	}
}

// content reads a small published object: from the cache, else from the service.
func (p *Publisher) content(ctx context.Context, line release.Line, level int, ref release.Ref, limit int64) ([]byte, error) {
	if ref.Size > limit {
		return nil, problem.New(problem.Verification, "", "Object %s has %d bytes, the limit is %d", ref.Sum, ref.Size, limit)
	}
	if data, err := p.cached(ref); err == nil {
		return data, nil
	}
	if err := p.Objects.Fetch(ctx, line, level, []release.Ref{ref}); err != nil {
		return nil, err
	}
	r, err := p.Objects.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("opening object %s: %w", ref.Sum, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", ref.Sum, err)
	}
	if digest.Of(data) != ref.Sum {
		return nil, problem.New(problem.Verification, "Delete the cache folder and try again.",
			"Object %s: %w", ref.Sum, digest.ErrMismatch)
	}
	p.keepObject(ref.Sum, data)
	return data, nil
}

func (p *Publisher) objectName(sum digest.Digest) string {
	return filepath.Join(p.Cache, "published", sum.String())
}

// published is a level with everything that was published of it.
type published struct {
	release.Listed
	record   release.Record
	manifest []byte
}

// load reads record and manifest of a level.
func (p *Publisher) load(ctx context.Context, l release.Listed) (published, error) {
	line := l.Line()
	data, err := p.content(ctx, line, l.Level, l.Record, release.MaxRecord)
	if err != nil {
		return published{}, err
	}
	record, err := release.ParseRecord(data, line, l.Level)
	if err != nil {
		return published{}, problem.New(problem.Verification, "", "Level %s: %w", line.LevelName(l.Level), err)
	}
	text, err := p.content(ctx, line, l.Level, record.Manifest, record.Manifest.Size)
	if err != nil {
		return published{}, err
	}
	return published{Listed: l, record: record, manifest: text}, nil
}

// Outcome is what a publishing command did.
type Outcome struct {
	Line    release.Line
	Level   int
	State   release.State
	Already bool // everything asked for was there before
	Report  Report
	Stored  int   // objects uploaded
	Sent    int64 // bytes uploaded, in stored form
}

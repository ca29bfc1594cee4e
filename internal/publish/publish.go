// Package publish makes a build into a level: scan, validate, upload what the service
// lacks, sign, and make it visible with one submission, last. A reader sees the level
// before or the new one; a run that was cut is repeated and ends in the same level. The
// flow is described in docs/design/publishing.md.
package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/sign"
)

// Service is what publishing asks of the service.
type Service interface {
	Missing(ctx context.Context, objects []digest.Digest) ([]digest.Digest, error)
	PutObject(ctx context.Context, sum digest.Digest, stored io.Reader, size int64) error
	SubmitMetadata(ctx context.Context, submission api.MetadataSubmission) (api.MetadataAnswer, error)
	OnlineKeys(ctx context.Context) (api.OnlineKeys, error)
}

// Objects gives the published objects of a level, verified.
type Objects interface {
	Fetch(ctx context.Context, line release.Line, level int, refs []release.Ref) error
	Open(ref release.Ref) (io.ReadCloser, error)
}

// Publisher publishes with the keys of one folder to one service.
type Publisher struct {
	Service Service
	Remote  refresh.Remote // the service's metadata
	Objects Objects
	Folder  *sign.Folder
	Cache   string // folder for scan caches and small objects
	Now     func() time.Time
	Say     func(line string) // progress, one line each; nil: silence
}

func (p *Publisher) say(format string, args ...any) {
	if p.Say != nil {
		p.Say(fmt.Sprintf(format, args...))
	}
}

// refresh brings the folder's documents up to date, verified with its own root.
func (p *Publisher) refresh(ctx context.Context, lines ...release.Line) (*trust.View, error) {
	root, err := p.Folder.Document(trust.RoleRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Refused, "Run keys init first, or name the folder of keys with --keys.",
			"There is no root in %s", p.Folder.Dir)
	}
	if err != nil {
		return nil, err
	}
	client, err := refresh.New(refresh.Config{
		Dir: p.Folder.MetadataDir(), Root: root, Remote: p.Remote, Now: p.Now, Holder: "uplevel-publish",
	})
	if err != nil {
		return nil, err
	}
	return client.Refresh(ctx, lines...)
}

// submit makes documents current in one step and keeps what is current afterwards.
func (p *Publisher) submit(ctx context.Context, docs []api.RoleMetadata, lines ...release.Line) error {
	if err := p.checkSigned(docs); err != nil {
		return err
	}
	if _, err := p.Service.SubmitMetadata(ctx, api.MetadataSubmission{Metadata: docs}); err != nil {
		return err
	}
	if _, err := p.refresh(ctx, lines...); err != nil {
		var known *problem.Error
		if errors.As(err, &known) {
			return known.Standing("The metadata were accepted and are published. Only reading them back failed.")
		}
		return err
	}
	return nil
}

// checkSigned refuses documents that customers would not trust: signed with a key that
// the delegating document does not name.
func (p *Publisher) checkSigned(docs []api.RoleMetadata) error {
	for _, doc := range docs {
		parent, ok := trust.ParentRole(doc.Role)
		if !ok {
			return fmt.Errorf("%s is not the publisher's to sign", doc.Role)
		}
		i := slices.IndexFunc(docs, func(d api.RoleMetadata) bool { return d.Role == parent })
		var by []byte
		var err error
		if i >= 0 && parent != doc.Role {
			by = docs[i].Data
		} else if by, err = p.Folder.Document(parent); err != nil {
			return err
		}
		if err := sign.Verify(parent, by, doc.Role, doc.Data); err != nil {
			return problem.New(problem.Refused, "Use the key files that were made for this role, all that it needs.",
				"Unable to publish: %w", err)
		}
	}
	return nil
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
	return published{Listed: l, record: record, manifest: bytes.Clone(text)}, nil
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

// Package signing is the publisher's side of the signed metadata: it makes the keys and
// the first root, keeps the folder's documents up to date as verified by its own root,
// submits new ones in one step, and renews what runs out.
package signing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/sign"
)

// Service is what takes signed metadata and signs snapshot and timestamp.
type Service interface {
	SubmitMetadata(ctx context.Context, submission api.MetadataSubmission) (api.MetadataAnswer, error)
	OnlineKeys(ctx context.Context) (api.OnlineKeys, error)
}

// Signer signs with the keys of one folder for one service.
type Signer struct {
	Folder  *sign.Folder
	Service Service
	Remote  refresh.Remote // the service's metadata
	Now     func() time.Time
}

// Refresh brings the folder's documents up to date, verified with its own root.
func (p *Signer) Refresh(ctx context.Context, lines ...release.Line) (*trust.View, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	view, err := client.Refresh(ctx, lines...)
	return view, renewing(err)
}

// Proof refreshes and returns what proves a hotfix to whoever has any root of this vendor:
// all roots, timestamp, snapshot and targets, which list one another. Another publisher on
// the same folder waits meanwhile.
func (p *Signer) Proof(ctx context.Context) ([]refresh.File, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	_, files, err := client.Carry(ctx, false)
	return files, renewing(err)
}

// client trusts what the folder trusts.
func (p *Signer) client() (*refresh.Client, error) {
	root, err := p.Folder.Document(trust.RoleRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Refused, "Run keys init first, or name the folder of keys with --keys.",
			"There is no root in %s", p.Folder.Dir)
	}
	if err != nil {
		return nil, err
	}
	return refresh.New(refresh.Config{
		Dir: p.Folder.MetadataDir(), Root: root, Remote: p.Remote, Now: p.Now, Holder: "uplevel-publish",
	})
}

// renewing gives the next step of a publisher to metadata that expired.
func renewing(err error) error {
	if known, ok := errors.AsType[*problem.Error](err); ok && errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		renew := *known
		renew.Next = "Run keys renew. If it is timestamp or snapshot that expired, the service has not signed in time."
		return &renew
	}
	return err
}

// trusted returns the folder's document of role, if whoever delegates to it trusts its
// signatures: what a swapped or damaged file says must not be signed on. Its expiry is not
// judged, for it is to be renewed.
func (p *Signer) trusted(role string) ([]byte, error) {
	doc, err := p.Folder.Document(role)
	if err != nil {
		return nil, err
	}
	parent, _ := trust.ParentRole(role)
	by, err := p.Folder.Document(parent)
	if err != nil {
		return nil, err
	}
	if err := sign.Verify(parent, by, role, doc); err != nil {
		return nil, problem.New(problem.Verification, "Run keys status with a connection to the service: it fetches what is published.",
			"The document of %s in %s is not what was published: %w", role, p.Folder.MetadataDir(), err)
	}
	return doc, nil
}

// Submit makes documents current in one step and keeps what is current afterwards.
func (p *Signer) Submit(ctx context.Context, docs []api.RoleMetadata, lines ...release.Line) error {
	if err := p.checkSigned(docs); err != nil {
		return err
	}
	if _, err := p.Service.SubmitMetadata(ctx, api.MetadataSubmission{Metadata: docs}); err != nil {
		return err
	}
	// What ran out is not what was submitted: that is renewed in a step of its own.
	if _, err := p.Refresh(ctx, lines...); err != nil && !errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		if known, ok := errors.AsType[*problem.Error](err); ok {
			return known.Standing("The metadata were accepted and are published. Only reading them back failed.")
		}
		return err
	}
	return nil
}

// checkSigned refuses documents that customers would not trust: signed with a key that
// the delegating document does not name.
func (p *Signer) checkSigned(docs []api.RoleMetadata) error {
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

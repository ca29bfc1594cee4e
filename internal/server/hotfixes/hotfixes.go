// Package hotfixes registers the zips of hotfixes and gives them to whom they are for: what
// the handlers of package server ask, over database, object store and current metadata.
package hotfixes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"uplevel/internal/blob"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/entitlement"
	"uplevel/internal/hotfix"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust/online"
)

// Store is what is registered, and for whom.
type Store interface {
	// AddHotfix registers a hotfix; a name that is taken is fs.ErrExist.
	AddHotfix(ctx context.Context, by entitlement.Actor, h hotfix.Published) error
	// Hotfix returns a registered hotfix, or fs.ErrNotExist.
	Hotfix(ctx context.Context, product, version, name string) (hotfix.Published, error)
	// Hotfixes returns those of a line; an empty organisation means all.
	Hotfixes(ctx context.Context, line release.Line, organisation string) ([]hotfix.Published, error)
	// OrganisationByID returns an organisation, or fs.ErrNotExist.
	OrganisationByID(ctx context.Context, id string) (entitlement.Organisation, error)
	// OrganisationByName does, too.
	OrganisationByName(ctx context.Context, name string) (entitlement.Organisation, error)
}

// Rules decide who may have what of a line.
type Rules interface {
	For(ctx context.Context, p entitlement.Principal, line release.Line) (entitlement.Grant, error)
}

// Metadata is what is current, in a transaction.
type Metadata interface {
	ChangeMetadata(ctx context.Context, fn func(repo online.Repository) error) error
}

// Desk registers and gives out hotfixes.
type Desk struct {
	Store    Store
	Rules    Rules
	Blobs    blob.Store
	Metadata Metadata
	Signer   *online.Service
	Spool    string // folder for a zip on its way; empty: the system's
}

// Register stores a zip once all of it was verified: form, signature, organisation, every
// content. The very same zip again is no error, already is true; another one of that
// name is refused. After a failure nothing is registered.
func (d *Desk) Register(ctx context.Context, by entitlement.Actor, zip io.Reader) (h hotfix.Published, already bool, err error) {
	spooled, ref, err := d.spool(zip)
	if err != nil {
		return h, false, err
	}
	defer func() {
		_ = spooled.Close()
		_ = os.Remove(spooled.Name()) // where an open file could not go
	}()
	if h, err = d.judge(ctx, spooled, ref); err != nil {
		return h, false, err
	}
	if already, err = d.registered(ctx, h); already || err != nil {
		return h, already, err
	}
	// The blob first: a row never names what is not there.
	if _, err := spooled.Seek(0, io.SeekStart); err != nil {
		return h, false, fmt.Errorf("storing hotfix %s: %w", h.Name, err)
	}
	if err := d.Blobs.Put(ctx, blob.HotfixName(ref.Sum), digest.NewReader(spooled, ref.Sum, ref.Size)); err != nil {
		return h, false, fmt.Errorf("storing hotfix %s: %w", h.Name, err)
	}
	err = d.Store.AddHotfix(ctx, by, h)
	if errors.Is(err, fs.ErrExist) { // somebody else was faster
		already, err = d.registered(ctx, h)
	}
	return h, already, err
}

// spool keeps what comes in a file: a zip is read from its end.
func (d *Desk) spool(zip io.Reader) (*os.File, release.Ref, error) {
	file, err := os.CreateTemp(d.Spool, ".hotfix-*")
	if err != nil {
		return nil, release.Ref{}, fmt.Errorf("taking a hotfix: %w", err)
	}
	_ = os.Remove(file.Name()) // nothing stays of it, whatever happens
	ref, err := receive(file, zip)
	if err != nil {
		return nil, ref, errors.Join(err, file.Close(), removed(file.Name()))
	}
	return file, ref, nil
}

// receive writes what comes. That the upload broke off is told to its sender; that it could
// not be written, as on a full disk, is the service's own trouble.
func receive(to io.Writer, zip io.Reader) (release.Ref, error) {
	sum, size, err := digest.Copy(to, sent{zip})
	if err != nil {
		return release.Ref{}, fmt.Errorf("taking a hotfix: %w", err)
	}
	return release.Ref{Sum: sum, Size: size}, nil
}

// sent is an upload whose errors are its sender's.
type sent struct{ r io.Reader }

// Read implements io.Reader.
func (s sent) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = problem.New(problem.Usage, "Send the hotfix again.", "The upload broke off: %w", err)
	}
	return n, err
}

func removed(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// judge verifies a zip and says what it is.
func (d *Desk) judge(ctx context.Context, zip io.ReaderAt, ref release.Ref) (hotfix.Published, error) {
	h := hotfix.Published{Zip: ref}
	b, err := bundle.Open(zip, ref.Size)
	if err != nil {
		return h, err
	}
	payload, err := d.verify(ctx, b.Envelope())
	if err != nil {
		return h, err
	}
	if h.Record, err = hotfix.Parse(payload); err != nil {
		return h, problem.New(problem.Verification, "Make it again with uplevel-publish hotfix.", "Unable to use the hotfix: %w", err)
	}
	if err := b.Check(ctx); err != nil {
		return h, err
	}
	return h, d.checkOrganisation(ctx, h.Record)
}

// verify has an envelope judged by what is current.
func (d *Desk) verify(ctx context.Context, envelope []byte) (payload []byte, err error) {
	err = d.Metadata.ChangeMetadata(ctx, func(repo online.Repository) error { // which changes nothing
		payload, err = d.Signer.Hotfix(ctx, repo, envelope)
		return err
	})
	return payload, err
}

// Organisation finds an organisation by its name, or fs.ErrNotExist.
func (d *Desk) Organisation(ctx context.Context, name string) (entitlement.Organisation, error) {
	return d.Store.OrganisationByName(ctx, name)
}

// checkOrganisation refuses a hotfix for nobody, and one whose id and name are those of
// two organisations.
func (d *Desk) checkOrganisation(ctx context.Context, r hotfix.Record) error {
	o, err := d.Store.OrganisationByID(ctx, r.Organisation)
	if errors.Is(err, fs.ErrNotExist) {
		return problem.New(problem.Refused, "Leave --organisation-id out, so that the service finds it by the name of --for.",
			"No organisation has the id %s", r.Organisation)
	}
	if err != nil {
		return err
	}
	if !o.Revoked.IsZero() {
		return problem.New(problem.Refused, "Ask the subscription manager.", "The access of %s was ended", o.Name)
	}
	if short := hotfix.ShortName(o.Name); short != r.For {
		return problem.New(problem.Refused, "Make it again, with the name and id of one organisation.",
			"Hotfix %s is for %s, and its organisation's id is that of %s", r.Name, r.For, o.Name)
	}
	return nil
}

// registered reports whether this very zip is registered, and refuses another one of its
// name.
func (d *Desk) registered(ctx context.Context, h hotfix.Published) (bool, error) {
	there, err := d.Store.Hotfix(ctx, h.Product, h.Version, h.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case there.Zip != h.Zip:
		return false, problem.New(problem.Refused, "Publish it as the next one of the sequence: --after the zip of this one.",
			"Another hotfix %s of %s is registered already", h.Name, h.Line().ProductVersion())
	}
	_, err = d.Blobs.Stat(ctx, blob.HotfixName(h.Zip.Sum))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // its zip was lost: it is stored again, the row is there
	}
	return err == nil, err
}

// List returns the hotfixes of a line that are for the principal.
func (d *Desk) List(ctx context.Context, p entitlement.Principal, line release.Line) ([]hotfix.Published, error) {
	grant, err := d.Rules.For(ctx, p, line)
	if err != nil {
		return nil, err
	}
	organisation, all := p.HotfixesOf()
	if organisation == "" && !all {
		return nil, nil
	}
	registered, err := d.Store.Hotfixes(ctx, line, organisation)
	if err != nil {
		return nil, err
	}
	var own []hotfix.Published
	for _, h := range registered {
		if p.SeesHotfixesOf(h.Organisation) && grant.Hotfix(h.Created) {
			own = append(own, h)
		}
	}
	return own, nil
}

// Open opens the zip of a hotfix for a principal. One that is for another organisation, or
// of a product that the principal may not have, is fs.ErrNotExist as if it were not there.
func (d *Desk) Open(ctx context.Context, p entitlement.Principal, product, version, name string) (blob.Object, hotfix.Published, error) {
	h, err := d.Store.Hotfix(ctx, product, version, name)
	if err != nil {
		return nil, h, err
	}
	hidden := fmt.Errorf("hotfix %s: %w", name, fs.ErrNotExist)
	if !p.SeesHotfixesOf(h.Organisation) {
		return nil, h, hidden
	}
	grant, err := d.Rules.For(ctx, p, h.Line())
	if problem.KindOf(err) == problem.NotEntitled || err == nil && !grant.Hotfix(h.Created) {
		return nil, h, hidden
	}
	if err != nil {
		return nil, h, err
	}
	o, err := d.Blobs.Open(ctx, blob.HotfixName(h.Zip.Sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, h, fmt.Errorf("hotfix %s is registered but not stored", h.Name)
	}
	return o, h, err
}

package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/sign"
)

// earlier is a hotfix that must be applied before: its zip, verified.
type earlier struct {
	file   *os.File
	bundle *bundle.Bundle
	record hotfix.Record
}

// openAfter opens and verifies the zips of the hotfixes before: each of the same
// organisation and line, in order, none left out that another needs.
func (d *hotfixDraft) openAfter(ctx context.Context, who api.Organisation) error {
	var names []string
	for _, name := range d.req.After {
		file, err := os.Open(name)
		if err != nil {
			return problem.New(problem.Failed, "Name the zip of a hotfix with --after.", "Unable to read the hotfix before: %w", err)
		}
		d.after = append(d.after, earlier{file: file})
		a := &d.after[len(d.after)-1]
		if err := d.verify(ctx, a); err != nil {
			return err
		}
		missing, again := a.record.Next(names)
		switch r := a.record; {
		case r.Line() != d.Line || r.For != who.Short || r.Organisation != who.ID:
			return problem.New(problem.Refused, "Name hotfixes of the same product version, channel and organisation.",
				"Hotfix %s in %s is of %s for %s (%s)", r.Name, name, r.Line(), r.For, r.Organisation)
		case again || len(missing) > 0 || len(d.after) > 1 && r.Sequence <= d.after[len(d.after)-2].record.Sequence:
			return problem.New(problem.Refused, "Name all that it needs with --after, in the order in which they are applied.",
				"Hotfix %s in %s is out of sequence; missing before it: %v", r.Name, name, missing)
		}
		names = append(names, a.record.Name)
	}
	return nil
}

// verify opens a zip and has all of it judged by what the publisher trusts now.
func (d *hotfixDraft) verify(ctx context.Context, a *earlier) error {
	info, err := a.file.Stat()
	if err != nil {
		return fmt.Errorf("reading a hotfix: %w", err)
	}
	if a.bundle, err = bundle.Open(a.file, info.Size()); err != nil {
		return err
	}
	payload, err := d.view.Hotfix(a.bundle.Envelope())
	if err != nil {
		return err
	}
	if a.record, err = hotfix.Parse(payload); err != nil {
		return problem.New(problem.Verification, "", "Unable to use %s: %w", a.file.Name(), err)
	}
	return a.bundle.Check(ctx)
}

// fromAfter opens a content that a hotfix before brings, the last one first.
func (d *hotfixDraft) fromAfter(ref release.Ref) (io.ReadCloser, error) {
	for i := range d.after {
		if a := d.after[len(d.after)-1-i]; a.bundle.Has(ref.Sum) {
			return a.bundle.Open(ref)
		}
	}
	return nil, fmt.Errorf("content %s: %w", ref.Sum, fs.ErrNotExist)
}

// registered returns what the service has under the hotfix's name, nil for nothing.
func (p *Publisher) registered(ctx context.Context, r hotfix.Record) (*api.Hotfix, error) {
	all, err := p.Registry.Hotfixes(ctx, r.Line())
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if h.Name == r.Name {
			return &h, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is an answer
}

// againHotfix gives the zip that is registered, when it is the very hotfix asked for.
func (p *Publisher) againHotfix(ctx context.Context, d *hotfixDraft, there api.Hotfix, out HotfixOutcome) (HotfixOutcome, error) {
	file, err := p.temporary()
	if err != nil {
		return out, err
	}
	defer discard(file)
	body, _, err := p.Registry.HotfixZip(ctx, there.Product, there.Version, there.Name, 0)
	if err != nil {
		return out, err
	}
	_, err = io.Copy(file, digest.NewReader(body, there.SHA256, there.Size))
	if err := errors.Join(err, body.Close()); err != nil {
		return out, problem.New(problem.Unreachable, "Run the command again.", "Unable to fetch the hotfix that is registered: %w", err)
	}
	a := &earlier{file: file}
	if err := d.verify(ctx, a); err != nil {
		return out, err
	}
	if !a.record.Same(d.record) {
		return out, problem.New(problem.Refused, "Publish it as the next one: --after the zip of that one.",
			"Another hotfix %s of %s is registered already", d.record.Name, d.Line.ProductVersion())
	}
	out.Record = a.record
	return p.place(file, there.Size, out, d.req.Out)
}

// makeHotfix signs, writes the zip, looks at it as a customer would, and registers it.
func (p *Publisher) makeHotfix(ctx context.Context, d *hotfixDraft, out HotfixOutcome) (HotfixOutcome, error) {
	d.record.Created = p.Now().UTC().Truncate(time.Second)
	out.Record = d.record
	payload, err := d.record.Bytes()
	if err != nil {
		return out, problem.New(problem.Refused, "Make the fix smaller, or publish a level.", "Unable to make the hotfix: %w", err)
	}
	keys, err := p.Signer.Folder.Signers(trust.RoleHotfix)
	if err != nil {
		return out, err
	}
	spec := bundle.Spec{Open: func(ref release.Ref) (io.ReadCloser, error) { return p.hotfixContent(d, ref) }}
	if spec.Envelope, err = sign.Hotfix(payload, keys); err != nil {
		return out, err
	}
	if _, err := d.view.Hotfix(spec.Envelope); err != nil {
		return out, problem.New(problem.Refused, "Use the key file that was made for this role.", "Customers would not trust this signature: %w", err)
	}
	if spec.Metadata, err = p.proof(ctx); err != nil {
		return out, err
	}
	if err := p.fetchBases(ctx, d); err != nil {
		return out, err
	}
	file, err := p.temporary()
	if err != nil {
		return out, err
	}
	defer discard(file)
	if err := bundle.Write(file, spec); err != nil {
		return out, err
	}
	if err := p.lookAt(ctx, d, file, spec.Metadata[0].Data); err != nil {
		return out, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return out, fmt.Errorf("reading the hotfix: %w", err)
	}
	p.say("Registering %s, %d bytes.", d.record.FileName(), size)
	if _, err := p.Registry.RegisterHotfix(ctx, file, size); err != nil {
		return out, err
	}
	return p.place(file, size, out, d.req.Out)
}

// lookAt reads a zip as an installation does that knows only the vendor's first root.
func (p *Publisher) lookAt(ctx context.Context, d *hotfixDraft, file *os.File, root []byte) error {
	a := &earlier{file: file}
	if err := d.verify(ctx, a); err != nil {
		return err
	}
	client, err := refresh.New(refresh.Config{Dir: filepath.Join(p.Cache, "nothing-trusted"), Root: root, Now: p.Now})
	if err != nil {
		return err
	}
	view, err := client.Carried(ctx, a.bundle)
	if err == nil {
		_, err = view.Hotfix(a.bundle.Envelope())
	}
	return err
}

// hotfixContent opens what a hotfix wants from the build, and what it replaces from where
// that came.
func (p *Publisher) hotfixContent(d *hotfixDraft, ref release.Ref) (io.ReadCloser, error) {
	for _, f := range d.record.Files {
		if f.Want != nil && f.Want.Kind == manifest.File && f.Want.Sum == ref.Sum {
			return d.build.Open(f.Path)
		}
	}
	if r, err := d.fromAfter(ref); err == nil {
		return r, nil
	}
	return p.Objects.Open(ref)
}

// fetchBases fetches the replaced contents that travel and are no hotfix's.
func (p *Publisher) fetchBases(ctx context.Context, d *hotfixDraft) error {
	var refs []release.Ref
	_, base := d.record.Contents()
	for _, ref := range base {
		r, err := d.fromAfter(ref)
		switch {
		case err == nil:
			if err := r.Close(); err != nil {
				return err
			}
		case ref.Size <= bundle.MaxBase:
			refs = append(refs, ref)
		}
	}
	return p.Objects.Fetch(ctx, d.Line, d.req.Level, refs)
}

// proof gathers the metadata that prove an envelope.
func (p *Publisher) proof(ctx context.Context) ([]bundle.File, error) {
	carried, err := p.Signer.Proof(ctx)
	if err != nil {
		return nil, err
	}
	files := make([]bundle.File, len(carried))
	for i, f := range carried {
		files[i] = bundle.File{Name: f.Name, Data: f.Data}
	}
	return files, nil
}

func (p *Publisher) temporary() (*os.File, error) {
	if err := durable.MkdirAll(p.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache folder: %w", err)
	}
	file, err := os.CreateTemp(p.Cache, "hotfix-*")
	if err != nil {
		return nil, fmt.Errorf("making the hotfix: %w", err)
	}
	return file, nil
}

func discard(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}

// place puts the zip, which the service has, into the folder asked for.
func (p *Publisher) place(file *os.File, size int64, out HotfixOutcome, folder string) (HotfixOutcome, error) {
	name := filepath.Join(folder, out.Record.FileName())
	err := durable.MkdirAll(filepath.Dir(name), 0o755)
	var to *durable.File
	if err == nil {
		to, err = durable.Create(name, 0o644)
	}
	if err == nil {
		defer to.Discard()
		_, err = io.Copy(to, io.NewSectionReader(file, 0, size))
	}
	if err == nil {
		err = to.Commit()
	}
	if err != nil {
		return out, problem.New(problem.Failed, "Name another folder with --out and run the command again: it gives the same zip.",
			"Unable to write %s: %w", name, err).Standing("The hotfix is registered: its organisation can have it from the service.")
	}
	out.File, out.Size = name, size
	return out, nil
}

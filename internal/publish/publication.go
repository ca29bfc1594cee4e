package publish

import (
	"fmt"
	"slices"
	"time"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// publication is one level ready to be listed: its listing and the objects made for it.
type publication struct {
	listed   release.Listed
	record   []byte
	manifest []byte
	notes    []byte
}

// makePublication binds manifest and notes to a record and the record to a listing.
func makePublication(record release.Record, listing release.Listing, text []byte, notes release.Notes) (publication, error) {
	noteText, err := notes.Bytes()
	if err != nil {
		return publication{}, err
	}
	record.Manifest = release.Ref{Sum: digest.Of(text), Size: int64(len(text))}
	record.Notes = release.Ref{Sum: digest.Of(noteText), Size: int64(len(noteText))}
	data, err := record.Bytes()
	if err != nil {
		return publication{}, err
	}
	regular, security := notes.Counts()
	listing.Product, listing.Version, listing.Channel, listing.Level = record.Product, record.Version, record.Channel, record.Level
	listing.Type, listing.RegularN, listing.SecurityN, listing.Title = notes.Type(), regular, security, notes.Title
	if listing.Published.IsZero() {
		listing.Published = record.Created.Truncate(time.Second)
	}
	return publication{
		listed: release.Listed{Listing: listing, Record: release.Ref{Sum: digest.Of(data), Size: int64(len(data))}},
		record: data, manifest: text, notes: noteText,
	}, nil
}

func (b publication) uploads() []upload {
	return []upload{bytesUpload(b.manifest), bytesUpload(b.notes), bytesUpload(b.record)}
}

// keep stores what the next publication will read in the cache.
func (b publication) keep(p *Publisher) {
	for _, data := range [][]byte{b.manifest, b.notes, b.record} {
		p.keepObject(digest.Of(data), data)
	}
}

// renewWhen is the time left at which a publication renews its product's role too.
const renewWhen = 60 * 24 * time.Hour

// signLevels returns the documents that list bundles, all of one line, upon the levels that
// were judged. A product's role that soon runs out is renewed along with them.
func (p *Publisher) signLevels(bundles []publication, judged []release.Listed, newLine bool) ([]api.RoleMetadata, error) {
	line := bundles[0].listed.Line()
	role := release.ProductRole(line.Product)
	keys, err := p.Signer.Folder.Signers(role)
	if err != nil {
		return nil, err
	}
	product, err := p.Signer.Folder.Document(role)
	if err != nil {
		return nil, err
	}
	facts, err := sign.FactsOf(product)
	if err != nil {
		return nil, err
	}
	var docs []api.RoleMetadata
	var before []byte
	switch known := slices.Contains(facts.Delegated, line.Role()); {
	case newLine && !known:
		held, err := p.Signer.Folder.Holders(role)
		if err != nil {
			return nil, err
		}
		product, err = sign.AddDelegation(role, product, line.Role(), held, p.Now(), keys)
		if err != nil {
			return nil, err
		}
		docs = append(docs, api.RoleMetadata{Role: role, Data: product})
	case facts.Expires.Sub(p.Now()) < renewWhen:
		product, err = sign.Renew(role, product, p.Now(), keys)
		if err != nil {
			return nil, err
		}
		docs = append(docs, api.RoleMetadata{Role: role, Data: product})
	}
	if !newLine {
		if before, err = p.asJudged(line, judged); err != nil {
			return nil, err
		}
	}
	data, err := sign.PutLevels(before, line, listings(bundles), p.Now(), keys)
	if err != nil {
		return nil, err
	}
	return append(docs, api.RoleMetadata{Role: line.Role(), Data: data}), nil
}

// asJudged returns the document of a line, if it still lists what was judged: another
// publisher on the same folder of keys may have brought it further meanwhile, and what that
// one published must not be signed over.
func (p *Publisher) asJudged(line release.Line, judged []release.Listed) ([]byte, error) {
	doc, err := p.Signer.Folder.Document(line.Role())
	if err != nil {
		return nil, err
	}
	levels, err := trust.LineLevels(doc, line)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(levels, judged, func(a, b release.Listed) bool {
		return a.Record == b.Record && a.Listing == b.Listing
	}) {
		return nil, problem.New(problem.Refused, "Run the command again: it starts from what is current.",
			"Another publisher changed %s meanwhile", line)
	}
	return doc, nil
}

func listings(bundles []publication) []release.Listed {
	all := make([]release.Listed, len(bundles))
	for i, b := range bundles {
		all[i] = b.listed
	}
	return all
}

// signProduct returns the documents that start a product version with level 0. The
// product's key is made when targets does not delegate the product yet.
func (p *Publisher) signProduct(b publication) ([]api.RoleMetadata, error) {
	line := b.listed.Line()
	role := release.ProductRole(line.Product)
	targets, err := p.Signer.Folder.Document(trust.RoleTargets)
	if err != nil {
		return nil, err
	}
	facts, err := sign.FactsOf(targets)
	if err != nil {
		return nil, err
	}
	if slices.Contains(facts.Delegated, role) {
		return p.signLevels([]publication{b}, nil, true)
	}
	signers, err := p.Signer.Folder.Signers(trust.RoleTargets)
	if err != nil {
		return nil, err
	}
	keys, err := p.Signer.Folder.Make(role, 1)
	if err != nil {
		return nil, err
	}
	public, err := keys[0].Public()
	if err != nil {
		return nil, err
	}
	targets, err = sign.AddDelegation(trust.RoleTargets, targets, role, sign.Alone(public), p.Now(), signers)
	if err != nil {
		return nil, err
	}
	product, err := sign.NewProduct(line, p.Now(), keys[0])
	if err != nil {
		return nil, err
	}
	levels, err := sign.PutLevels(nil, line, []release.Listed{b.listed}, p.Now(), keys[:1])
	if err != nil {
		return nil, fmt.Errorf("listing level 0: %w", err)
	}
	return []api.RoleMetadata{
		{Role: trust.RoleTargets, Data: targets}, {Role: role, Data: product}, {Role: line.Role(), Data: levels},
	}, nil
}

package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// InitRequest says how many root keys there are and how many must sign the next root.
type InitRequest struct {
	RootKeys  int // 0: 1
	Threshold int // 0: 1
}

// Init makes root, targets, tool and hotfix keys and the first root and targets, and
// submits these. It returns the root's fingerprint. A run that was cut is repeated; a
// service that has another root is refused before any key is made.
func (p *Signer) Init(ctx context.Context, req InitRequest) (fingerprint string, already bool, err error) {
	req.RootKeys, req.Threshold = max(req.RootKeys, 1), max(req.Threshold, 1)
	if req.Threshold > req.RootKeys {
		return "", false, problem.New(problem.Usage, "Make more root keys, or lower the threshold.",
			"%d of %d root keys can not sign", req.Threshold, req.RootKeys)
	}
	first, err := p.Remote.Metadata(ctx, trust.FileName(trust.RoleRoot, 1), trust.MaxRoot)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	own, ownErr := p.Folder.Document(trust.RoleRoot)
	switch {
	case ownErr != nil && !errors.Is(ownErr, fs.ErrNotExist):
		return "", false, ownErr
	case len(first) > 0 && ownErr != nil:
		return "", false, problem.New(problem.Refused, "Name the folder with the keys of this vendor with --keys.",
			"The service has a root already, and %s holds none", p.Folder.Dir)
	case len(first) > 0:
		if _, err := p.Refresh(ctx); err != nil {
			return "", false, err
		}
		fingerprint, err = trust.Fingerprint(own)
		return fingerprint, true, err
	}
	docs, err := p.initDocuments(ctx, req)
	if err != nil {
		return "", false, err
	}
	if err := p.Submit(ctx, docs); err != nil {
		return "", false, err
	}
	fingerprint, err = trust.Fingerprint(docs[0].Data)
	return fingerprint, false, err
}

// initDocuments returns root and targets: those that the folder keeps from a run that
// was cut, else new ones.
func (p *Signer) initDocuments(ctx context.Context, req InitRequest) ([]api.RoleMetadata, error) {
	spec, signers, err := p.rootSpec(ctx, req)
	if err != nil {
		return nil, err
	}
	root, err := p.Folder.Document(trust.RoleRoot)
	if errors.Is(err, fs.ErrNotExist) {
		if root, err = sign.NewRoot(spec, p.Now(), signers[trust.RoleRoot]); err == nil {
			err = p.Folder.Keep(trust.RoleRoot, root)
		}
	}
	if err != nil {
		return nil, err
	}
	named, err := sign.NamesOnlineKeys(root, spec.Snapshot, spec.Timestamp)
	if err != nil {
		return nil, err
	}
	if !named {
		return nil, problem.New(problem.Refused, "Name a new folder with --keys.",
			"The root in %s was made for another service", p.Folder.Dir)
	}
	targets, err := p.Folder.Document(trust.RoleTargets)
	if errors.Is(err, fs.ErrNotExist) {
		targets, err = p.newTargets(signers)
	}
	if err != nil {
		return nil, err
	}
	return []api.RoleMetadata{{Role: trust.RoleRoot, Data: root}, {Role: trust.RoleTargets, Data: targets}}, nil
}

func (p *Signer) newTargets(signers map[string][]sign.Key) ([]byte, error) {
	tool, err := signers[trust.RoleTool][0].Public()
	if err != nil {
		return nil, err
	}
	hotfix, err := signers[trust.RoleHotfix][0].Public()
	if err != nil {
		return nil, err
	}
	targets, err := sign.NewTargets(tool, hotfix, p.Now(), signers[trust.RoleTargets])
	if err != nil {
		return nil, err
	}
	return targets, p.Folder.Keep(trust.RoleTargets, targets)
}

// rootSpec asks the service for its public keys and makes those of the publisher.
func (p *Signer) rootSpec(ctx context.Context, req InitRequest) (sign.RootSpec, map[string][]sign.Key, error) {
	spec := sign.RootSpec{Threshold: req.Threshold}
	online, err := p.Service.OnlineKeys(ctx)
	if err != nil {
		return spec, nil, err
	}
	if spec.Snapshot, err = sign.OnlineKey(online.Snapshot); err != nil {
		return spec, nil, err
	}
	if spec.Timestamp, err = sign.OnlineKey(online.Timestamp); err != nil {
		return spec, nil, err
	}
	signers := map[string][]sign.Key{}
	for role, n := range map[string]int{trust.RoleRoot: req.RootKeys, trust.RoleTargets: 1, trust.RoleTool: 1, trust.RoleHotfix: 1} {
		if signers[role], err = p.Folder.Make(role, n); err != nil {
			return spec, nil, err
		}
	}
	for role, into := range map[string]*[]*metadata.Key{trust.RoleRoot: &spec.Root, trust.RoleTargets: &spec.Targets} {
		for _, key := range signers[role] {
			public, err := key.Public()
			if err != nil {
				return spec, nil, err
			}
			*into = append(*into, public)
		}
	}
	return spec, signers, nil
}

// Status describes every role that the publisher signs, as last seen. It asks the
// service first; when that fails the folder's documents are described and the error is
// returned along with them.
func (p *Signer) Status(ctx context.Context) (all []sign.Status, stale error, err error) {
	stale = p.refreshAll(ctx)
	roles, err := p.Folder.Roles()
	if err != nil && stale != nil {
		return nil, nil, stale // nothing is kept: the first reason is the one that counts
	}
	if err != nil {
		return nil, nil, err
	}
	for _, role := range roles {
		s, err := p.Folder.Status(role, p.Now())
		if err != nil {
			return nil, stale, err
		}
		all = append(all, s)
	}
	return all, stale, nil
}

// refreshAll brings every role of every product up to date. A role that has expired is
// taken too, if it is signed as it must be: the publisher is who renews it.
func (p *Signer) refreshAll(ctx context.Context) error {
	view, err := p.Refresh(ctx)
	if err := p.takeExpired(ctx, trust.RoleTargets, err); err != nil {
		return err
	}
	if view != nil {
		if err := p.takeExpired(ctx, trust.RoleTool, view.ToolsUnknown()); err != nil {
			return err
		}
	}
	targets, err := p.Folder.Document(trust.RoleTargets)
	if err != nil {
		return err
	}
	facts, err := sign.FactsOf(targets)
	if err != nil {
		return err
	}
	for _, role := range facts.Delegated {
		product, ok := trust.ParseProductRole(role)
		if !ok {
			continue
		}
		if err := p.refreshProduct(ctx, product); err != nil {
			return err
		}
	}
	return nil
}

func (p *Signer) refreshProduct(ctx context.Context, product string) error {
	role := release.ProductRole(product)
	// Any line leads to the product's role, one that is not published too.
	_, err := p.Refresh(ctx, release.Line{Product: product, Version: "0", Channel: release.DefaultChannel})
	if err := p.takeExpired(ctx, role, err); err != nil {
		return err
	}
	doc, err := p.Folder.Document(role)
	if err != nil {
		return err
	}
	facts, err := sign.FactsOf(doc)
	if err != nil {
		return err
	}
	for _, name := range facts.Delegated {
		line, ok := trust.ParseLineRole(name)
		if !ok {
			continue
		}
		_, err := p.Refresh(ctx, line)
		if err := p.takeExpired(ctx, name, err); err != nil {
			return err
		}
	}
	return nil
}

// takeExpired turns a refusal for expiry into the current document of role, fetched by
// the version that the snapshot lists and verified by its signatures alone. Another
// error is returned as it is.
func (p *Signer) takeExpired(ctx context.Context, role string, refused error) error {
	if refused == nil || !errors.Is(refused, &metadata.ErrExpiredMetadata{}) {
		return refused
	}
	version, err := p.listedVersion(role)
	if err != nil {
		return refused
	}
	data, err := p.Remote.Metadata(ctx, trust.FileName(role, version), trust.MaxLength(role))
	if err != nil {
		return refused
	}
	parent, _ := trust.ParentRole(role)
	by, err := p.Folder.Document(parent)
	if err != nil || sign.Verify(parent, by, role, data) != nil {
		return refused
	}
	return p.Folder.Keep(role, data)
}

func (p *Signer) listedVersion(role string) (int64, error) {
	data, err := p.Folder.Document(trust.RoleSnapshot)
	if err != nil {
		return 0, err
	}
	var snapshot struct {
		Signed struct {
			Meta map[string]struct {
				Version int64 `json:"version"`
			} `json:"meta"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &snapshot); err != nil {
		return 0, err
	}
	listed, ok := snapshot.Signed.Meta[role+".json"]
	if !ok {
		return 0, fmt.Errorf("the snapshot does not list %s", role)
	}
	return listed.Version, nil
}

// Renew signs again what runs out within 60 days, or everything, and submits it: in one
// step, unless a vendor has more roles than one submission takes. What needs signatures of
// keys elsewhere is returned, to be signed there. Roles that are due and whose keys are not
// in the folder are left and named by the error; the others are renewed all the same.
func (p *Signer) Renew(ctx context.Context, everything bool) (renewed []sign.Status, waiting Waiting, err error) {
	all, stale, err := p.Status(ctx)
	if err != nil {
		return nil, waiting, err
	}
	if stale != nil && problem.KindOf(stale) != problem.Verification {
		return nil, waiting, stale
	}
	var docs []api.RoleMetadata
	var without []string
	for _, s := range all {
		if s.Warn == 0 && !everything {
			continue
		}
		if len(s.Keys) == 0 {
			without = append(without, s.Role)
			continue
		}
		data, err := p.renewed(s.Role)
		if err != nil {
			return nil, waiting, err
		}
		doc := api.RoleMetadata{Role: s.Role, Data: data}
		met, err := p.met(doc)
		if err != nil {
			return nil, waiting, err
		}
		if met {
			docs = append(docs, doc)
		} else {
			waiting.Documents = append(waiting.Documents, doc)
		}
	}
	if renewed, err = p.submitAll(ctx, docs); err != nil {
		return renewed, waiting, err
	}
	return renewed, waiting, keysAway(without, p.Folder.Dir)
}

// met reports whether a document that changes no keys has the signatures it needs.
func (p *Signer) met(doc api.RoleMetadata) (bool, error) {
	needs, err := p.needs(Waiting{}, doc)
	return err == nil && !slices.ContainsFunc(needs, func(n Need) bool { return !n.Met() }), err
}

func (p *Signer) submitAll(ctx context.Context, docs []api.RoleMetadata) (renewed []sign.Status, err error) {
	for _, batch := range batches(docs) {
		if err := p.Submit(ctx, batch); err != nil {
			return renewed, err
		}
		for _, doc := range batch {
			facts, err := sign.FactsOf(doc.Data)
			if err != nil {
				return renewed, err
			}
			if err := p.Folder.Keep(doc.Role, doc.Data); err != nil {
				return renewed, err
			}
			renewed = append(renewed, sign.Judge(sign.Status{Role: doc.Role, Version: facts.Version, Expires: facts.Expires}, p.Now()))
		}
	}
	return renewed, nil
}

// maxBatch bounds the bytes of documents in one submission; JSON makes 4 of 3.
const maxBatch = api.MaxMetadataBody / 4 * 3 / 8 * 7

// batches cuts documents into what one submission takes, in their order: those that
// delegate come first.
func batches(docs []api.RoleMetadata) (all [][]api.RoleMetadata) {
	size := 0
	for i, doc := range docs {
		if size += len(doc.Data); i == 0 || size > maxBatch || len(all[len(all)-1]) == api.MaxRoles {
			all, size = append(all, nil), len(doc.Data)
		}
		all[len(all)-1] = append(all[len(all)-1], doc)
	}
	return all
}

func (p *Signer) renewed(role string) ([]byte, error) {
	keys, err := p.Folder.Keys(sign.KeyRole(role))
	if err != nil {
		return nil, err
	}
	doc, err := p.trusted(role)
	if err != nil {
		return nil, err
	}
	return sign.Renew(role, doc, p.Now(), keys)
}

func keysAway(roles []string, dir string) error {
	if len(roles) == 0 {
		return nil
	}
	return problem.New(problem.Refused, "Bring these key files into the folder and run keys renew again.",
		"These roles run out and their keys are not in %s: %s", dir, strings.Join(roles, ", "))
}

package signing

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// RoleOnline stands for snapshot and timestamp together: the keys of the service.
const RoleOnline = "online"

// RotateRequest says what takes the place of a role's keys.
type RotateRequest struct {
	Role      string          // root, targets, tool, hotfix, product.NAME or [RoleOnline]
	New       int             // keys to make in this folder
	With      []*metadata.Key // public keys that were made elsewhere
	Drop      []string        // beginnings of ids that count no more; none: all before, unless Keep
	Keep      bool            // those before count beside the new ones
	Threshold int             // 0: as before
}

// Rotate returns the documents that name other keys, and whatever must be signed again
// because of that, with the signatures that this folder can give. It makes keys and
// publishes nothing. Made are the names of new key files.
func (p *Signer) Rotate(ctx context.Context, req RotateRequest) (w Waiting, made []string, err error) {
	parent, ok := trust.ParentRole(req.Role)
	if _, line := trust.ParseLineRole(req.Role); req.Role != RoleOnline && (!ok || line || req.Role == trust.RoleSnapshot || req.Role == trust.RoleTimestamp) {
		return w, nil, problem.New(problem.Usage, "Name root, targets, tool, hotfix, product.NAME or online.", "%q is no role whose keys can be replaced", req.Role)
	}
	// What was seen last is enough where the service shows nothing that can be trusted: a
	// rotation is the way out of that.
	if stale := p.refreshAll(ctx); stale != nil && problem.KindOf(stale) != problem.Verification {
		return w, nil, stale
	}
	var holders map[string]sign.Holders
	if req.Role == RoleOnline {
		parent = trust.RoleRoot
		holders, err = p.onlineHolders(ctx)
	} else {
		holders, made, err = p.newHolders(req)
	}
	if err != nil {
		return w, made, err
	}
	if w.Documents, err = p.rotated(parent, req.Role, holders); err != nil {
		return w, made, err
	}
	w, _, err = p.Sign(w)
	return w, made, err
}

// onlineHolders are the keys that the service wants root to name.
func (p *Signer) onlineHolders(ctx context.Context) (map[string]sign.Holders, error) {
	online, err := p.Service.OnlineKeys(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := sign.OnlineKey(online.Snapshot)
	if err != nil {
		return nil, err
	}
	timestamp, err := sign.OnlineKey(online.Timestamp)
	if err != nil {
		return nil, err
	}
	root, err := p.Folder.Document(trust.RoleRoot)
	if err != nil {
		return nil, err
	}
	named, err := sign.NamesOnlineKeys(root, snapshot, timestamp)
	if err != nil {
		return nil, err
	}
	if named {
		return nil, problem.New(problem.Refused, "Make new ones on the service first: upleveld admin online-keys replace, and start it again.",
			"The root names the service's keys already")
	}
	return map[string]sign.Holders{trust.RoleSnapshot: sign.Alone(snapshot), trust.RoleTimestamp: sign.Alone(timestamp)}, nil
}

// newHolders are the keys of a role as they will be: those before that stay, those made
// elsewhere, and those made here.
func (p *Signer) newHolders(req RotateRequest) (map[string]sign.Holders, []string, error) {
	before, err := p.Folder.Holders(req.Role)
	if err != nil {
		return nil, nil, err
	}
	if len(before.Keys) == 0 {
		return nil, nil, problem.New(problem.Refused, "Look at keys status.", "No key signs %s yet", req.Role)
	}
	after := sign.Holders{Threshold: req.Threshold}
	if after.Threshold == 0 {
		after.Threshold = before.Threshold
	}
	if after.Keys, err = remaining(before, req); err != nil {
		return nil, nil, err
	}
	after.Keys = append(after.Keys, req.With...)
	if n := len(after.Keys) + req.New; after.Threshold > n || after.Threshold < 1 {
		return nil, nil, problem.New(problem.Usage, "Make more with --new, bring others with --with FILE, or lower --threshold.",
			"%s would have %d keys, of which %d must sign", req.Role, n, after.Threshold)
	}
	// Before a key is made, which nobody would need afterwards.
	if err := (sign.Holders{Keys: after.Keys, Threshold: min(after.Threshold, len(after.Keys))}).Check(); err != nil && len(after.Keys) > 0 {
		return nil, nil, problem.New(problem.Usage, "Look at --with, --drop and --threshold.", "The keys of %s: %w", req.Role, err)
	}
	keys, made, err := p.Folder.Add(req.Role, req.New)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range keys {
		public, err := key.Public()
		if err != nil {
			return nil, made, err
		}
		after.Keys = append(after.Keys, public)
	}
	return map[string]sign.Holders{req.Role: after}, made, nil
}

// remaining are the keys before that count on.
func remaining(before sign.Holders, req RotateRequest) ([]*metadata.Key, error) {
	if len(req.Drop) == 0 {
		if req.Keep {
			return slices.Clone(before.Keys), nil
		}
		return nil, nil
	}
	var kept []*metadata.Key
	found := map[string]int{}
	for _, key := range before.Keys {
		id, err := key.ID()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(req.Drop, func(begin string) bool { return len(begin) >= 8 && strings.HasPrefix(id, strings.ToLower(begin)) })
		if i < 0 {
			kept = append(kept, key)
			continue
		}
		found[req.Drop[i]]++
	}
	for _, begin := range req.Drop {
		if found[begin] != 1 {
			return nil, problem.New(problem.Usage, "keys status shows the ids; 8 characters of one are enough.",
				"--drop %s names %d keys of %s", begin, found[begin], req.Role)
		}
	}
	return kept, nil
}

// rotated are the documents: that which names the keys, then what they must sign again,
// because what signed it so far is not enough any more.
func (p *Signer) rotated(parent, role string, holders map[string]sign.Holders) ([]api.RoleMetadata, error) {
	docs, err := p.appendNext(nil, parent, holders)
	if err != nil || parent == role || role == RoleOnline {
		return docs, err
	}
	_, isProduct := trust.ParseProductRole(role)
	if !isProduct {
		return p.appendAgain(docs, role) // nothing is signed by hotfix
	}
	lines, err := p.Folder.Delegated(role)
	if err != nil {
		return nil, err
	}
	below := map[string]sign.Holders{}
	for _, line := range lines {
		below[line] = holders[role]
	}
	if docs, err = p.appendNext(docs, role, below); err != nil {
		return nil, err
	}
	for _, line := range lines {
		if docs, err = p.appendAgain(docs, line); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// appendAgain appends the next version of role's document, if there is one and it is not
// signed by enough of the keys that its parent names from now on.
func (p *Signer) appendAgain(docs []api.RoleMetadata, role string) ([]api.RoleMetadata, error) {
	parent, _ := trust.ParentRole(role)
	doc, err := p.Folder.Document(role)
	if errors.Is(err, fs.ErrNotExist) {
		return docs, nil
	}
	if err != nil || sign.Verify(parent, Waiting{docs}.document(parent), role, doc) == nil {
		return docs, err
	}
	return p.appendNext(docs, role, nil)
}

func (p *Signer) appendNext(docs []api.RoleMetadata, role string, holders map[string]sign.Holders) ([]api.RoleMetadata, error) {
	before, err := p.trusted(role)
	if err != nil {
		return nil, err
	}
	next, err := sign.Next(role, before, holders, sign.NextExpiry(role, p.Now()))
	return append(docs, api.RoleMetadata{Role: role, Data: next}), err
}

// publicFormat names the form of a file with a public key.
const publicFormat = "uplevel-public-key/1"

type publicFile struct {
	Format string        `json:"format"`
	Role   string        `json:"role"`
	ID     string        `json:"id"`
	Key    *metadata.Key `json:"key"`
}

// NewKey makes one more key of role in the folder, and returns its file's name, its id, and
// the public half as a file for whoever runs keys rotate --with.
func (p *Signer) NewKey(role string) (name, id string, public []byte, err error) {
	keys, files, err := p.Folder.Add(role, 1)
	if err != nil {
		return "", "", nil, err
	}
	key, err := keys[0].Public()
	if err != nil {
		return "", "", nil, err
	}
	if id, err = key.ID(); err != nil {
		return "", "", nil, err
	}
	public, err = json.MarshalIndent(publicFile{publicFormat, role, id, key}, "", "  ")
	return files[0], id, append(public, '\n'), err
}

// ParsePublic reads the public half of a key of role.
func ParsePublic(data []byte, role string) (*metadata.Key, error) {
	var f publicFile
	if err := json.Unmarshal(data, &f); err != nil || f.Format != publicFormat || f.Key == nil {
		return nil, problem.New(problem.Usage, "Name a file that keys new wrote.", "This is no file with a public key (%s)", publicFormat)
	}
	if f.Role != role {
		return nil, problem.New(problem.Usage, "Make one with keys new "+role+".", "It is a key of %.80q, not of %s", f.Role, role)
	}
	if err := sign.Alone(f.Key).Check(); err != nil {
		return nil, problem.New(problem.Usage, "Make another with keys new "+role+".", "The public key can not be used: %w", err)
	}
	if id, err := f.Key.ID(); err != nil || id != f.ID {
		return nil, problem.New(problem.Usage, "Get the file again from its holder.", "The public key is not the one that its id names")
	}
	return f.Key, nil
}

// FingerprintOf returns the fingerprint of the root that waits, whoever signed it.
func FingerprintOf(root []byte) (string, error) {
	held, err := sign.HoldersOf(trust.RoleRoot, root, trust.RoleRoot)
	if err != nil {
		return "", err
	}
	ids, err := held.IDs()
	return trust.FingerprintOf(held.Threshold, ids), err
}

// ShortID is how a key is named to people: enough to tell keys apart, and for --drop. Whom
// to trust is compared by the root's fingerprint, which covers all of them whole.
func ShortID(id string) string { return id[:min(len(id), 16)] }

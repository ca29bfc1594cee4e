package signing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// waitingFormat names the form of a file of documents that wait for signatures.
const waitingFormat = "uplevel-waiting/1"

// Waiting are documents that are published together once each has its signatures. As a
// file it goes from one person to the next: nothing in it is secret, and nothing in it
// counts before it is signed.
type Waiting struct {
	Documents []api.RoleMetadata // what delegates first
}

type waitingFile struct {
	Format    string             `json:"format"`
	Documents []api.RoleMetadata `json:"documents"`
}

// Bytes returns the file.
func (w Waiting) Bytes() ([]byte, error) {
	return json.Marshal(waitingFile{waitingFormat, w.Documents})
}

// MaxWaiting bounds the bytes of a file of waiting documents.
const MaxWaiting = api.MaxMetadataBody

// ParseWaiting reads such a file. Nothing in it is judged yet but its form.
func ParseWaiting(data []byte) (Waiting, error) {
	var f waitingFile
	if err := json.Unmarshal(data, &f); err != nil || f.Format != waitingFormat || len(f.Documents) == 0 {
		return Waiting{}, problem.New(problem.Usage, "Name a file that keys rotate or keys renew wrote.", "This is no file of waiting documents (%s)", waitingFormat)
	}
	seen := map[string]bool{}
	for _, doc := range f.Documents {
		_, ok := trust.ParentRole(doc.Role)
		if !ok || seen[doc.Role] || doc.Role == trust.RoleSnapshot || doc.Role == trust.RoleTimestamp {
			return Waiting{}, problem.New(problem.Verification, "Do not sign it. Ask whoever sent it.", "It holds a document of %.80q, or two", doc.Role)
		}
		seen[doc.Role] = true
	}
	return Waiting{f.Documents}, nil
}

func (w Waiting) document(role string) []byte {
	for _, doc := range w.Documents {
		if doc.Role == role {
			return doc.Data
		}
	}
	return nil
}

// Need are signatures that a document must have.
type Need struct {
	Role      string
	By        string   // of which keys, in words
	Threshold int      // so many
	Have      []string // ids of keys that signed
	Lack      []string // ids of those that did not
}

// Met reports whether there are enough.
func (n Need) Met() bool { return len(n.Have) >= n.Threshold }

// signers is one group of keys of which so many must sign a document.
type signers struct {
	by   string
	held sign.Holders
}

// groups are those whose signatures a document needs: of a root, the keys in force and
// those that it names itself.
func (p *Signer) groups(w Waiting, doc api.RoleMetadata) ([]signers, error) {
	if doc.Role == trust.RoleRoot {
		was, err := p.Folder.Holders(trust.RoleRoot)
		if err != nil {
			return nil, err
		}
		is, err := sign.HoldersOf(trust.RoleRoot, doc.Data, trust.RoleRoot)
		if err != nil {
			return nil, notNext(doc.Role, "%w", err)
		}
		c, err := compare(doc.Role, was, is)
		if err != nil {
			return nil, err
		}
		if len(c.Added)+len(c.Dropped) == 0 && c.Threshold == c.WasThreshold {
			return []signers{{"the root keys", was}}, nil
		}
		return []signers{{"the root keys in force", was}, {"the root keys that it names", is}}, nil
	}
	parent, _ := trust.ParentRole(doc.Role)
	by := w.document(parent)
	if by == nil {
		var err error
		if by, err = p.Folder.Document(parent); err != nil {
			return nil, err
		}
	}
	held, err := sign.HoldersOf(parent, by, doc.Role)
	if err == nil && len(held.Keys) == 0 {
		err = notNext(doc.Role, "%s does not name its keys", parent)
	}
	return []signers{{"the keys that " + parent + " names", held}}, err
}

func (p *Signer) needs(w Waiting, doc api.RoleMetadata) ([]Need, error) {
	groups, err := p.groups(w, doc)
	if err != nil {
		return nil, err
	}
	var needs []Need
	for _, g := range groups {
		n := Need{Role: doc.Role, By: g.by, Threshold: g.held.Threshold}
		if n.Have, err = sign.SignedBy(g.held, doc.Role, doc.Data); err != nil {
			return nil, err
		}
		all, err := g.held.IDs()
		if err != nil {
			return nil, err
		}
		n.Lack = slices.DeleteFunc(all, func(id string) bool { return slices.Contains(n.Have, id) })
		needs = append(needs, n)
	}
	return needs, nil
}

// Sign returns the documents with the signatures of those keys in the folder that count,
// and how many were added. Documents that [Signer.Review] refuses are not signed.
func (p *Signer) Sign(w Waiting) (Waiting, int, error) {
	if _, _, err := p.Review(w); err != nil {
		return w, 0, err
	}
	signed, added := Waiting{}, 0
	for _, doc := range w.Documents {
		groups, err := p.groups(w, doc)
		if err != nil {
			return w, 0, err
		}
		lack := sign.Holders{}
		for _, g := range groups {
			have, err := sign.SignedBy(g.held, doc.Role, doc.Data)
			if err != nil {
				return w, 0, err
			}
			for _, key := range g.held.Keys {
				if id, err := key.ID(); err == nil && !slices.Contains(have, id) && !holds(lack, key) {
					lack.Keys = append(lack.Keys, key)
				}
			}
		}
		keys, err := p.Folder.KeysOf(sign.KeyRole(doc.Role), lack)
		if err != nil {
			return w, 0, err
		}
		if len(keys) > 0 {
			if doc.Data, err = sign.AddSignatures(doc.Role, doc.Data, keys); err != nil {
				return w, 0, err
			}
		}
		added += len(keys)
		signed.Documents = append(signed.Documents, doc)
	}
	return signed, added, nil
}

func holds(h sign.Holders, key *metadata.Key) bool {
	return slices.ContainsFunc(h.Keys, func(k *metadata.Key) bool { return k.Value.PublicKey == key.Value.PublicKey })
}

// Publish submits waiting documents that have all their signatures, and keeps them. Else it
// names those that lack.
func (p *Signer) Publish(ctx context.Context, w Waiting) error {
	_, needs, err := p.Review(w)
	if err != nil {
		return err
	}
	var lacks []string
	for _, n := range needs {
		if !n.Met() {
			lacks = append(lacks, n.Words()+", "+n.Missing())
		}
	}
	if len(lacks) > 0 {
		return problem.New(problem.Refused, "Let their holders run keys sign on the file, then run keys submit again.",
			"Signatures are missing: %s", strings.Join(lacks, "; "))
	}
	if len(w.Documents) > api.MaxRoles {
		return problem.New(problem.Refused, "Rotate with --keep first and run keys renew --all: then no line has to be signed in the same step.",
			"%d documents can not be published in one step, %d can", len(w.Documents), api.MaxRoles)
	}
	if err := p.Submit(ctx, w.Documents); err != nil {
		return err
	}
	for _, doc := range w.Documents {
		if err := p.Folder.Keep(doc.Role, doc.Data); err != nil {
			return err
		}
	}
	return nil
}

// Words says what there is.
func (n Need) Words() string {
	return fmt.Sprintf("%s has %d of %d signatures of %s", n.Role, len(n.Have), n.Threshold, n.By)
}

// Missing says how many more there must be, and of which keys.
func (n Need) Missing() string {
	ids := make([]string, len(n.Lack))
	for i, id := range n.Lack {
		ids[i] = ShortID(id)
	}
	return fmt.Sprintf("%d more of %s", n.Threshold-len(n.Have), strings.Join(ids, ", "))
}

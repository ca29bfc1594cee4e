package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust"
)

// Holders are the keys whose signatures count for a role, and how many are needed.
type Holders struct {
	Keys      []*metadata.Key
	Threshold int
}

// Alone is one key that needs no other.
func Alone(key *metadata.Key) Holders { return Holders{[]*metadata.Key{key}, 1} }

// IDs returns the ids of the keys, ascending.
func (h Holders) IDs() ([]string, error) {
	ids := make([]string, 0, len(h.Keys))
	for _, key := range h.Keys {
		id, err := key.ID()
		if err != nil {
			return nil, fmt.Errorf("id of a key: %w", err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// Check refuses holders that could never sign, keys that are no Ed25519 keys, and a key
// that is named twice.
func (h Holders) Check() error {
	for _, key := range h.Keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	ids, err := h.IDs()
	if err != nil {
		return err
	}
	if len(slices.Compact(ids)) != len(h.Keys) {
		return errors.New("a key is named twice")
	}
	if h.Threshold < 1 || h.Threshold > len(h.Keys) {
		return fmt.Errorf("%d of %d keys can not sign", h.Threshold, len(h.Keys))
	}
	return nil
}

// checkKey refuses what is no Ed25519 key, and one that is written otherwise than such keys
// are: under another id one private key would count twice.
func checkKey(key *metadata.Key) error {
	raw, err := hex.DecodeString(key.Value.PublicKey)
	if err != nil || key.Type != metadata.KeyTypeEd25519 || len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("a key of type %.40q is no Ed25519 key", key.Type)
	}
	plain, err := metadata.KeyFromPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return fmt.Errorf("a key is no Ed25519 key: %w", err)
	}
	want, err := plain.ID()
	if err != nil {
		return fmt.Errorf("id of a key: %w", err)
	}
	if id, err := key.ID(); err != nil || id != want {
		return fmt.Errorf("the key with the public half %s holds more than an Ed25519 key does", key.Value.PublicKey)
	}
	return nil
}

// HoldersOf returns whom parent's document lets sign role; none when it does not name the
// role. Signatures are not judged.
func HoldersOf(parent string, doc []byte, role string) (Holders, error) {
	var ids []string
	var keys map[string]*metadata.Key
	var h Holders
	if parent == trust.RoleRoot {
		root, err := parse[metadata.RootType](parent, doc)
		if err != nil {
			return h, err
		}
		if r := root.Signed.Roles[role]; r != nil {
			ids, keys, h.Threshold = r.KeyIDs, root.Signed.Keys, r.Threshold
		}
	} else {
		targets, err := parse[metadata.TargetsType](parent, doc)
		if err != nil {
			return h, err
		}
		if d := targets.Signed.Delegations; d != nil {
			i := slices.IndexFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == role })
			if i >= 0 {
				ids, keys, h.Threshold = d.Roles[i].KeyIDs, d.Keys, d.Roles[i].Threshold
			}
		}
	}
	for _, id := range ids {
		key := keys[id]
		if key == nil {
			return h, fmt.Errorf("%s names key %.64q of %s and does not hold it", parent, id, role)
		}
		h.Keys = append(h.Keys, key)
	}
	return h, nil
}

func parse[T metadata.Roles](role string, doc []byte) (*metadata.Metadata[T], error) {
	m, err := new(metadata.Metadata[T]).FromBytes(doc)
	if err != nil {
		return nil, fmt.Errorf("reading the document of %s: %w", role, err)
	}
	return m, nil
}

// Next returns the next version of role's document, not signed: the same content, until
// expires, with other holders of the roles that are named. It is the only way in which keys
// change, so a document that differs from it changes something else.
func Next(role string, doc []byte, holders map[string]Holders, expires time.Time) ([]byte, error) {
	for _, h := range holders {
		if err := h.Check(); err != nil {
			return nil, err
		}
	}
	if role == trust.RoleRoot {
		root, err := parse[metadata.RootType](role, doc)
		if err != nil {
			return nil, err
		}
		root.Signed.Version++
		root.Signed.Expires = expires
		return unsigned(root, setRoot(&root.Signed, holders))
	}
	targets, err := parse[metadata.TargetsType](role, doc)
	if err != nil {
		return nil, err
	}
	targets.Signed.Version++
	targets.Signed.Expires = expires
	if targets.Signed.Targets == nil {
		targets.Signed.Targets = map[string]*metadata.TargetFiles{}
	}
	return unsigned(targets, setDelegated(&targets.Signed, holders))
}

// NextExpiry is when a document of role that is made now runs out.
func NextExpiry(role string, now time.Time) time.Time { return expiry(role, now) }

func unsigned[T metadata.Roles](m *metadata.Metadata[T], err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	m.ClearSignatures()
	return m.ToBytes(false)
}

func setRoot(root *metadata.RootType, holders map[string]Holders) error {
	for role, h := range holders {
		signs := root.Roles[role]
		if signs == nil {
			return fmt.Errorf("root names no role %.80q", role)
		}
		ids, err := h.IDs()
		if err != nil {
			return err
		}
		signs.KeyIDs, signs.Threshold = ids, h.Threshold
		addKeys(root.Keys, h)
	}
	for id := range root.Keys {
		used := false
		for _, signs := range root.Roles {
			used = used || slices.Contains(signs.KeyIDs, id)
		}
		if !used {
			delete(root.Keys, id)
		}
	}
	return nil
}

func setDelegated(t *metadata.TargetsType, holders map[string]Holders) error {
	for role, h := range holders {
		ids, err := h.IDs()
		if err != nil {
			return err
		}
		if t.Delegations == nil {
			return fmt.Errorf("nothing is delegated to %.80q", role)
		}
		i := slices.IndexFunc(t.Delegations.Roles, func(r metadata.DelegatedRole) bool { return r.Name == role })
		if i < 0 {
			return fmt.Errorf("nothing is delegated to %.80q", role)
		}
		t.Delegations.Roles[i].KeyIDs, t.Delegations.Roles[i].Threshold = ids, h.Threshold
		addKeys(t.Delegations.Keys, h)
	}
	if t.Delegations != nil {
		dropUnused(t.Delegations)
	}
	return nil
}

// addKeys files keys by their ids, which [Holders.IDs] could tell.
func addKeys(into map[string]*metadata.Key, h Holders) {
	for _, key := range h.Keys {
		if id, err := key.ID(); err == nil {
			into[id] = key
		}
	}
}

func dropUnused(d *metadata.Delegations) {
	for known := range d.Keys {
		if !slices.ContainsFunc(d.Roles, func(r metadata.DelegatedRole) bool { return slices.Contains(r.KeyIDs, known) }) {
			delete(d.Keys, known)
		}
	}
}

// SignedBy returns the ids of those keys that signed doc, ascending.
func SignedBy(h Holders, role string, doc []byte) ([]string, error) {
	var ids []string
	for _, key := range h.Keys {
		id, err := key.ID()
		if err != nil {
			return nil, fmt.Errorf("id of a key: %w", err)
		}
		by := metadata.Root()
		if err := by.Signed.AddKey(key, trust.RoleTargets); err != nil {
			return nil, fmt.Errorf("key %s: %w", id, err)
		}
		if role == trust.RoleRoot {
			m, parseErr := parse[metadata.RootType](role, doc)
			if parseErr != nil {
				return nil, parseErr
			}
			err = by.VerifyDelegate(trust.RoleTargets, m)
		} else {
			m, parseErr := parse[metadata.TargetsType](role, doc)
			if parseErr != nil {
				return nil, parseErr
			}
			err = by.VerifyDelegate(trust.RoleTargets, m)
		}
		if err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// AddSignatures returns doc with the signatures of keys beside those that it has.
func AddSignatures(role string, doc []byte, keys []Key) ([]byte, error) {
	if role == trust.RoleRoot {
		return addSignatures[metadata.RootType](role, doc, keys)
	}
	return addSignatures[metadata.TargetsType](role, doc, keys)
}

func addSignatures[T metadata.Roles](role string, doc []byte, keys []Key) ([]byte, error) {
	m, err := parse[T](role, doc)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		signer, err := signature.LoadED25519Signer(key.private)
		if err != nil {
			return nil, fmt.Errorf("signing %s: %w", role, err)
		}
		made, err := m.Sign(signer)
		if err != nil {
			return nil, fmt.Errorf("signing %s: %w", role, err)
		}
		// A signature that was there under this id is replaced: one key counts once.
		last := len(m.Signatures) - 1
		m.Signatures = append(slices.DeleteFunc(m.Signatures[:last:last], func(s metadata.Signature) bool { return s.KeyID == made.KeyID }), *made)
	}
	data, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", role, err)
	}
	return data, checkLength(role, data)
}

// SameContent reports whether two documents of a role say the same, whoever signed them.
func SameContent(role string, a, b []byte) (bool, error) {
	first, err := contentOf(role, a)
	if err != nil {
		return false, err
	}
	second, err := contentOf(role, b)
	return bytes.Equal(first, second), err
}

func contentOf(role string, doc []byte) ([]byte, error) {
	if role == trust.RoleRoot {
		m, err := parse[metadata.RootType](role, doc)
		if err != nil {
			return nil, err
		}
		return unsigned(m, nil)
	}
	m, err := parse[metadata.TargetsType](role, doc)
	if err != nil {
		return nil, err
	}
	return unsigned(m, nil)
}

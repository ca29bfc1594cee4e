package online

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust"
)

// acceptRoot takes a first root that signs itself, or the next root of the chain, if
// it leaves snapshot and timestamp, and nothing else, to the keys of this service.
func (sub *submission) acceptRoot(ctx context.Context, data []byte) error {
	before, err := sub.current(ctx, trust.RoleRoot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := trust.NewVerifier(data, time.Time{}); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		v, err := trust.NewVerifier(before.Data, time.Time{})
		if err != nil {
			return err
		}
		if _, err := v.Root(data); err != nil {
			if next, parseErr := parseRoot(data); parseErr == nil && next.Version != before.Version+1 {
				return conflict("root.json has version %d, the next one is %d", next.Version, before.Version+1)
			}
			return err
		}
	}
	root, err := parseRoot(data)
	if err != nil {
		return err
	}
	if err := sub.checkRoot(root); err != nil {
		return err
	}
	return sub.take(trust.RoleRoot, root.Version, root.Expires, data)
}

func parseRoot(data []byte) (*metadata.RootType, error) {
	m, err := new(metadata.Metadata[metadata.RootType]).FromBytes(data)
	if err != nil {
		return nil, refuse(trust.RoleRoot, "%w", err)
	}
	return &m.Signed, nil
}

func (sub *submission) checkRoot(root *metadata.RootType) error {
	if !root.ConsistentSnapshot {
		return refuse(trust.RoleRoot, "it does not ask for consistent snapshots")
	}
	if _, err := sub.namedKeys(root); err != nil {
		return err
	}
	for _, role := range []string{trust.RoleRoot, trust.RoleTargets} {
		if err := errors.Join(distinct(trust.RoleRoot, role, root.Roles[role].KeyIDs, root.Keys),
			sub.offlineOnly(trust.RoleRoot, role, root.Roles[role].KeyIDs, root.Keys)); err != nil {
			return err
		}
	}
	return nil
}

// namedKeys returns those keys of this service that a root leaves snapshot and timestamp to.
// So it is the root that says which sign: made beforehand, new ones take over in the very
// transaction that makes their root current, on every replica.
func (sub *submission) namedKeys(root *metadata.RootType) (Keys, error) {
	var refused error
	for _, keys := range sub.all() {
		err := names(root, keys)
		if err == nil {
			return keys, nil
		}
		if refused == nil {
			refused = err
		}
	}
	return Keys{}, refused
}

// all are the keys that this service holds, the newest first.
func (sub *submission) all() []Keys { return append([]Keys{sub.s.Keys}, sub.s.Older...) }

func names(root *metadata.RootType, keys Keys) error {
	for role, private := range map[string]ed25519.PrivateKey{trust.RoleSnapshot: keys.Snapshot, trust.RoleTimestamp: keys.Timestamp} {
		key, err := publicKey(private)
		if err != nil {
			return err
		}
		id, err := key.ID()
		if err != nil {
			return err
		}
		if named := root.Roles[role]; named.Threshold != 1 || !slices.Equal(named.KeyIDs, []string{id}) {
			return refuse(trust.RoleRoot, "it does not name this service's key %s, alone, for %s", id, role)
		}
	}
	return nil
}

// offlineOnly refuses a delegation to a key that this service holds: it must never
// hold one that could sign a level.
func (sub *submission) offlineOnly(in, role string, keyIDs []string, keys map[string]*metadata.Key) error {
	for _, held := range sub.all() {
		for _, private := range []ed25519.PrivateKey{held.Snapshot, held.Timestamp} {
			own, err := publicKey(private)
			if err != nil {
				return err
			}
			for _, id := range keyIDs {
				if key := keys[id]; key != nil && strings.EqualFold(key.Value.PublicKey, own.Value.PublicKey) {
					return refuse(in, "it lets %s be signed by a key of the service", role)
				}
			}
		}
	}
	return nil
}

// distinct refuses a role whose threshold would be less than it says, or never met: a key that
// it names and does not hold, or holds under two ids.
func distinct(in, role string, keyIDs []string, keys map[string]*metadata.Key) error {
	seen := map[string]bool{}
	for _, id := range keyIDs {
		key := keys[id]
		if key == nil || key.Type != metadata.KeyTypeEd25519 {
			return refuse(in, "it does not hold key %.64q of %s as an Ed25519 key", id, role)
		}
		public := strings.ToLower(key.Value.PublicKey)
		if seen[public] {
			return refuse(in, "it names the key %.64q of %s twice", public, role)
		}
		seen[public] = true
	}
	return nil
}

// acceptTargets takes a file of targets or a role below it, if it is laid out as that
// role must be. Signatures are verified at the end, as a client would.
func (sub *submission) acceptTargets(ctx context.Context, doc Document) error {
	m, err := new(metadata.Metadata[metadata.TargetsType]).FromBytes(doc.Data)
	if err != nil {
		return refuse(doc.Role, "%w", err)
	}
	// First of all: what another publisher brought further differs from this in its content,
	// too, and nothing is wrong with either.
	if err := sub.isNext(doc.Role, m.Signed.Version); err != nil {
		return err
	}
	_, product := trust.ParseProductRole(doc.Role)
	line, isLine := trust.ParseLineRole(doc.Role)
	switch {
	case doc.Role == trust.RoleTargets || product:
		if len(m.Signed.Targets) > 0 {
			return refuse(doc.Role, "it lists targets; only the roles of lines list levels")
		}
		err = sub.checkDelegations(doc.Role, m.Signed.Delegations)
	case m.Signed.Delegations != nil:
		return refuse(doc.Role, "it delegates further")
	case isLine:
		err = sub.acceptLine(ctx, line, doc.Data)
	case doc.Role == trust.RoleTool:
		err = sub.acceptTools(ctx, doc.Data)
	default:
		err = checkPaths(doc.Role, m.Signed.Targets)
	}
	if err != nil {
		return err
	}
	return sub.take(doc.Role, m.Signed.Version, m.Signed.Expires, doc.Data)
}

// checkDelegations compares the delegations of targets or a product's role with the
// layout: names, paths, terminating, keys that the service does not hold.
func (sub *submission) checkDelegations(in string, d *metadata.Delegations) error {
	if d == nil {
		return nil
	}
	if d.SuccinctRoles != nil {
		return refuse(in, "it delegates to bins")
	}
	seen := map[string]bool{}
	for i := range d.Roles {
		role := &d.Roles[i]
		parent, ok := trust.ParentRole(role.Name)
		switch {
		case !ok || parent != in || seen[role.Name]:
			return refuse(in, "it delegates to %.100q, or does so twice", role.Name)
		case !role.Terminating:
			return refuse(in, "its delegation to %s is not terminating", role.Name)
		case !slices.Equal(role.Paths, pathsOf(role.Name)) || len(role.PathHashPrefixes) > 0:
			return refuse(in, "it delegates %.200q to %s, want %q", role.Paths, role.Name, pathsOf(role.Name))
		case role.Threshold < 1 || role.Threshold > len(role.KeyIDs):
			return refuse(in, "%s needs %d signatures and has %d keys", role.Name, role.Threshold, len(role.KeyIDs))
		}
		seen[role.Name] = true
		if err := errors.Join(distinct(in, role.Name, role.KeyIDs, d.Keys), sub.offlineOnly(in, role.Name, role.KeyIDs, d.Keys)); err != nil {
			return err
		}
	}
	return nil
}

func pathsOf(role string) []string {
	switch role {
	case trust.RoleTool:
		return trust.ToolPaths()
	case trust.RoleHotfix:
		return trust.HotfixPaths()
	}
	if line, ok := trust.ParseLineRole(role); ok {
		return trust.LinePaths(line)
	}
	product, _ := trust.ParseProductRole(role)
	return trust.ProductPaths(product)
}

// checkPaths refuses targets outside the paths that the role is trusted with.
func checkPaths(role string, targets map[string]*metadata.TargetFiles) error {
	delegation := metadata.DelegatedRole{Paths: pathsOf(role)}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if ok, err := delegation.IsDelegatedPath(name); err != nil || !ok {
			return refuse(role, "it lists %.200q, outside %q", name, delegation.Paths)
		}
	}
	return nil
}

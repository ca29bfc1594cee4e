package online

import (
	"context"
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
	if err := sub.namesOwnKeys(root); err != nil {
		return err
	}
	for _, role := range []string{trust.RoleRoot, trust.RoleTargets} {
		if err := sub.offlineOnly(trust.RoleRoot, role, root.Roles[role].KeyIDs, root.Keys); err != nil {
			return err
		}
	}
	return nil
}

// namesOwnKeys refuses a root that does not leave snapshot and timestamp to the keys of
// this service.
func (sub *submission) namesOwnKeys(root *metadata.RootType) error {
	ids, err := sub.onlineKeyIDs()
	if err != nil {
		return err
	}
	for _, role := range []string{trust.RoleSnapshot, trust.RoleTimestamp} {
		id, named := ids[role], root.Roles[role]
		if named.Threshold != 1 || !slices.Equal(named.KeyIDs, []string{id}) {
			return refuse(trust.RoleRoot, "it does not name this service's key %s, alone, for %s", id, role)
		}
	}
	return nil
}

func (sub *submission) onlineKeyIDs() (map[string]string, error) {
	ids := map[string]string{}
	for role, private := range map[string][]byte{
		trust.RoleSnapshot: sub.s.Keys.Snapshot, trust.RoleTimestamp: sub.s.Keys.Timestamp,
	} {
		key, err := publicKey(private)
		if err != nil {
			return nil, err
		}
		if ids[role], err = key.ID(); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// offlineOnly refuses a delegation to a key that this service holds: it must never
// hold one that could sign a level.
func (sub *submission) offlineOnly(in, role string, keyIDs []string, keys map[string]*metadata.Key) error {
	for _, private := range [][]byte{sub.s.Keys.Snapshot, sub.s.Keys.Timestamp} {
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
	return nil
}

// acceptTargets takes a file of targets or a role below it, if it is laid out as that
// role must be. Signatures are verified at the end, as a client would.
func (sub *submission) acceptTargets(ctx context.Context, doc Document) error {
	m, err := new(metadata.Metadata[metadata.TargetsType]).FromBytes(doc.Data)
	if err != nil {
		return refuse(doc.Role, "%w", err)
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
		if err := sub.offlineOnly(in, role.Name, role.KeyIDs, d.Keys); err != nil {
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

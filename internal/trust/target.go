package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxDelegations bounds how many roles a search for one target visits.
const maxDelegations = 32

// ErrNoTarget is wrapped by the error of [Verifier.Find] about a target that no role lists.
var ErrNoTarget = errors.New("no role lists this target")

// Find returns a target of any name: the search of TUF specification 5.6.7, pre-order
// and depth first, terminating delegations obeyed. Take is called for every role on
// the way and must hand that role's file to [Verifier.Targets] if it was not taken yet.
func (v *Verifier) Find(name string, take func(Step) error) (metadata.TargetFiles, error) {
	visit := []Step{{Role: RoleTargets, Parent: RoleRoot}}
	visited := map[string]bool{}
	for len(visit) > 0 && len(visited) <= maxDelegations {
		step := visit[len(visit)-1]
		visit = visit[:len(visit)-1]
		if visited[step.Role] {
			continue
		}
		visited[step.Role] = true
		if v.role(step.Role) == nil {
			if err := take(step); err != nil {
				return metadata.TargetFiles{}, err
			}
		}
		signed := v.role(step.Role)
		if signed == nil {
			return metadata.TargetFiles{}, Refuse(CacheName(step.Role), errors.New("it is not there"))
		}
		if found := signed.Targets[name]; found != nil {
			return *found, nil
		}
		children, final := childrenFor(signed.Delegations, step.Role, name)
		if final {
			visit = visit[:0]
		}
		slices.Reverse(children)
		visit = append(visit, children...)
	}
	return metadata.TargetFiles{}, fmt.Errorf("target %.200q: %w", name, ErrNoTarget)
}

// childrenFor returns the delegated roles to search, in their order; final reports that
// the last of them is terminating and nothing else may be searched.
func childrenFor(d *metadata.Delegations, parent, name string) (children []Step, final bool) {
	if d == nil {
		return nil, false
	}
	if d.Roles == nil && d.SuccinctRoles != nil {
		for _, r := range d.SuccinctRoles.GetRolesForTarget(name) {
			children = append(children, Step{Role: r.Name, Parent: parent})
		}
		return children, true
	}
	for i := range d.Roles {
		role := &d.Roles[i]
		if !covers(role, name) {
			continue
		}
		children = append(children, Step{Role: role.Name, Parent: parent})
		if role.Terminating {
			return children, true
		}
	}
	return children, false
}

// covers reports whether role is trusted with a target. Hash prefixes are prefixes of
// the hexadecimal digest (specification 4.5); the library takes them for base64.
func covers(role *metadata.DelegatedRole, name string) bool {
	if len(role.Paths) == 0 {
		sum := sha256.Sum256([]byte(name))
		digits := hex.EncodeToString(sum[:])
		return slices.ContainsFunc(role.PathHashPrefixes, func(p string) bool { return strings.HasPrefix(digits, p) })
	}
	ok, err := role.IsDelegatedPath(name)
	return err == nil && ok
}

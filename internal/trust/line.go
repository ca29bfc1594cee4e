package trust

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/digest"
	"uplevel/internal/release"
)

// Step is a delegated role on the way to a line, and the role that delegates it.
type Step struct{ Role, Parent string }

// Chain returns the delegated roles that lead to line and are known so far: nothing
// when targets does not delegate the product, the product's role alone when that does
// not delegate the line or was not taken yet. A delegation whose paths do not lead to
// the line is refused: another client would be led elsewhere.
func (v *Verifier) Chain(line release.Line) ([]Step, error) {
	if err := line.Check(); err != nil {
		return nil, fmt.Errorf("following delegations: %w", err)
	}
	var chain []Step
	parent := RoleTargets
	for _, role := range []string{release.ProductRole(line.Product), line.Role()} {
		signed := v.role(parent)
		if signed == nil {
			break
		}
		delegated, err := leadsTo(signed, role, line.TargetPath(0))
		if err != nil {
			return nil, Refuse(CacheName(parent), err)
		}
		if !delegated {
			break
		}
		chain = append(chain, Step{Role: role, Parent: parent})
		parent = role
	}
	return chain, nil
}

// leadsTo reports whether signed delegates to role, and fails unless that delegation
// is the first for a target path of the role's, and a terminating one.
func leadsTo(signed *metadata.TargetsType, role, path string) (bool, error) {
	if signed.Delegations == nil {
		return false, nil
	}
	index := slices.IndexFunc(signed.Delegations.Roles, func(d metadata.DelegatedRole) bool { return d.Name == role })
	if index < 0 {
		return false, nil
	}
	if !signed.Delegations.Roles[index].Terminating {
		return false, fmt.Errorf("its delegation to %s is not terminating", role)
	}
	for _, d := range signed.Delegations.Roles {
		if ok, err := d.IsDelegatedPath(path); err != nil || !ok {
			continue
		}
		if d.Name != role {
			return false, fmt.Errorf("it delegates %s to %.100q before %s", path, d.Name, role)
		}
		return true, nil
	}
	return false, fmt.Errorf("its delegation to %s does not cover %s", role, path)
}

// LineLevels returns the levels that a line's file lists, ascending, without judging
// signatures: for a file that was verified otherwise, as the service does.
func LineLevels(data []byte, line release.Line) ([]release.Listed, error) {
	if err := checkShape(line.Role(), data); err != nil {
		return nil, Refuse(CacheName(line.Role()), err)
	}
	var parsed metadata.Metadata[metadata.TargetsType]
	if _, err := parsed.FromBytes(data); err != nil {
		return nil, Refuse(CacheName(line.Role()), err)
	}
	levels, err := levelsOf(&parsed.Signed, line)
	if err != nil {
		return nil, Refuse(CacheName(line.Role()), err)
	}
	return levels, nil
}

// levelsOf reads the targets of a line's role: every one must be a level of the line.
func levelsOf(signed *metadata.TargetsType, line release.Line) ([]release.Listed, error) {
	levels := make([]release.Listed, 0, len(signed.Targets))
	for _, name := range slices.Sorted(maps.Keys(signed.Targets)) {
		listed, err := levelOf(name, signed.Targets[name], line)
		if err != nil {
			return nil, err
		}
		levels = append(levels, listed)
	}
	slices.SortFunc(levels, func(a, b release.Listed) int { return cmp.Compare(a.Level, b.Level) })
	return levels, nil
}

func levelOf(name string, target *metadata.TargetFiles, line release.Line) (release.Listed, error) {
	level, err := levelOfPath(name, line)
	if err != nil {
		return release.Listed{}, err
	}
	hash := target.Hashes["sha256"]
	switch {
	case len(hash) != digest.Size:
		return release.Listed{}, fmt.Errorf("it lists %s without a SHA-256", name)
	case target.Length < 1 || target.Length > release.MaxRecord:
		return release.Listed{}, fmt.Errorf("it lists %s with %d bytes", name, target.Length)
	case target.Custom == nil:
		return release.Listed{}, fmt.Errorf("it lists %s without saying of what level it is", name)
	}
	listing, err := release.ParseListing(*target.Custom, line, level)
	if err != nil {
		return release.Listed{}, fmt.Errorf("%s: %w", name, err)
	}
	return release.Listed{Listing: listing, Record: release.Ref{Sum: digest.Digest(hash), Size: target.Length}}, nil
}

func levelOfPath(name string, line release.Line) (int, error) {
	base := name[strings.LastIndexByte(name, '/')+1:]
	level, err := strconv.ParseInt(strings.TrimSuffix(base, ".json"), 10, 32)
	if err != nil || level < 0 || line.TargetPath(int(level)) != name {
		return 0, fmt.Errorf("it lists %.200q, which is no level of %s", name, line)
	}
	return int(level), nil
}

package trust

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shape is what every metadata file must have before it is given to the verifying
// library, which trusts that nothing in it is null and that keys have their length.
type shape struct {
	Signed struct {
		Type        string                `json:"_type"`
		SpecVersion string                `json:"spec_version"`
		Version     int64                 `json:"version"`
		Keys        map[string]*shapeKey  `json:"keys"`
		Roles       map[string]*struct{}  `json:"roles"`
		Meta        map[string]*shapeMeta `json:"meta"`
		Targets     map[string]*struct {
			Length int64 `json:"length"`
		} `json:"targets"`
		Delegations *struct {
			Keys     map[string]*shapeKey `json:"keys"`
			Succinct *struct {
				BitLength int `json:"bit_length"`
			} `json:"succinct_roles"`
		} `json:"delegations"`
	} `json:"signed"`
}

type shapeMeta struct {
	Version int64 `json:"version"`
	Length  int64 `json:"length"`
}

type shapeKey struct {
	Type  string `json:"keytype"`
	Value struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

// checkShape refuses a file that is too long, is of another type, or lacks what the
// verifying library needs to be there.
func checkShape(role string, data []byte) error {
	if limit := MaxLength(role); int64(len(data)) > limit {
		return fmt.Errorf("it is longer than %d bytes", limit)
	}
	var s shape
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("it is no TUF metadata: %w", err)
	}
	signed := s.Signed
	switch {
	case signed.Type != typeOf(role):
		return fmt.Errorf("its type is %.40q, want %q", signed.Type, typeOf(role))
	case !strings.HasPrefix(signed.SpecVersion, "1."):
		return fmt.Errorf("it follows TUF %.40q, this program knows 1.x", signed.SpecVersion)
	case signed.Version < 1:
		return fmt.Errorf("its version is %d", signed.Version)
	}
	return s.checkParts()
}

func typeOf(role string) string {
	switch role {
	case RoleRoot, RoleTimestamp, RoleSnapshot:
		return role
	}
	return RoleTargets
}

func (s *shape) checkParts() error {
	signed := &s.Signed
	switch signed.Type {
	case RoleRoot:
		for _, role := range []string{RoleRoot, RoleTimestamp, RoleSnapshot, RoleTargets} {
			if signed.Roles[role] == nil {
				return fmt.Errorf("it names no keys for %s", role)
			}
		}
		return checkKeys(signed.Keys)
	case RoleTimestamp, RoleSnapshot:
		return checkMeta(signed.Type, signed.Meta)
	}
	for _, name := range slices.Sorted(maps.Keys(signed.Targets)) {
		if target := signed.Targets[name]; target == nil || target.Length < 0 {
			return fmt.Errorf("its target %.100q is empty", name)
		}
	}
	if d := signed.Delegations; d != nil {
		if d.Succinct != nil && (d.Succinct.BitLength < 1 || d.Succinct.BitLength > 32) {
			return fmt.Errorf("it delegates to bins of %d bits", d.Succinct.BitLength)
		}
		return checkKeys(d.Keys)
	}
	return nil
}

func checkMeta(kind string, meta map[string]*shapeMeta) error {
	if kind == RoleTimestamp && meta["snapshot.json"] == nil {
		return fmt.Errorf("it does not list snapshot.json")
	}
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		if m := meta[name]; m == nil || m.Version < 1 || m.Length < 0 {
			return fmt.Errorf("it lists %.100q without a version", name)
		}
	}
	return nil
}

func checkKeys(keys map[string]*shapeKey) error {
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		key := keys[id]
		if key == nil {
			return fmt.Errorf("its key %.64q is empty", id)
		}
		if raw, err := hex.DecodeString(key.Value.Public); key.Type == "ed25519" && (err != nil || len(raw) != 32) {
			return fmt.Errorf("its key %.64q is no Ed25519 key", id)
		}
	}
	return nil
}

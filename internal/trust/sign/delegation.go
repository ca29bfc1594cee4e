package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// pathsOf are the target paths that belong to a delegated role.
func pathsOf(role string) ([]string, error) {
	switch role {
	case trust.RoleTool:
		return trust.ToolPaths(), nil
	case trust.RoleHotfix:
		return trust.HotfixPaths(), nil
	}
	if product, ok := trust.ParseProductRole(role); ok {
		return trust.ProductPaths(product), nil
	}
	if line, ok := trust.ParseLineRole(role); ok {
		return trust.LinePaths(line), nil
	}
	return nil, fmt.Errorf("%.80q is no role to delegate to", role)
}

// delegate adds a terminating delegation of role to its holders. One that is there already
// gets these instead of those it had.
func delegate(t *metadata.TargetsType, role string, to Holders) error {
	paths, err := pathsOf(role)
	if err != nil {
		return err
	}
	if err := to.Check(); err != nil {
		return fmt.Errorf("keys of %s: %w", role, err)
	}
	if t.Delegations == nil {
		t.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	}
	d := t.Delegations
	d.Roles = slices.DeleteFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == role })
	d.Roles = append(d.Roles, metadata.DelegatedRole{Name: role, Terminating: true, Paths: paths})
	return setDelegated(t, map[string]Holders{role: to})
}

func sortDelegations(d *metadata.Delegations) {
	slices.SortFunc(d.Roles, func(a, b metadata.DelegatedRole) int { return strings.Compare(a.Name, b.Name) })
}

// Facts are what a document says of itself, read without judging its signatures.
type Facts struct {
	Version   int64
	Expires   time.Time
	Delegated []string // roles, in order
}

// FactsOf reads a document's facts.
func FactsOf(doc []byte) (Facts, error) {
	var m struct {
		Signed struct {
			Version     int64     `json:"version"`
			Expires     time.Time `json:"expires"`
			Delegations struct {
				Roles []struct {
					Name string `json:"name"`
				} `json:"roles"`
			} `json:"delegations"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		return Facts{}, fmt.Errorf("reading a signed document: %w", err)
	}
	f := Facts{Version: m.Signed.Version, Expires: m.Signed.Expires}
	for _, r := range m.Signed.Delegations.Roles {
		f.Delegated = append(f.Delegated, r.Name)
	}
	return f, nil
}

// OnlineKey reads a TUF key object that the service gave, and refuses what is no
// Ed25519 key.
func OnlineKey(data []byte) (*metadata.Key, error) {
	var key metadata.Key
	if err := json.Unmarshal(data, &key); err != nil {
		return nil, fmt.Errorf("the service's public key: %w", err)
	}
	if err := checkKey(&key); err != nil {
		return nil, fmt.Errorf("the service's public key: %w", err)
	}
	return &key, nil
}

// NamesOnlineKeys reports whether a root names these keys for snapshot and timestamp.
func NamesOnlineKeys(root []byte, snapshot, timestamp *metadata.Key) (bool, error) {
	var m metadata.Metadata[metadata.RootType]
	if _, err := m.FromBytes(root); err != nil {
		return false, fmt.Errorf("reading root: %w", err)
	}
	for role, key := range map[string]*metadata.Key{trust.RoleSnapshot: snapshot, trust.RoleTimestamp: timestamp} {
		id, err := key.ID()
		if err != nil {
			return false, fmt.Errorf("key of %s: %w", role, err)
		}
		if r := m.Signed.Roles[role]; r == nil || !slices.Contains(r.KeyIDs, id) {
			return false, nil
		}
	}
	return true, nil
}

// Status is one role that the publisher signs.
type Status struct {
	Role    string
	Version int64
	Expires time.Time
	Left    time.Duration // 0 when it has run out
	Keys    []string      // key files in the folder that sign it
	Warn    int           // 0, or the threshold in days that was crossed: 60, 30, 7
}

// Judge fills in what is left at now and which warning that is worth.
func Judge(s Status, now time.Time) Status {
	s.Left = max(0, s.Expires.Sub(now))
	s.Warn = 0
	for _, days := range []int{60, 30, 7} {
		if s.Left < time.Duration(days)*24*time.Hour {
			s.Warn = days
		}
	}
	return s
}

// Roles returns the roles whose documents the folder keeps and the publisher signs:
// root, targets, the tool's once it is published, then each product with its lines.
func (f *Folder) Roles() ([]string, error) {
	roles := []string{trust.RoleRoot, trust.RoleTargets}
	_, err := f.Document(trust.RoleTool)
	switch {
	case err == nil:
		roles = append(roles, trust.RoleTool)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	targets, err := f.Delegated(trust.RoleTargets)
	if err != nil {
		return nil, err
	}
	for _, role := range targets {
		product, ok := trust.ParseProductRole(role)
		if !ok {
			continue
		}
		lines, err := f.Delegated(release.ProductRole(product))
		if err != nil {
			return nil, err
		}
		roles = append(append(roles, role), lines...)
	}
	return roles, nil
}

// Delegated returns the roles that the kept document of role delegates to.
func (f *Folder) Delegated(role string) ([]string, error) {
	doc, err := f.Document(role)
	if err != nil {
		return nil, err
	}
	facts, err := FactsOf(doc)
	return facts.Delegated, err
}

// Status describes the document of role that the folder keeps.
func (f *Folder) Status(role string, now time.Time) (Status, error) {
	doc, err := f.Document(role)
	if err != nil {
		return Status{}, err
	}
	facts, err := FactsOf(doc)
	if err != nil {
		return Status{}, err
	}
	files, err := f.Counting(KeyRole(role))
	if err != nil {
		return Status{}, err
	}
	return Judge(Status{Role: role, Version: facts.Version, Expires: facts.Expires, Keys: files}, now), nil
}

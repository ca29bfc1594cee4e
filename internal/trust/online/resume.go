package online

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

// Copies are the metadata files that lie in the object store.
type Copies struct {
	Names []string                                               // without folders; what is no metadata file is passed over
	Read  func(ctx context.Context, file string) ([]byte, error) // an error that is fs.ErrNotExist: gone
}

// CatchUp brings a database that was restored from a backup to what was published last: every
// later root, and the newest copy of every other role, all at once. What lies between cannot be
// published again in its order, and nobody needs it. The whole must verify as one chain below
// the newest root; nothing is judged by its expiry, for it was when it was published. A copy
// that is missing or damaged is of kind problem.Verification: then nothing is taken, and signing
// what is current would give customers something older than what they have seen. It signs
// nothing; nil: nothing is missing.
func (s *Service) CatchUp(ctx context.Context, repo Repository, copies Copies) ([]File, error) {
	versions, err := repo.Versions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the current metadata: %w", err)
	}
	c := catchUp{repo: repo, versions: versions, newest: newest(copies.Names), read: copies.Read}
	if versions[trust.RoleRoot] == 0 || !c.ahead() {
		return nil, nil // nothing was ever published here, or all of it is current
	}
	if err := c.roots(ctx); err != nil {
		return nil, err
	}
	if err := c.take(ctx, trust.RoleTargets, trust.RoleRoot); err != nil {
		return nil, err
	}
	if err := c.online(ctx); err != nil {
		return nil, err
	}
	for _, file := range c.files {
		if err := repo.Put(ctx, file); err != nil {
			return nil, fmt.Errorf("making %s current: %w", file.Name(), err)
		}
	}
	return c.files, nil
}

// catchUp is one call at work.
type catchUp struct {
	repo     Repository
	versions map[string]int64 // by role, with those of files
	newest   map[string]int64 // by role, of the copies
	read     func(ctx context.Context, file string) ([]byte, error)
	v        *trust.Verifier
	files    []File
}

// newest returns the highest version of each role that there is a copy of.
func newest(names []string) map[string]int64 {
	found := map[string]int64{}
	for _, name := range names {
		number, escaped, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
		version, err := strconv.ParseInt(number, 10, 64)
		role, escapeErr := url.QueryUnescape(escaped)
		if err != nil || escapeErr != nil || trust.FileName(role, version) != name {
			continue
		}
		if _, ok := trust.ParentRole(role); ok {
			found[role] = max(found[role], version)
		}
	}
	return found
}

func (c *catchUp) ahead() bool {
	for role, version := range c.newest {
		if version > c.versions[role] {
			return true
		}
	}
	return false
}

// roots follows the chain of roots: every one of them is needed, by every client. One of them
// must name the key of the last timestamp, or there are more.
func (c *catchUp) roots(ctx context.Context) error {
	now, err := c.repo.Current(ctx, trust.RoleRoot)
	if err != nil {
		return fmt.Errorf("reading the current root: %w", err)
	}
	if c.v, err = trust.NewVerifier(now.Data, time.Time{}); err != nil {
		return err
	}
	timestamp, err := c.read(ctx, trust.CacheName(trust.RoleTimestamp))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the copy of %s: %w", trust.RoleTimestamp, err)
	}
	named := err != nil || c.names(timestamp)
	for version := now.Version + 1; version <= c.newest[trust.RoleRoot]; version++ {
		file, err := c.copy(ctx, trust.RoleRoot, version)
		if err == nil {
			_, err = c.v.Root(file.Data)
		}
		if err != nil {
			return stuck(trust.FileName(trust.RoleRoot, version), err)
		}
		c.put(file)
		named = named || c.names(timestamp)
	}
	if !named {
		return stuck(trust.FileName(trust.RoleRoot, c.v.RootVersion()+1), fmt.Errorf(
			"the copy of timestamp.json is signed with a key that no root before names, or is damaged; then remove it: %w", fs.ErrNotExist))
	}
	return nil
}

// names reports whether the root reached names the key that signed a timestamp.
func (c *catchUp) names(timestamp []byte) bool {
	_, _, err := c.v.Peek(timestamp)
	return err == nil
}

// take takes the newest file of a role, a copy or what is current, and goes on with the roles
// that it delegates to.
func (c *catchUp) take(ctx context.Context, role, parent string) error {
	file, err := c.repo.Current(ctx, role)
	if version := c.newest[role]; version > c.versions[role] {
		file, err = c.copy(ctx, role, version)
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil // tool and hotfix may have none; another one's is missed by the snapshot
	}
	if err == nil {
		err = c.v.Kept(file.Data, role, parent)
	}
	if err != nil {
		return stuck(file.Name(), err)
	}
	if file.Version > c.versions[role] {
		c.put(file)
	}
	for _, child := range c.v.Delegated(role) {
		if by, ok := trust.ParentRole(child); ok && by == role && child != role {
			if err := c.take(ctx, child, role); err != nil {
				return err
			}
		}
	}
	return nil
}

// online takes timestamp and snapshot as they were signed last, so that those signed next have
// higher versions. They are needed for nothing else, and may be of before the newest root. But
// what that snapshot lists was published: of that nothing may be missing.
func (c *catchUp) online(ctx context.Context) error {
	timestamp, err := c.copy(ctx, trust.RoleTimestamp, 0)
	if err != nil || c.v.Kept(timestamp.Data, trust.RoleTimestamp, trust.RoleRoot) != nil {
		return unread(err)
	}
	version, _, err := c.v.Listed(trust.RoleSnapshot)
	if err != nil {
		return err
	}
	snapshot, err := c.copy(ctx, trust.RoleSnapshot, version)
	if err != nil || c.v.Kept(snapshot.Data, trust.RoleSnapshot, trust.RoleRoot) != nil {
		return unread(err)
	}
	listed, err := new(metadata.Metadata[metadata.SnapshotType]).FromBytes(snapshot.Data)
	if err != nil {
		return fmt.Errorf("copy of snapshot: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(listed.Signed.Meta)) {
		role := strings.TrimSuffix(name, ".json")
		if want := listed.Signed.Meta[name].Version; want > c.versions[role] {
			return stuck(trust.FileName(role, want), fs.ErrNotExist)
		}
	}
	for _, file := range []File{snapshot, timestamp} {
		if file.Version > c.versions[file.Role] {
			c.put(file)
		}
	}
	return nil
}

// unread is err, unless it says that there is no copy or that it is no good.
func unread(err error) error {
	if errors.Is(err, fs.ErrNotExist) || problem.KindOf(err) == problem.Verification {
		return nil
	}
	return err
}

func (c *catchUp) put(file File) {
	c.versions[file.Role] = file.Version
	c.files = append(c.files, file)
}

// copy reads a copy, whose content must be of the version that its name says.
func (c *catchUp) copy(ctx context.Context, role string, version int64) (File, error) {
	file := File{Role: role, Version: version}
	var err error
	if file.Data, err = c.read(ctx, file.Name()); err != nil {
		return file, fmt.Errorf("reading the copy of %s: %w", role, err)
	}
	var says struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(file.Data, &says); err != nil {
		return file, refuse(role, "it is no TUF metadata: %w", err)
	}
	if role == trust.RoleTimestamp {
		file.Version = says.Signed.Version
	}
	if says.Signed.Version != file.Version {
		return file, refuse(role, "it says version %d", says.Signed.Version)
	}
	return file, nil
}

// stuck is the error about a copy without which the rest counts for nothing.
func stuck(file string, err error) error {
	what := "is damaged, or a later one that it goes with is missing"
	if errors.Is(err, fs.ErrNotExist) {
		what = "is missing"
	}
	return problem.New(problem.Verification,
		"Put metadata/"+file+" back into the object store, from a copy of it or from the publisher's folder of keys (documents of roles lie there without their number), and start the service again.",
		"The database is older than what was published, and %s %s: %w", file, what, err).
		Standing("Nothing was signed: customers would be given something older than what they have seen.")
}

package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// expiry is when a document of role that is signed now runs out.
func expiry(role string, now time.Time) time.Time {
	return now.Add(trust.Lifetime(role)).UTC().Truncate(time.Second)
}

// RootSpec says whose signatures count.
type RootSpec struct {
	Threshold int             // signatures that a next root needs
	Root      []*metadata.Key // of which so many may sign
	Targets   []*metadata.Key
	Snapshot  *metadata.Key // the service's
	Timestamp *metadata.Key // the service's
}

// NewRoot returns the first root, signed by signers.
func NewRoot(spec RootSpec, now time.Time, signers []Key) ([]byte, error) {
	if spec.Threshold < 1 || spec.Threshold > len(spec.Root) {
		return nil, fmt.Errorf("root wants %d of %d signatures", spec.Threshold, len(spec.Root))
	}
	root := metadata.Root(expiry(trust.RoleRoot, now))
	root.Signed.SpecVersion = trust.SpecVersion
	for role, keys := range map[string][]*metadata.Key{
		trust.RoleRoot: spec.Root, trust.RoleTargets: spec.Targets,
		trust.RoleSnapshot: {spec.Snapshot}, trust.RoleTimestamp: {spec.Timestamp},
	} {
		for _, key := range keys {
			if err := root.Signed.AddKey(key, role); err != nil {
				return nil, fmt.Errorf("root's key of %s: %w", role, err)
			}
		}
	}
	root.Signed.Roles[trust.RoleRoot].Threshold = spec.Threshold
	return signed(trust.RoleRoot, root, signers)
}

// NewTargets returns the first targets document: it lists nothing and delegates to the
// update tool's role and the hotfix role.
func NewTargets(tool, hotfix *metadata.Key, now time.Time, signers []Key) ([]byte, error) {
	targets := metadata.Targets(expiry(trust.RoleTargets, now))
	targets.Signed.SpecVersion = trust.SpecVersion
	for role, key := range map[string]*metadata.Key{trust.RoleTool: tool, trust.RoleHotfix: hotfix} {
		if err := delegate(&targets.Signed, role, Alone(key)); err != nil {
			return nil, err
		}
	}
	sortDelegations(targets.Signed.Delegations)
	return signed(trust.RoleTargets, targets, signers)
}

// AddDelegation returns the next version of parent's document with a delegation of
// role to its holders: of a product's role by targets, of a line's by its product's.
func AddDelegation(parent string, doc []byte, role string, to Holders, now time.Time, signers []Key) ([]byte, error) {
	if want, ok := trust.ParentRole(role); !ok || want != parent || parent == trust.RoleRoot {
		return nil, fmt.Errorf("%s does not delegate to %s", parent, role)
	}
	return change(parent, doc, now, signers, func(t *metadata.TargetsType) error {
		if err := delegate(t, role, to); err != nil {
			return err
		}
		sortDelegations(t.Delegations)
		return nil
	})
}

// NewProduct returns the first document of a product's role, with one line.
func NewProduct(line release.Line, now time.Time, signer Key) ([]byte, error) {
	role := release.ProductRole(line.Product)
	key, err := signer.Public()
	if err != nil {
		return nil, err
	}
	product := metadata.Targets(expiry(role, now))
	product.Signed.SpecVersion = trust.SpecVersion
	if err := delegate(&product.Signed, line.Role(), Alone(key)); err != nil {
		return nil, err
	}
	return signed(role, product, []Key{signer})
}

// PutLevels returns the next version of a line's document with levels added, or
// replaced where they are listed already; an empty doc starts the line.
func PutLevels(doc []byte, line release.Line, levels []release.Listed, now time.Time, signers []Key) ([]byte, error) {
	put := func(t *metadata.TargetsType) error {
		for _, l := range levels {
			if err := putLevel(t, line, l); err != nil {
				return err
			}
		}
		return nil
	}
	if len(doc) > 0 {
		return change(line.Role(), doc, now, signers, put)
	}
	first := metadata.Targets(expiry(line.Role(), now))
	first.Signed.SpecVersion = trust.SpecVersion
	if err := put(&first.Signed); err != nil {
		return nil, err
	}
	return signed(line.Role(), first, signers)
}

func putLevel(t *metadata.TargetsType, line release.Line, l release.Listed) error {
	if l.Line() != line {
		return fmt.Errorf("level %d is of %s, want %s", l.Level, l.Line(), line)
	}
	custom, err := json.Marshal(l.Listing)
	if err != nil {
		return fmt.Errorf("listing of level %d: %w", l.Level, err)
	}
	raw := json.RawMessage(custom)
	t.Targets[line.TargetPath(l.Level)] = &metadata.TargetFiles{
		Length: l.Record.Size,
		Hashes: metadata.Hashes{"sha256": l.Record.Sum[:]},
		Custom: &raw,
	}
	return nil
}

// PutTools returns the next version of the tool role's document with programs of the
// update tool added, or replaced where they are listed already; an empty doc starts it.
func PutTools(doc []byte, tools []release.Tool, now time.Time, signers []Key) ([]byte, error) {
	put := func(t *metadata.TargetsType) error {
		for _, tool := range tools {
			if err := putTool(t, tool); err != nil {
				return err
			}
		}
		return nil
	}
	if len(doc) > 0 {
		return change(trust.RoleTool, doc, now, signers, put)
	}
	first := metadata.Targets(expiry(trust.RoleTool, now))
	first.Signed.SpecVersion = trust.SpecVersion
	if err := put(&first.Signed); err != nil {
		return nil, err
	}
	return signed(trust.RoleTool, first, signers)
}

func putTool(t *metadata.TargetsType, tool release.Tool) error {
	if err := tool.Check(); err != nil {
		return fmt.Errorf("update tool %s for %s: %w", tool.Version, tool.System, err)
	}
	custom, err := json.Marshal(tool.ToolListing)
	if err != nil {
		return fmt.Errorf("listing of the update tool: %w", err)
	}
	raw := json.RawMessage(custom)
	t.Targets[release.ToolPath(tool.Version, tool.System)] = &metadata.TargetFiles{
		Length: tool.Program.Size,
		Hashes: metadata.Hashes{"sha256": tool.Program.Sum[:]},
		Custom: &raw,
	}
	return nil
}

// Renew returns the next version of role's document with the same content and a new
// expiry.
func Renew(role string, doc []byte, now time.Time, signers []Key) ([]byte, error) {
	if role != trust.RoleRoot {
		return change(role, doc, now, signers, func(*metadata.TargetsType) error { return nil })
	}
	var root metadata.Metadata[metadata.RootType]
	if _, err := root.FromBytes(doc); err != nil {
		return nil, fmt.Errorf("reading the document of %s: %w", role, err)
	}
	root.Signed.Version++
	root.Signed.Expires = expiry(role, now)
	return signed(role, &root, signers)
}

// change reads a targets document, changes it and signs it as the next version.
func change(role string, doc []byte, now time.Time, signers []Key, edit func(*metadata.TargetsType) error) ([]byte, error) {
	var m metadata.Metadata[metadata.TargetsType]
	if _, err := m.FromBytes(doc); err != nil {
		return nil, fmt.Errorf("reading the document of %s: %w", role, err)
	}
	if m.Signed.Targets == nil {
		m.Signed.Targets = map[string]*metadata.TargetFiles{}
	}
	if err := edit(&m.Signed); err != nil {
		return nil, err
	}
	m.Signed.Version++
	m.Signed.Expires = expiry(role, now)
	return signed(role, &m, signers)
}

// signed signs m with every signer and returns the file's bytes.
func signed[T metadata.Roles](role string, m *metadata.Metadata[T], signers []Key) ([]byte, error) {
	if len(signers) == 0 {
		return nil, fmt.Errorf("signing %s: no key", role)
	}
	m.ClearSignatures()
	for _, key := range signers {
		signer, err := signature.LoadED25519Signer(key.private)
		if err != nil {
			return nil, fmt.Errorf("signing %s: %w", role, err)
		}
		if _, err := m.Sign(signer); err != nil {
			return nil, fmt.Errorf("signing %s: %w", role, err)
		}
	}
	data, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", role, err)
	}
	return data, checkLength(role, data)
}

func checkLength(role string, data []byte) error {
	if limit := trust.MaxLength(role); int64(len(data)) > limit {
		return fmt.Errorf("signing %s: %d bytes, the limit is %d", role, len(data), limit)
	}
	return nil
}

// Verify refuses a document of role that does not count as signed to who reads its
// parent's document: another key, or too few signatures. A root is judged by itself.
func Verify(parentRole string, parent []byte, role string, doc []byte) error {
	var err error
	switch {
	case role == trust.RoleRoot:
		err = verifyBy[metadata.RootType, metadata.RootType](parent, role, doc)
	case parentRole == trust.RoleRoot:
		err = verifyBy[metadata.RootType, metadata.TargetsType](parent, role, doc)
	default:
		err = verifyBy[metadata.TargetsType, metadata.TargetsType](parent, role, doc)
	}
	if err != nil {
		return fmt.Errorf("%s does not trust the signatures of %s: %w", parentRole, role, err)
	}
	return nil
}

func verifyBy[P, D metadata.Roles](parent []byte, role string, doc []byte) error {
	var p metadata.Metadata[P]
	var d metadata.Metadata[D]
	_, parentErr := p.FromBytes(parent)
	_, docErr := d.FromBytes(doc)
	if err := errors.Join(parentErr, docErr); err != nil {
		return err
	}
	return p.VerifyDelegate(role, &d)
}

package trust

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Verifier takes the files of a repository in the order of the TUF client workflow
// (specification 5.3 to 5.6) and keeps those that verify: roots one after the other,
// then timestamp, snapshot, targets, delegated roles. A file that is refused changes
// nothing, but that an expired timestamp or snapshot is kept to compare versions with.
// It is not safe for concurrent use. Errors are made by [Refuse].
type Verifier struct {
	set     *trustedmetadata.TrustedMetadata
	noTools error // why programs of the update tool are not known
}

// NewVerifier starts from a root that is trusted because it came with the pack or the
// tool. Everything else must not have expired at reference; the zero time judges no
// expiry.
func NewVerifier(root []byte, reference time.Time) (*Verifier, error) {
	if err := checkShape(RoleRoot, root); err != nil {
		return nil, Refuse("root.json", err)
	}
	set, err := trustedmetadata.New(root)
	if err != nil {
		return nil, Refuse("root.json", err)
	}
	v := &Verifier{set: set}
	v.Judge(reference)
	return v, nil
}

// Judge sets the time at which expiry is judged.
func (v *Verifier) Judge(reference time.Time) {
	// The specification wants the expiry to be later than the reference time; the
	// library takes an equal one too, so it is asked for the next instant.
	v.set.RefTime = reference.Add(time.Nanosecond)
}

// Reference returns the time at which expiry is judged.
func (v *Verifier) Reference() time.Time { return v.set.RefTime.Add(-time.Nanosecond) }

// RootVersion returns the version of the trusted root.
func (v *Verifier) RootVersion() int64 { return v.set.Root.Signed.Version }

// Consistent reports whether file names carry versions (specification 6.2).
func (v *Verifier) Consistent() bool { return v.set.Root.Signed.ConsistentSnapshot }

// Root takes the next root. Rotated reports whether keys of timestamp or snapshot were
// replaced: what was trusted of these two must be forgotten (specification 5.3.11).
func (v *Verifier) Root(data []byte) (rotated bool, err error) {
	file := FileName(RoleRoot, v.RootVersion()+1)
	if err := checkShape(RoleRoot, data); err != nil {
		return false, Refuse(file, err)
	}
	before := v.set.Root
	after, err := v.set.UpdateRoot(data)
	if err != nil {
		return false, Refuse(file, err)
	}
	return !sameKeys(before, after, RoleTimestamp) || !sameKeys(before, after, RoleSnapshot), nil
}

func sameKeys(a, b *metadata.Metadata[metadata.RootType], role string) bool {
	return slices.Equal(ownIDs(&a.Signed, role), ownIDs(&b.Signed, role))
}

// Peek verifies the signatures of a timestamp, nothing else, and returns its version
// and when it expires: the carried mode takes its reference time from that.
func (v *Verifier) Peek(timestamp []byte) (version int64, expires time.Time, err error) {
	if err := checkShape(RoleTimestamp, timestamp); err != nil {
		return 0, time.Time{}, Refuse("timestamp.json", err)
	}
	var parsed metadata.Metadata[metadata.TimestampType]
	if _, err := parsed.FromBytes(timestamp); err != nil {
		return 0, time.Time{}, Refuse("timestamp.json", err)
	}
	if err := v.set.Root.VerifyDelegate(RoleTimestamp, &parsed); err != nil {
		return 0, time.Time{}, Refuse("timestamp.json", err)
	}
	return parsed.Signed.Version, parsed.Signed.Expires, nil
}

// Timestamp takes a timestamp; fresh is false for one of the version already there,
// which stays.
func (v *Verifier) Timestamp(data []byte) (fresh bool, err error) {
	if err := checkShape(RoleTimestamp, data); err != nil {
		return false, Refuse("timestamp.json", err)
	}
	_, err = v.set.UpdateTimestamp(data)
	if errors.Is(err, &metadata.ErrEqualVersionNumber{}) {
		return false, nil
	}
	if err != nil {
		return false, Refuse("timestamp.json", v.when(err, RoleTimestamp))
	}
	return true, nil
}

// Snapshot takes a snapshot; cached tells that it comes from the own cache, whose
// hash was compared when it was fetched.
func (v *Verifier) Snapshot(data []byte, cached bool) error {
	if err := checkShape(RoleSnapshot, data); err != nil {
		return Refuse("snapshot.json", err)
	}
	if _, err := v.set.UpdateSnapshot(data, cached); err != nil {
		return Refuse("snapshot.json", v.when(err, RoleSnapshot))
	}
	return nil
}

// Targets takes the file of a role that parent delegates to; the parent of targets is
// root. A delegated role named like a top-level one is refused: it would be kept under
// that one's name.
func (v *Verifier) Targets(data []byte, role, parent string) error {
	if parent != RoleRoot && typeOf(role) != RoleTargets || parent != RoleRoot && role == RoleTargets {
		return Refuse(CacheName(parent), fmt.Errorf("it delegates to %s, which is root's to name", role))
	}
	if err := checkShape(role, data); err != nil {
		return Refuse(CacheName(role), err)
	}
	if _, err := v.set.UpdateDelegatedTargets(data, role, parent); err != nil {
		return Refuse(CacheName(role), v.when(err, role))
	}
	if err := checkContent(role, parent, v.role(role)); err != nil {
		delete(v.set.Targets, role)
		return Refuse(CacheName(role), err)
	}
	return nil
}

// when adds to the error about an expired role the times that it is about.
func (v *Verifier) when(err error, role string) error {
	if !errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return err
	}
	at := v.Reference().UTC().Format(time.RFC3339)
	switch {
	case role == RoleTimestamp && v.set.Timestamp != nil && v.expired(v.set.Timestamp.Signed.Expires):
		return fmt.Errorf("%w on %s, judged at %s", err, v.set.Timestamp.Signed.Expires.Format(time.RFC3339), at)
	case role == RoleSnapshot && v.set.Snapshot != nil && v.expired(v.set.Snapshot.Signed.Expires):
		return fmt.Errorf("%w on %s, judged at %s", err, v.set.Snapshot.Signed.Expires.Format(time.RFC3339), at)
	}
	return fmt.Errorf("%w, judged at %s", err, at)
}

func (v *Verifier) expired(at time.Time) bool { return v.set.RefTime.After(at) }

// Listed returns version and length of a role's file as timestamp (for snapshot) or
// snapshot (for every other role) list it; a length of 0 is not listed. It is refused
// when it is not listed at all.
func (v *Verifier) Listed(role string) (version, length int64, err error) {
	from, meta := "timestamp.json", map[string]*metadata.MetaFiles(nil)
	switch {
	case role == RoleSnapshot && v.set.Timestamp != nil:
		meta = v.set.Timestamp.Signed.Meta
	case role != RoleSnapshot && v.set.Snapshot != nil:
		from, meta = "snapshot.json", v.set.Snapshot.Signed.Meta
	}
	m := meta[role+".json"]
	if m == nil {
		return 0, 0, Refuse(from, fmt.Errorf("it does not list %s.json", role))
	}
	return m.Version, m.Length, nil
}

// role returns the content of a targets role as verified, nil when it was not taken.
func (v *Verifier) role(name string) *metadata.TargetsType {
	if m := v.set.Targets[name]; m != nil {
		return &m.Signed
	}
	return nil
}

// Delegated returns the names of the roles that role's file delegates to, in its order;
// bins (succinct roles) are not among them.
func (v *Verifier) Delegated(role string) []string {
	signed := v.role(role)
	if signed == nil || signed.Delegations == nil {
		return nil
	}
	names := make([]string, 0, len(signed.Delegations.Roles))
	for _, d := range signed.Delegations.Roles {
		names = append(names, d.Name)
	}
	return names
}

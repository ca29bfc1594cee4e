package online

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust"
)

// submission is one call at work: files are those that it will make current.
type submission struct {
	s        *Service
	repo     Repository
	now      time.Time
	versions map[string]int64 // by role, with those of files
	files    map[string]File  // by role; the last of several roots
	order    []File           // everything to put
	lines    []Line
}

// sorted refuses roles that a publisher may not submit, leaves out files that are
// current already, and orders the rest: a delegating role before those it delegates.
func (sub *submission) sorted(ctx context.Context, docs []Document) ([]Document, error) {
	var out []Document
	seen := map[string]bool{}
	for _, doc := range docs {
		_, known := trust.ParentRole(doc.Role)
		switch {
		case !known || doc.Role == trust.RoleSnapshot || doc.Role == trust.RoleTimestamp:
			return nil, refuse(doc.Role, "it is not a publisher's to submit")
		case seen[doc.Role] && doc.Role != trust.RoleRoot:
			return nil, refuse(doc.Role, "it is submitted twice")
		}
		seen[doc.Role] = true
		now, err := sub.repo.Current(ctx, doc.Role)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the current %s: %w", doc.Role, err)
		}
		if err != nil || !bytes.Equal(now.Data, doc.Data) {
			out = append(out, doc)
		}
	}
	slices.SortStableFunc(out, func(a, b Document) int {
		return cmp.Or(cmp.Compare(rank(a.Role), rank(b.Role)), strings.Compare(a.Role, b.Role))
	})
	return out, nil
}

func rank(role string) int {
	_, product := trust.ParseProductRole(role)
	switch {
	case role == trust.RoleRoot:
		return 0
	case role == trust.RoleTargets:
		return 1
	case product:
		return 2
	}
	return 3
}

// accept applies the rules that concern one document at a time.
func (sub *submission) accept(ctx context.Context, docs []Document) error {
	for _, doc := range docs {
		if int64(len(doc.Data)) > trust.MaxLength(doc.Role) {
			return refuse(doc.Role, "it is longer than %d bytes", trust.MaxLength(doc.Role))
		}
		var err error
		if doc.Role == trust.RoleRoot {
			err = sub.acceptRoot(ctx, doc.Data)
		} else {
			err = sub.acceptTargets(ctx, doc)
		}
		if err != nil {
			return err
		}
	}
	if sub.versions[trust.RoleRoot] == 0 || sub.versions[trust.RoleTargets] == 0 {
		return conflict("There is no current root and targets yet: the first submission carries both")
	}
	return nil
}

// isNext refuses another version than the next as a conflict.
func (sub *submission) isNext(role string, version int64) error {
	if want := sub.versions[role] + 1; version != want {
		return conflict("%s has version %d, the next one is %d", trust.CacheName(role), version, want)
	}
	return nil
}

// take notes a document that passed its own rules, if it is the next version.
func (sub *submission) take(role string, version int64, expires time.Time, data []byte) error {
	if err := sub.isNext(role, version); err != nil {
		return err
	}
	if !expires.After(sub.now) {
		return refuse(role, "it expired on %s", expires.UTC().Format(time.RFC3339))
	}
	if latest := sub.latest(role); expires.After(latest) {
		return refuse(role, "it expires on %s, %s at the latest is allowed",
			expires.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339))
	}
	file := File{Role: role, Version: version, Data: data}
	sub.versions[role] = version
	sub.files[role] = file
	sub.order = append(sub.order, file)
	return nil
}

// latest is when a file of role that is signed now may expire: clocks differ a little.
func (sub *submission) latest(role string) time.Time {
	return sub.now.Add(trust.Lifetime(role) + 24*time.Hour)
}

// due reports whether an online role must be signed again: it runs out, or it was signed while
// the clock was ahead and would stay in force for longer than any may.
func (sub *submission) due(ctx context.Context, role string) (bool, error) {
	file, err := sub.current(ctx, role)
	if err != nil {
		return false, err
	}
	var expires time.Time
	if role == trust.RoleTimestamp {
		m, err := new(metadata.Metadata[metadata.TimestampType]).FromBytes(file.Data)
		if err != nil {
			return false, fmt.Errorf("current %s: %w", role, err)
		}
		expires = m.Signed.Expires
	} else {
		m, err := new(metadata.Metadata[metadata.SnapshotType]).FromBytes(file.Data)
		if err != nil {
			return false, fmt.Errorf("current %s: %w", role, err)
		}
		expires = m.Signed.Expires
	}
	return expires.Before(sub.now.Add(trust.RenewBefore(role))) || expires.After(sub.latest(role)), nil
}

// sign makes the timestamp, and before it the snapshot if that is wanted.
func (sub *submission) sign(ctx context.Context, snapshot bool) error {
	keys, err := sub.signing(ctx)
	if err != nil {
		return err
	}
	if snapshot {
		m := metadata.Snapshot(sub.expiry(trust.RoleSnapshot))
		m.Signed.SpecVersion = trust.SpecVersion
		m.Signed.Version = sub.next(trust.RoleSnapshot)
		clear(m.Signed.Meta)
		for role, version := range sub.versions {
			if role != trust.RoleRoot && role != trust.RoleSnapshot && role != trust.RoleTimestamp {
				m.Signed.Meta[role+".json"] = &metadata.MetaFiles{Version: version}
			}
		}
		if err := signed(sub, trust.RoleSnapshot, m.Signed.Version, m, keys.Snapshot); err != nil {
			return err
		}
	}
	m := metadata.Timestamp(sub.expiry(trust.RoleTimestamp))
	m.Signed.SpecVersion = trust.SpecVersion
	m.Signed.Version = sub.next(trust.RoleTimestamp)
	m.Signed.Meta["snapshot.json"] = &metadata.MetaFiles{Version: sub.versions[trust.RoleSnapshot]}
	return signed(sub, trust.RoleTimestamp, m.Signed.Version, m, keys.Timestamp)
}

// signing returns the keys that the root names, as it will be after the submission.
func (sub *submission) signing(ctx context.Context) (Keys, error) {
	file, err := sub.current(ctx, trust.RoleRoot)
	if err != nil {
		return Keys{}, err
	}
	root, err := parseRoot(file.Data)
	if err != nil {
		return Keys{}, err
	}
	return sub.namedKeys(root)
}

func (sub *submission) expiry(role string) time.Time {
	return sub.now.Add(trust.Lifetime(role)).UTC().Truncate(time.Second)
}

// next returns max(last+1, Unix seconds): replicas that share the lock agree, and a
// restored backup is not behind what clients have seen.
func (sub *submission) next(role string) int64 {
	return max(sub.versions[role]+1, sub.now.Unix())
}

func signed[T metadata.Roles](sub *submission, role string, version int64, m *metadata.Metadata[T], key ed25519.PrivateKey) error {
	signer, err := signature.LoadED25519Signer(key)
	if err != nil {
		return fmt.Errorf("signing %s: %w", role, err)
	}
	if _, err := m.Sign(signer); err != nil {
		return fmt.Errorf("signing %s: %w", role, err)
	}
	data, err := m.ToBytes(false)
	if err != nil {
		return fmt.Errorf("signing %s: %w", role, err)
	}
	if int64(len(data)) > trust.MaxLength(role) {
		return refuse(role, "it would be longer than %d bytes", trust.MaxLength(role))
	}
	file := File{Role: role, Version: version, Data: data}
	sub.versions[role] = version
	sub.files[role] = file
	sub.order = append(sub.order, file)
	return nil
}

// put makes everything current.
func (sub *submission) put(ctx context.Context) (Result, error) {
	for _, file := range sub.order {
		if err := sub.repo.Put(ctx, file); err != nil {
			return Result{}, fmt.Errorf("making %s current: %w", file.Name(), err)
		}
	}
	return Result{
		Files: sub.order, Lines: sub.lines,
		Snapshot: sub.versions[trust.RoleSnapshot], Timestamp: sub.versions[trust.RoleTimestamp],
	}, nil
}

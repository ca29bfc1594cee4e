package trust

import (
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Kept takes a file that was verified and kept earlier, by its signatures alone. A refresh
// that was cut off, or refused half way, leaves files of which some are newer than the others
// list; each of them is what was trusted last all the same. Never use it for a file that
// comes from anywhere else: it knows no rollback.
func (v *Verifier) Kept(data []byte, role, parent string) error {
	if err := checkShape(role, data); err != nil {
		return Refuse(CacheName(role), err)
	}
	var err error
	switch role {
	case RoleTimestamp:
		v.set.Timestamp, err = keptAs(data, func(m *metadata.Metadata[metadata.TimestampType]) error {
			return v.set.Root.VerifyDelegate(role, m)
		})
	case RoleSnapshot:
		v.set.Snapshot, err = keptAs(data, func(m *metadata.Metadata[metadata.SnapshotType]) error {
			return v.set.Root.VerifyDelegate(role, m)
		})
	default:
		err = v.keptTargets(data, role, parent)
	}
	if err != nil {
		return Refuse(CacheName(role), err)
	}
	return nil
}

func (v *Verifier) keptTargets(data []byte, role, parent string) error {
	m, err := keptAs(data, func(m *metadata.Metadata[metadata.TargetsType]) error {
		if parent == RoleRoot {
			return v.set.Root.VerifyDelegate(role, m)
		}
		by := v.set.Targets[parent]
		if by == nil {
			return fmt.Errorf("%s is not there", parent)
		}
		return by.VerifyDelegate(role, m)
	})
	if err != nil {
		return err
	}
	if err := checkContent(role, parent, &m.Signed); err != nil {
		return err
	}
	v.set.Targets[role] = m
	return nil
}

// keptAs parses a file and verifies its signatures.
func keptAs[T metadata.Roles](data []byte, verify func(*metadata.Metadata[T]) error) (*metadata.Metadata[T], error) {
	m, err := new(metadata.Metadata[T]).FromBytes(data)
	if err != nil {
		return nil, err
	}
	if err := verify(m); err != nil {
		return nil, err
	}
	return m, nil
}

package fsck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// copies compares every kept file with its copy in the object store.
func (j *storeJudge) copies(ctx context.Context, kept []storeRole, root storeSigned) error {
	for _, r := range kept {
		where := "object store metadata/" + r.file
		copied, err := j.copyOf(ctx, r)
		switch {
		case isAbsent(err):
			j.damage(where, "the copy is missing; a start of the service makes it again")
		case err != nil:
			return fmt.Errorf("reading metadata/%s: %w", r.file, err)
		case bytes.Equal(copied, r.body):
		case r.role == "timestamp" && goodSignatures(copied, root.Keys, root.Roles["timestamp"]) > 0:
			j.note(where, "the copy is another one: the service may have signed a new one just now")
		default:
			j.damage(where, "the copy differs from the database")
		}
	}
	return j.behind(ctx, root)
}

// looks is how often a copy is looked at that is not as it should be.
const looks = 20

// copyOf reads a copy, and again while it is not what the database holds: the service
// makes it a moment after the database has it.
func (j *storeJudge) copyOf(ctx context.Context, r storeRole) (copied []byte, err error) {
	for n := range looks {
		copied, err = j.read(ctx, "metadata/"+r.file, 64<<20)
		right := err == nil && bytes.Equal(copied, r.body)
		if right || err != nil && !isAbsent(err) || j.Wait == nil || n == looks-1 {
			break
		}
		if err := j.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return copied, err
}

// publishedSince reports whether the database holds a version by now.
func (j *storeJudge) publishedSince(ctx context.Context, role string, version int64) (bool, error) {
	if j.Later == nil {
		return false, nil
	}
	rows, err := j.Later.QueryContext(ctx, `SELECT 1 FROM metadata WHERE role = $1 AND version = $2`, role, version)
	if err != nil {
		return false, fmt.Errorf("reading the database: %w", err)
	}
	defer rows.Close()
	return rows.Next(), rows.Err()
}

// orphaned looks for copies beside a database that holds no metadata: it was lost.
func (j *storeJudge) orphaned(ctx context.Context) error {
	for name, err := range j.Blobs.Names(ctx, "metadata/") {
		if err != nil {
			return fmt.Errorf("listing the object store: %w", err)
		}
		j.damage("object store "+name, "it was published, and the database holds no root: the database was lost")
		return nil
	}
	return nil
}

// behind looks for copies of versions that come after the current ones, and for those that
// are missing among them: the database was restored from a backup.
func (j *storeJudge) behind(ctx context.Context, root storeSigned) error {
	later := map[string][]int64{} // by role
	for name, err := range j.Blobs.Names(ctx, "metadata/") {
		if err != nil {
			return fmt.Errorf("listing the object store: %w", err)
		}
		role, version := storeNamed(name)
		if role != "" && version > j.roles[role].version {
			later[role] = append(later[role], version)
		}
	}
	snapshots := later["snapshot"] // their versions do not follow one another
	delete(later, "snapshot")
	for _, role := range slices.Sorted(maps.Keys(later)) {
		slices.Sort(later[role])
		if err := j.since(ctx, role, later[role]); err != nil {
			return err
		}
	}
	return j.listed(ctx, root, snapshots, later)
}

// storeNamed reads the name of a copy; no role: it is none of a role whose files have numbers.
func storeNamed(name string) (role string, version int64) {
	number, rest, _ := strings.Cut(strings.TrimPrefix(name, "metadata/"), ".")
	role, isJSON := strings.CutSuffix(rest, ".json")
	version, err := strconv.ParseInt(number, 10, 64)
	known := slices.Contains([]string{"root", "snapshot", "targets", "tool", "hotfix"}, role) ||
		strings.HasPrefix(role, "product.") || strings.HasPrefix(role, "line.")
	if err != nil || !isJSON || !known {
		return "", 0
	}
	return role, version
}

// since names copies that the database does not have, ascending, and the gaps between them.
func (j *storeJudge) since(ctx context.Context, role string, versions []int64) error {
	next := j.roles[role].version + 1
	for _, version := range versions {
		known, err := j.publishedSince(ctx, role, version)
		if err != nil {
			return err
		}
		if known { // while this went on
			next = version + 1
			continue
		}
		for ; next < version; next++ {
			if known, err := j.publishedSince(ctx, role, next); err != nil {
				return err
			} else if !known {
				j.damage(storeCopy(role, next), "it was published, and neither database nor object store has it")
			}
		}
		next = version + 1
		j.damage(storeCopy(role, version), "it was published and is not in the database; a start of the service takes it")
	}
	return nil
}

func storeCopy(role string, version int64) string {
	return fmt.Sprintf("object store metadata/%d.%s.json", version, role)
}

// listed looks for what the newest snapshot that is signed as it must be lists, and nothing
// holds: its copy was never made, or is gone.
func (j *storeJudge) listed(ctx context.Context, root storeSigned, snapshots []int64, later map[string][]int64) error {
	slices.Sort(snapshots)
	for _, version := range slices.Backward(snapshots) {
		body, err := j.read(ctx, fmt.Sprintf("metadata/%d.snapshot.json", version), 64<<20)
		if err != nil {
			return fmt.Errorf("reading a snapshot: %w", err)
		}
		var snapshot struct {
			Signed storeSigned `json:"signed"`
		}
		if goodSignatures(body, root.Keys, root.Roles["snapshot"]) == 0 || json.Unmarshal(body, &snapshot) != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(snapshot.Signed.Meta)) {
			role, want := strings.TrimSuffix(name, ".json"), snapshot.Signed.Meta[name].Version
			if want <= j.roles[role].version || slices.Contains(later[role], want) {
				continue
			}
			if known, err := j.publishedSince(ctx, role, want); err != nil {
				return err
			} else if !known {
				j.damage(storeCopy(role, want), "snapshot %d lists it, and neither database nor object store has it", version)
			}
		}
		return nil
	}
	return nil
}

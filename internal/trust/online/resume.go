package online

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/trust"
)

// Later returns documents that were published after what is current: the next version
// of each role that there is a copy of. A database that was restored from a backup has
// them still to come; submitted as they are, they are judged like any others. Copies
// gives a metadata file by name, or an error that is fs.ErrNotExist. None: nothing is
// missing; call it again after a submission, as versions follow one another.
func (s *Service) Later(ctx context.Context, repo Repository, copies func(file string) ([]byte, error)) ([]Document, error) {
	versions, err := repo.Versions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the current metadata: %w", err)
	}
	if versions[trust.RoleRoot] == 0 {
		return nil, nil // nothing was ever published here
	}
	l := later{repo: repo, versions: versions, copies: copies}
	if err := l.take(ctx, trust.RoleRoot); err != nil {
		return nil, err
	}
	return l.docs, l.take(ctx, trust.RoleTargets)
}

type later struct {
	repo     Repository
	versions map[string]int64
	copies   func(file string) ([]byte, error)
	docs     []Document
}

// take notes the next version of role, if there is one, and goes on with those that the
// role delegates to: what nobody delegates to could not be submitted.
func (l *later) take(ctx context.Context, role string) error {
	data, err := l.copies(trust.FileName(role, l.versions[role]+1))
	switch {
	case err == nil:
		l.docs = append(l.docs, Document{Role: role, Data: data})
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading the copy of %s: %w", role, err)
	default:
		now, err := l.repo.Current(ctx, role)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the current %s: %w", role, err)
		}
		data = now.Data
	}
	for _, child := range delegatedBy(data) {
		if parent, ok := trust.ParentRole(child); ok && parent == role && child != role {
			if err := l.take(ctx, child); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegatedBy reads the names of delegated roles; none of what is no metadata, which the
// submission will refuse.
func delegatedBy(data []byte) []string {
	var m struct {
		Signed struct {
			Delegations struct {
				Roles []struct {
					Name string `json:"name"`
				} `json:"roles"`
			} `json:"delegations"`
		} `json:"signed"`
	}
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	var names []string
	for _, r := range m.Signed.Delegations.Roles {
		names = append(names, r.Name)
	}
	return names
}

package online

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"uplevel/internal/trust"
)

// Hotfix verifies a hotfix's envelope against what is current, as a tool that is up to
// date would, and returns its payload.
func (s *Service) Hotfix(ctx context.Context, repo Repository, envelope []byte) ([]byte, error) {
	files := map[string][]byte{}
	for _, role := range []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets} {
		f, err := repo.Current(ctx, role)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, refuse(role, "it is not published yet")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the current %s: %w", role, err)
		}
		files[role] = f.Data
	}
	v, err := trust.NewVerifier(files[trust.RoleRoot], time.Time{})
	if err != nil {
		return nil, err
	}
	v.Judge(s.Now())
	if _, err := v.Timestamp(files[trust.RoleTimestamp]); err != nil {
		return nil, err
	}
	if err := v.Snapshot(files[trust.RoleSnapshot], false); err != nil {
		return nil, err
	}
	if err := v.Targets(files[trust.RoleTargets], trust.RoleTargets, trust.RoleRoot); err != nil {
		return nil, err
	}
	view, err := v.View(trust.Online)
	if err != nil {
		return nil, err
	}
	return view.Hotfix(envelope)
}

package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"uplevel/internal/policy"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/update"
)

// asAllowed makes the client of the metadata as the product's policy allows it. A policy
// that cannot be read or understood refuses whatever would take a new level, and nothing
// else: a product comes back after a power cut with a misspelt policy, too.
func (t *tool) asAllowed(cfg refresh.Config) (update.Trust, error) {
	p, refused := t.policy()
	if p.Freshness > 0 {
		cfg.Mode, cfg.Allowance = trust.Carried, p.Freshness
	}
	client, err := refresh.New(cfg)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return refusing{client, refused}, nil //nolint:nilerr // it is told when a new level would be taken
	}
	return client, nil
}

// policy reads updates/policy.yaml; without one everything is allowed.
func (t *tool) policy() (policy.Policy, error) {
	if t.home == nil {
		return policy.Policy{}, nil
	}
	data, err := readPlain(filepath.Join(t.home.Dir(), filepath.FromSlash(policy.File)), policy.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return policy.Policy{}, nil
	}
	if err != nil {
		return policy.Policy{}, problem.New(problem.Refused, "See that it is a file that can be read.", "%s cannot be read: %w", policy.File, err)
	}
	return policy.Parse(data)
}

// refusing takes nothing new; what is trusted already it still tells.
type refusing struct {
	*refresh.Client

	why error
}

func (r refusing) Refresh(context.Context, ...release.Line) (*trust.View, error) { return nil, r.why }

func (r refusing) Carried(context.Context, refresh.Remote, ...release.Line) (*trust.View, error) {
	return nil, r.why
}

func (r refusing) Keep(context.Context, refresh.Remote, ...release.Line) (*trust.View, error) {
	return nil, r.why
}

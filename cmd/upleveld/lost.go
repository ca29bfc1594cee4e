package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"uplevel/internal/problem"
)

// refuseLost refuses a database without online keys beside metadata that were published: it
// is no new service's but one that was lost. Other keys would sign what no customer trusts.
func (p *program) refuseLost(ctx context.Context, inDatabase int) error {
	dir, err := p.objectsDir()
	if err != nil {
		return err
	}
	published := inDatabase
	for _, err := range folder(dir).Names(ctx, "metadata/") {
		if err != nil {
			return fmt.Errorf("object store: %w", err)
		}
		published++
	}
	if published == 0 {
		return nil
	}
	return problem.New(problem.Verification,
		"restore the database from a backup, what was published since is taken from the object store; for a new service name empty folders",
		"the online keys are missing from the database, and metadata signed with them are there (%d files): the database, or part of it, was lost", published).
		Standing("nothing was changed")
}

// refuseEmptied is refuseLost for an embedded database whose file is gone or holds nothing.
func (p *program) refuseEmptied(ctx context.Context) error {
	path, embedded := strings.CutPrefix(p.databaseURL(), "sqlite:")
	if !embedded {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.Size() > 0 || err != nil && !isNotExist(err) {
		return nil // looked at when it is opened
	}
	return p.refuseLost(ctx, 0)
}

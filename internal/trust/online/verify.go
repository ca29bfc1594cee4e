package online

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// verify takes the outcome as a client would that saw all there was before.
func (sub *submission) verify(ctx context.Context) error {
	root, err := sub.current(ctx, trust.RoleRoot)
	if err != nil {
		return err
	}
	// What was not submitted may have expired; that must not stop another product. The
	// roles that a submitted line rests on are judged by their expiry at the end.
	v, err := trust.NewVerifier(root.Data, time.Time{})
	if err != nil {
		return err
	}
	if err := sub.verifyOnline(ctx, v); err != nil {
		return err
	}
	verified := map[string]bool{trust.RoleRoot: true}
	if err := sub.verifyRole(ctx, v, trust.Step{Role: trust.RoleTargets, Parent: trust.RoleRoot}, verified); err != nil {
		return err
	}
	for _, role := range slices.Sorted(maps.Keys(sub.files)) {
		if rank(role) > 0 && !verified[role] && role != trust.RoleSnapshot && role != trust.RoleTimestamp {
			return refuse(role, "no role delegates to it")
		}
	}
	return sub.judge(v)
}

// verifyOnline takes timestamp and snapshot: those before, as far as the root in force
// still names their keys, then the new ones.
func (sub *submission) verifyOnline(ctx context.Context, v *trust.Verifier) error {
	for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot} {
		take := func(data []byte) error { return v.Snapshot(data, false) }
		if role == trust.RoleTimestamp {
			take = func(data []byte) error { _, err := v.Timestamp(data); return err }
		}
		before, err := sub.repo.Current(ctx, role)
		switch {
		case err == nil:
			_ = take(before.Data) // refused when its key was rotated: then clients forget it
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("reading the current %s: %w", role, err)
		}
		if err := take(sub.files[role].Data); err != nil {
			return err
		}
	}
	return nil
}

// verifyRole takes a role's file and, as far as the submission touches them, those that
// it delegates to.
func (sub *submission) verifyRole(ctx context.Context, v *trust.Verifier, step trust.Step, verified map[string]bool) error {
	file, err := sub.current(ctx, step.Role)
	if errors.Is(err, fs.ErrNotExist) {
		if step.Role == trust.RoleTool || step.Role == trust.RoleHotfix {
			return nil // nothing is listed there yet
		}
		return refuse(step.Parent, "it delegates to %s, which has no file", step.Role)
	}
	if err != nil {
		return err
	}
	if err := v.Targets(file.Data, step.Role, step.Parent); err != nil {
		return err
	}
	verified[step.Role] = true
	if line, ok := trust.ParseLineRole(step.Role); ok {
		_, err := v.Chain(line)
		return err
	}
	for _, child := range v.Delegated(step.Role) {
		if !sub.touches(child) {
			continue
		}
		if err := sub.verifyRole(ctx, v, trust.Step{Role: child, Parent: step.Role}, verified); err != nil {
			return err
		}
	}
	return nil
}

// touches reports whether the submission can change what a client makes of role.
func (sub *submission) touches(role string) bool {
	for submitted := range sub.files {
		if rank(submitted) < 2 || submitted == role || productOf(role) != "" && productOf(submitted) == productOf(role) {
			return true
		}
	}
	return false
}

// productOf returns the product that a product's or line's role is of.
func productOf(role string) string {
	if line, ok := trust.ParseLineRole(role); ok {
		return line.Product
	}
	product, _ := trust.ParseProductRole(role)
	return product
}

// judge refuses an outcome in which a submitted line rests on something expired. Without a
// line nothing is judged: where root and targets both ran out, each is renewed by itself.
func (sub *submission) judge(v *trust.Verifier) error {
	if len(sub.lines) == 0 {
		return nil
	}
	v.Judge(sub.now)
	lines := make([]release.Line, 0, len(sub.lines))
	for _, l := range sub.lines {
		lines = append(lines, l.Line)
	}
	view, err := v.View(trust.Online, lines...)
	if err != nil {
		return err
	}
	if role, at := view.Expires(); view.Expired() {
		return refuse(role, "it expired on %s and is not renewed by this submission", at.UTC().Format(time.RFC3339))
	}
	return nil
}

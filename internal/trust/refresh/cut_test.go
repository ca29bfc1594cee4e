package refresh_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// TestARotationThatWasCutIsCompleted: what the new online keys make void is removed, timestamp
// first, before the new root is written. Cut after each of these the next refresh completes
// it, also where a thief ran the versions up so far that none could follow.
func TestARotationThatWasCutIsCompleted(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string][]string{
		"one is forgotten": {trust.RoleTimestamp}, "the other": {trust.RoleSnapshot}, "both": {trust.RoleTimestamp, trust.RoleSnapshot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.repo.Timestamp.Signed.Version, h.repo.Snapshot.Signed.Version = 1<<60, 1<<60
			h.repo.PublishOnline()
			h.refresh(is)
			for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot} {
				h.repo.Keys[role][0] = trusttest.Key("new " + role)
			}
			h.repo.PublishRoot()
			h.repo.Timestamp.Signed.Version, h.repo.Snapshot.Signed.Version = 6, 6
			h.repo.PublishOnline()
			for _, role := range gone {
				must(t, os.Remove(filepath.Join(h.dir, trust.CacheName(role))))
			}
			want(t, "levels", levels(t, h.refresh(is), is), []int{0, 1})
			want(t, "root", string(h.cached("root")), string(h.repo.Current("root")))
		})
	}
}

// TestARefreshThatWasCutDoesNotKeepAZipOut: a refresh that got no further than its timestamp
// leaves one whose snapshot nobody has here. What the folder trusts beside it then judges a
// zip that was made before; where it has nothing beside it, the refusal names both ways out.
func TestARefreshThatWasCutDoesNotKeepAZipOut(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.signHotfixes(trusttest.Key("hotfix-1"))
	carried := carry(h.repo)
	h.refresh(is)
	h.repo.AddLevel(is, 2)
	h.repo.PublishOnline()
	must(t, os.WriteFile(filepath.Join(h.dir, trust.CacheName(trust.RoleTimestamp)), h.repo.Current(trust.RoleTimestamp), 0o600))
	before := h.folder()
	h.config.Remote = nil
	view, err := h.client().Keep(t.Context(), carried, is)
	must(t, err)
	want(t, "levels", levels(t, view, is), []int{0, 1})
	want(t, "folder", h.folder(), before)

	for _, role := range []string{trust.RoleSnapshot, trust.RoleTargets} {
		must(t, os.Remove(filepath.Join(h.dir, trust.CacheName(role))))
	}
	_, err = h.client().Keep(t.Context(), carried, is)
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Kind != problem.Verification ||
		!strings.Contains(p.Next, "create-update") || !strings.Contains(p.Next, "connect") {
		t.Errorf("with nothing beside the timestamp: %v", err)
	}
}

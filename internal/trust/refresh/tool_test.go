package refresh_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// versions are the tools of a view, as VERSION SYSTEM.
func versions(view *trust.View) []string {
	var all []string
	for _, t := range view.Tools() {
		all = append(all, t.Version+" "+t.System)
	}
	return all
}

func TestToolsComeWithTheRefresh(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if view := h.refresh(is); len(view.Tools()) > 0 || view.ToolsUnknown() != nil {
		t.Errorf("%v, %v", view.Tools(), view.ToolsUnknown())
	}
	h.repo.AddTool("1.10.0", "linux/amd64", []byte("ten"))
	ref := h.repo.AddTool("1.9.0", "linux/arm64", []byte("nine"), func(l *release.ToolListing) { l.Minimum = "1.0" })
	h.repo.AddTool("1.9.0", "later/system", []byte("of later"))
	h.repo.PublishOnline()
	h.repo.Requests()
	view := h.refresh(is)
	if got := versions(view); !slices.Equal(got, []string{"1.9.0 later/system", "1.9.0 linux/arm64", "1.10.0 linux/amd64"}) {
		t.Errorf("%q", got)
	}
	if t1 := view.Tools()[1]; t1.Program != ref || t1.Minimum != "1.0" || !t1.Released.Equal(day0) {
		t.Errorf("%+v", t1)
	}
	if asked := h.repo.Requests(); !slices.Contains(asked, "3.tool.json") {
		t.Errorf("%q", asked)
	}
	if view = h.refresh(is); len(view.Tools()) != 3 {
		t.Errorf("%v", view.Tools())
	}
	if asked := h.repo.Requests(); len(asked) != 2 {
		t.Errorf("nothing new, and asked for %q", asked)
	}
	kept, err := h.client().Trusted(is)
	if err != nil || len(kept.Tools()) != 3 {
		t.Errorf("%v, %v", kept, err)
	}
	if err := os.Remove(filepath.Join(h.dir, "tool.json")); err != nil {
		t.Fatal(err)
	}
	if kept, err = h.client().Trusted(is); err != nil || kept.ToolsUnknown() == nil || len(kept.Tools()) > 0 {
		t.Errorf("%v, %v", kept.Tools(), err)
	}
}

// TestLevelsDoNotNeedTheTool: what is wrong with the tool's role alone stops no level, as
// far as nobody can have meant harm.
func TestLevelsDoNotNeedTheTool(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.repo.AddTool("1.0", "linux/amd64", []byte("one"))
	h.repo.PublishOnline()
	if view := h.refresh(is); len(view.Tools()) != 1 {
		t.Fatal("no tool")
	}
	h.now = h.now.Add(trust.Lifetime(trust.RoleTool) + day)
	h.repo.Now = h.now
	for _, role := range []string{"product.wso2is", is.Role(), trust.RoleTargets} {
		h.repo.PublishRole(role)
	}
	h.repo.PublishOnline()
	view := h.refresh(is)
	if levels, err := view.Levels(is); err != nil || len(levels) != 2 || view.Expired() {
		t.Errorf("%v, %v", levels, err)
	}
	if err := view.ToolsUnknown(); !errors.Is(err, &metadata.ErrExpiredMetadata{}) || len(view.Tools()) > 0 {
		t.Errorf("%v, %v", view.Tools(), err)
	}
	// A zip of a hotfix carries no file of the tool.
	h.config.Remote = nil
	if view, err := h.client().Carried(t.Context(), carry(h.repo)); err != nil || view.ToolsUnknown() == nil {
		t.Errorf("%v", err)
	}
	h.repo.PublishRole(trust.RoleTool)
	h.repo.PublishOnline()
	carried := carry(h.repo)
	carried["2.tool.json"] = h.repo.File("2.tool.json")
	if view, err := h.client().Carried(t.Context(), carried); err != nil || len(view.Tools()) != 1 {
		t.Errorf("%v", err)
	}
}

// TestLevelsDoNotNeedTheToolsFile: the service lost it.
func TestLevelsDoNotNeedTheToolsFile(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.repo.AddTool("1.0", "linux/amd64", []byte("one"))
	h.repo.PublishOnline()
	h.config.Remote = remote{h.repo, "1.tool.json", func(context.Context) ([]byte, error) { return nil, fmt.Errorf("asking: %w", fs.ErrNotExist) }}
	view, err := h.client().Refresh(t.Context(), is)
	if err != nil || view.ToolsUnknown() == nil || len(view.Tools()) > 0 {
		t.Fatalf("%v", err)
	}
	h.config.Remote = remote{h.repo, "1.tool.json", func(context.Context) ([]byte, error) { return nil, errors.New("cut off") }}
	if _, err := h.client().Refresh(t.Context(), is); err == nil {
		t.Error("a look that failed is taken for an answer")
	}
	h.config.Remote = h.repo
	if view := h.refresh(is); len(view.Tools()) != 1 {
		t.Errorf("%v", view.ToolsUnknown())
	}
}

// TestToolsThatNobodySigned are not trusted, and levels go on without: only versions that go
// back are somebody at work on all roles.
func TestToolsThatNobodySigned(t *testing.T) {
	t.Parallel()
	custom := func(l release.ToolListing) *json.RawMessage {
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return (*json.RawMessage)(&raw)
	}
	for what, spoil := range map[string]func(r *trusttest.Repo){
		"another key": func(r *trusttest.Repo) {
			r.Keys[trust.RoleTool] = r.Keys[trust.RoleTargets]
			r.PublishRole(trust.RoleTool)
		},
		"another path": func(r *trusttest.Repo) {
			r.AddTool("2.0", "linux/amd64", []byte("x"), func(l *release.ToolListing) { l.Version = "3.0" })
		},
		"another system": func(r *trusttest.Repo) {
			r.AddTool("2.0", "linux/amd64", []byte("x"), func(l *release.ToolListing) { l.System = "linux/arm64" })
		},
		"a level": func(r *trusttest.Repo) {
			r.SetTarget(trust.RoleTool, is.TargetPath(9), []byte("x"), release.Listing{})
			r.PublishRole(trust.RoleTool)
		},
		"without custom": func(r *trusttest.Repo) {
			r.SetTarget(trust.RoleTool, release.ToolPath("2.0", "linux/amd64"), []byte("x"), nil)
			r.PublishRole(trust.RoleTool)
		},
		"without digest": func(r *trusttest.Repo) {
			r.AddTool("2.0", "linux/amd64", []byte("x"))
			r.Roles[trust.RoleTool].Signed.Targets[release.ToolPath("2.0", "linux/amd64")] = &metadata.TargetFiles{
				Length: 1, Hashes: metadata.Hashes{"sha512": make([]byte, 64)},
				Custom: custom(release.ToolListing{Version: "2.0", System: "linux/amd64", Released: day0}),
			}
			r.PublishRole(trust.RoleTool)
		},
		"endless": func(r *trusttest.Repo) {
			r.AddTool("2.0", "linux/amd64", []byte("x"))
			r.Roles[trust.RoleTool].Signed.Targets[release.ToolPath("2.0", "linux/amd64")].Length = release.MaxTool + 1
			r.PublishRole(trust.RoleTool)
		},
		"taken back": func(r *trusttest.Repo) { r.Roles[trust.RoleTool].Signed.Version = 0; r.PublishRole(trust.RoleTool) },
		"vanished":   func(r *trusttest.Repo) { delete(r.Roles, trust.RoleTool) },
		"led elsewhere": func(r *trusttest.Repo) {
			r.AddDelegation(trust.RoleTargets, "product.other", []string{"*/*/*"}, trusttest.Key("other"))
			roles := r.Roles[trust.RoleTargets].Signed.Delegations.Roles
			slices.Reverse(roles)
			r.PublishRole("product.other")
			r.PublishRole(trust.RoleTargets)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.repo.AddTool("1.0", "linux/amd64", []byte("one"))
			h.repo.PublishRole(trust.RoleTool)
			h.repo.PublishOnline()
			h.refresh(is)
			before := h.cached(trust.RoleTool)
			spoil(h.repo)
			h.repo.PublishOnline()
			view, err := h.client().Refresh(context.Background(), is)
			if what == "taken back" || what == "vanished" {
				refused(t, err, problem.Verification, "snapshot.json")
			} else if must(t, err); view.ToolsUnknown() == nil || len(view.Tools()) > 0 || len(levels(t, view, is)) != 2 {
				t.Errorf("%v, %v", view.Tools(), view.ToolsUnknown())
			}
			if string(h.cached(trust.RoleTool)) != string(before) {
				t.Error("what was kept is gone")
			}
		})
	}
}

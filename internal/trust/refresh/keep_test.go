package refresh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

// bundled is what an offline update of now carries: what a tool outside gets with Carry.
func (h *home) bundled(lines ...release.Line) carriedFiles {
	h.t.Helper()
	outside, err := refresh.New(refresh.Config{Dir: h.t.TempDir(), Root: h.repo.File("1.root.json"), Remote: h.repo, Now: func() time.Time { return h.repo.Now }})
	if err != nil {
		h.t.Fatal(err)
	}
	_, files, err := outside.Carry(h.t.Context(), true, lines...)
	if err != nil {
		h.t.Fatal(err)
	}
	all := carriedFiles{}
	for _, f := range files {
		all[f.Name] = f.Data
	}
	return all
}

func (h *home) rotate() {
	h.repo.Keys[trust.RoleTimestamp] = []ed25519.PrivateKey{trusttest.Key("timestamp-2")}
	h.repo.PublishRoot()
	h.repo.PublishOnline()
}

func TestCarryReturnsAllThatProves(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.repo.PublishRoot()
	h.repo.PublishRoot()
	h.repo.AddDelegation(trust.RoleTargets, trust.RoleTool, trust.ToolPaths(), trusttest.Key("tool"))
	h.repo.PublishRole(trust.RoleTool)
	h.repo.PublishRole(trust.RoleTargets)
	h.repo.PublishOnline()
	h.config.Root = h.repo.File("2.root.json") // a newer pack
	for _, tool := range []bool{true, false} {
		view, files, err := h.client().Carry(t.Context(), tool, is)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "levels", levels(t, view, is), []int{0, 1})
		var names []string
		for _, f := range files {
			names = append(names, f.Name)
			if !bytes.Equal(f.Data, h.repo.File(f.Name)) {
				t.Errorf("%s is another file", f.Name)
			}
		}
		wanted := []string{"root.json", "root.json", "root.json", "timestamp.json", "snapshot.json", "targets.json", "line.wso2is-7.1.0.full.json", "product.wso2is.json"}
		if tool {
			wanted = append(wanted, "tool.json")
		}
		for i, name := range names {
			names[i] = strings.TrimPrefix(strings.TrimLeft(name, "0123456789"), ".")
		}
		slices.Sort(names[6:])
		want(t, fmt.Sprintf("names, tool %v", tool), names, wanted)
	}
}

func TestNewerMetadataAreKept(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(h *home){
		"nothing trusted yet": func(*home) {},
		"an older level":      func(h *home) { h.refresh(is); h.repo.AddLevel(is, 2); h.repo.PublishOnline() },
		"rotated since":       func(h *home) { h.refresh(is); h.repo.AddLevel(is, 2); h.rotate() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			before(h)
			files := h.bundled(is)
			h.config.Remote = nil
			h.now = day0.Add(-9000 * day) // a clock that stopped long ago
			view, err := h.client().Keep(t.Context(), files, is)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "mode", view.Mode(), trust.Carried)
			want(t, "age", view.Age(h.now), 0)
			trusted, err := h.client().Trusted(is)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "levels", levels(t, trusted, is), levels(t, view, is))
			want(t, "root", trusted.RootVersion(), h.repo.Root.Signed.Version)
			// Again, and by one that may not write: nothing changes.
			kept := h.folder()
			if _, err := h.client().Keep(t.Context(), files, is); err != nil || h.folder() != kept {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestRefusedMetadataAreNotKeptInPart(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.refresh(is)
	before := h.folder()
	h.repo.AddLevel(is, 2)
	h.rotate()
	whole := h.bundled(is)
	for name := range whole {
		if name == "1.root.json" || name == "2.targets.json" || strings.Contains(name, "product") {
			continue // it is there
		}
		cut := maps.Clone(whole)
		delete(cut, name)
		if _, err := h.client().Keep(t.Context(), cut, is); problem.KindOf(err) != problem.Verification {
			t.Errorf("without %s: %v", name, err)
		}
		if h.folder() != before {
			t.Fatalf("without %s: something is kept", name)
		}
	}
}

func TestVersionsNeverGoBack(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]func(h *home){
		"a withdrawal": func(*home) {},
		"a rotation":   func(h *home) { h.rotate() },
		"two of them":  func(h *home) { h.rotate(); h.repo.PublishRoot(); h.repo.PublishOnline() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			older := h.bundled(is)
			h.repo.Change(is, 1, func(l *release.Listing) { l.State, l.Reason = release.Withdrawn, "broken" })
			h.repo.PublishOnline()
			since(h)
			h.refresh(is)
			before := h.folder()
			h.now = h.now.Add(9000 * day)
			for what, judge := range map[string]func() (*trust.View, error){
				"judged": func() (*trust.View, error) { return h.client().Carried(t.Context(), older, is) },
				"kept":   func() (*trust.View, error) { return h.client().Keep(t.Context(), older, is) },
			} {
				view, err := judge()
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				l, err := view.Level(is, 1)
				if err != nil || l.State != release.Withdrawn {
					t.Errorf("%s: %+v, %v: the older metadata count", what, l, err)
				}
				want(t, "mode", view.Mode(), trust.Carried)
			}
			if h.folder() != before {
				t.Error("the folder changed")
			}
		})
	}
}

func TestMetadataOfBeforeThePackProveNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	older := h.bundled(is)
	h.rotate()
	h.config.Root = h.repo.File("2.root.json")
	_, err := h.client().Keep(t.Context(), older, is)
	refused(t, err, problem.Verification, "before the vendor replaced its root keys")
	if h.folder() != "" {
		t.Error("something is kept")
	}
}

func TestAnotherVendorsMetadata(t *testing.T) {
	t.Parallel()
	other := newHome(t)
	other.repo = trusttest.NewWith(t, day0, trusttest.Key("evil"), trusttest.Key("evil"))
	other.repo.Keys[trust.RoleRoot] = []ed25519.PrivateKey{trusttest.Key("evil")}
	other.repo.PublishRoot()
	other.repo.AddLevel(is, 9)
	other.repo.PublishOnline()
	files := carriedFiles{}
	for _, file := range []string{"1.root.json", "timestamp.json"} {
		files[file] = other.repo.File(file)
	}
	h := newHome(t)
	h.refresh(is)
	h.rotate()
	h.refresh(is)
	before := h.folder()
	for _, judge := range []func(context.Context, refresh.Remote, ...release.Line) (*trust.View, error){h.client().Carried, h.client().Keep} {
		if _, err := judge(t.Context(), files, is); problem.KindOf(err) != problem.Verification {
			t.Errorf("another vendor's: %v", err)
		}
	}
	if h.folder() != before {
		t.Error("the folder changed")
	}
}

func TestAgeByAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	files := h.bundled(is)
	h.config.Mode, h.config.Allowance = trust.Carried, 45*day
	for now, says := range map[time.Time]string{
		day0:                    "",
		day0.Add(-day):          "", // lags a day behind
		day0.Add(47 * day):      "",
		day0.Add(60 * day):      "ceased to be fresh 57 days ago, by the clock of today, 2026-12-31; the policy allows 45 days",
		day0.Add(-3 * day):      "it is 2026-10-29 by this machine's clock, and they were made after 2026-10-31",
		day0.Add(-20_000 * day): "how old they are cannot be told",
	} {
		h.now = now
		_, err := h.client().Carried(t.Context(), files, is)
		if says == "" && err != nil {
			t.Errorf("%s: %v", now, err)
		}
		if says != "" {
			refused(t, err, problem.Verification, says)
		}
		if _, err := h.client().Keep(t.Context(), files, is); (says == "") != (err == nil) {
			t.Errorf("%s, to be kept: %v", now, err)
		}
	}
}

// TestKeepIsCompletedAfterACut leaves the folder as a cut after each write of a Keep does.
func TestKeepIsCompletedAfterACut(t *testing.T) {
	t.Parallel()
	order := []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets, "product.wso2is", is.Role()}
	for n := range len(order) + 2 {
		h := newHome(t)
		h.refresh(is)
		h.repo.AddLevel(is, 2)
		h.rotate()
		for _, role := range []string{trust.RoleTimestamp, trust.RoleSnapshot} { // what the new root makes void goes first
			if err := os.Remove(filepath.Join(h.dir, trust.CacheName(role))); err != nil {
				t.Fatal(err)
			}
		}
		for _, role := range order[:max(0, n-1)] {
			if err := os.WriteFile(filepath.Join(h.dir, trust.CacheName(role)), h.repo.Current(role), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h.config.Remote = nil
		view, err := h.client().Keep(t.Context(), h.bundled(is), is)
		if err != nil {
			t.Fatalf("cut after %d writes: %v", n, err)
		}
		want(t, "levels", levels(t, view, is), []int{0, 1, 2})
		if _, err := h.client().Trusted(is); err != nil {
			t.Errorf("cut after %d writes: %v", n, err)
		}
	}
}

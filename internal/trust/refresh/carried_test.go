package refresh_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"testing"
	"time"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// carriedFiles are metadata that came in a zip.
type carriedFiles map[string][]byte

func (c carriedFiles) Metadata(_ context.Context, file string, _ int64) ([]byte, error) {
	if data, ok := c[file]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("%s: %w", file, fs.ErrNotExist)
}

// carry returns what a zip of now carries: roots, timestamp, snapshot and targets.
func carry(repo *trusttest.Repo) carriedFiles {
	files := carriedFiles{
		"timestamp.json": repo.Current(trust.RoleTimestamp),
		trust.FileName(trust.RoleSnapshot, repo.Snapshot.Signed.Version):                repo.Current(trust.RoleSnapshot),
		trust.FileName(trust.RoleTargets, repo.Roles[trust.RoleTargets].Signed.Version): repo.Current(trust.RoleTargets),
	}
	for n := int64(1); n <= repo.Root.Signed.Version; n++ {
		files[trust.FileName(trust.RoleRoot, n)] = repo.File(trust.FileName(trust.RoleRoot, n))
	}
	return files
}

// signHotfixes lets targets delegate to another hotfix key and returns an envelope.
func (h *home) signHotfixes(key ed25519.PrivateKey) []byte {
	h.t.Helper()
	signed := &h.repo.Roles[trust.RoleTargets].Signed
	if d := signed.Delegations; d != nil {
		for i, r := range d.Roles {
			if r.Name == trust.RoleHotfix {
				d.Roles = append(d.Roles[:i], d.Roles[i+1:]...)
				break
			}
		}
	}
	h.repo.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), key)
	delete(h.repo.Roles, trust.RoleHotfix)
	h.repo.PublishRole(trust.RoleTargets)
	h.repo.PublishOnline()
	id, err := h.repo.Public(key).ID()
	if err == nil {
		var data []byte
		data, err = trust.NewEnvelope([]byte("fix"), map[string][]byte{id: ed25519.Sign(key, trust.SignedBytes(trust.HotfixType, []byte("fix")))})
		if err == nil {
			return data
		}
	}
	h.t.Fatal(err)
	return nil
}

func (h *home) folder() string {
	entries, err := os.ReadDir(h.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatal(err)
	}
	var all string
	for _, e := range entries {
		data, err := os.ReadFile(h.dir + "/" + e.Name())
		if err != nil {
			h.t.Fatal(err)
		}
		all += fmt.Sprintf("%s %x\n", e.Name(), data)
	}
	return all
}

func TestCarriedMetadataProveWithoutANetwork(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	first := h.signHotfixes(trusttest.Key("hotfix-1"))
	h.config.Remote = nil
	h.now = day0.Add(400 * day) // long after all of it has expired
	view, err := h.client().Carried(t.Context(), carry(h.repo))
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := view.Hotfix(first); err != nil || string(payload) != "fix" {
		t.Errorf("%q, %v", payload, err)
	}
	if view.Mode() != trust.Carried || view.Age(h.now) < 390*day || view.Expired() {
		t.Errorf("%s, %s old", view.Mode(), view.Age(h.now))
	}
	if h.folder() != "" {
		t.Error("something was kept")
	}
	h.config.Mode, h.config.Allowance = trust.Carried, 45*day
	if _, err := h.client().Carried(t.Context(), carry(h.repo)); problem.KindOf(err) != problem.Verification {
		t.Errorf("older than is allowed: %v", err)
	}
}

func TestCarriedMetadataOlderThanTrustedAreTransport(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	old := h.signHotfixes(trusttest.Key("hotfix-1"))
	carried := carry(h.repo)
	fresh := h.signHotfixes(trusttest.Key("hotfix-2")) // the key is rotated
	h.refresh(is)
	before := h.folder()
	view, err := h.client().Carried(t.Context(), carried)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Hotfix(old); problem.KindOf(err) != problem.Verification {
		t.Errorf("by the retired key: %v", err)
	}
	if _, err := view.Hotfix(fresh); err != nil {
		t.Error(err)
	}
	if h.folder() != before {
		t.Error("the folder changed")
	}
}

func TestNewerCarriedMetadataLeaveTheFolderWhole(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.signHotfixes(trusttest.Key("hotfix-1"))
	h.refresh(is)
	before := h.folder()
	h.repo.AddLevel(is, 2)
	h.repo.Keys[trust.RoleTimestamp] = []ed25519.PrivateKey{trusttest.Key("timestamp-2")}
	h.repo.PublishRoot()
	fresh := h.signHotfixes(trusttest.Key("hotfix-2"))
	view, err := h.client().Carried(t.Context(), carry(h.repo))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Hotfix(fresh); err != nil || view.RootVersion() != 2 {
		t.Errorf("root %d, %v", view.RootVersion(), err)
	}
	if h.folder() != before {
		t.Error("the folder changed")
	}
	if _, err := h.client().Trusted(is); err != nil {
		t.Errorf("what was trusted is no longer: %v", err)
	}
}

func TestCarriedMetadataThatProveNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.signHotfixes(trusttest.Key("hotfix-1"))
	h.repo.PublishRoot()
	h.signHotfixes(trusttest.Key("hotfix-1"))
	whole := carry(h.repo)
	for name := range whole {
		if name == "1.root.json" {
			continue // the pack has it
		}
		cut := maps.Clone(whole)
		delete(cut, name)
		_, err := h.client().Carried(t.Context(), cut)
		if name == "2.root.json" {
			if err != nil { // root 1 names the same keys
				t.Errorf("without %s: %v", name, err)
			}
		} else if problem.KindOf(err) != problem.Verification {
			t.Errorf("without %s: %v", name, err)
		}
		cut[name] = append([]byte(" "), whole["1.root.json"]...)
		if _, err := h.client().Carried(t.Context(), cut); problem.KindOf(err) != problem.Verification {
			t.Errorf("root instead of %s: %v", name, err)
		}
	}
	other := trusttest.NewWith(t, day0, trusttest.Key("evil"), trusttest.Key("evil"))
	other.Keys[trust.RoleRoot] = []ed25519.PrivateKey{trusttest.Key("evil")}
	if _, err := h.client().Carried(t.Context(), carry(other)); problem.KindOf(err) != problem.Verification {
		t.Errorf("another vendor's: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, err := h.client().Carried(ctx, whole); err == nil {
		t.Error("goes on without end")
	}
}

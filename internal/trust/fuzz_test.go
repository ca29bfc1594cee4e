package trust_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// FuzzSigned gives a verifier what the right keys signed, whatever it says: what reads
// metadata after its signatures were judged, and the custom fields in it.
func FuzzSigned(f *testing.F) {
	repo, line := fuzzed(f)
	roles := []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets, release.ProductRole(line.Product), line.Role(), trust.RoleTool}
	for i, role := range roles {
		var doc struct {
			Signed json.RawMessage `json:"signed"`
		}
		if err := json.Unmarshal(repo.Current(role), &doc); err != nil {
			f.Fatal(err)
		}
		f.Add(i, []byte(doc.Signed), true)
		f.Add(i, []byte(doc.Signed), false)
	}
	f.Add(5, []byte(`{"_type":"targets","spec_version":"1.0.34","version":2,"expires":"2027-01-01T00:00:00Z","targets":{"shop/1.0/full/7.json":{"length":1,"hashes":{"sha256":""},"custom":null}}}`), true)
	f.Add(3, []byte(`{"_type":"targets","spec_version":"1.0","version":1,"expires":"2027-01-01T00:00:00Z","targets":{},"delegations":{"keys":{},"roles":[],"succinct_roles":{"bit_length":33,"name_prefix":"x","keyids":[],"threshold":1}}}`), true)
	f.Fuzz(func(t *testing.T, which int, signed []byte, sign bool) {
		role := roles[uint(which)%uint(len(roles))]
		v, err := trust.NewVerifier(repo.File("1.root.json"), day0)
		if err != nil {
			t.Fatal(err)
		}
		data := formed(t, repo, role, signed, sign)
		told(t, give(v, repo, role, data))
		if view, err := v.View("test", line); err == nil {
			for _, l := range view.Lines(line.Product) {
				if l.Product != line.Product || l.Check() != nil {
					t.Fatalf("%+v is delegated by the role of %s", l, line.Product)
				}
			}
			levels, _ := view.Levels(line)
			for _, l := range levels {
				if l.Line() != line || l.Record.Size < 1 || l.Record.Size > release.MaxRecord {
					t.Fatalf("%+v is listed by the role of %s", l, line)
				}
			}
			for _, tool := range view.Tools() {
				if err := tool.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err = trust.LineLevels(signed, line)
		told(t, err)
		_, err = trust.ToolPrograms(signed)
		told(t, err)
		_, _ = trust.Fingerprint(signed)
	})
}

// fuzzed is a repository with a line and a tool, the same in every process.
func fuzzed(f *testing.F) (*trusttest.Repo, release.Line) {
	f.Helper()
	repo, line := trusttest.New(f, day0), release.Line{Product: "shop", Version: "1.0", Channel: "full"}
	repo.Delegate(line)
	repo.AddLevel(line, 0)
	repo.AddTool("1.0.0", "linux/amd64", []byte("program"))
	repo.PublishOnline()
	return repo, line
}

// formed is a role's file with anything in it: as it is, or signed by the role's keys as
// far as it can be understood.
func formed(t *testing.T, repo *trusttest.Repo, role string, signed []byte, sign bool) []byte {
	t.Helper()
	raw := append(append([]byte(`{"signatures":[],"signed":`), signed...), '}')
	switch {
	case !sign:
		return raw
	case role == trust.RoleRoot:
		return resigned[metadata.RootType](t, repo, role, raw)
	case role == trust.RoleTimestamp:
		return resigned[metadata.TimestampType](t, repo, role, raw)
	case role == trust.RoleSnapshot:
		return resigned[metadata.SnapshotType](t, repo, role, raw)
	}
	return resigned[metadata.TargetsType](t, repo, role, raw)
}

func resigned[T metadata.Roles](t *testing.T, repo *trusttest.Repo, role string, raw []byte) (data []byte) {
	t.Helper()
	m := new(metadata.Metadata[T])
	if _, err := m.FromBytes(raw); err != nil {
		return nil
	}
	// What the library cannot write again (a key that is null) no publisher signs either.
	defer func() {
		if recover() != nil {
			data = nil
		}
	}()
	return trusttest.Sign(t, m, repo.Keys[role]...)
}

// give brings a verifier as far as the role, and gives it data there.
func give(v *trust.Verifier, repo *trusttest.Repo, role string, data []byte) error {
	if role == trust.RoleRoot {
		_, err := v.Root(data)
		return err
	}
	if role == trust.RoleTimestamp {
		_, err := v.Timestamp(data)
		return err
	}
	if _, err := v.Timestamp(repo.Current(trust.RoleTimestamp)); err != nil {
		return err
	}
	if role == trust.RoleSnapshot {
		return v.Snapshot(data, true)
	}
	if err := v.Snapshot(repo.Current(trust.RoleSnapshot), true); err != nil {
		return err
	}
	for _, r := range []string{trust.RoleTargets, trust.RoleTool, "product.shop", "line.shop-1.0.full"} {
		parent, _ := trust.ParentRole(r)
		doc := repo.Current(r)
		if r == role {
			doc = data
		}
		if err := v.Targets(doc, r, parent); err != nil {
			return err
		}
	}
	return nil
}

// told asserts that a refusal says what to do.
func told(t *testing.T, err error) {
	t.Helper()
	if p, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || p.Next == "") {
		t.Fatalf("%v says no next step", err)
	}
}

// FuzzRoleNames reads names of roles, which name files.
func FuzzRoleNames(f *testing.F) {
	for _, s := range []string{"root", "product.shop", "line.shop-1.0.full", "line.a-b-1.0.x_y", "../x", "a/b", "a\\b", "", ".", "tool", "hotfix", "line.shop-1.0.full.", "größe", "%2e%2e"} {
		f.Add(s, int64(7))
	}
	f.Fuzz(func(t *testing.T, role string, version int64) {
		if line, ok := trust.ParseLineRole(role); ok && line.Role() != role {
			t.Fatalf("%q is read as %+v, whose role is %q", role, line, line.Role())
		}
		if product, ok := trust.ParseProductRole(role); ok && release.ProductRole(product) != role {
			t.Fatalf("%q is read as %q", role, product)
		}
		for _, name := range []string{trust.CacheName(role), trust.FileName(role, version)} {
			if !filepath.IsLocal(name) || filepath.Base(name) != name {
				t.Fatalf("%q of %q leaves its folder", name, role)
			}
		}
		if trust.MaxLength(role) <= 0 || trust.Lifetime(role) < time.Hour {
			t.Fatalf("%q has no bounds", role)
		}
		at := role
		for range 4 {
			parent, ok := trust.ParentRole(at)
			if !ok || at == trust.RoleRoot {
				return
			}
			at = parent
		}
		t.Fatalf("%q does not lead to root", role)
	})
}

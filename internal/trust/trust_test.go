package trust_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"pgregory.net/rapid"

	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

var day0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestRolesOfLinesReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z][a-z0-9_-]{0,20}`)
		line := release.Line{
			Product: name.Draw(t, "product"), Channel: name.Draw(t, "channel"),
			Version: rapid.StringMatching(`[0-9]{1,4}(\.[0-9]{1,4}){0,3}`).Draw(t, "version"),
		}
		if got, ok := trust.ParseLineRole(line.Role()); !ok || got != line {
			t.Fatalf("%s is read as %+v, %v", line.Role(), got, ok)
		}
		parent, ok := trust.ParentRole(line.Role())
		if product, isProduct := trust.ParseProductRole(parent); !ok || !isProduct || product != line.Product {
			t.Fatalf("the parent of %s is %s", line.Role(), parent)
		}
		for role, paths := range map[string][]string{line.Role(): trust.LinePaths(line), parent: trust.ProductPaths(line.Product)} {
			d := metadata.DelegatedRole{Name: role, Paths: paths}
			if ok, err := d.IsDelegatedPath(line.TargetPath(rapid.IntRange(0, release.MaxLevel).Draw(t, "level"))); err != nil || !ok {
				t.Fatalf("%v do not cover the levels of %s", paths, line)
			}
		}
	})
}

func TestWhatHasNoPlaceInTheLayout(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"", "product.", "product.A", "product.a.b", "line.", "line.a-1", "line.a-1.", "line.a-1.B", "line.a.full", "line.a-1.0.", "Root", "x", "line.a-1 .full", "product.../root"} {
		if parent, ok := trust.ParentRole(role); ok {
			t.Errorf("%q has the parent %s", role, parent)
		}
	}
}

func TestNamesOfKeptFilesStayInTheirFolder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.String().Draw(t, "role")
		name := trust.CacheName(role)
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\:?#*"<>| `) || filepath.Base(name) != name {
			t.Fatalf("%q is kept as %q", role, name)
		}
		other := rapid.String().Draw(t, "other")
		if role != other && trust.CacheName(other) == name {
			t.Fatalf("%q and %q are both kept as %q", role, other, name)
		}
	})
}

func TestLifetimesAndLimits(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for role, c := range map[string]struct {
		life  time.Duration
		limit int64
	}{
		"root": {730 * day, 512 << 10}, "targets": {365 * day, 4 << 20}, "product.a": {120 * day, 4 << 20}, "line.a-1.full": {120 * day, 8 << 20},
		"snapshot": {14 * day, 2 << 20}, "timestamp": {3 * day, 16 << 10}, "tool": {120 * day, 4 << 20}, "hotfix": {120 * day, 4 << 20},
	} {
		if trust.Lifetime(role) != c.life || trust.MaxLength(role) != c.limit {
			t.Errorf("%s lives %s, up to %d bytes", role, trust.Lifetime(role), trust.MaxLength(role))
		}
	}
}

func TestFingerprintIsOfRootKeysAlone(t *testing.T) {
	t.Parallel()
	repo := trusttest.New(t, day0)
	first := fingerprint(t, repo.File("1.root.json"))
	repo.Keys["timestamp"][0] = trusttest.Key("other")
	repo.PublishRoot()
	if got := fingerprint(t, repo.File("2.root.json")); got != first {
		t.Error("it changes with the timestamp's key")
	}
	repo.Keys["root"] = repo.Keys["root"][:2]
	repo.PublishRoot()
	if got := fingerprint(t, repo.File("3.root.json")); got == first {
		t.Error("it does not change with the root's keys")
	}
	if _, err := trust.Fingerprint([]byte("{}")); problem.KindOf(err) != problem.Verification {
		t.Errorf("%v", err)
	}
	if _, err := trust.Fingerprint(trusttest.Sign(t, repo.Root, trusttest.Key("stranger"))); err == nil {
		t.Error("a root that does not sign itself has a fingerprint")
	}
}

// TestFingerprintCannotBeForged: a stranger's root under the ids of the vendor's keys, as
// the first one and as what comes after one of the stranger's own.
func TestFingerprintCannotBeForged(t *testing.T) {
	t.Parallel()
	repo := trusttest.New(t, day0)
	ids := repo.Root.Signed.Roles[trust.RoleRoot].KeyIDs
	strangers := make([]ed25519.PrivateKey, len(ids))
	for i := range ids {
		strangers[i] = trusttest.Key("stranger" + strconv.Itoa(i))
	}
	vendors := fingerprint(t, repo.File("1.root.json"))
	if got, err := trust.Fingerprint(underIDs(t, repo.Root.Signed, ids, strangers)); err == nil && got == vendors {
		t.Errorf("a stranger's root has the vendor's fingerprint, %s", got)
	}
	own := trusttest.New(t, day0)
	own.Keys[trust.RoleRoot] = strangers
	own.PublishRoot(repo.Keys[trust.RoleRoot]...)
	v, err := trust.NewVerifier(own.File("2.root.json"), day0)
	if err != nil {
		t.Fatal(err)
	}
	next := own.Root.Signed
	next.Version++
	under := underIDs(t, next, ids, strangers, strangers...)
	if _, err := v.Root(under); err == nil && fingerprint(t, under) == vendors {
		t.Error("the stranger's root goes on under the vendor's fingerprint")
	}
}

// underIDs returns a root whose keys are called ids, signed by keys under these, and by
// more under their own.
func underIDs(t *testing.T, root metadata.RootType, ids []string, keys []ed25519.PrivateKey, more ...ed25519.PrivateKey) []byte {
	t.Helper()
	root.Keys = maps.Clone(root.Keys)
	roles := maps.Clone(root.Roles)
	roles[trust.RoleRoot] = &metadata.Role{KeyIDs: ids, Threshold: root.Roles[trust.RoleRoot].Threshold}
	root.Roles = roles
	for i, id := range ids {
		key, err := metadata.KeyFromPublicKey(keys[i].Public())
		if err != nil {
			t.Fatal(err)
		}
		root.Keys[id] = key
	}
	forged := metadata.Root(root.Expires)
	forged.Signed = root
	var doc map[string]any
	if err := json.Unmarshal(trusttest.Sign(t, forged, append(slices.Clone(keys), more...)...), &doc); err != nil {
		t.Fatal(err)
	}
	signatures := doc["signatures"].([]any)
	for i, id := range ids {
		renamed := maps.Clone(signatures[i].(map[string]any))
		renamed["keyid"] = id
		if len(more) > 0 {
			signatures = append(signatures, renamed)
		} else {
			signatures[i] = renamed
		}
	}
	if len(more) > 0 {
		signatures = signatures[len(keys):]
	}
	doc["signatures"] = signatures
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fingerprint(t *testing.T, root []byte) string {
	t.Helper()
	sum, err := trust.Fingerprint(root)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestExpiryAtTheVerySecondIsExpired(t *testing.T) {
	t.Parallel()
	repo := trusttest.New(t, day0)
	expires := day0.Add(trust.Lifetime(trust.RoleTimestamp))
	for at, ok := range map[time.Time]bool{expires.Add(-time.Second): true, expires: false, expires.Add(time.Second): false} {
		v, err := trust.NewVerifier(repo.File("1.root.json"), at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Timestamp(repo.Current("timestamp")); (err == nil) != ok {
			t.Errorf("at %s: %v", at, err)
		}
	}
	if got := trust.CarriedReference(expires); !got.Equal(expires.Add(-time.Second)) {
		t.Errorf("reference time %s", got)
	}
}

func TestFilesOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	repo := trusttest.New(t, day0)
	v, err := trust.NewVerifier(repo.File("1.root.json"), day0)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"snapshot before timestamp": v.Snapshot(repo.Current("snapshot"), false),
		"targets before snapshot":   v.Targets(repo.Current("targets"), trust.RoleTargets, trust.RoleRoot),
		"a view of nothing":         second(v.View(trust.Online)),
		"a version not listed":      third(v.Listed(trust.RoleSnapshot)),
	} {
		p, ok := errors.AsType[*problem.Error](err)
		if !ok || p.Kind != problem.Verification || p.Next == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := v.Timestamp(repo.Current("timestamp")); err != nil {
		t.Fatal(err)
	}
	if fresh, err := v.Timestamp(repo.Current("timestamp")); fresh || err != nil {
		t.Errorf("the same again: %v, %v", fresh, err)
	}
	repo.PublishRoot()
	if _, err := v.Root(repo.Current("root")); err == nil {
		t.Error("a root after the timestamp is taken")
	}
}

func second[T any](_ T, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

func TestLineLevelsReadsWhatTheServiceJudges(t *testing.T) {
	t.Parallel()
	line := release.Line{Product: "wso2is", Version: "7.1.0", Channel: "full"}
	repo := trusttest.New(t, day0)
	for _, level := range []int{0, 10, 9, 2} {
		repo.AddLevel(line, level)
	}
	levels, err := trust.LineLevels(repo.Current(line.Role()), line)
	if err != nil || len(levels) != 4 || levels[1].Level != 2 || levels[3].Level != 10 {
		t.Errorf("%+v, %v", levels, err)
	}
	other := line
	other.Version = "7.2.0"
	if _, err := trust.LineLevels(repo.Current(line.Role()), other); problem.KindOf(err) != problem.Verification {
		t.Errorf("as another line: %v", err)
	}
}

package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// hotfixView is a view of a repository whose targets delegate the role hotfix to keys.
func hotfixView(t *testing.T, threshold int, keys ...ed25519.PrivateKey) (*trust.View, *trusttest.Repo) {
	t.Helper()
	repo := trusttest.New(t, day0)
	for _, key := range keys {
		repo.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), key)
	}
	d := repo.Roles[trust.RoleTargets].Signed.Delegations
	if d != nil {
		for _, other := range d.Roles[1:] {
			d.Roles[0].KeyIDs = append(d.Roles[0].KeyIDs, other.KeyIDs...)
		}
		d.Roles = d.Roles[:1]
		d.Roles[0].Threshold = threshold
	}
	delete(repo.Roles, trust.RoleHotfix) // lists nothing and has no file
	repo.PublishRole(trust.RoleTargets)
	repo.PublishOnline()
	v, err := trust.NewVerifier(repo.File("1.root.json"), day0)
	if err == nil {
		_, err = v.Timestamp(repo.Current(trust.RoleTimestamp))
	}
	if err == nil {
		err = v.Snapshot(repo.Current(trust.RoleSnapshot), false)
	}
	if err == nil {
		err = v.Targets(repo.Current(trust.RoleTargets), trust.RoleTargets, trust.RoleRoot)
	}
	if err != nil {
		t.Fatal(err)
	}
	view, err := v.View(trust.Online)
	if err != nil {
		t.Fatal(err)
	}
	return view, repo
}

func sealed(t *testing.T, repo *trusttest.Repo, payload string, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	signatures := map[string][]byte{}
	for _, key := range keys {
		id, err := repo.Public(key).ID()
		if err != nil {
			t.Fatal(err)
		}
		signatures[id] = ed25519.Sign(key, trust.SignedBytes(trust.HotfixType, []byte(payload)))
	}
	data, err := trust.NewEnvelope([]byte(payload), signatures)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEnvelopesAreSignedByTheHotfixRole(t *testing.T) {
	t.Parallel()
	one, two, stranger := trusttest.Key("hotfix-1"), trusttest.Key("hotfix-2"), trusttest.Key("stranger")
	view, repo := hotfixView(t, 2, one, two)
	good := sealed(t, repo, "fix", one, two)
	if payload, err := view.Hotfix(good); err != nil || string(payload) != "fix" {
		t.Errorf("%q, %v", payload, err)
	}
	if payload, err := view.Hotfix(sealed(t, repo, "fix", one, two, stranger)); err != nil || string(payload) != "fix" {
		t.Errorf("one more: %q, %v", payload, err)
	}
	newer := bytes.Replace(good, []byte(`{"payloadType"`), []byte(`{"newer":{"a":[1]},"payloadType"`), 1)
	if _, err := view.Hotfix(newer); err != nil {
		t.Errorf("a field of later: %v", err)
	}
	for what, bad := range map[string][]byte{
		"below threshold":   sealed(t, repo, "fix", one),
		"one key twice":     twice(t, sealed(t, repo, "fix", one)),
		"stranger":          sealed(t, repo, "fix", stranger, one),
		"targets' key":      sealed(t, repo, "fix", trusttest.Key("targets"), one),
		"no signature":      sealed(t, repo, "fix"),
		"another payload":   bytes.Replace(good, []byte(`"payload":"Zml4"`), []byte(`"payload":"Zml5"`), 1),
		"empty payload":     bytes.Replace(good, []byte(`"payload":"Zml4"`), []byte(`"payload":""`), 1),
		"another type":      bytes.Replace(good, []byte("hotfix+json"), []byte("advisor+json"), 1),
		"no base64":         bytes.Replace(good, []byte("Zml4"), []byte("****"), 1),
		"swapped key ids":   swapped(t, good),
		"cut":               good[:len(good)-1],
		"two":               append(slices.Clone(good), good...),
		"empty":             nil,
		"null":              []byte("null"),
		"deep":              []byte(strings.Repeat("[", 1<<20)),
		"endless":           append(slices.Clone(good), bytes.Repeat([]byte(" "), trust.MaxEnvelope)...),
		"metadata":          repo.Current(trust.RoleTargets),
		"signature cut off": bytes.Replace(good, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 2),
	} {
		if payload, err := view.Hotfix(bad); problem.KindOf(err) != problem.Verification || payload != nil {
			t.Errorf("%s: %q, %v", what, payload, err)
		}
	}
}

func TestEnvelopesWithoutHotfixRole(t *testing.T) {
	t.Parallel()
	key := trusttest.Key("hotfix-1")
	for _, keys := range [][]ed25519.PrivateKey{nil, {key}} {
		view, repo := hotfixView(t, 1, keys...)
		_, err := view.Hotfix(sealed(t, repo, "fix", key))
		if (problem.KindOf(err) == problem.Verification) != (keys == nil) {
			t.Errorf("%d keys: %v", len(keys), err)
		}
	}
}

// change decodes an envelope, edits its signatures and encodes it.
func change(t *testing.T, data []byte, edit func(list []any) []any) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	list, _ := e["signatures"].([]any)
	e["signatures"] = edit(list)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func twice(t *testing.T, data []byte) []byte {
	t.Helper()
	return change(t, data, func(list []any) []any { return append(list, list[0]) })
}

func swapped(t *testing.T, data []byte) []byte {
	t.Helper()
	return change(t, data, func(list []any) []any {
		a, _ := list[0].(map[string]any)
		b, _ := list[1].(map[string]any)
		a["keyid"], b["keyid"] = b["keyid"], a["keyid"]
		return list
	})
}

func FuzzEnvelope(f *testing.F) {
	key := trusttest.Key("hotfix-1")
	sig := ed25519.Sign(key, trust.SignedBytes(trust.HotfixType, []byte("fix")))
	data, err := trust.NewEnvelope([]byte("fix"), map[string][]byte{"a": sig})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if payload, err := trust.HotfixPayload(data); err == nil && len(payload) == 0 {
			t.Fatal("an empty payload")
		}
	})
}

// TestAnEnvelopeOfCountlessSignaturesIsNotRead: 6 MB of empty signatures took 200 MB.
func TestAnEnvelopeOfCountlessSignaturesIsNotRead(t *testing.T) {
	t.Parallel()
	text := `{"payloadType":"` + trust.HotfixType + `","payload":"e30=","signatures":[` + strings.Repeat("{},", 1<<20) + "{}]}"
	if _, err := trust.HotfixPayload([]byte(text)); err == nil || !strings.Contains(err.Error(), "values") {
		t.Error(err)
	}
}

package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uplevel/internal/problem"
	"uplevel/internal/publish/signing"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/sign"
)

// rotate publishes other keys, all of which lie in the desk's folder.
func rotate(t testing.TB, d *desk, req signing.RotateRequest) signing.Waiting {
	t.Helper()
	w, _, err := d.Signer.Rotate(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Signer.Publish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	d.tick()
	return w
}

func rolesOf(w signing.Waiting) (roles []string) {
	for _, doc := range w.Documents {
		roles = append(roles, doc.Role)
	}
	return roles
}

// away hides a key file and returns what brings it back.
func away(t testing.TB, d *desk, file string) (back func()) {
	t.Helper()
	full := filepath.Join(d.Signer.Folder.Dir, file)
	if err := os.Rename(full, full+".away"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(full+".away", full); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnExpiredRootIsRenewed: with one key at once, with two of three by a waiting file.
func TestAnExpiredRootIsRenewed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if _, _, err := d.Signer.Init(t.Context(), signing.InitRequest{RootKeys: 2, Threshold: 1}); err != nil {
		t.Fatal(err)
	}
	add(t, d, release0())
	d.clock = d.clock.AddDate(2, 1, 0)
	d.service.renew(t)
	_, err := d.Signer.Refresh(t.Context(), shop)
	wantKind(t, err, problem.Verification, "root.json is expired")
	if renewed, w, err := d.Signer.Renew(t.Context(), false); err != nil || len(renewed) != 4 || len(w.Documents) != 0 {
		t.Fatalf("%+v, %+v, %v", renewed, w, err)
	}
	if levels := listed(t, d, shop); len(levels) != 1 {
		t.Errorf("%+v", levels)
	}

	rotate(t, d, signing.RotateRequest{Role: trust.RoleRoot, Keep: true, Threshold: 2})
	d.clock = d.clock.AddDate(2, 1, 0)
	d.service.renew(t)
	back := away(t, d, "root.1.key")
	_, w, err := d.Signer.Renew(t.Context(), false)
	wantKind(t, err, problem.Verification, "root.json: it expired") // the lines rest on it
	if !slices.Equal(rolesOf(w), []string{trust.RoleRoot}) {
		t.Fatalf("waiting: %v, %v", rolesOf(w), err)
	}
	wantKind(t, d.Signer.Publish(t.Context(), w), problem.Refused, "1 of 2 signatures")
	back()
	w, added, err := d.Signer.Sign(w)
	if err != nil || added != 1 {
		t.Fatal(added, err)
	}
	if err := d.Signer.Publish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Signer.Renew(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if levels := listed(t, d, shop); len(levels) != 1 {
		t.Errorf("%+v", levels)
	}
}

// TestANewLineOfAProductWithSeveralKeys: the line is everybody's who signs the product, any
// of them may publish, and with a threshold of two both must.
func TestANewLineOfAProductWithSeveralKeys(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	role := release.ProductRole("shop")
	rotate(t, d, signing.RotateRequest{Role: role, Keep: true, New: 1})
	security := release.Line{Product: "shop", Version: "1.0", Channel: "security"}
	fixed := with(release0(), map[string]string{"bin/shop": "fixed"})
	out, err := d.Level(t.Context(), LevelRequest{Line: security, Dist: build(t, fixed), Notes: []byte(strings.Replace(notes1, "type: regular", "type: security", 1))})
	if err != nil {
		t.Fatal(out, err)
	}
	d.tick()
	doc, err := d.Signer.Folder.Document(role)
	if err != nil {
		t.Fatal(err)
	}
	held, err := sign.HoldersOf(role, doc, security.Role())
	if err != nil || len(held.Keys) != 2 || held.Threshold != 1 {
		t.Fatalf("%+v, %v", held, err)
	}
	back := away(t, d, "product.shop.key")
	level(t, d, fixed, notes1) // the second key is enough for each line
	back()

	rotate(t, d, signing.RotateRequest{Role: role, Keep: true, Threshold: 2})
	level(t, d, release0(), notes1)
	if levels := listed(t, d, security); len(levels) != 2 {
		t.Errorf("%+v", levels)
	}
}

// TestKeysInSeveralPlacesAreToldBeforeAnythingTravels: what is published in one step needs
// the threshold of keys in one folder, whatever it is.
func TestKeysInSeveralPlacesAreToldBeforeAnythingTravels(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	for _, role := range []string{release.ProductRole("shop"), trust.RoleTool, trust.RoleHotfix, trust.RoleTargets} {
		rotate(t, d, signing.RotateRequest{Role: role, Keep: true, New: 1, Threshold: 2})
	}
	fixed := with(release0(), map[string]string{"bin/shop": "fixed"})
	for file, publish := range map[string]func() error{
		"product.shop.2.key": func() error {
			_, err := d.Level(t.Context(), LevelRequest{Line: shop, Dist: build(t, fixed), Notes: []byte(notes1)})
			return err
		},
		"targets.2.key": func() error {
			_, err := d.AddProduct(t.Context(), ProductRequest{Line: release.Line{Product: "bank", Version: "1"}, Dist: build(t, map[string]string{"a": "b"})})
			return err
		},
		"hotfix.2.key": func() error { _, err := d.Signer.Folder.Signers(trust.RoleHotfix); return err },
		"tool.2.key":   func() error { _, err := d.Signer.Folder.Signers(trust.RoleTool); return err },
	} {
		back, puts := away(t, d, file), d.service.puts
		err := publish()
		wantKind(t, err, problem.Refused, "2 keys must sign for")
		if known, ok := errors.AsType[*problem.Error](err); !ok || !strings.Contains(known.Next, "Bring key files of the others") {
			t.Errorf("no way out is named: %+v", known)
		}
		if d.service.puts != puts {
			t.Errorf("without %s something was uploaded", file)
		}
		back()
	}
	level(t, d, fixed, notes1)
}

// TestWhatStillCountsIsNotSignedAgain: keeping keys signs what names them and no more, and
// so does a rotation of what has signatures enough.
func TestWhatStillCountsIsNotSignedAgain(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	role := release.ProductRole("shop")
	for _, tc := range []struct {
		req  signing.RotateRequest
		want []string
	}{
		{signing.RotateRequest{Role: role, Keep: true, New: 1}, []string{trust.RoleTargets, role}},
		{signing.RotateRequest{Role: role, New: 1}, []string{trust.RoleTargets, role, shop.Role()}},
		{signing.RotateRequest{Role: trust.RoleTargets, Keep: true, New: 1}, []string{trust.RoleRoot}},
		{signing.RotateRequest{Role: trust.RoleTargets, New: 1}, []string{trust.RoleRoot, trust.RoleTargets}},
		{signing.RotateRequest{Role: trust.RoleTargets, Keep: true, New: 1, Threshold: 2}, []string{trust.RoleRoot, trust.RoleTargets}},
	} {
		if got := rolesOf(rotate(t, d, tc.req)); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.req, got, tc.want)
		}
		if levels := listed(t, d, shop); len(levels) != 1 {
			t.Errorf("%+v", levels)
		}
	}
	level(t, d, with(release0(), map[string]string{"bin/shop": "fixed"}), notes1)
}

// TestASwappedDocumentIsNotSigned: whoever can write into the folder of documents, and keeps
// the service from showing the right ones, gets no signature for what nobody published.
func TestASwappedDocumentIsNotSigned(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	d.clock = d.clock.AddDate(0, 0, 100)
	d.service.renew(t)
	w, _, err := d.Signer.Rotate(t.Context(), signing.RotateRequest{Role: release.ProductRole("shop"), New: 1})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := d.Signer.Folder.Document(shop.Role())
	if err != nil {
		t.Fatal(err)
	}
	swapped := bytes.Replace(doc, []byte(`"state":"live"`), []byte(`"state":"beta"`), 1)
	if bytes.Equal(swapped, doc) {
		t.Fatalf("nothing to swap in %s", doc)
	}
	if err := d.Signer.Folder.Keep(shop.Role(), swapped); err != nil {
		t.Fatal(err)
	}
	d.Signer.Remote = noise{d.Signer.Remote}
	_, _, err = d.Signer.Renew(t.Context(), true)
	wantKind(t, err, problem.Verification, "is not what was published")
	_, _, err = d.Signer.Rotate(t.Context(), signing.RotateRequest{Role: release.ProductRole("shop"), New: 1})
	wantKind(t, err, problem.Verification, "is not what was published")
	_, _, err = d.Signer.Sign(w)
	wantKind(t, err, problem.Verification, "is not what was published")
}

// noise is a service that shows nothing to be trusted.
type noise struct{ refresh.Remote }

func (n noise) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	if file == "timestamp.json" {
		return []byte(`{"signed":{"_type":"timestamp"}}`), nil
	}
	return n.Remote.Metadata(ctx, file, limit)
}

// TestARotationIsCutBehindItsSubmission: the service has it, the folder does not know yet.
func TestARotationIsCutBehindItsSubmission(t *testing.T) {
	t.Parallel()
	down := problem.New(problem.Unreachable, "", "cut")
	for _, role := range []string{trust.RoleRoot, trust.RoleTargets, release.ProductRole("shop"), trust.RoleTool} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			d := ready(t)
			add(t, d, release0())
			w, _, err := d.Signer.Rotate(t.Context(), signing.RotateRequest{Role: role, New: 1})
			if err != nil {
				t.Fatal(err)
			}
			d.service.lose = func(call string) error {
				if call == "submit" {
					return down
				}
				return nil
			}
			if err := d.Signer.Publish(t.Context(), w); !errors.Is(err, down) {
				t.Fatal(err)
			}
			d.service.lose = nil
			// The file of it again: either it is done, or said to be.
			if err := d.Signer.Publish(t.Context(), w); err != nil {
				wantKind(t, err, problem.Refused, "in force")
			}
			if _, stale, err := d.Signer.Status(t.Context()); err != nil || stale != nil {
				t.Fatal(stale, err)
			}
			wantKind(t, d.Signer.Publish(t.Context(), w), problem.Refused, "in force")
			level(t, d, with(release0(), map[string]string{"bin/shop": "fixed"}), notes1)
			if _, _, err := d.Signer.Renew(t.Context(), true); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTwoPeopleRotateAtOnce: one root follows; the other's document is worth nothing any
// more, and its author starts again from what is current.
func TestTwoPeopleRotateAtOnce(t *testing.T) {
	t.Parallel()
	d := ready(t)
	add(t, d, release0())
	first, _, err := d.Signer.Rotate(t.Context(), signing.RotateRequest{Role: trust.RoleRoot, Keep: true, New: 1})
	if err != nil {
		t.Fatal(err)
	}
	ann := *d.Signer
	behind := *ann.Folder
	behind.Dir = filepath.Join(t.TempDir(), "keys")
	if err := os.CopyFS(behind.Dir, os.DirFS(ann.Folder.Dir)); err != nil {
		t.Fatal(err)
	}
	ben := ann
	ben.Folder = &behind
	second, _, err := ben.Rotate(t.Context(), signing.RotateRequest{Role: trust.RoleRoot, Keep: true, New: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.Publish(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	wantKind(t, ben.Publish(t.Context(), second), problem.Refused, "")
	if _, stale, err := ben.Status(t.Context()); stale != nil || err != nil {
		t.Fatal(stale, err)
	}
	wantKind(t, ben.Publish(t.Context(), second), problem.Refused, "version 2 is in force")
	if _, _, err := ben.Sign(second); err == nil {
		t.Error("a document that was overtaken is signed")
	}
	again, _, err := ben.Rotate(t.Context(), signing.RotateRequest{Role: trust.RoleRoot, Keep: true, New: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := ben.Publish(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	held, err := behind.Holders(trust.RoleRoot)
	if err != nil || len(held.Keys) != 3 {
		t.Errorf("%d root keys, %v", len(held.Keys), err)
	}
}

// TestOneKeyDoesNotCountTwice: a public half that is written otherwise has another id, and
// its owner would be two of two.
func TestOneKeyDoesNotCountTwice(t *testing.T) {
	t.Parallel()
	d := ready(t)
	_, _, public, err := d.Signer.NewKey(trust.RoleRoot)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.ParsePublic(public, trust.RoleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"a field more": func(k map[string]any) { k["note"] = "mine too" },
		"in other letters": func(k map[string]any) {
			v := k["keyval"].(map[string]any)
			v["public"] = strings.ToUpper(v["public"].(string))
		},
		"another scheme": func(k map[string]any) { k["scheme"] = "ed25519ph" },
	} {
		var file map[string]any
		if err := json.Unmarshal(public, &file); err != nil {
			t.Fatal(err)
		}
		change(file["key"].(map[string]any))
		text, err := json.Marshal(file["key"])
		if err != nil {
			t.Fatal(err)
		}
		other, err := sign.OnlineKey(text)
		if err == nil {
			t.Errorf("%s: taken: %+v", name, other)
		}
		changed, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = signing.ParsePublic(changed, trust.RoleRoot)
		wantKind(t, err, problem.Usage, "can not be used")
	}
	if err := sign.Alone(key).Check(); err != nil {
		t.Error(err)
	}
}

// TestARefusedRotationMakesNoKey: a mistake leaves nothing lying about.
func TestARefusedRotationMakesNoKey(t *testing.T) {
	t.Parallel()
	d := ready(t)
	before, err := d.Signer.Folder.Files(trust.RoleRoot)
	if err != nil {
		t.Fatal(err)
	}
	held, err := d.Signer.Folder.Holders(trust.RoleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []signing.RotateRequest{
		{Role: trust.RoleRoot, Keep: true, New: 1, With: held.Keys},
		{Role: trust.RoleRoot, New: 1, Threshold: -1},
		{Role: trust.RoleRoot, New: 1, Threshold: 3},
		{Role: trust.RoleRoot, New: 1, Drop: []string{"0000000000"}},
	} {
		_, _, err := d.Signer.Rotate(t.Context(), req)
		wantKind(t, err, problem.Usage, "")
		after, err := d.Signer.Folder.Files(trust.RoleRoot)
		if err != nil || !slices.Equal(after, before) {
			t.Errorf("%+v left %v, %v", req, after, err)
		}
	}
}

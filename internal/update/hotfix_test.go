package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/fsck"
	"uplevel/internal/hotfix"
	"uplevel/internal/merge/formats"
	"uplevel/internal/problem"
	"uplevel/internal/reconcile"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// signsHotfixes lets targets delegate the role hotfix, as keys init does.
func (v *vendor) signsHotfixes() {
	v.t.Helper()
	v.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), trusttest.Key("hotfix"))
	delete(v.Roles, trust.RoleHotfix) // lists nothing and has no file
	v.PublishRole(trust.RoleTargets)
	v.PublishOnline()
}

// fix is a hotfix to be made.
type fix struct {
	hotfix.Record

	key ed25519.PrivateKey
	zip func([]byte) []byte // what happens to the zip
}

// hotfix makes hotfix n for the bank that makes of base the tree want, at a level.
func (v *vendor) hotfix(n, level int, base, want files, change ...func(*fix)) *bundle.Bundle {
	v.t.Helper()
	b, err := v.tryHotfix(n, level, base, want, change...)
	v.must(err)
	return b
}

func (v *vendor) tryHotfix(n, level int, base, want files, change ...func(*fix)) (*bundle.Bundle, error) {
	v.t.Helper()
	f := fix{key: trusttest.Key("hotfix"), zip: func(data []byte) []byte { return data }, Record: hotfix.Record{
		Format: 1, Name: hotfix.Name("Bank", n), Product: line.Product, Version: line.Version, Channel: line.Channel, Levels: []int{level},
		Sequence: n, Organisation: "org_bank", For: "Bank", Files: hotfix.Difference(base.tree(v.t), want.tree(v.t)), Created: v.Now,
		Update: release.Update{ID: 900 + n, Type: release.Regular, Description: "Fixes a thing.\n\nAt last.", Instructions: "Be quick."},
	}}
	for i := 1; i < n; i++ {
		f.Needs = append(f.Needs, hotfix.Name("Bank", i))
	}
	for _, c := range change {
		c(&f)
	}
	for _, tree := range []files{base, want} {
		for _, content := range tree {
			v.Store([]byte(content))
		}
	}
	payload, err := f.Bytes()
	v.must(err)
	id, err := v.Public(f.key).ID()
	v.must(err)
	envelope, err := trust.NewEnvelope(payload, map[string][]byte{id: ed25519.Sign(f.key, trust.SignedBytes(trust.HotfixType, payload))})
	v.must(err)
	spec := bundle.Spec{Envelope: envelope, Open: func(ref release.Ref) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(v.Objects[ref.Sum])), nil
	}}
	for n := int64(1); n <= v.Root.Signed.Version; n++ {
		spec.Metadata = append(spec.Metadata, bundle.File{Name: trust.FileName(trust.RoleRoot, n), Data: v.File(trust.FileName(trust.RoleRoot, n))})
	}
	spec.Metadata = append(spec.Metadata,
		bundle.File{Name: "timestamp.json", Data: v.Current(trust.RoleTimestamp)},
		bundle.File{Name: trust.FileName(trust.RoleSnapshot, v.Snapshot.Signed.Version), Data: v.Current(trust.RoleSnapshot)},
		bundle.File{Name: trust.FileName(trust.RoleTargets, v.Roles[trust.RoleTargets].Signed.Version), Data: v.Current(trust.RoleTargets)})
	var zip bytes.Buffer
	v.must(bundle.Write(&zip, spec))
	data := f.zip(zip.Bytes())
	return bundle.Open(bytes.NewReader(data), int64(len(data)))
}

// bank is an installation on disk, without network, whose organisation is known.
type bank struct {
	*Updater
	t *testing.T
	v *vendor
}

func newBank(t *testing.T, v *vendor, level int) *bank {
	t.Helper()
	b := &bank{onDisk(t, v, level), t, v}
	b.Formats = formats.For
	b.Service, b.Fetch = nil, nil
	b.belongs("org_bank")
	return b
}

func (b *bank) belongs(id string) {
	b.t.Helper()
	unlock, err := b.Home.Lock()
	b.v.must(err)
	b.v.must(b.Home.Learn(Organisation{ID: id}))
	b.v.must(unlock())
}

// online is the same installation with the service.
func (b *bank) online() *Updater {
	u := *b.Updater
	u.Service, u.Fetch = b.v, newFetcher(b.v)
	return &u
}

func (b *bank) path(p string) string { return filepath.Join(b.Home.Dir(), filepath.FromSlash(p)) }

func (b *bank) write(path, content string) {
	b.t.Helper()
	b.v.must(os.MkdirAll(filepath.Dir(b.path(path)), 0o755))
	b.v.must(os.WriteFile(b.path(path), []byte(content), 0o644))
}

func (b *bank) apply(zip *bundle.Bundle) *Result {
	b.t.Helper()
	res, err := b.ApplyHotfix(context.Background(), zip, "", Options{})
	if err != nil {
		b.t.Fatalf("applying: %v", err)
	}
	return res
}

func (b *bank) back() *Result {
	b.t.Helper()
	res, err := b.RevertHotfix(context.Background(), "", RevertOptions{})
	if err != nil {
		b.t.Fatalf("taking back: %v", err)
	}
	return res
}

// content is the product without the tool's own folder.
func (b *bank) content() files {
	b.t.Helper()
	all := contentOf(b.t, b.Home.Dir())
	for p := range all {
		if strings.HasPrefix(p, "updates/") {
			delete(all, p)
		}
	}
	return all
}

// is compares the product, and has the judge look at the home.
func (b *bank) is(want files, ledger ...string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.content()); d != "" {
		b.t.Errorf("the home differs (-want +got):\n%s", d)
	}
	r, err := fsck.Home(b.Home.Dir())
	if err != nil || len(r.Findings)+len(r.Lost) > 0 || !slices.Equal(r.Hotfixes, ledger) {
		b.t.Errorf("hotfixes %q, want %q; findings %q, lost %q, %v", r.Hotfixes, ledger, r.Findings, r.Lost, err)
	}
}

var (
	shop1 = files{"bin/run": "#! run 1", "conf/a.properties": "a=1\nb=1\nc=1\n", "lib/a.jar": "jar\x001", "lib/old.jar": "old\x00", "empty/": ""}
	shop2 = with(shop1, files{"conf/a.properties": "a=1\nb=1\nc=7\n", "lib/a.jar": "jar\x002", "lib/new.jar": "new\x00", "lib/old.jar": "gone"})
	shop3 = with(shop2, files{"bin/run": "#! run 2"})
)

// newShop publishes level 0 = 1 = shop1, and what else is wanted.
func newShop(t *testing.T) *vendor {
	t.Helper()
	v := newVendor(t, start)
	v.signsHotfixes()
	for level := range 2 {
		v.publishNotes(line, level, shop1, release.Notes{}, release.Rules{})
	}
	return v
}

// TestHotfixesInSequence applies two hotfixes without network and takes them back; every
// state is as it was, and the judge agrees.
func TestHotfixesInSequence(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	res := b.apply(v.hotfix(1, 1, shop1, shop2))
	if res.Outcome != Done || res.From.Name != "1.2.1" || res.To.Name != "1.2.1-Bank-hf1" || res.Back != "revert-hotfix" ||
		res.Hotfix.Headline != "Fixes a thing." || res.Freshness.Mode != trust.Carried {
		t.Errorf("%+v", res)
	}
	if d := cmp.Diff([][]string{{"lib/new.jar"}, {"conf/a.properties", "lib/a.jar"}, {"lib/old.jar"}}, [][]string{res.Files.Added, res.Files.Modified, res.Files.Removed}); d != "" {
		t.Error(d)
	}
	b.is(shop2, "Bank-hf1")
	if config, err := os.ReadFile(b.path("updates/config.json")); err != nil || !strings.Contains(string(config), `"hotfixes": [
    "Bank-hf1"
  ]`) {
		t.Errorf("%s, %v", config, err)
	}
	if again := b.apply(v.hotfix(1, 1, shop1, shop2)); again.Outcome != Nothing {
		t.Errorf("again: %s", again.Outcome)
	}
	b.apply(v.hotfix(2, 1, shop2, shop3))
	b.is(shop3, "Bank-hf1", "Bank-hf2")
	state, err := b.CurrentState(context.Background())
	if err != nil || state.At.Name != "1.2.1-Bank-hf2" || !slices.Equal(state.Hotfixes, []string{"Bank-hf1", "Bank-hf2"}) || state.Organisation.ID != "org_bank" {
		t.Errorf("%+v, %v", state, err)
	}
	verified, err := b.Verify(context.Background(), VerifyOptions{Strict: true})
	if err != nil || !slices.Equal(verified.Hotfixed, []string{"bin/run", "conf/a.properties", "lib/a.jar", "lib/new.jar"}) || verified.Pristine != 0 || len(verified.Foreign) != 0 {
		t.Errorf("%+v, %v", verified, err)
	}
	_, err = b.RevertHotfix(context.Background(), "Bank-hf-1", RevertOptions{})
	refused(t, err, problem.Refused, "not the last")
	if _, err := b.Revert(context.Background(), RevertOptions{To: "1.2.1-Bank-hf1"}); err != nil {
		t.Fatal(err)
	}
	b.is(shop2, "Bank-hf1")
	b.back()
	b.is(shop1)
	_, err = b.RevertHotfix(context.Background(), "", RevertOptions{})
	refused(t, err, problem.Failed, "No hotfix is applied here")
	if config, err := os.ReadFile(b.path("updates/config.json")); err != nil || !strings.Contains(string(config), `"hotfixes": null`) {
		t.Errorf("%s, %v", config, err)
	}
}

func refused(t *testing.T, err error, kind problem.Kind, words string) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v (%s), want %s with %q", err, problem.KindOf(err), kind, words)
	}
}

// TestHotfixesThatMustNotBeApplied tries each row of the page, and more; nothing changes.
func TestHotfixesThatMustNotBeApplied(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	v.Store([]byte("#! run 9"))
	for _, c := range []struct {
		name      string
		change    func(*fix)
		confirmed string
		kind      problem.Kind
		words     string
	}{
		{"unsigned", func(f *fix) {
			f.zip = func(data []byte) []byte { return bytes.Replace(data, []byte(`"sig":"`), []byte(`"sig":"A`), 1) }
		}, "", problem.Verification, "zip of the hotfix"},
		{"signed by the product's key", func(f *fix) { f.key = trusttest.Key(release.ProductRole(line.Product)) }, "", problem.Verification, "not signed by enough"},
		{"signed by a stolen service", func(f *fix) { f.key = trusttest.Key("timestamp") }, "", problem.Verification, "not signed by enough"},
		{"another organisation", func(f *fix) { f.Organisation = "org_other" }, "", problem.Verification, "is for Bank (org_other)"},
		{"another product", func(f *fix) { f.Product = "other" }, "", problem.Verification, "is for other-1.2"},
		{"another version", func(f *fix) { f.Version = "1.3" }, "", problem.Verification, "is for shop-1.3"},
		{"another channel", func(f *fix) { f.Channel = "security" }, "", problem.Verification, "security"},
		{"another level", func(f *fix) { f.Levels = []int{0, 2} }, "", problem.Verification, "level 1.2.0, 1.2.2; this is"},
		{"another base", func(f *fix) {
			f.Files = hotfix.Difference(with(shop1, files{"bin/run": "#! run 9"}).tree(t), shop2.tree(t))
		}, "", problem.Verification, "does not fit: bin/run is not what it changes"},
		{"out of sequence", func(f *fix) { f.Name, f.Sequence, f.Needs = "Bank-hf2", 2, []string{"Bank-hf1"} }, "", problem.Refused, "comes after Bank-hf1"},
		{"for whom the operator does not say", nil, "Other", problem.Verification, "is for Bank, not for Other"},
		{"a content damaged", func(f *fix) {
			f.zip = func(data []byte) []byte {
				data[bytes.LastIndex(data, []byte("objects/"))-200] ^= 1
				return data
			}
		}, "", problem.Verification, ""},
		{"its end cut off", func(f *fix) { f.zip = func(data []byte) []byte { return data[:len(data)-1] } }, "", problem.Verification, "zip of the hotfix"},
	} {
		var changes []func(*fix)
		if c.change != nil {
			changes = append(changes, c.change)
		}
		zip, err := v.tryHotfix(1, 1, shop1, with(shop2, files{"bin/run": "#! fixed"}), changes...)
		if err == nil {
			_, err = b.ApplyHotfix(context.Background(), zip, c.confirmed, Options{})
		}
		t.Log(c.name)
		refused(t, err, c.kind, c.words)
	}
	b.is(shop1)
	if history, err := b.Home.History(); err != nil || len(history) != 0 {
		t.Error(history, err)
	}
}

// TestAnotherVendorsZipIsRefused: a zip that proves itself by a root of its own, and one
// that carries the name of what is applied.
func TestAnotherVendorsZipIsRefused(t *testing.T) {
	t.Parallel()
	v, thief := newShop(t), newShop(t)
	b := newBank(t, v, 1)
	for i := range thief.Keys[trust.RoleRoot] {
		thief.Keys[trust.RoleRoot][i] = trusttest.Key(fmt.Sprint("thief ", i))
	}
	thief.PublishRoot()
	_, err := b.ApplyHotfix(context.Background(), thief.hotfix(1, 1, shop1, shop2), "Bank", Options{})
	refused(t, err, problem.Verification, "2.root.json: it is not signed by enough")
	b.is(shop1)
	b.apply(v.hotfix(1, 1, shop1, shop2))
	_, err = b.ApplyHotfix(context.Background(), v.hotfix(1, 1, shop1, shop2, func(f *fix) { f.Description = "Another." }), "", Options{})
	refused(t, err, problem.Verification, "as the vendor signed it another time")
	b.Trust = nil
	_, err = b.ApplyHotfix(context.Background(), v.hotfix(2, 1, shop2, shop3), "", Options{})
	refused(t, err, problem.Verification, "No trusted root is known")
	b.is(shop2, "Bank-hf1")
}

// TestAPreparedUpdateIsNotDroppedForAHotfix: it waits until it is finished or dropped.
func TestAPreparedUpdateIsNotDroppedForAHotfix(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	v.publishNotes(line, 2, shop3, release.Notes{}, release.Rules{})
	b := newBank(t, v, 1)
	if _, err := b.online().Prepare(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.ApplyHotfix(context.Background(), v.hotfix(1, 1, shop1, shop2), "", Options{})
	refused(t, err, problem.Refused, "Another change is prepared: update to level 1.2.2")
	_, err = b.RevertHotfix(context.Background(), "", RevertOptions{})
	refused(t, err, problem.Refused, "Another change is prepared")
	if _, err := b.ApplyPrepared(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	b.is(shop3)
}

// TestWhoseTheProductIs: a home learns its organisation from the first answer of the
// service, and without it the operator says it.
func TestWhoseTheProductIs(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	zip := v.hotfix(1, 1, shop1, shop2)
	b := &bank{onDisk(t, v, 1), t, v}
	b.Service, b.Fetch = nil, nil
	_, err := b.ApplyHotfix(context.Background(), zip, "", Options{})
	refused(t, err, problem.Refused, "is for Bank, and it is not known here")
	if p := err.(*problem.Error); !strings.Contains(p.Next, "--for Bank") { //nolint:errorlint // as it is made
		t.Errorf("next: %q", p.Next)
	}
	if _, err := b.ApplyHotfix(context.Background(), zip, "Bank", Options{}); err != nil {
		t.Fatal(err)
	}
	b.apply(v.hotfix(2, 1, shop2, shop3)) // the first tells whose it is
	b.is(shop3, "Bank-hf1", "Bank-hf2")

	v.answer.Organisation = "org_other"
	v.hotfixes = []api.Hotfix{{Name: "Other-hf1", For: "Other", Organisation: "org_other"}}
	other := &bank{onDisk(t, v, 1), t, v}
	if err := other.Learn(context.Background()); err != nil {
		t.Fatal(err)
	}
	if o, err := other.Home.Organisation(); err != nil || o != (Organisation{ID: "org_other", Name: "Other"}) {
		t.Errorf("%+v, %v", o, err)
	}
	_, err = other.ApplyHotfix(context.Background(), zip, "Bank", Options{})
	refused(t, err, problem.Verification, "this product is of Other")

	third := &bank{onDisk(t, v, 0), t, v}
	if _, err := third.Update(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	if o, err := third.Home.Organisation(); err != nil || o.ID != "org_other" {
		t.Errorf("an update learned %+v, %v", o, err)
	}
}

// TestAHotfixIsMergedAndAsksForConflicts applies a hotfix to customised files.
func TestAHotfixIsMergedAndAsksForConflicts(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	zip := v.hotfix(1, 1, shop1, shop2)
	b.write("conf/a.properties", "# mine\na=9\nb=1\nc=1\n")
	mine := b.content()
	dry, err := b.ApplyHotfix(context.Background(), zip, "", Options{DryRun: true})
	if err != nil || dry.Outcome != Planned || !slices.Equal(dry.Files.Merged, []string{"conf/a.properties"}) {
		t.Fatalf("%+v, %v", dry, err)
	}
	b.is(mine)
	b.apply(zip)
	merged := with(shop2, files{"conf/a.properties": "# mine\na=9\nb=1\nc=7\n"})
	b.is(merged, "Bank-hf1")
	b.back()
	b.is(mine)

	b.write("conf/a.properties", "a=1\nb=1\nc=9\n")
	mine = b.content()
	_, err = b.ApplyHotfix(context.Background(), zip, "", Options{DryRun: true})
	refused(t, err, problem.Conflicts, "conf/a.properties")
	_, err = b.ApplyHotfix(context.Background(), zip, "", Options{})
	refused(t, err, problem.Conflicts, "conf/a.properties")
	_, err = b.ApplyHotfix(context.Background(), v.hotfix(2, 1, shop1, with(shop1, files{"x": "y"}), func(f *fix) { f.Needs = nil }), "", Options{})
	refused(t, err, problem.Refused, "Another change is prepared: hotfix to level 1.2.1-Bank-hf1")
	if res := b.back(); res.Outcome != Dropped {
		t.Errorf("%+v", res)
	}
	b.is(mine)
	_, err = b.ApplyHotfix(context.Background(), zip, "", Options{})
	refused(t, err, problem.Conflicts, "conf/a.properties")
	if _, err := b.Resolve(context.Background(), "conf/a.properties", Resolution{Mine: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Continue(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	b.is(with(shop2, files{"conf/a.properties": "a=1\nb=1\nc=9\n"}), "Bank-hf1")
	b.back()
	b.is(mine)
	// The same three contents meet again: what was decided is remembered.
	b.apply(zip)
	b.is(with(shop2, files{"conf/a.properties": "a=1\nb=1\nc=9\n"}), "Bank-hf1")
}

// TestEditsSurviveTakingAHotfixBack edits a file after the hotfix, and takes the hotfix
// back when it is not the last change.
func TestEditsSurviveTakingAHotfixBack(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	v.publishNotes(line, 2, with(shop1, files{"bin/run": "#! run 5"}), release.Notes{KeepsHotfixes: []string{"Bank-hf1"}}, release.Rules{})
	b := newBank(t, v, 1)
	b.apply(v.hotfix(1, 1, shop1, shop2))
	b.write("conf/a.properties", "a=5\nb=1\nc=7\n")
	if _, err := b.online().Update(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	b.is(with(shop2, files{"bin/run": "#! run 5", "conf/a.properties": "a=5\nb=1\nc=7\n"}), "Bank-hf1")
	res := b.back()
	if res.From.Name != "1.2.2-Bank-hf1" || res.To.Name != "1.2.2" {
		t.Errorf("%+v", res)
	}
	b.is(with(shop1, files{"bin/run": "#! run 5", "conf/a.properties": "a=5\nb=1\nc=1\n"}))
	// Taking it back is a change like any other: it can be gone back over.
	if _, err := b.Revert(context.Background(), RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	b.is(with(shop2, files{"bin/run": "#! run 5", "conf/a.properties": "a=5\nb=1\nc=7\n"}), "Bank-hf1")
}

// TestHotfixesAtAnUpdate: what a level contains is dropped, what it keeps is laid over it,
// anything else refuses; a way back brings all of it back.
func TestHotfixesAtAnUpdate(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	kept := with(shop3, files{"extra/hot": "kept"})
	b.apply(v.hotfix(1, 1, shop1, shop2))
	b.apply(v.hotfix(2, 1, shop2, shop3))
	b.apply(v.hotfix(3, 1, shop3, kept))
	v.publishNotes(line, 2, shop3, release.Notes{AbsorbsHotfixes: []string{"Bank-hf-1"}}, release.Rules{})
	_, err := b.online().Update(context.Background(), Options{})
	refused(t, err, problem.Refused, "Bank-hf2, Bank-hf3 are not contained in level 1.2.2")
	check, err := b.online().Check(context.Background(), CheckOptions{})
	if d := cmp.Diff(Fate{Absorbed: []string{"Bank-hf1"}, Kept: []string{}, Blocking: []string{"Bank-hf2", "Bank-hf3"}}, check.Hotfixes); d != "" || err != nil {
		t.Error(d, err)
	}
	b.is(kept, "Bank-hf1", "Bank-hf2", "Bank-hf3")

	level3 := with(shop3, files{"lib/b.jar": "b\x00"})
	v.publishNotes(line, 3, level3, release.Notes{AbsorbsHotfixes: []string{"Bank-hf2"}, KeepsHotfixes: []string{"Bank-hf3"}}, release.Rules{})
	planned, err := b.online().Plan(context.Background(), Options{})
	if d := cmp.Diff(Fate{Absorbed: []string{"Bank-hf1", "Bank-hf2"}, Kept: []string{"Bank-hf3"}, Blocking: []string{}}, planned.Hotfixes); d != "" || err != nil {
		t.Error(d, err)
	}
	res, err := b.online().Update(context.Background(), Options{})
	if err != nil || res.To.Name != "1.2.3-Bank-hf3" || len(res.Files.Added) != 1 || len(res.Files.Modified)+len(res.Files.Removed) != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	b.is(with(level3, files{"extra/hot": "kept"}), "Bank-hf3")
	if _, err := b.Revert(context.Background(), RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	b.is(kept, "Bank-hf1", "Bank-hf2", "Bank-hf3")
	for range 3 {
		b.back()
	}
	b.is(shop1)
	if _, err := b.online().Update(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
	b.is(level3)
}

// TestAKeptHotfixMustFit: notes that keep what does not fit refuse the update.
func TestAKeptHotfixMustFit(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	b.apply(v.hotfix(1, 1, shop1, shop2))
	v.publishNotes(line, 2, with(shop1, files{"lib/a.jar": "jar\x009"}), release.Notes{KeepsHotfixes: []string{"Bank-hf1"}}, release.Rules{})
	check, err := b.online().Check(context.Background(), CheckOptions{})
	if len(check.Messages) != 1 || !strings.Contains(check.Messages[0].Text, "Hotfix Bank-hf1 does not fit: lib/a.jar") || err != nil {
		t.Errorf("check says %+v, %v", check.Messages, err)
	}
	_, err = b.online().Update(context.Background(), Options{})
	refused(t, err, problem.Refused, "Hotfix Bank-hf1 does not fit: lib/a.jar")
	b.is(shop2, "Bank-hf1")
}

// TestHotfixWithoutBackup keeps no replaced content; going back wants the service.
func TestHotfixWithoutBackup(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	if _, err := b.ApplyHotfix(context.Background(), v.hotfix(1, 1, shop1, shop2), "", Options{NoBackup: true}); err != nil {
		t.Fatal(err)
	}
	_, err := b.RevertHotfix(context.Background(), "", RevertOptions{})
	refused(t, err, problem.Failed, "Unable to revert as backups could not be found")
	if _, err := b.online().RevertHotfix(context.Background(), "", RevertOptions{}); err != nil {
		t.Fatal(err)
	}
	b.is(shop1)
}

// TestTheStoreKeepsWhatHotfixesNeed frees everything else, and a record that is lost is
// told by name.
func TestTheStoreKeepsWhatHotfixesNeed(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	b.apply(v.hotfix(1, 1, shop1, shop2))
	if _, err := b.Free(context.Background(), FreeOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	if res, err := b.Verify(context.Background(), VerifyOptions{}); err != nil || len(res.Hotfixed) != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	// What the operator deleted of a hotfix cannot be brought back from anywhere.
	v.must(os.Remove(b.path("lib/new.jar")))
	_, err := b.online().RevertHotfix(context.Background(), "", RevertOptions{DryRun: true})
	if err != nil {
		t.Error(err)
	}
	v.publishNotes(line, 2, with(shop1, files{"bin/run": "#! run 5"}), release.Notes{KeepsHotfixes: []string{"Bank-hf1"}}, release.Rules{})
	_, err = b.online().Update(context.Background(), Options{RestoreRemoved: true})
	refused(t, err, problem.Refused, "What a hotfix has at lib/new.jar is not kept here")
	ref := b.Home.State().Hotfixes[0].Record
	v.must(os.Remove(b.path("updates/store/" + ref.Sum.String())))
	_, err = b.Verify(context.Background(), VerifyOptions{})
	refused(t, err, problem.Verification, "The record of hotfix Bank-hf1")
	if r, err := fsck.Home(b.Home.Dir()); err != nil || len(r.Findings) == 0 {
		t.Errorf("the judge finds %q, %v", r.Findings, err)
	}
}

// TestOldZipsOfRotatedKeys: what the home trusts by now counts, not what a zip carries.
func TestOldZipsOfRotatedKeys(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	old := v.hotfix(1, 1, shop1, shop2)
	roles := v.Roles[trust.RoleTargets].Signed.Delegations
	roles.Roles = slices.DeleteFunc(roles.Roles, func(r metadata.DelegatedRole) bool { return r.Name == trust.RoleHotfix })
	v.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), trusttest.Key("hotfix 2"))
	delete(v.Roles, trust.RoleHotfix)
	v.PublishRole(trust.RoleTargets)
	v.PublishOnline()
	if _, err := b.online().Check(context.Background(), CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.ApplyHotfix(context.Background(), old, "", Options{})
	refused(t, err, problem.Verification, "not signed by enough")
	if _, err := b.ApplyHotfix(context.Background(), v.hotfix(1, 1, shop1, shop2, func(f *fix) { f.key = trusttest.Key("hotfix 2") }), "", Options{OnConflict: reconcile.Mine}); err != nil {
		t.Error(err)
	}
}

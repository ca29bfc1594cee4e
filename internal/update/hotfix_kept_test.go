package update

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"uplevel/internal/install"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// TestAWayBackKeepsWhatHotfixesName: what a level absorbed comes back by revert with all
// that it names, so that a customised file is merged at the next update as it was before.
func TestAWayBackKeepsWhatHotfixesName(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	b.write("conf/a.properties", "a=9\nb=1\nc=1\n")
	b.apply(v.hotfix(1, 1, shop1, shop2))
	hotfixed := with(shop2, files{"conf/a.properties": "a=9\nb=1\nc=7\n"})
	b.is(hotfixed, "Bank-hf1")
	level2 := with(shop2, files{"conf/a.properties": "a=1\nb=2\nc=7\n"})
	v.publishNotes(line, 2, level2, release.Notes{AbsorbsHotfixes: []string{"Bank-hf1"}}, release.Rules{})
	updated := with(level2, files{"conf/a.properties": "a=9\nb=2\nc=7\n"})
	for range 2 {
		if _, err := b.online().Update(context.Background(), Options{}); err != nil {
			t.Fatal(err)
		}
		b.is(updated)
		if _, err := b.Revert(context.Background(), RevertOptions{}); err != nil {
			t.Fatal(err)
		}
		b.is(hotfixed, "Bank-hf1")
	}
}

// TestAHotfixOnAHomeOfAnotherTool: current-state with credentials, then a hotfix without,
// on a home that has no more than product.txt and config.json.
func TestAHotfixOnAHomeOfAnotherTool(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	v.answer.Organisation = "org_bank"
	b := newBank(t, v, 1)
	zip := v.hotfix(1, 1, shop1, shop2)
	b.leftBy(`{"update-level": "1", "hotfixes": null}`)
	with := b.online()
	v.must(with.Learn(context.Background()))

	with.Service = nil // what was fetched lies in the cache
	if res, err := with.ApplyHotfix(context.Background(), zip, "", Options{NoReport: true}); err != nil || res.To.Name != "1.2.1-Bank-hf1" {
		t.Fatalf("%+v, %v", res, err)
	}
	b.is(shop2, "Bank-hf1")
	b.back()
	b.is(shop1)
}

// TestAWaitingHotfixIsNotDroppedForAnUpdate: a hotfix that waits for decisions would be
// gone without a word.
func TestAWaitingHotfixIsNotDroppedForAnUpdate(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	v.publishNotes(line, 2, with(shop1, files{"bin/run": "#! run 5"}), release.Notes{}, release.Rules{})
	b.write("conf/a.properties", "a=1\nb=1\nc=9\n")
	_, err := b.ApplyHotfix(context.Background(), v.hotfix(1, 1, shop1, shop2), "", Options{})
	refused(t, err, problem.Conflicts, "conf/a.properties")
	for _, dry := range []bool{true, false} {
		_, err = b.online().Update(context.Background(), Options{DryRun: dry})
		refused(t, err, problem.Refused, "Another change is prepared: hotfix to level 1.2.1-Bank-hf1")
		_, err = b.online().Prepare(context.Background(), Options{DryRun: dry})
		refused(t, err, problem.Refused, "Another change is prepared")
	}
	if _, err := b.online().Plan(context.Background(), Options{}); err != nil {
		t.Errorf("a plan only looks: %v", err)
	}
	if _, err := b.Resolve(context.Background(), "conf/a.properties", Resolution{Mine: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Continue(context.Background(), Options{}); err != nil {
		t.Fatal(err)
	}
}

// leftBy makes it a home as another tool leaves one, with that config.json.
func (b *bank) leftBy(config string) {
	b.t.Helper()
	b.v.must(os.RemoveAll(b.path("updates")))
	b.write("updates/product.txt", line.ProductVersion()+"\n")
	b.write("updates/config.json", config)
	home, err := install.Open(b.Home.Dir(), install.Options{Now: time.Now, Holder: "test"})
	b.v.must(err)
	b.t.Cleanup(func() { home.Close() })
	b.Home = OnDisk(home)
}

// TestHotfixesOfAnotherToolAreNotForgotten: what config.json names is contained in the
// wanted level, or nothing is done.
func TestHotfixesOfAnotherToolAreNotForgotten(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	b.leftBy(`{"update-level": "1", "hotfixes": ["1.2.1-Bank-hf1", "Bank-hf-2"]}`)
	if state, err := b.CurrentState(context.Background()); err != nil || !slices.Equal(state.Hotfixes, []string{"Bank-hf1", "Bank-hf2"}) {
		t.Errorf("%+v, %v", state.Hotfixes, err)
	}
	_, err := b.online().ApplyHotfix(context.Background(), v.hotfix(3, 1, shop1, shop2, func(f *fix) { f.Needs = nil }), "", Options{})
	refused(t, err, problem.Refused, "Hotfixes that another tool applied would be forgotten: Bank-hf1, Bank-hf2")
	_, err = b.RevertHotfix(context.Background(), "", RevertOptions{})
	refused(t, err, problem.Failed, "Another tool applied the hotfixes here")
	v.publishNotes(line, 2, shop2, release.Notes{AbsorbsHotfixes: []string{"Bank-hf1"}, KeepsHotfixes: []string{"Bank-hf2"}}, release.Rules{})
	_, err = b.online().Update(context.Background(), Options{})
	refused(t, err, problem.Refused, "Hotfixes that another tool applied would be forgotten: Bank-hf2")
	v.publishNotes(line, 3, shop2, release.Notes{AbsorbsHotfixes: []string{"Bank-hf2"}}, release.Rules{})
	res, err := b.online().Update(context.Background(), Options{})
	if err != nil || !slices.Equal(res.Hotfixes.Absorbed, []string{"Bank-hf1", "Bank-hf2"}) {
		t.Fatalf("%+v, %v", res, err)
	}
	b.is(shop2)
}

// TestALostContentOfAHotfixSparesTheOthers: what no service has is not asked for together
// with what it has, so that other conflicts show all their sides.
func TestALostContentOfAHotfixSparesTheOthers(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	b := newBank(t, v, 1)
	b.apply(v.hotfix(1, 1, shop1, with(shop1, files{"bin/a.bin": "bin\x002"})))
	b.write("bin/a.bin", "bin\x00mine")
	b.write("conf/a.properties", "a=9\nb=1\nc=1\n")
	level2 := with(shop1, files{"bin/a.bin": "bin\x003", "conf/a.properties": "a=2\nb=1\nc=1\n"})
	v.publishNotes(line, 2, level2, release.Notes{AbsorbsHotfixes: []string{"Bank-hf1"}}, release.Rules{})
	_, err := b.online().Update(context.Background(), Options{})
	refused(t, err, problem.Conflicts, "bin/a.bin, conf/a.properties")
	if original, err := os.ReadFile(b.path("conf/a.properties.original")); err != nil || string(original) != shop1["conf/a.properties"] {
		t.Errorf("%q, %v", original, err)
	}
}

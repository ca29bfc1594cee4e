package update

import (
	"context"
	"testing"

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

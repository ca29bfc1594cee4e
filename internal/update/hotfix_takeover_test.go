package update

import (
	"context"
	"os"
	"testing"
	"time"

	"uplevel/internal/install"
)

// TestAHotfixOnAHomeOfAnotherTool: current-state with credentials, then a hotfix without,
// on a home that has no more than product.txt and config.json.
func TestAHotfixOnAHomeOfAnotherTool(t *testing.T) {
	t.Parallel()
	v := newShop(t)
	v.answer.Organisation = "org_bank"
	b := newBank(t, v, 1)
	zip := v.hotfix(1, 1, shop1, shop2)
	v.must(os.Remove(b.path("updates/state.json")))
	v.must(os.RemoveAll(b.path("updates/store")))
	v.must(os.Remove(b.path("updates/organisation")))
	home, err := install.Open(b.Home.Dir(), install.Options{Now: time.Now, Holder: "test"})
	v.must(err)
	t.Cleanup(func() { home.Close() })
	b.Home = OnDisk(home)
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

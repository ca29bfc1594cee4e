package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/digest"
	"uplevel/internal/trust"
	"uplevel/internal/trust/online"
	"uplevel/internal/trust/trusttest"
)

// rooted is metadata with a root.
type rooted struct {
	*world
	root *[]byte
	err  error
}

func (r *rooted) CurrentMetadata(_ context.Context, role string) ([]byte, error) {
	if role != trust.RoleRoot || *r.root == nil {
		return nil, fs.ErrNotExist
	}
	return *r.root, r.err
}

// TestReplicasAgreeWhileOnlineKeysAreReplaced: of two processes one was started again and
// holds new keys, too. What one signs the other takes, as long as the root names the keys
// of before, and the stolen ones are of no use once it names the new.
func TestReplicasAgreeWhileOnlineKeysAreReplaced(t *testing.T) {
	t.Parallel()
	w, before := newWorld(t)
	_, after := newWorld(t)
	after.Blobs = before.Blobs
	fresh, err := online.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old := before.Signer.Keys
	after.Signer = &online.Service{Keys: fresh, Older: []online.Keys{old}, Objects: w, Now: before.Now}
	rootOf := func(k online.Keys) []byte {
		return trusttest.NewWith(t, today, k.Snapshot, k.Timestamp).Current(trust.RoleRoot)
	}
	root := rootOf(old)
	one, two := &rooted{w, &root, nil}, &rooted{w, &root, nil}
	before.Metadata, after.Metadata = one, two
	h1, h2 := before.Handler(RoleAPI, RoleDelivery), after.Handler(RoleAPI, RoleDelivery)
	sum := digest.Of([]byte("file 1"))
	url := func(h http.Handler) string {
		t.Helper()
		var a api.DeliveryAnswer
		body := asJSON(t, api.DeliveryRequest{Product: "shop", Version: "1.0", Channel: "full", Level: 1, Objects: []digest.Digest{sum}})
		if err := json.Unmarshal(ask(h, "POST", "/api/v1/deliveries", "operator", body).Body.Bytes(), &a); err != nil || len(a.Items) != 1 {
			t.Fatal(a, err)
		}
		return a.Items[0].URL
	}
	first := url(h1)
	for what, got := range map[string]int{
		"of the old by the new": ask(h2, "GET", first, "", "").Code, "of the new by the old": ask(h1, "GET", url(h2), "", "").Code,
	} {
		if got != http.StatusOK {
			t.Errorf("%s: %d", what, got)
		}
	}
	root = rootOf(fresh)
	second := url(h2)
	if keyOf(fresh).id == keyOf(old).id {
		t.Error("two keys have one id")
	}
	for u, want := range map[string]int{first: http.StatusForbidden, second: http.StatusOK} {
		if got := ask(h2, "GET", u, "", "").Code; got != want {
			t.Errorf("with the new root, %s: %d", u, got)
		}
	}
	two.err = errors.New("the database is away")
	if got := ask(h2, "GET", second, "", "").Code; got != http.StatusOK {
		t.Errorf("without the database: %d", got)
	}
}

package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"uplevel/internal/trust"
)

// outsider is a key as the reference implementation of DSSE asks for it.
type outsider struct {
	id  string
	key ed25519.PublicKey
}

func (o outsider) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(o.key, data, sig) {
		return errors.New("no signature of it")
	}
	return nil
}
func (o outsider) KeyID() (string, error)   { return o.id, nil }
func (o outsider) Public() crypto.PublicKey { return o.key }

// TestEnvelopesAreDSSE has the reference implementation verify what was signed here.
func TestEnvelopesAreDSSE(t *testing.T) {
	t.Parallel()
	var keys []Key
	var outsiders []dsse.Verifier
	for range 2 {
		key := must(NewKey(trust.RoleHotfix, rand.Reader))(t)
		public := must(key.Public())(t)
		keys = append(keys, key)
		outsiders = append(outsiders, outsider{must(public.ID())(t), key.private.Public().(ed25519.PublicKey)})
	}
	data := must(Hotfix([]byte(`{"a":"ü"}`), keys))(t)
	again := must(Hotfix([]byte(`{"a":"ü"}`), []Key{keys[1], keys[0]}))(t)
	if !bytes.Equal(data, again) {
		t.Error("signed again it is another envelope")
	}
	var e dsse.Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	verifier := must(dsse.NewMultiEnvelopeVerifier(2, outsiders...))(t)
	accepted, payload, err := verifier.VerifyAndDecode(t.Context(), &e)
	if err != nil || len(accepted) != 2 || string(payload) != `{"a":"ü"}` || e.PayloadType != trust.HotfixType {
		t.Errorf("%d keys, %q, %v", len(accepted), payload, err)
	}
	if !bytes.Equal(dsse.PAE("t ü", []byte("x y")), trust.SignedBytes("t ü", []byte("x y"))) {
		t.Error("other bytes are signed")
	}
	if _, err := Hotfix([]byte("{}"), nil); err == nil {
		t.Error("signed by nobody")
	}
	if _, err := Hotfix([]byte("{}"), []Key{must(NewKey(trust.RoleTargets, rand.Reader))(t)}); err == nil {
		t.Error("signed by the key of targets")
	}
}

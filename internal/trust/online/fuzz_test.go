package online

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// FuzzUnseal opens keys that were sealed with the right secret, whatever they hold, and
// sealed texts that are anything.
func FuzzUnseal(f *testing.F) {
	secret := bytes.Repeat([]byte("s"), MinSecret)
	aead, err := sealer(secret)
	if err != nil {
		f.Fatal(err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	seed := make([]byte, ed25519.SeedSize)
	keys := Keys{ed25519.NewKeyFromSeed(seed), ed25519.NewKeyFromSeed(seed), seed}
	whole, err := keys.Seal(secret, bytes.NewReader(nonce))
	if err != nil {
		f.Fatal(err)
	}
	plain, err := aead.Open(nil, nonce, whole[len(sealedFormat)+len(nonce):], []byte(sealedFormat))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, true)
	f.Add(whole, false)
	f.Add(whole[:len(whole)-1], false)
	f.Add([]byte(`{}`), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		sealed := data
		if seal {
			sealed = aead.Seal(append([]byte(sealedFormat), nonce...), nonce, data, []byte(sealedFormat))
		}
		got, err := Unseal(secret, sealed)
		if err != nil {
			if !errors.Is(err, ErrSealed) {
				t.Fatal(err)
			}
			return
		}
		if !seal && !bytes.Equal(data, whole) {
			t.Fatal("keys came out of what was never sealed")
		}
		again, err := got.Seal(secret, bytes.NewReader(nonce))
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := Unseal(secret, again); err != nil || !twice.Snapshot.Equal(got.Snapshot) || !twice.Timestamp.Equal(got.Timestamp) {
			t.Fatal("keys do not read back: ", err)
		}
	})
}

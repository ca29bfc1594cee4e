// Package online is the service's side of trust: it seals the keys that the service
// holds, judges submitted metadata against what is current, and signs snapshot and
// timestamp. It holds no key that could sign a level. The rules are described in
// docs/design/trust.md.
package online

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/crypto/chacha20poly1305"
)

// MinSecret is the least length in bytes of the secret that keys are sealed with.
const MinSecret = 32

// sealedFormat begins every sealed text and is authenticated with it.
const sealedFormat = "uplevel-sealed-keys/1\n"

// Keys are the keys that a service holds. They are secret: never log or print them.
type Keys struct {
	Snapshot  ed25519.PrivateKey
	Timestamp ed25519.PrivateKey
	Delivery  []byte // 32 bytes; delivery URLs are authenticated with it
}

const secretText = "online keys (secret)"

// Format keeps the keys out of every print, whatever the verb.
func (Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secretText) }

// MarshalText keeps the keys out of JSON and structured logs.
func (Keys) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// keysJSON is the form that is sealed.
type keysJSON struct {
	Snapshot  []byte `json:"snapshot"`  // Ed25519 seed
	Timestamp []byte `json:"timestamp"` // Ed25519 seed
	Delivery  []byte `json:"delivery"`
}

// NewKeys makes keys from a source of randomness such as crypto/rand.Reader.
func NewKeys(random io.Reader) (Keys, error) {
	raw := make([]byte, 3*ed25519.SeedSize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Keys{}, fmt.Errorf("making online keys: %w", err)
	}
	return Keys{
		Snapshot:  ed25519.NewKeyFromSeed(raw[:32]),
		Timestamp: ed25519.NewKeyFromSeed(raw[32:64]),
		Delivery:  raw[64:],
	}, nil
}

// Seal encrypts the keys with XChaCha20-Poly1305 under a key derived (HKDF-SHA256)
// from secret, so that whoever has the database alone has no key.
func (k Keys) Seal(secret []byte, random io.Reader) ([]byte, error) {
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(keysJSON{k.Snapshot.Seed(), k.Timestamp.Seed(), k.Delivery})
	if err != nil {
		return nil, errors.New("sealing online keys: they can not be encoded")
	}
	sealed := append([]byte(sealedFormat), make([]byte, aead.NonceSize())...)
	nonce := sealed[len(sealedFormat):]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("sealing online keys: %w", err)
	}
	return aead.Seal(sealed, nonce, plain, []byte(sealedFormat)), nil
}

// ErrSealed is wrapped by the error of [Unseal] when the secret is another one or the
// sealed text is damaged.
var ErrSealed = errors.New("the secret does not open the sealed keys")

// Unseal returns the keys that [Keys.Seal] sealed with the same secret.
func Unseal(secret, sealed []byte) (Keys, error) {
	aead, err := sealer(secret)
	if err != nil {
		return Keys{}, err
	}
	head := len(sealedFormat)
	if len(sealed) < head+aead.NonceSize() || string(sealed[:head]) != sealedFormat {
		return Keys{}, fmt.Errorf("unsealing online keys: %w", ErrSealed)
	}
	nonce, text := sealed[head:head+aead.NonceSize()], sealed[head+aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, text, []byte(sealedFormat))
	if err != nil {
		return Keys{}, fmt.Errorf("unsealing online keys: %w", ErrSealed)
	}
	var raw keysJSON
	if err := json.Unmarshal(plain, &raw); err != nil || len(raw.Snapshot) != ed25519.SeedSize ||
		len(raw.Timestamp) != ed25519.SeedSize || len(raw.Delivery) != 32 {
		return Keys{}, fmt.Errorf("unsealing online keys: %w", ErrSealed)
	}
	return Keys{ed25519.NewKeyFromSeed(raw.Snapshot), ed25519.NewKeyFromSeed(raw.Timestamp), raw.Delivery}, nil
}

func sealer(secret []byte) (cipher.AEAD, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret for the online keys has %d bytes, want %d or more", len(secret), MinSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "uplevel online keys", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	return chacha20poly1305.NewX(key)
}

// Public returns the public keys of snapshot and timestamp as TUF key objects (JSON),
// which the publisher puts into the root.
func (k Keys) Public() (snapshot, timestamp []byte, err error) {
	if snapshot, err = publicJSON(k.Snapshot); err != nil {
		return nil, nil, err
	}
	timestamp, err = publicJSON(k.Timestamp)
	return snapshot, timestamp, err
}

func publicJSON(private ed25519.PrivateKey) ([]byte, error) {
	key, err := publicKey(private)
	if err != nil {
		return nil, err
	}
	return json.Marshal(key)
}

func publicKey(private ed25519.PrivateKey) (*metadata.Key, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("online key is no Ed25519 key")
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("public part of an online key: %w", err)
	}
	return key, nil
}

// Package sign is the publisher's side of trust: release keys in files encrypted with a
// passphrase, and the TUF metadata that they sign: root, targets, one role per product
// and one per line. Documents are made from bytes and values; only [Folder] touches a
// disk. Key files and roles are described in docs/design/publishing.md.
package sign

import (
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// KeyFormat names the form of a key file.
const KeyFormat = "uplevel-key/1"

// MaxKeyFile bounds the bytes of a key file.
const MaxKeyFile = 16 << 10

// MinPassphrase is the least length in bytes of a passphrase for new keys.
const MinPassphrase = 8

// ErrPassphrase is wrapped by the error of [OpenKey] when the passphrase does not open
// the key, or the file was changed.
var ErrPassphrase = errors.New("the passphrase does not open it")

// Key is a release key. It is secret: never log or print it.
type Key struct {
	Role    string // root, targets, product.NAME, tool or hotfix
	private ed25519.PrivateKey
}

// String keeps the key out of logs.
func (k Key) String() string { return "key of " + k.Role + " (secret)" }

// GoString keeps the key out of logs.
func (k Key) GoString() string { return k.String() }

// NewKey makes a key from a source of randomness such as crypto/rand.Reader.
func NewKey(role string, random io.Reader) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Key{}, fmt.Errorf("making a key of %s: %w", role, err)
	}
	return Key{Role: role, private: ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the public half as a TUF key object.
func (k Key) Public() (*metadata.Key, error) {
	public, ok := k.private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key of %s is no Ed25519 key", k.Role)
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("public half of the key of %s: %w", k.Role, err)
	}
	return key, nil
}

// Cost is what deriving a file's key from the passphrase costs (argon2id).
type Cost struct {
	MemoryKiB uint32 `json:"memory_kib"`
	Time      uint32 `json:"time"` // passes over the memory
	Threads   uint8  `json:"threads"`
}

// DefaultCost returns the cost of new key files: 64 MiB, 3 passes, 4 lanes.
func DefaultCost() Cost { return Cost{MemoryKiB: 64 << 10, Time: 3, Threads: 4} }

// check bounds what a damaged or planted key file can make this program spend.
func (c Cost) check() error {
	if c.MemoryKiB < 8 || c.MemoryKiB > 1<<20 || c.Time < 1 || c.Time > 32 || c.Threads < 1 || c.Threads > 32 {
		return fmt.Errorf("argon2id with %d KiB, %d passes and %d lanes is out of bounds", c.MemoryKiB, c.Time, c.Threads)
	}
	return nil
}

// keyFile is a key file: everything but the secret in the clear, and authenticated.
type keyFile struct {
	Format string `json:"format"`
	Role   string `json:"role"`
	Public string `json:"public"` // hexadecimal
	KDF    string `json:"kdf"`    // argon2id
	Cost   Cost   `json:"cost"`
	Salt   []byte `json:"salt"`   // 16 bytes
	Cipher string `json:"cipher"` // xchacha20-poly1305
	Nonce  []byte `json:"nonce"`  // 24 bytes
	Secret []byte `json:"secret"` // sealed Ed25519 seed
}

// bound is what the seal authenticates besides the secret.
func (f *keyFile) bound() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n%s %d %d %d\n%s\n", f.Format, f.Role, f.Public,
		f.KDF, f.Cost.MemoryKiB, f.Cost.Time, f.Cost.Threads, f.Cipher)
}

func (f *keyFile) aead(passphrase string) (cipher.AEAD, error) {
	key := argon2.IDKey([]byte(passphrase), f.Salt, f.Cost.Time, f.Cost.MemoryKiB, f.Cost.Threads, chacha20poly1305.KeySize)
	return chacha20poly1305.NewX(key)
}

// Seal returns the key as the content of a key file that passphrase opens.
func (k Key) Seal(passphrase string, cost Cost, random io.Reader) ([]byte, error) {
	if err := cost.check(); err != nil {
		return nil, err
	}
	public, err := k.Public()
	if err != nil {
		return nil, err
	}
	f := keyFile{
		Format: KeyFormat, Role: k.Role, Public: public.Value.PublicKey, KDF: "argon2id", Cost: cost,
		Salt: make([]byte, 16), Cipher: "xchacha20-poly1305", Nonce: make([]byte, chacha20poly1305.NonceSizeX),
	}
	for _, b := range [][]byte{f.Salt, f.Nonce} {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("sealing the key of %s: %w", k.Role, err)
		}
	}
	aead, err := f.aead(passphrase)
	if err != nil {
		return nil, fmt.Errorf("sealing the key of %s: %w", k.Role, err)
	}
	f.Secret = aead.Seal(nil, f.Nonce, k.private.Seed(), f.bound())
	data, err := json.MarshalIndent(f, "", "  ") //nolint:gosec // the secret is sealed
	return append(data, '\n'), err
}

// OpenKey returns the key of a key file. A wrong passphrase, or any change to the file,
// is [ErrPassphrase].
func OpenKey(data []byte, passphrase string) (Key, error) {
	f, err := parseKeyFile(data)
	if err != nil {
		return Key{}, err
	}
	aead, err := f.aead(passphrase)
	if err != nil {
		return Key{}, err
	}
	seed, err := aead.Open(nil, f.Nonce, f.Secret, f.bound())
	if err != nil || len(seed) != ed25519.SeedSize {
		return Key{}, ErrPassphrase
	}
	k := Key{Role: f.Role, private: ed25519.NewKeyFromSeed(seed)}
	public, err := k.Public()
	if err != nil || public.Value.PublicKey != f.Public {
		return Key{}, ErrPassphrase
	}
	return k, nil
}

func parseKeyFile(data []byte) (*keyFile, error) {
	var f keyFile
	if len(data) > MaxKeyFile {
		return nil, fmt.Errorf("key file of %d bytes, the limit is %d", len(data), MaxKeyFile)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("no key file: %w", err)
	}
	public, err := hex.DecodeString(f.Public)
	switch {
	case f.Format != KeyFormat:
		return nil, fmt.Errorf("key file has format %.40q, this program knows %s", f.Format, KeyFormat)
	case f.KDF != "argon2id" || f.Cipher != "xchacha20-poly1305":
		return nil, fmt.Errorf("key file uses %.40q and %.40q", f.KDF, f.Cipher)
	case err != nil || len(public) != ed25519.PublicKeySize || len(f.Salt) != 16 || len(f.Nonce) != chacha20poly1305.NonceSizeX:
		return nil, errors.New("key file is damaged")
	}
	return &f, f.Cost.check()
}

// Package access is the door of the service: passwords, logins and tokens. Passwords
// are hashed with argon2id, tokens stored only as SHA-256. What whoever came in may
// have is package entitlement's to decide.
package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Costs of one hash: 19 MiB, two passes, one lane (OWASP ASVS 5.0).
const (
	hashMemory = 19 * 1024 // KiB
	hashPasses = 2
	hashLanes  = 1
	hashBytes  = 32
	saltBytes  = 16
)

// Bounds of a password.
const (
	MinPassword = 8    // characters
	MaxPassword = 1024 // bytes
)

//go:embed common.txt
var common string

//go:embed breached.txt
var breached string

// CheckPassword refuses a password that is too short, too long, among the common ones or
// those that thieves have published most often, and one that is the address itself. It is asked at every door where a password
// is set.
func CheckPassword(email, password string) error {
	normal := strings.ToLower(norm.NFC.String(password))
	local, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case !utf8.ValidString(password):
		return errors.New("the password is not valid UTF-8")
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("the password is too short: want at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("the password is too long: want at most %d bytes", MaxPassword)
	case normal == strings.ToLower(email) || normal == local || isCommon(normal):
		return errors.New("the password is too common: choose another")
	}
	return nil
}

func isCommon(password string) bool {
	for _, list := range []string{common, breached} {
		for word := range strings.FieldsSeq(list) {
			if password == word {
				return true
			}
		}
	}
	return strings.Count(password, password[:1]) == len(password) || isRun(password)
}

// isRun reports whether each character is the one after the last, up or down.
func isRun(password string) bool {
	up, down := true, true
	for i := 1; i < len(password); i++ {
		up = up && password[i] == password[i-1]+1
		down = down && password[i] == password[i-1]-1
	}
	return up || down
}

// Hasher hashes and verifies passwords, a bounded number at a time, so that logins
// cannot take all memory. Make it with [NewHasher].
type Hasher struct {
	slots  chan struct{}
	derive func(password, salt []byte) []byte
}

// NewHasher returns a hasher that works on so many passwords at once (at least one);
// each takes 19 MiB.
func NewHasher(parallel int) *Hasher {
	return &Hasher{
		slots: make(chan struct{}, max(parallel, 1)),
		derive: func(password, salt []byte) []byte {
			return argon2.IDKey(password, salt, hashPasses, hashMemory, hashLanes, hashBytes)
		},
	}
}

// slot waits for its turn and runs fn.
func (h *Hasher) slot(ctx context.Context, fn func() error) error {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hash returns the text to store for a password. Letters that Unicode can write in two
// ways are the same password.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	var encoded string
	err := h.slot(ctx, func() error {
		encoded = encodeHash(salt, h.derive(norm.NFC.Bytes([]byte(password)), salt))
		return nil
	})
	return encoded, err
}

// matches compares a password with a stored text; the caller holds a slot. With no
// text, or one it cannot read, it does the same work and says no: the time tells
// nothing of whether an account is there.
func (h *Hasher) matches(encoded, password string) bool {
	salt, want, ok := decodeHash(encoded)
	if !ok {
		salt, want = make([]byte, saltBytes), make([]byte, hashBytes)
	}
	got := h.derive(norm.NFC.Bytes([]byte(password)), salt)
	return subtle.ConstantTimeCompare(got, want) == 1 && ok
}

// hashPrefix begins every stored text: the usual form of argon2 hashes.
func hashPrefix() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, hashMemory, hashPasses, hashLanes)
}

func encodeHash(salt, sum []byte) string {
	return hashPrefix() + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

func decodeHash(encoded string) (salt, sum []byte, ok bool) {
	rest, found := strings.CutPrefix(encoded, hashPrefix())
	left, right, two := strings.Cut(rest, "$")
	if !found || !two {
		return nil, nil, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(left)
	sum, err2 := base64.RawStdEncoding.DecodeString(right)
	return salt, sum, err1 == nil && err2 == nil && len(salt) == saltBytes && len(sum) == hashBytes
}

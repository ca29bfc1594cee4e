package trust

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/bounded"
)

// HotfixType is the payload type of a hotfix's envelope.
const HotfixType = "application/vnd.uplevel.hotfix+json"

// MaxEnvelope bounds the bytes of an envelope: a record of 4 MiB in base64, and signatures.
const MaxEnvelope = 6 << 20

// maxEnvelopeValues bounds what an envelope is made into: a signature has 5.
const maxEnvelopeValues = 10_000

// hotfixFile is what refusals call an envelope.
const hotfixFile = "the hotfix"

// hotfixKeys are whose signatures count on an envelope. They come from targets, so that
// an envelope can be judged without any other role.
type hotfixKeys struct {
	threshold int
	keys      map[string]ed25519.PublicKey // by key id
}

// envelope is a DSSE envelope, version 1. Fields that this program does not know are
// ignored, as that specification wants.
type envelope struct {
	PayloadType string `json:"payloadType"`
	Payload     []byte `json:"payload"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	} `json:"signatures"`
}

// parseEnvelope refuses what can not be an envelope of a hotfix.
func parseEnvelope(data []byte) (envelope, error) {
	var e envelope
	if len(data) > MaxEnvelope {
		return e, fmt.Errorf("its envelope is longer than %d bytes", MaxEnvelope)
	}
	if err := bounded.JSON(data, maxEnvelopeValues, &e); err != nil {
		return e, fmt.Errorf("it is in no envelope: %w", err)
	}
	switch {
	case e.PayloadType != HotfixType:
		return e, fmt.Errorf("its envelope holds %.80q, want %q", e.PayloadType, HotfixType)
	case len(e.Payload) == 0:
		return e, errors.New("its envelope is empty")
	}
	return e, nil
}

// HotfixPayload returns what an envelope holds, believing it unverified: only to look
// which members belong to it. What is acted on comes from [View.Hotfix].
func HotfixPayload(data []byte) ([]byte, error) {
	e, err := parseEnvelope(data)
	if err != nil {
		return nil, Refuse(hotfixFile, err)
	}
	return e.Payload, nil
}

// SignedBytes are the bytes that a signature in a DSSE envelope is made over (PAE,
// protocol of DSSE 1.0.2): type and payload, each with its length.
func SignedBytes(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// NewEnvelope returns an envelope of a hotfix around payload with signatures by key id.
func NewEnvelope(payload []byte, signatures map[string][]byte) ([]byte, error) {
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	e := struct {
		PayloadType string      `json:"payloadType"`
		Payload     string      `json:"payload"`
		Signatures  []signature `json:"signatures"`
	}{PayloadType: HotfixType, Payload: base64.StdEncoding.EncodeToString(payload)}
	for id, sig := range signatures {
		e.Signatures = append(e.Signatures, signature{id, base64.StdEncoding.EncodeToString(sig)})
	}
	slices.SortFunc(e.Signatures, func(a, b signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	data, err := json.Marshal(e)
	if err == nil && len(data) > MaxEnvelope {
		err = fmt.Errorf("envelope of %d bytes, the limit is %d", len(data), MaxEnvelope)
	}
	return data, err
}

// Hotfix verifies an envelope and returns its payload: it must be signed by the threshold
// of keys that the trusted targets delegate to the role hotfix. Every other envelope is
// an error of kind problem.Verification.
func (v *View) Hotfix(data []byte) ([]byte, error) {
	e, err := parseEnvelope(data)
	if err != nil {
		return nil, Refuse(hotfixFile, err)
	}
	if v.hotfix.threshold < 1 {
		return nil, Refuse(hotfixFile, errors.New("the vendor's metadata name no keys that sign hotfixes"))
	}
	signed := SignedBytes(e.PayloadType, e.Payload)
	good := map[string]bool{} // by key, not by key id: one key counts once
	for _, s := range e.Signatures {
		key, known := v.hotfix.keys[s.KeyID]
		if known && !good[string(key)] && ed25519.Verify(key, signed, s.Sig) {
			good[string(key)] = true
		}
	}
	if len(good) < v.hotfix.threshold {
		return nil, Refuse(hotfixFile, fmt.Errorf("it is not signed by enough of the keys that must sign it: %d of %d",
			len(good), v.hotfix.threshold))
	}
	return e.Payload, nil
}

// hotfixKeysOf returns the keys and threshold that targets delegates to the role hotfix;
// none when it does not. Keys that are not Ed25519 sign nothing here.
func hotfixKeysOf(targets *metadata.TargetsType) hotfixKeys {
	if targets.Delegations == nil {
		return hotfixKeys{}
	}
	i := slices.IndexFunc(targets.Delegations.Roles, func(d metadata.DelegatedRole) bool { return d.Name == RoleHotfix })
	if i < 0 {
		return hotfixKeys{}
	}
	role := targets.Delegations.Roles[i]
	h := hotfixKeys{threshold: role.Threshold, keys: map[string]ed25519.PublicKey{}}
	for _, id := range role.KeyIDs {
		key := targets.Delegations.Keys[id]
		if key == nil || key.Type != metadata.KeyTypeEd25519 {
			continue
		}
		if public, err := key.ToPublicKey(); err == nil {
			if p, ok := public.(ed25519.PublicKey); ok {
				h.keys[id] = p
			}
		}
	}
	return h
}

package document

import (
	"encoding/json"
	"errors"
	"strings"

	"uplevel/internal/trust"
)

// Metadata is what a file of signed metadata says of itself. It is not verified: the
// bundle tells what lies there.
type Metadata struct {
	File        string `json:"file"`
	Size        int64  `json:"size"`
	Type        string `json:"type,omitempty"`
	Version     int64  `json:"version,omitempty"`
	Expires     string `json:"expires,omitempty"`
	SignedBy    int    `json:"signed_by"`             // keys
	Fingerprint string `json:"fingerprint,omitempty"` // of a root
}

// ReadMetadata reads what a file of signed metadata says of itself; with an error, as far
// as it can be understood.
func ReadMetadata(data []byte) (Metadata, error) {
	var envelope struct {
		Signed struct {
			Type    string `json:"_type"`
			Version int64  `json:"version"`
			Expires string `json:"expires"`
		} `json:"signed"`
		Signatures []json.RawMessage `json:"signatures"`
	}
	err := json.Unmarshal(data, &envelope)
	f := Metadata{
		Type: envelope.Signed.Type, Version: envelope.Signed.Version, Expires: envelope.Signed.Expires, SignedBy: len(envelope.Signatures),
	}
	if err == nil && f.Type == "" {
		err = errors.New("it is no signed metadata")
	}
	if err == nil && f.Type == trust.RoleRoot {
		var whole string
		if whole, err = trust.Fingerprint(data); err == nil {
			// In groups, so that it is compared easily and taken for no secret.
			f.Fingerprint = grouped(whole)
		}
	}
	return f, err
}

func grouped(hex string) string {
	var parts []string
	for len(hex) > 8 {
		parts, hex = append(parts, hex[:8]), hex[8:]
	}
	return strings.Join(append(parts, hex), " ")
}

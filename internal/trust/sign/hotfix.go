package sign

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"uplevel/internal/trust"
)

// Hotfix returns the envelope of a hotfix's record, signed by every signer. The same
// record and keys give the same bytes.
func Hotfix(record []byte, signers []Key) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("signing a hotfix: no key")
	}
	signatures := map[string][]byte{}
	for _, key := range signers {
		if key.Role != trust.RoleHotfix {
			return nil, fmt.Errorf("signing a hotfix: the key is that of %s", key.Role)
		}
		public, err := key.Public()
		if err != nil {
			return nil, err
		}
		id, err := public.ID()
		if err != nil {
			return nil, fmt.Errorf("signing a hotfix: %w", err)
		}
		signatures[id] = ed25519.Sign(key.private, trust.SignedBytes(trust.HotfixType, record))
	}
	data, err := trust.NewEnvelope(record, signatures)
	if err != nil {
		return nil, fmt.Errorf("signing a hotfix: %w", err)
	}
	return data, nil
}

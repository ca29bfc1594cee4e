package online

import (
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// InForce returns those of the keys held that a root names for snapshot and timestamp; where
// it names none, the newest.
func (s *Service) InForce(root []byte) Keys {
	doc, err := metadata.Root().FromBytes(root)
	if err != nil {
		return s.Keys
	}
	keys, err := (&submission{s: s}).namedKeys(&doc.Signed)
	if err != nil {
		return s.Keys
	}
	return keys
}

package update

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// InstallationID is the name an installation has in reports: a keyed hash of the pack's
// random id, the machine's and the home's path. It is computed at each report and
// stored nowhere, so that a pack shipped to many servers is seen on each of them.
func InstallationID(pack, machine, home string) string {
	mac := hmac.New(sha256.New, []byte(pack))
	for _, part := range []string{"uplevel installation 1", machine, home} {
		// Each part ends with a byte that none can hold: no two pairs look alike.
		_, _ = io.WriteString(mac, part)
		_, _ = mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil))
}

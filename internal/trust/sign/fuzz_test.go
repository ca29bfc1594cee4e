package sign

import (
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/trust/trusttest"
)

// FuzzDocuments reads signed documents and keys as the publisher's machine gets them from
// the service, whose word is not yet trusted.
func FuzzDocuments(f *testing.F) {
	repo := trusttest.New(f, now)
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		f.Add(repo.Current(role))
	}
	f.Add([]byte(`{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"0000000000000000000000000000000000000000000000000000000000000000"}}`))
	f.Add([]byte(`{"keytype":"ecdsa","scheme":"ecdsa-sha2-nistp256","keyval":{"public":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}}`))
	f.Add([]byte(`{"signed":{"_type":"root","keys":{"a":null},"roles":{"snapshot":null}},"signatures":null}`))
	known := repo.Public(trusttest.Key("snapshot"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = FactsOf(data)
		key, err := OnlineKey(data)
		if err != nil {
			key = known
		}
		if key.Type != metadata.KeyTypeEd25519 || len(key.Value.PublicKey) != 64 {
			t.Fatalf("%+v was taken", key)
		}
		if named, err := NamesOnlineKeys(data, key, key); named && err != nil {
			t.Fatal("yes and an error: ", err)
		}
	})
}

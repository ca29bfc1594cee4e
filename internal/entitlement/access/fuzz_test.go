package access

import "testing"

// FuzzStoredHash reads the text that is stored for a password: only as it is written.
func FuzzStoredHash(f *testing.F) {
	whole := encodeHash(make([]byte, saltBytes), make([]byte, hashBytes))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(hashPrefix() + "$")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$AAAA$AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		salt, sum, ok := decodeHash(text)
		if !ok {
			return
		}
		if len(salt) != saltBytes || len(sum) != hashBytes {
			t.Fatalf("%q is read as %d and %d bytes", text, len(salt), len(sum))
		}
		if s, h, ok := decodeHash(encodeHash(salt, sum)); !ok || string(s) != string(salt) || string(h) != string(sum) {
			t.Fatalf("%q does not read back", text)
		}
	})
}

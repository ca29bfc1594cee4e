package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"uplevel/internal/problem"
)

// FuzzSecretFile reads a secret file that is anything.
func FuzzSecretFile(f *testing.F) {
	f.Add([]byte(hex.EncodeToString(bytes.Repeat([]byte{7}, secretBytes))))
	f.Add([]byte("00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &program{data: t.TempDir()}
		if err := os.WriteFile(p.secretFile(), data, 0o600); err != nil {
			t.Fatal(err)
		}
		secret, err := p.secret()
		if err == nil && len(secret) != secretBytes {
			t.Fatalf("a secret of %d bytes", len(secret))
		}
		if e, ok := errors.AsType[*problem.Error](err); err != nil && len(data) <= 1024 && (!ok || e.Next == "") {
			t.Fatalf("%v says no next step", err)
		}
	})
}

// FuzzSettings judges addresses to listen on and to be known by: a public one without TLS
// is never taken.
func FuzzSettings(f *testing.F) {
	for _, s := range [][2]string{{"127.0.0.1:8443", ""}, {"[::1]:0", "https://x"}, {"localhost:1", "http://x"}, {"0.0.0.0:1", ""}, {":1", "https://"}, {"127.0.0.1.example:1", "://"}, {"[::ffff:127.0.0.1]:1", "x"}} {
		f.Add(s[0], s[1], true)
		f.Add(s[0], s[1], false)
	}
	f.Fuzz(func(t *testing.T, listen, public string, dev bool) {
		s := settings{listen: listen, publicURL: public, roles: []string{roleAPI}, dev: dev}
		err := s.check()
		if e, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || e.Next == "") {
			t.Fatalf("%v says no next step", err)
		}
		if err == nil && !dev && public != "" && !bytes.HasPrefix(bytes.ToLower([]byte(public)), []byte("https:")) {
			t.Fatalf("%q was taken", public)
		}
	})
}

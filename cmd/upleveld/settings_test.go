package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uplevel/internal/problem"
)

func TestUnsafeSettingsAreRefusedByName(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o604); err != nil {
		t.Fatal(err)
	}
	roles := []string{roleAPI}
	for name, tc := range map[string]struct {
		s     settings
		kind  problem.Kind // 0: accepted
		names string
	}{
		"defaults":            {settings{listen: "127.0.0.1:8443", roles: roles}, 0, ""},
		"IPv6 loopback":       {settings{listen: "[::1]:0", roles: roles}, 0, ""},
		"everywhere with TLS": {settings{listen: ":8443", tlsCert: "c", tlsKey: key, roles: roles}, 0, ""},
		"public https":        {settings{listen: "127.0.0.1:1", publicURL: "https://updates.example", roles: roles}, 0, ""},
		"dev":                 {settings{listen: "localhost:0", dev: true, roles: roles}, 0, ""},
		"everywhere":          {settings{listen: ":8443", roles: roles}, problem.Refused, "--listen :8443"},
		"other address":       {settings{listen: "192.0.2.1:8443", roles: roles}, problem.Refused, "--listen 192.0.2.1:8443"},
		"public http":         {settings{listen: "127.0.0.1:1", publicURL: "http://updates.example", roles: roles}, problem.Refused, "--public-url http://"},
		"public nothing":      {settings{listen: "127.0.0.1:1", publicURL: "https:", roles: roles}, problem.Refused, "--public-url https:"},
		"key others can read": {settings{listen: ":1", tlsCert: "c", tlsKey: open, roles: roles}, problem.Refused, "--tls-key " + open},
		"certificate alone":   {settings{listen: ":1", tlsCert: "c", roles: roles}, problem.Usage, "--tls-key"},
		"no memory":           {settings{listen: "127.0.0.1:1", memory: 1, roles: roles}, problem.Usage, "--memory 1"},
		"no port":             {settings{listen: "127.0.0.1", roles: roles}, problem.Usage, "--listen"},
		"unknown role":        {settings{listen: "127.0.0.1:1", roles: []string{"portal"}}, problem.Usage, "portal"},
		"dev everywhere":      {settings{listen: ":1", dev: true, roles: roles}, problem.Refused, "--listen :1"},
		"dev with TLS":        {settings{listen: "[::1]:1", dev: true, tlsCert: "c", tlsKey: key, roles: roles}, problem.Usage, "--tls-cert"},
		"dev with public URL": {settings{listen: "[::1]:1", dev: true, publicURL: "https://x", roles: roles}, problem.Usage, "--public-url"},
	} {
		if tc.s.memory == 0 {
			tc.s.memory = defaultMemory
		}
		err := tc.s.check()
		switch {
		case tc.kind == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.kind != 0 && (err == nil || problem.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.names)):
			t.Errorf("%s: %v, want kind %s naming %q", name, err, tc.kind, tc.names)
		}
	}
}

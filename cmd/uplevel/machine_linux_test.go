package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhichMachineThisIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		files map[string]string
		env   string // a variable that is set
		want  string
	}{
		"systemd":              {map[string]string{"etc/machine-id": "abc\n"}, "", "abc"},
		"only D-Bus":           {map[string]string{"var/lib/dbus/machine-id": "def\n"}, "", "def"},
		"empty, as in images":  {map[string]string{"etc/machine-id": "", "var/lib/dbus/machine-id": "def"}, "", "def"},
		"before its first run": {map[string]string{"etc/machine-id": "uninitialized\n"}, "", ""},
		"nothing":              {nil, "", ""},
		"docker":               {map[string]string{"etc/machine-id": "abc", ".dockerenv": ""}, "", "abc c1"},
		"podman":               {map[string]string{"etc/machine-id": "abc", "run/.containerenv": ""}, "", "abc c1"},
		"kubernetes":           {map[string]string{"etc/machine-id": "abc"}, "KUBERNETES_SERVICE_HOST", "abc c1"},
		"docker without an id": {map[string]string{".dockerenv": ""}, "", ""},
	} {
		root := t.TempDir()
		for file, content := range row.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		getenv := func(name string) string {
			if name == row.env {
				return "set"
			}
			return ""
		}
		got, err := machineBelow(root, getenv, func() (string, error) { return "c1", nil })
		if err != nil || got != row.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, row.want)
		}
	}
}

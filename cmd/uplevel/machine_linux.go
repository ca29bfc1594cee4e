package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemMachine returns what systemd or D-Bus call the machine; empty when they do not.
func systemMachine(getenv func(string) string) (string, error) {
	return machineBelow("/", getenv, os.Hostname)
}

// machineBelow looks below the folder root. The id in an image is that of all containers
// that run it: there the name of the container counts, too.
func machineBelow(root string, getenv func(string) string, hostname func() (string, error)) (string, error) {
	id := ""
	for _, name := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		data, err := readBounded(filepath.Join(root, name), 4<<10)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if text := strings.TrimSpace(string(data)); text != "" && text != "uninitialized" {
			id = text
			break
		}
	}
	if id == "" || !inContainer(root, getenv) {
		return id, nil
	}
	name, err := hostname()
	return id + " " + name, err
}

func inContainer(root string, getenv func(string) string) bool {
	for _, name := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			return true
		}
	}
	return getenv("container") != "" || getenv("KUBERNETES_SERVICE_HOST") != ""
}

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAPipeIsNotWaitedFor has a pipe lie where a file of the vendor's or the operator's is read.
func TestAPipeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"root.json", "vendor.json", "policy.yaml"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, root := rootIn(dir)
	_, vendor := vendorIn(dir)
	_, policy := readPlain(filepath.Join(dir, "policy.yaml"), 10)
	for name, err := range map[string]error{"root.json": root, "vendor.json": vendor, "policy.yaml": policy} {
		if err == nil || !strings.Contains(err.Error(), "is no plain file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// writeEnv writes demo.env: after `. demo.env` every command works with no flag.
func (d *demo) writeEnv() error {
	var b bytes.Buffer
	b.WriteString("# Made by make demo; for this machine and this run only.\n")
	for _, name := range d.order {
		if name == "PATH" {
			b.WriteString("export PATH=" + quote(d.path("bin")) + ":\"$PATH\"\n")
			continue
		}
		b.WriteString("export " + name + "=" + quote(d.env[name]) + "\n")
	}
	return os.WriteFile(d.path("demo.env"), b.Bytes(), 0o600)
}

// objectOf finds the stored object of a file's content by its SHA-256.
func (d *demo) objectOf(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	return filepath.Join(d.path("service"), "objects", "objects", name[:2], name), nil
}

// flip turns one bit in the middle of a file, and back when called again.
func flip(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	content[len(content)/2] ^= 1
	if err := os.Chmod(name, 0o644); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '\'' && s[len(s)-1] == '\'') {
		return strings.ReplaceAll(s[1:len(s)-1], `'\''`, "'")
	}
	return strings.Trim(s, `"`)
}

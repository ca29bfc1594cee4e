package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// secretBytes is the length of the secret that seals the online keys.
const secretBytes = 32

// sealedKeys is the name under which the database keeps the sealed online keys.
const sealedKeys = "online-keys"

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// readBounded reads a file of limit bytes at most.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return data, nil
}

// secretFile is where the secret lies that seals the online keys in the database: who
// has the database alone has no key.
func (p *program) secretFile() string { return filepath.Join(p.data, "secret") }

// secret reads the secret, and makes it where there is none yet. Others than its owner
// must not be able to read it.
func (p *program) secret() ([]byte, error) {
	name := p.secretFile()
	info, err := os.Stat(name)
	if isNotExist(err) {
		return p.newSecret(name)
	}
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, problem.New(problem.Refused, "chmod 600 "+name, "secret file %s can be read by others (mode %04o)", name, info.Mode().Perm())
	}
	return p.readSecret(name)
}

func (p *program) readSecret(name string) ([]byte, error) {
	text, err := readBounded(name, 1024)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(string(text))
	if err != nil || len(secret) != secretBytes {
		return nil, problem.New(problem.Refused, "put back the secret file that belongs to this database; if no copy is left, remove this one: upleveld admin online-keys replace --lost-secret",
			"secret file %s is damaged: want %d hexadecimal digits", name, 2*secretBytes)
	}
	return secret, nil
}

func (p *program) newSecret(name string) ([]byte, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("making a secret: %w", err)
	}
	file, err := durable.Create(name, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a secret: %w", err)
	}
	defer file.Discard()
	if _, err := file.WriteString(hex.EncodeToString(secret)); err != nil {
		return nil, fmt.Errorf("making a secret: %w", err)
	}
	// Of two processes that start at once the first one's counts: what it sealed with its
	// secret is what the database keeps.
	if err := file.CommitNew(); err != nil {
		return nil, fmt.Errorf("making a secret: %w", err)
	}
	return p.readSecret(name)
}

// checkEmpty refuses a folder that holds anything.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return problem.New(problem.Refused, "name a new folder with --data, or leave out --dev",
			"--dev wants a data folder that starts empty: %s holds %s", dir, entries[0].Name())
	}
	return nil
}

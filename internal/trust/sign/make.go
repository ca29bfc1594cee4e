package sign

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// Make returns the keys of role, making as many as are missing up to n. Keys that
// exist are never replaced, so a run that was cut is simply repeated, and of two publishers
// at once both use the keys of the first.
func (f *Folder) Make(role string, n int) ([]Key, error) {
	names, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	if len(names) < n {
		if err := f.makeMissing(role, names, n); err != nil {
			return nil, err
		}
	}
	return f.Keys(role)
}

func (f *Folder) makeMissing(role string, have []string, n int) error {
	passphrase, err := f.newPassphrase()
	if err != nil {
		return err
	}
	for i, there := 1, len(have); there < n; i++ {
		name := role + keySuffix
		if n > 1 {
			name = numbered(role, i)
		}
		if slices.Contains(have, name) {
			continue
		}
		if _, _, err := f.makeKey(role, name, passphrase); err != nil {
			return err
		}
		there++
	}
	return nil
}

// Add makes n keys of role beside those that are there; what another publisher makes
// meanwhile is there, too.
func (f *Folder) Add(role string, n int) (keys []Key, files []string, err error) {
	have, err := f.Files(role)
	if err != nil || n == 0 {
		return nil, nil, err
	}
	passphrase, err := f.newPassphrase()
	if err != nil {
		return nil, nil, err
	}
	for i := 1; len(keys) < n; i++ {
		name := numbered(role, i)
		if i == 1 && len(have) == 0 {
			name = role + keySuffix
		}
		// role.key counts as the first: what is new is never taken for what was before.
		if slices.Contains(have, name) || i == 1 && len(have) > 0 {
			continue
		}
		key, own, err := f.makeKey(role, name, passphrase)
		if err != nil {
			return nil, nil, err
		}
		if own {
			keys, files = append(keys, key), append(files, name)
		}
	}
	return keys, files, nil
}

func numbered(role string, n int) string { return role + "." + strconv.Itoa(n) + keySuffix }

func (f *Folder) newPassphrase() (string, error) {
	passphrase, err := f.Passphrase(true)
	if err == nil && len(passphrase) < MinPassphrase {
		err = problem.New(problem.Usage, "Choose a longer passphrase and keep it where the keys are not.",
			"The passphrase has %d bytes, want %d or more", len(passphrase), MinPassphrase)
	}
	return passphrase, err
}

// makeKey makes a key and its file. Own is false where another publisher's file has the name:
// that one stays, and the key that was made here is nowhere and must sign nothing.
func (f *Folder) makeKey(role, name, passphrase string) (key Key, own bool, err error) {
	if err := durable.MkdirAll(f.Dir, 0o700); err != nil {
		return key, false, fmt.Errorf("making the folder of keys: %w", err)
	}
	if key, err = NewKey(role, f.Random); err != nil {
		return key, false, err
	}
	data, err := key.Seal(passphrase, f.Cost, f.Random)
	if err != nil {
		return key, false, err
	}
	full := filepath.Join(f.Dir, name)
	if err := writeNew(full, data); err != nil {
		return key, false, fmt.Errorf("writing key file: %w", err)
	}
	kept, err := readBounded(full, MaxKeyFile)
	if err != nil {
		return key, false, fmt.Errorf("reading key file: %w", err)
	}
	return key, bytes.Equal(kept, data), nil
}

// writeNew writes a key file, unless another publisher on the same folder was faster: that
// one's key may be signed for already, and must never be lost.
func writeNew(name string, data []byte) error {
	file, err := durable.Create(name, 0o600)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.CommitNew()
}

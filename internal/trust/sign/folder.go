package sign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// keySuffix ends the name of every key file.
const keySuffix = ".key"

// metadataFolder holds the signed documents.
const metadataFolder = "metadata"

// Folder is a publisher's folder of keys and signed documents: ROLE.key, or ROLE.N.key
// where a role has several, and metadata/ROLE.json.
type Folder struct {
	Dir string
	// Passphrase returns what opens the key files; making is true when a key is about
	// to be made, so that a person is asked twice.
	Passphrase func(making bool) (string, error)
	Cost       Cost      // of new key files
	Random     io.Reader // crypto/rand.Reader
}

// MetadataDir is the folder of the signed documents, under unversioned names.
func (f *Folder) MetadataDir() string { return filepath.Join(f.Dir, metadataFolder) }

// checkRole refuses a name that no key of this folder has.
func checkRole(role string) error {
	if slices.Contains([]string{trust.RoleRoot, trust.RoleTargets, trust.RoleTool, trust.RoleHotfix}, role) {
		return nil
	}
	if _, ok := trust.ParseProductRole(role); ok {
		return nil
	}
	return fmt.Errorf("%.80q is no role that has a key", role)
}

// KeyRole returns the role whose key signs the documents of role: a line's is its
// product's.
func KeyRole(role string) string {
	if line, ok := trust.ParseLineRole(role); ok {
		return release.ProductRole(line.Product)
	}
	return role
}

// Files returns the names of role's key files in the folder, in order.
func (f *Folder) Files(role string) ([]string, error) {
	if err := checkRole(role); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	var names []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), role)
		middle, isKey := strings.CutSuffix(rest, keySuffix)
		// The dot counts: product.shop2.key is another product's.
		number, dotted := strings.CutPrefix(middle, ".")
		if ok && isKey && (middle == "" || dotted && isNumber(number)) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isNumber(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0
}

// Keys opens the keys of role. A role without a key file is refused, naming the file
// that is wanted.
func (f *Folder) Keys(role string) ([]Key, error) {
	names, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, problem.New(problem.Refused,
			"Bring the key file back into the folder, or name the folder with --keys.",
			"The key of %s is not in %s: no %s%s", role, f.Dir, role, keySuffix)
	}
	passphrase, err := f.Passphrase(false)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, name := range names {
		key, err := f.open(name, role, passphrase)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (f *Folder) open(name, role, passphrase string) (Key, error) {
	data, err := readBounded(filepath.Join(f.Dir, name), MaxKeyFile)
	if err != nil {
		return Key{}, fmt.Errorf("reading key file: %w", err)
	}
	key, err := OpenKey(data, passphrase)
	if errors.Is(err, ErrPassphrase) {
		return Key{}, problem.New(problem.Credentials,
			"Give the passphrase with UPLEVEL_KEY_PASSPHRASE or --passphrase-file; in a shell, put single quotes around one with $.",
			"Unable to open key file %s: %w", filepath.Join(f.Dir, name), err)
	}
	if err == nil && key.Role != role {
		err = fmt.Errorf("it holds the key of %s", key.Role)
	}
	if err != nil {
		return Key{}, problem.New(problem.Failed, "Restore the key file from its copy.",
			"Unable to use key file %s: %w", filepath.Join(f.Dir, name), err)
	}
	return key, nil
}

// Make returns the keys of role, making as many as are missing up to n. Keys that
// exist are never replaced, so a run that was cut is simply repeated.
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
	passphrase, err := f.Passphrase(true)
	if err != nil {
		return err
	}
	if len(passphrase) < MinPassphrase {
		return problem.New(problem.Usage, "Choose a longer passphrase and keep it where the keys are not.",
			"The passphrase has %d bytes, want %d or more", len(passphrase), MinPassphrase)
	}
	if err := durable.MkdirAll(f.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of keys: %w", err)
	}
	for i := 1; i <= n; i++ {
		name := role + keySuffix
		if n > 1 {
			name = role + "." + strconv.Itoa(i) + keySuffix
		}
		if slices.Contains(have, name) {
			continue
		}
		key, err := NewKey(role, f.Random)
		if err != nil {
			return err
		}
		data, err := key.Seal(passphrase, f.Cost, f.Random)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(filepath.Join(f.Dir, name), data, 0o600); err != nil {
			return fmt.Errorf("writing key file: %w", err)
		}
	}
	return nil
}

// Document returns the signed document of role that the folder keeps. One that is not
// there is fs.ErrNotExist.
func (f *Folder) Document(role string) ([]byte, error) {
	data, err := readBounded(filepath.Join(f.MetadataDir(), trust.CacheName(role)), trust.MaxLength(role))
	if err != nil {
		return nil, fmt.Errorf("reading the signed document of %s: %w", role, err)
	}
	return data, nil
}

// Keep stores the signed document of role.
func (f *Folder) Keep(role string, data []byte) error {
	if err := durable.MkdirAll(f.MetadataDir(), 0o700); err != nil {
		return fmt.Errorf("keeping the document of %s: %w", role, err)
	}
	if err := durable.WriteFile(filepath.Join(f.MetadataDir(), trust.CacheName(role)), data, 0o644); err != nil {
		return fmt.Errorf("keeping the document of %s: %w", role, err)
	}
	return nil
}

func readBounded(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return data, err
}

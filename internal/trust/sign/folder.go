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

	"github.com/theupdateframework/go-tuf/v2/metadata"

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

// Counting returns the names of role's key files whose signatures count, as far as the
// folder's documents tell: files of keys that were replaced stay, and sign nothing.
func (f *Folder) Counting(role string) ([]string, error) {
	names, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	held, err := f.Holders(role)
	if err != nil || len(held.Keys) == 0 {
		return names, err
	}
	return f.naming(names, held)
}

// naming keeps the names of those files that hold one of these keys.
func (f *Folder) naming(names []string, held Holders) ([]string, error) {
	var kept []string
	for _, name := range names {
		data, err := readBounded(filepath.Join(f.Dir, name), MaxKeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading key file: %w", err)
		}
		file, err := parseKeyFile(data)
		// A file that is damaged is not passed over: opening it says what is wrong.
		if err != nil || slices.ContainsFunc(held.Keys, func(k *metadata.Key) bool { return strings.EqualFold(k.Value.PublicKey, file.Public) }) {
			kept = append(kept, name)
		}
	}
	return kept, nil
}

// Held is a key that signs a role, and its file, empty when that is elsewhere.
type Held struct{ ID, File string }

// Held returns the keys that the folder's documents let sign role.
func (f *Folder) Held(role string) ([]Held, error) {
	names, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	holders, err := f.Holders(role)
	if err != nil {
		return nil, err
	}
	var all []Held
	for _, key := range holders.Keys {
		id, err := key.ID()
		if err != nil {
			return nil, fmt.Errorf("id of a key: %w", err)
		}
		files, err := f.naming(names, Alone(key))
		if err != nil {
			return nil, err
		}
		all = append(all, Held{id, strings.Join(files, " ")})
	}
	return all, nil
}

// Holders returns whom the folder's documents let sign role; none when they do not say.
func (f *Folder) Holders(role string) (Holders, error) {
	parent, ok := trust.ParentRole(role)
	if !ok {
		return Holders{}, fmt.Errorf("%.80q is no role", role)
	}
	doc, err := f.Document(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return Holders{}, nil
	}
	if err != nil {
		return Holders{}, err
	}
	return HoldersOf(parent, doc, role)
}

// Keys opens the keys of role whose signatures count. A role without one is refused,
// naming the file that is wanted.
func (f *Folder) Keys(role string) ([]Key, error) {
	all, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	names, err := f.Counting(role)
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) == 0:
		return nil, problem.New(problem.Refused,
			"Bring the key file back into the folder, or name the folder with --keys.",
			"The key of %s is not in %s: no %s%s", role, f.Dir, role, keySuffix)
	case len(names) == 0:
		return nil, problem.New(problem.Refused,
			"Bring the key file that took their place into the folder, or name the folder with --keys.",
			"The keys of %s in %s are not those that count: they were replaced", role, f.Dir)
	}
	return f.opened(role, names)
}

// Signers opens the keys of role, as many as must sign at least: what is published in one
// step is signed in one place.
func (f *Folder) Signers(role string) ([]Key, error) {
	keys, err := f.Keys(role)
	if err != nil {
		return nil, err
	}
	held, err := f.Holders(role)
	if err != nil {
		return nil, err
	}
	if len(keys) < held.Threshold {
		return nil, problem.New(problem.Refused,
			fmt.Sprintf("Bring key files of the others into the folder, or let one key be enough: keys rotate %s --keep --new 0 --threshold %d.", role, len(keys)),
			"%d keys must sign for %s, and %d of them lie in %s", held.Threshold, role, len(keys), f.Dir)
	}
	return keys, nil
}

// KeysOf opens those keys of role in the folder that are among held; there may be none.
func (f *Folder) KeysOf(role string, held Holders) ([]Key, error) {
	names, err := f.Files(role)
	if err != nil {
		return nil, err
	}
	if names, err = f.naming(names, held); err != nil || len(names) == 0 {
		return nil, err
	}
	return f.opened(role, names)
}

func (f *Folder) opened(role string, names []string) ([]Key, error) {
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

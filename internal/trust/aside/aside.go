// Package aside copies trusted metadata for those who may not write where they are kept, or
// must not: refreshes go on with the copy.
package aside

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"uplevel/internal/problem"
	"uplevel/internal/trust"
)

// copyTries is how often a folder is copied anew because a refresh beside it took a file away.
const copyTries = 20

// Copy makes the folder to and puts into it what the folder from trusts. Other files, such as
// those that a refresh beside it is writing, are left out. Only a folder that is not there has nothing to copy: to start without a root that
// is trusted already would bring back keys that were revoked since.
func Copy(from fs.FS, to string) error {
	for range copyTries {
		if err := errors.Join(os.RemoveAll(to), os.MkdirAll(to, 0o700)); err != nil {
			return err
		}
		names, err := roleFiles(from)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err = copyAll(from, to, names); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return problem.New(problem.Refused, "Wait until it is done, then try again.",
		"The trusted metadata cannot be read: something takes their files away all the time")
}

// roleFiles lists the files of roles.
func roleFiles(from fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(from, ".")
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// copyAll ends with fs.ErrNotExist when a file went meanwhile.
func copyAll(from fs.FS, to string, names []string) error {
	for _, name := range names {
		data, err := readPlain(from, name)
		if _, gone := fs.Lstat(from, name); errors.Is(err, fs.ErrNotExist) && gone != nil {
			return err
		}
		if err != nil && name == trust.CacheName(trust.RoleRoot) {
			return problem.New(problem.Verification, "Look at the permissions of updates/trust, or restore this file from another installation or a backup.",
				"The trusted root %s cannot be read: %v", name, err)
		}
		if err != nil {
			continue // counts as absent, as in the folder itself
		}
		if err := write(filepath.Join(to, name), data); err != nil {
			return problem.New(problem.Refused, "Name a folder with room with TMPDIR.", "The trusted metadata cannot be copied: %v", err)
		}
	}
	return nil
}

// readPlain reads a plain file, up to where it is too long to be taken.
func readPlain(from fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(from, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no plain file")
	}
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, trust.MaxLine+1))
}

// write writes a file that is thrown away soon: it is not synced.
func write(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Package durable makes files that survive a power cut: contents are synced before
// they get their name, and the folder after. All durable writing of the project goes
// through here.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces name with data. After it returns nil, name holds data even if
// the power fails; after an error name is as it was.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	f, err := Create(name, perm)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// File is a file being written that has no name yet. Write to it, then Commit;
// Discard after Commit does nothing.
type File struct {
	*os.File
	name string
	done bool
}

// Create starts a file that [File.Commit] will put at name. What root makes belongs to
// whom the folder belongs to.
func Create(name string, perm fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".partial-*")
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", name, err)
	}
	out := &File{File: f, name: name}
	inherit(f.Name())
	if err := f.Chmod(perm); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		out.Discard()
		return nil, fmt.Errorf("creating %s: %w", name, err)
	}
	return out, nil
}

// Commit syncs the content, gives the file its name in place of what had it, and
// syncs the folder.
func (f *File) Commit() error {
	defer f.Discard()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", f.name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", f.name, err)
	}
	if err := os.Rename(f.Name(), f.name); err != nil {
		return err
	}
	f.done = true
	return SyncDir(filepath.Dir(f.name))
}

// Discard removes what was written unless it was committed.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// Rename moves from to to on one file system and syncs both folders.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return errors.Join(SyncDir(filepath.Dir(to)), SyncDir(filepath.Dir(from)))
}

// Remove removes a file or an empty folder and syncs the folder it was in. What is
// not there is no error.
func Remove(name string) error {
	if err := os.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// MkdirAll makes dir and the folders above it and syncs each folder that got a new
// entry.
func MkdirAll(dir string, perm fs.FileMode) error {
	err := os.Mkdir(dir, perm)
	switch {
	case err == nil:
		inherit(dir)
		return SyncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		if info, statErr := os.Stat(dir); statErr != nil || !info.IsDir() {
			return err
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := MkdirAll(filepath.Dir(dir), perm); err != nil {
		return err
	}
	return MkdirAll(dir, perm)
}

// CommitNew is [File.Commit] for a name that keeps its first content: when another
// writer was faster, that one's file stays and nil is returned.
func (f *File) CommitNew() error {
	defer f.Discard()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", f.name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", f.name, err)
	}
	err := os.Link(f.Name(), f.name)
	switch {
	case err == nil || errors.Is(err, fs.ErrExist):
		f.done = true
		return errors.Join(os.Remove(f.Name()), SyncDir(filepath.Dir(f.name)))
	default: // a file system without second names
		if err := renameNew(f.Name(), f.name); errors.Is(err, fs.ErrExist) {
			return nil
		} else if err != nil {
			return err
		}
		f.done = true
		return SyncDir(filepath.Dir(f.name))
	}
}

// renameLooking looks whether a name is free before it takes it: all that some systems let do.
func renameLooking(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"uplevel/internal/problem"
	"uplevel/internal/trust/online"
)

// TestJudgeSeesObjectsAsTheServiceDoes: what is no file is no object to the service, and
// must not look sound to the judge.
func TestJudgeSeesObjectsAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("making symbolic links needs a privilege there")
	}
	dir := t.TempDir()
	for name, make := range map[string]func(string) error{
		"link":   func(name string) error { return os.Symlink("/etc/hostname", name) },
		"folder": func(name string) error { return os.Mkdir(name, 0o700) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := folder(dir).Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range folder(dir).Names(t.Context(), "") {
		t.Errorf("%s is listed", name)
	}
}

// TestLostOnlineKeysAreNoNewService: a database that lost its sealed keys and holds
// metadata is damaged, not new.
func TestLostOnlineKeysAreNoNewService(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	db, err := p.makeDatabase(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := p.checkShallow(t.Context()); err != nil {
		t.Errorf("a new service: %v", err)
	}
	m := published{DB: db, blobs: &memory{blobs: map[string]string{}}}
	put := func(repo online.Repository) error {
		return repo.Put(t.Context(), online.File{Role: "root", Version: 1, Data: []byte("{}")})
	}
	if err := m.ChangeMetadata(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if err := p.checkShallow(t.Context()); problem.KindOf(err) != problem.Verification {
		t.Errorf("keys lost: %v", err)
	}
}

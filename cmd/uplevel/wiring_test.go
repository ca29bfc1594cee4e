package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// TestNoAddressWithAPasswordIsTaken from anywhere, and none is told or logged.
func TestNoAddressWithAPasswordIsTaken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://me:s3cret@updates.example", "https://me:s3cret/x@updates.example", "http://me:s3cret%zz@updates.example"} {
		for from, c := range map[string]struct {
			args   []string
			env    string
			vendor string
		}{
			"flag":        {args: []string{"--service", address}},
			"assigned":    {args: []string{"--service=" + address}},
			"environment": {env: address},
			"vendor.json": {vendor: `{"service":"` + address + `"}`},
		} {
			for _, command := range [][]string{{"update"}, {"check"}, {"whoami"}, {"doctor"}, {"report"}} {
				home := t.TempDir()
				if err := os.Mkdir(filepath.Join(home, "updates"), 0o755); err != nil {
					t.Fatal(err)
				}
				for name, text := range map[string]string{"product.txt": "shop-1\n", "vendor.json": c.vendor} {
					if text == "" {
						continue
					}
					if err := os.WriteFile(filepath.Join(home, "updates", name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var out bytes.Buffer
				tool := &tool{
					args: append(append([]string{"uplevel", "--dir", home}, command...), c.args...), stdout: &out, stderr: &out, now: time.Now,
					getenv: func(name string) string { return map[string]string{"UPLEVEL_SERVICE": c.env}[name] },
				}
				exit := tool.run(t.Context())
				if exit != int(problem.Usage) && command[0] != "doctor" {
					t.Errorf("%s, %v: exit %d: %s", from, command, exit, out.String())
				}
				if text := out.String() + everything(t, home, "vendor.json"); strings.Contains(text, "s3cret") || !strings.Contains(text, "must not hold a user or a password") {
					t.Errorf("%s, %v: %s", from, command, text)
				}
			}
		}
	}
}

// TestABundleHoldsNoPasswordOfAnAddress, though the vendor's own addresses stay in it.
func TestABundleHoldsNoPasswordOfAnAddress(t *testing.T) {
	t.Parallel()
	home, file := t.TempDir(), filepath.Join(t.TempDir(), "b.zip")
	if err := os.Mkdir(filepath.Join(home, "updates"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"product.txt": "shop-1\n", "vendor.json": `{"service":"https://me:s3cret@updates.example"}`} {
		if err := os.WriteFile(filepath.Join(home, "updates", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	tool := &tool{
		args: []string{"uplevel", "--dir", home, "support-bundle", "--out", file}, stdout: &out, stderr: &out, now: time.Now,
		getenv: func(string) string { return "" },
	}
	exit := tool.run(t.Context())
	bundle, err := zip.OpenReader(file)
	if err != nil {
		t.Fatalf("exit %d, %v: %s", exit, err, out.String())
	}
	defer bundle.Close()
	var all strings.Builder
	for _, member := range bundle.File {
		f, err := member.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, f); errors.Join(err, f.Close()) != nil {
			t.Fatal(err)
		}
	}
	if text := out.String() + all.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, "must not hold a user or a password") {
		t.Error(text)
	}
}

// everything is what lies in the files of a folder but one.
func everything(t *testing.T, dir, but string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == but {
			return err
		}
		data, err := os.ReadFile(p)
		all.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestWhatAKillLeavesOfATryToWriteGoes with the next change.
func TestWhatAKillLeavesOfATryToWriteGoes(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	updates := filepath.Join(home, "updates")
	if err := os.Mkdir(updates, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(updates, "product.txt"), []byte("shop-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !canWrite(updates) || canWrite(filepath.Join(home, "none")) {
		t.Error("what can be written is not known")
	}
	cut, err := tryToWrite(updates) // and killed
	if err != nil {
		t.Fatal(err)
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := install.Open(home, install.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	unlock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(updates)
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

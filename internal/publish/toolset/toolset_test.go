package toolset

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/problem"
)

// other is a system that is not this one.
func other() string {
	if runtime.GOARCH == "arm64" {
		return "linux/amd64"
	}
	return "linux/arm64"
}

func own() string { return runtime.GOOS + "/" + runtime.GOARCH }

// build builds a program that says its version, as the update tool does.
func build(t *testing.T, to, system, says string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "main.go")
	text := "package main\nimport \"os\"\nvar said = `" + says + "`\nfunc main() { os.Stdout.WriteString(said) }\n"
	if err := os.WriteFile(src, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	goos, arch, _ := strings.Cut(system, "/")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, src)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

const says = `{"version":"1.2.0","released":"2026-11-24"}`

func TestFolderForBin(t *testing.T) {
	t.Parallel()
	from, out := t.TempDir(), filepath.Join(t.TempDir(), "new", "bin")
	build(t, filepath.Join(from, "uplevel"+suffix(own())), own(), says)
	build(t, filepath.Join(from, fileName(other())), other(), says)
	set, err := Gather(t.Context(), Source{Dir: from, System: own()})
	if err != nil {
		t.Fatal(err)
	}
	if set.Version != "1.2.0" || set.Released.Format("2006-01-02") != "2026-11-24" || len(set.Programs) != 2 || len(set.Missing) != 4 || slices.Contains(set.Missing, other()) {
		t.Fatalf("%+v", set)
	}
	vendor := []byte(`{"service":"https://updates.example"}`)
	for range 2 { // again over what is there
		if err := set.Write(out, "wso2update", vendor); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		if err != nil || info.Mode().Perm()&0o111 == 0 != (e.Name() == VendorFile) {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if diff := cmp.Diff([]string{VendorFile, "wso2update_linux", "wso2update_linux_arm64"}, names); diff != "" {
		t.Error(diff)
	}
	if data, err := os.ReadFile(filepath.Join(out, VendorFile)); err != nil || string(data) != string(vendor) {
		t.Errorf("%s: %v", data, err)
	}
}

func TestToolsThatAreRefused(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"nothing there": {func(*testing.T, string) {}, "no uplevel-"},
		"says nothing":  {func(t *testing.T, dir string) { build(t, filepath.Join(dir, fileName(own())), own(), "hello") }, "does not say which version"},
		"no version": {func(t *testing.T, dir string) {
			build(t, filepath.Join(dir, fileName(own())), own(), `{"version":"new"}`)
		}, "does not say which version"},
		"another version": {func(t *testing.T, dir string) { both(t, dir, `{"version":"1.1.9"}`, other()) }, "is not version 1.2.0"},
		"another system":  {func(t *testing.T, dir string) { both(t, dir, says, own()) }, "was built for " + own()},
		"no program": {func(t *testing.T, dir string) {
			both(t, dir, says, "")
			writeFile(t, filepath.Join(dir, fileName(other())))
		}, "no program"},
		"a folder": {func(t *testing.T, dir string) {
			both(t, dir, says, "")
			if err := os.Mkdir(filepath.Join(dir, fileName(other())), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is no file"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.make(t, dir)
			_, err := Gather(t.Context(), Source{Dir: dir, System: own()})
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Next == "" || !strings.Contains(p.Text, c.want) {
				t.Errorf("got %v, want %q with a next step", err, c.want)
			}
		})
	}
}

// both builds the tool of this system and, under the other system's name, another.
func both(t *testing.T, dir, saysOther, system string) {
	t.Helper()
	build(t, filepath.Join(dir, fileName(own())), own(), says)
	if system != "" {
		build(t, filepath.Join(dir, fileName(other())), system, saysOther)
	}
}

func writeFile(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("1.2.0"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestToolThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build(t, filepath.Join(dir, fileName(own())), own(), says)
	set, err := Gather(t.Context(), Source{Dir: dir, System: own()})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, set.Programs[0].File)
	out := t.TempDir()
	if err := set.Write(out, "uplevel", nil); err == nil {
		t.Error("it is written all the same")
	}
	if entries, _ := os.ReadDir(out); len(entries) > 0 {
		t.Errorf("%v is left", entries)
	}
	r, err := set.Programs[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// TestSBOMNamesWhatIsInTheProgram compares each program's document with what Go itself
// says is in it.
func TestSBOMNamesWhatIsInTheProgram(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	programs := []string{"uplevel", "upleveld", "uplevel-publish"}
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", bin + "/"}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	build := exec.Command("go", args...)
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, p := range programs {
		program := filepath.Join(bin, p)
		text := written(t, program)
		if !bytes.Equal(text, written(t, program)) {
			t.Errorf("%s: the second document differs", p)
		}
		var bom cdx.BOM
		if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
			t.Fatal(err)
		}
		if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Component.Name != p || bom.Metadata.Component.Version != "1.2.3" {
			t.Errorf("%s: %s %+v", p, bom.SpecVersion, bom.Metadata.Component)
		}
		var got, unknown []string
		for _, c := range *bom.Components {
			if got = append(got, c.Name+" "+c.Version); c.Licenses == nil {
				unknown = append(unknown, c.Name)
			}
		}
		if diff := cmp.Diff(modulesOf(t, program), got); diff != "" {
			t.Errorf("%s (-in the program +in the document):\n%s", p, diff)
		}
		if len(unknown) > 0 {
			t.Errorf("%s: no licence is known of %v", p, unknown)
		}
		if refs := *(*bom.Dependencies)[0].Dependencies; len(refs) != len(got) {
			t.Errorf("%s needs %d of %d", p, len(refs), len(got))
		}
	}
}

func written(t *testing.T, program string) []byte {
	t.Helper()
	name, err := write(t.TempDir(), program, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// modulesOf asks `go version -m`.
func modulesOf(t *testing.T, program string) []string {
	t.Helper()
	said, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(said)) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, program):
			all = append(all, "std "+strings.TrimPrefix(f[1], "go"))
		case f[0] == "dep":
			all = append(all, f[1]+" "+f[2])
		}
	}
	if len(all) < 10 {
		t.Fatalf("go version -m names %d modules only", len(all))
	}
	slices.Sort(all[1:])
	return all
}

func TestWhatIsNoProgramHasNoSBOM(t *testing.T) {
	t.Parallel()
	if _, err := write(t.TempDir(), "sbom.go", ""); err == nil {
		t.Error("a text has a document")
	}
}

// Command sbom writes what programs are made of: a CycloneDX 1.6 document for each, from
// the build information that the linker put into it. The same program gives the same
// bytes. It is run by `make sbom`.
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/licensecheck"
)

func main() {
	out := flag.String("out", "build/bin/sbom", "folder to write into")
	version := flag.String("version", "", "version of the programs")
	flag.Parse()
	for _, program := range flag.Args() {
		name, err := write(*out, program, *version)
		if err != nil {
			fmt.Fprintln(os.Stderr, "sbom:", err)
			os.Exit(1)
		}
		fmt.Println(name)
	}
}

// write writes the document of one program, PROGRAM.cdx.json.
func write(dir, program, version string) (string, error) {
	bom, err := document(program, version)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return "", err
	}
	name := filepath.Join(dir, filepath.Base(program)+".cdx.json")
	return name, os.WriteFile(name, text.Bytes(), 0o644)
}

// document describes a program: itself, the standard library, and every module in it.
// Which module needs which is not known from a program; it needs all of them.
func document(program, version string) (*cdx.BOM, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum, err := sumOf(program)
	if err != nil {
		return nil, err
	}
	modules := []debug.Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}
	for _, dep := range info.Deps {
		modules = append(modules, *cmp.Or(dep.Replace, dep))
	}
	slices.SortFunc(modules[1:], func(a, b debug.Module) int { return strings.Compare(a.Path, b.Path) })
	licences, err := licencesOf(modules[1:])
	if err != nil {
		return nil, err
	}
	licences["std"] = []string{"BSD-3-Clause"}
	main := cdx.Component{
		Type: cdx.ComponentTypeApplication, BOMRef: info.Path, Name: filepath.Base(info.Path), Version: cmp.Or(version, info.Main.Version),
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}}, Properties: settings(info),
	}
	components, refs := []cdx.Component{}, []string{}
	for _, m := range modules {
		c := component(m, licences[m.Path])
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom, nil
}

func component(m debug.Module, licences []string) cdx.Component {
	at := "pkg:golang/" + m.Path + "@" + m.Version
	c := cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: at, Name: m.Path, Version: m.Version, PackageURL: at, Scope: cdx.ScopeRequired}
	if m.Sum != "" { // of the module's tree as go.sum has it, which is no hash of one file
		c.Properties = &[]cdx.Property{{Name: "go.sum", Value: m.Sum}}
	}
	if len(licences) > 0 {
		c.Licenses = &cdx.Licenses{}
	}
	for _, id := range licences {
		*c.Licenses = append(*c.Licenses, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return c
}

// settings are how the program was built, as the linker noted it.
func settings(info *buildinfo.BuildInfo) *[]cdx.Property {
	all := []cdx.Property{{Name: "go", Value: info.GoVersion}}
	for _, s := range info.Settings {
		if slices.Contains([]string{"GOOS", "GOARCH", "CGO_ENABLED", "-trimpath"}, s.Key) {
			all = append(all, cdx.Property{Name: s.Key, Value: s.Value})
		}
	}
	slices.SortFunc(all, func(a, b cdx.Property) int { return strings.Compare(a.Name, b.Name) })
	return &all
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// licencesOf reads the licences of each module in the module cache. One that is not
// recognised is left out rather than guessed.
func licencesOf(modules []debug.Module) (map[string][]string, error) {
	args := []string{"list", "-m", "-json"}
	for _, m := range modules {
		args = append(args, m.Path+"@"+m.Version)
	}
	licences := map[string][]string{}
	if len(modules) == 0 {
		return licences, nil
	}
	said, err := exec.Command("go", args...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(said)); ; {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return licences, nil
		} else if err != nil {
			return nil, err
		}
		if licences[m.Path], err = licencesIn(m.Dir); err != nil {
			return nil, err
		}
	}
}

// licencesIn returns the SPDX names of the licences that stand in a folder.
func licencesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || dir == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	names := []string{"LICENSE", "LICENSE.TXT", "LICENSE.MD", "LICENCE", "COPYING", "UNLICENSE"}
	for _, e := range entries {
		if !e.Type().IsRegular() || !slices.Contains(names, strings.ToUpper(e.Name())) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, m := range licensecheck.Scan(text).Match {
			found = append(found, m.ID)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

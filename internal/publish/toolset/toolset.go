// Package toolset gathers the programs of the update tool, one for each system, and writes
// the folder that a vendor copies into a product's bin/: the programs under the names that
// U2's users know, and vendor.json, which the tool starts from.
package toolset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// VendorFile is the name of what the tool reads beside itself.
const VendorFile = "vendor.json"

// askTime is how long a program may take to say its version.
const askTime = 20 * time.Second

// Program is the update tool for one system.
type Program struct {
	System string // OS/ARCH
	File   string // where it lies
	Ref    release.Ref
}

// Set is one version of the update tool for as many systems as there are programs.
type Set struct {
	Version  string
	Released time.Time
	Programs []Program // in the order of [release.ToolSystems]
	Missing  []string  // systems without one
}

// Source is where programs are looked for: uplevel-OS-ARCH, with .exe for Windows.
type Source struct {
	Dir    string // a program called uplevel in it counts as that of System, too
	System string // of this machine: its program is asked for the version, so it must be there
}

// Gather finds the programs and learns their version from that of this system. A program
// that is not of the version, or for another system than its name says, is refused.
func Gather(ctx context.Context, from Source) (Set, error) {
	var set Set
	for _, system := range release.ToolSystems() {
		p, err := from.find(system)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			set.Missing = append(set.Missing, system)
		case err != nil:
			return set, err
		default:
			set.Programs = append(set.Programs, p)
		}
	}
	own := slices.IndexFunc(set.Programs, func(p Program) bool { return p.System == from.System })
	if own < 0 {
		return set, problem.New(problem.Failed, "Build it (make tools-all), or name the folder that it lies in with --from.",
			"There is no update tool for %s in %s: no %s", from.System, from.Dir, fileName(from.System))
	}
	var err error
	if set.Version, set.Released, err = ask(ctx, set.Programs[own].File); err != nil {
		return set, err
	}
	for i := range set.Programs {
		if err := set.Programs[i].read(set.Version); err != nil {
			return set, err
		}
	}
	return set, nil
}

// fileName is the name that a build gives the program for a system.
func fileName(system string) string {
	return "uplevel-" + strings.Replace(system, "/", "-", 1) + suffix(system)
}

func suffix(system string) string {
	if strings.HasPrefix(system, "windows/") {
		return ".exe"
	}
	return ""
}

func (s Source) find(system string) (Program, error) {
	names := []string{fileName(system)}
	if system == s.System {
		names = append(names, "uplevel"+suffix(system))
	}
	var err error
	for _, name := range names {
		file := filepath.Join(s.Dir, name)
		var info fs.FileInfo
		switch info, err = os.Stat(file); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && !info.Mode().IsRegular():
			err = fmt.Errorf("%s is no file", file)
		case err == nil && (info.Size() < 1 || info.Size() > release.MaxTool):
			err = fmt.Errorf("%s has %d bytes, want 1 to %d", file, info.Size(), release.MaxTool)
		}
		if err != nil {
			return Program{}, problem.New(problem.Failed, "Name a folder of built update tools with --from.", "Unable to take the update tool: %w", err)
		}
		return Program{System: system, File: file}, nil
	}
	return Program{}, err
}

// ask runs a program for its version.
func ask(ctx context.Context, file string) (version string, released time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", released, err
	}
	out, err := exec.CommandContext(ctx, abs, "version", "--output", "json").Output() //nolint:gosec // the file that the publisher named
	var said struct {
		Version  string `json:"version"`
		Released string `json:"released"`
	}
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	if err == nil {
		err = release.CheckToolVersion(said.Version)
	}
	if err != nil {
		return "", released, problem.New(problem.Failed, "Build it again (make tools-all), and run it with version --output json.",
			"%s does not say which version it is: %w", file, err)
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if when, err := time.Parse(layout, said.Released); err == nil {
			released = when.UTC().Truncate(time.Second)
		}
	}
	return said.Version, released, nil
}

// read fills in digest and size, and refuses a program for another system or of another
// version, as far as its bytes tell.
func (p *Program) read(version string) error {
	next := "Build all of them in one go: make tools-all VERSION=" + version + "."
	info, err := buildinfo.ReadFile(p.File)
	if err != nil {
		return problem.New(problem.Failed, next, "%s is no program that was built with Go: %w", p.File, err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if built := settings["GOOS"] + "/" + settings["GOARCH"]; built != p.System {
		return problem.New(problem.Failed, next, "%s was built for %s, want %s", p.File, built, p.System)
	}
	data, err := os.ReadFile(p.File)
	if err != nil {
		return fmt.Errorf("reading the update tool: %w", err)
	}
	if !bytes.Contains(data, []byte(version)) {
		return problem.New(problem.Failed, next, "%s is not version %s", p.File, version)
	}
	p.Ref = release.Ref{Sum: sha256.Sum256(data), Size: int64(len(data))}
	return nil
}

// Listed returns the programs as they are listed when they are published.
func (s Set) Listed(minimum string) []release.Tool {
	var tools []release.Tool
	for _, p := range s.Programs {
		tools = append(tools, release.Tool{
			ToolListing: release.ToolListing{Version: s.Version, System: p.System, Released: s.Released, Minimum: minimum}, Program: p.Ref,
		})
	}
	return tools
}

// Open opens a program and refuses one that is not what was gathered.
func (p Program) Open() (io.ReadCloser, error) {
	f, err := os.Open(p.File)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{digest.NewReader(f, p.Ref.Sum, p.Ref.Size), f}, nil
}

// Write puts the programs into the folder out, under their names in a product's bin/, with
// vendor.json, of this content, beside them. A file is there whole or not at all; others
// in out stay.
func (s Set) Write(out, stem string, vendor []byte) error {
	if err := durable.MkdirAll(out, 0o755); err != nil {
		return cannotWrite(out, err)
	}
	for _, p := range s.Programs {
		if err := p.copyTo(filepath.Join(out, release.ToolFileName(stem, p.System))); err != nil {
			return cannotWrite(out, err)
		}
	}
	if err := durable.WriteFile(filepath.Join(out, VendorFile), vendor, 0o644); err != nil {
		return cannotWrite(out, err)
	}
	return nil
}

func (p Program) copyTo(name string) error {
	in, err := p.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := durable.Create(name, 0o755)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, in); err != nil {
		return fmt.Errorf("copying %s: %w", p.File, err)
	}
	return f.Commit()
}

func cannotWrite(out string, err error) error {
	return problem.New(problem.Failed, "Name a folder that can be written with --out, with room for them.",
		"Unable to write the update tools into %s: %w", out, err)
}

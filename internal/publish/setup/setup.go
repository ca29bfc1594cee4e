// Package setup writes the scripts that bring the update tool into a product's bin/:
// update_tool_setup.sh and update_tool_setup.ps1, named and called as their users know
// them. What they fetch is pinned in them by digest, so they need no trust in the service.
package setup

import (
	_ "embed"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
)

// The names that the scripts have in bin/.
const (
	ShellName      = "update_tool_setup.sh"
	PowerShellName = "update_tool_setup.ps1"
)

// Any is the system of a file that belongs beside the tool of every system.
const Any = "any"

// Tools is what the scripts fetch.
type Tools struct {
	Name    string // stem of the tool's file names, such as wso2update
	Service string // address that Path is below: http or https
	Version string // of the tool
	Files   []File
}

// File is one file that the scripts fetch into bin/.
type File struct {
	System   string // OS/ARCH as Go names them, such as linux/amd64, or Any
	FileName string // in bin/, such as wso2update_linux
	Path     string // of the URL, from / on; whoever asks gets it, without a token
	SHA256   digest.Digest
	Size     int64 // bytes
}

//go:embed setup.sh
var shell string

//go:embed setup.ps1
var powerShell string

// marker is the line of both texts that the values take the place of.
const marker = "# VALUES\n"

// Scripts returns update_tool_setup.sh (POSIX sh) and update_tool_setup.ps1. Equal tools
// give equal bytes, whatever the order of their files.
func Scripts(tools Tools) (sh, ps1 []byte, err error) {
	if err := tools.check(); err != nil {
		return nil, nil, err
	}
	values := []any{tools.Name, tools.Version, strings.TrimRight(tools.Service, "/"), tools.list()}
	sh = fill(shell, "NAME=%s\nVERSION=%s\nSERVICE=%s\nFILES=%s\n", `'\''`, values)
	ps1 = fill(powerShell, "$ToolName = %s\n$ToolVersion = %s\n$Service = %s\n$Files = %s\n", "''", values)
	return sh, ps1, nil
}

// fill puts the values, in single quotes, into a script; a quote inside is written so.
func fill(script, lines, quote string, values []any) []byte {
	quoted := make([]any, 0, len(values))
	for _, v := range values {
		quoted = append(quoted, "'"+strings.ReplaceAll(fmt.Sprint(v), "'", quote)+"'")
	}
	return []byte(strings.Replace(script, marker, fmt.Sprintf(lines, quoted...), 1))
}

// list has a line for each file, its fields apart by one space.
func (t Tools) list() string {
	lines := make([]string, 0, len(t.Files))
	for _, f := range t.Files {
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s", f.System, f.FileName, f.SHA256, f.Size, f.Path))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// check refuses values that a line of the list, a shell or a URL could read otherwise.
func (t Tools) check() error {
	name := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	path := regexp.MustCompile(`^/[A-Za-z0-9._~/%&=?+:@,-]+$`)
	system := regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)
	service := regexp.MustCompile(`^[!-~]+$`)
	address, err := url.Parse(t.Service)
	switch {
	case !name.MatchString(t.Name):
		return refused("the tool's name %.40q", t.Name)
	case !name.MatchString(t.Version):
		return refused("the tool's version %.40q", t.Version)
	case err != nil || !service.MatchString(t.Service) || address.Host == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "" ||
		address.Scheme != "https" && address.Scheme != "http":
		return refused("the service's address %.200q", t.Service)
	case len(t.Files) == 0:
		return refused("a list without files")
	}
	seen := map[string]bool{ShellName: true, PowerShellName: true}
	for _, f := range t.Files {
		lower := strings.ToLower(f.FileName)
		switch {
		case f.System != Any && !system.MatchString(f.System):
			return refused("the system %.40q", f.System)
		case !name.MatchString(f.FileName) || seen[lower]:
			return refused("the file name %.40q", f.FileName)
		case !path.MatchString(f.Path):
			return refused("the path %.200q", f.Path)
		case f.SHA256.IsZero() || f.Size <= 0:
			return refused("%s without digest or size", f.FileName)
		}
		seen[lower] = true
	}
	return nil
}

func refused(format string, args ...any) error {
	return problem.New(problem.Usage, "Correct it, then make the scripts again.", "The setup scripts cannot hold "+format, args...)
}

package release

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxTool bounds the bytes of one program of the update tool.
const MaxTool = 64 << 20

// MaxToolVersion bounds the bytes of a tool's version.
const MaxToolVersion = 40

var toolVersionPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?$`)

var systemPattern = regexp.MustCompile(`^[a-z0-9]{1,20}/[a-z0-9]{1,20}$`)

// CheckToolVersion refuses what is no version of the update tool: one to four numbers
// with dots, and a suffix after a hyphen where it is not a final one: 1.4.0, 2.0-rc.1.
func CheckToolVersion(version string) error {
	if len(version) > MaxToolVersion || !toolVersionPattern.MatchString(version) {
		return fmt.Errorf("version %.60q of the update tool: want numbers with dots, such as 1.4.0 or 1.5-rc.1", version)
	}
	return nil
}

// CompareTools orders versions of the update tool, as [cmp.Compare] does: by number, what
// is missing counting as 0; one with a suffix before the one without; suffixes part by
// part, numbers as numbers. It is the one order of the tool's versions. What is no version
// comes before all that are.
func CompareTools(a, b string) int {
	badA, badB := CheckToolVersion(a) != nil, CheckToolVersion(b) != nil
	switch {
	case badA && badB:
		return strings.Compare(a, b)
	case badA:
		return -1
	case badB:
		return 1
	}
	numbersA, suffixA, _ := strings.Cut(a, "-")
	numbersB, suffixB, _ := strings.Cut(b, "-")
	if c := compareParts(strings.Split(numbersA, "."), strings.Split(numbersB, "."), "0"); c != 0 {
		return c
	}
	if suffixA == "" || suffixB == "" {
		return -cmp.Compare(min(len(suffixA), 1), min(len(suffixB), 1))
	}
	parts := func(suffix string) []string {
		return regexp.MustCompile(`[0-9]+|[A-Za-z]+`).FindAllString(suffix, -1)
	}
	return compareParts(parts(suffixA), parts(suffixB), "")
}

// compareParts compares part by part, numbers as numbers and before words; missing is
// what a part that is not there counts as.
func compareParts(a, b []string, missing string) int {
	at := func(parts []string, i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return missing
	}
	for i := range max(len(a), len(b)) {
		x, y := at(a, i), at(b, i)
		n, errN := strconv.ParseUint(x, 10, 64)
		m, errM := strconv.ParseUint(y, 10, 64)
		c := strings.Compare(x, y)
		switch {
		case errN == nil && errM == nil:
			c = cmp.Compare(n, m)
		case x == "" || y == "": // the shorter one comes first
		case errN == nil:
			c = -1
		case errM == nil:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// ToolListing is the custom metadata of a program of the update tool in the signed role
// that lists them.
type ToolListing struct {
	Version  string    `json:"version"`
	System   string    `json:"system"`            // OS/ARCH as Go names them
	Released time.Time `json:"released"`          // second
	Minimum  string    `json:"minimum,omitempty"` // older tools must not go on without it
}

// Tool is one published program of the update tool: for one system, by its bytes.
type Tool struct {
	ToolListing
	Program Ref // its content
}

// ToolSystems are the systems that the update tool is built for, OS/ARCH.
func ToolSystems() []string {
	return []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}
}

// ToolPath returns the TUF target path of the tool for a system.
func ToolPath(version, system string) string {
	return "uplevel-tool/" + version + "/" + strings.Replace(system, "/", "_", 1)
}

// ToolFileName returns the name that the tool for a system has in a product's bin/, in the
// way of U2: stem_linux, stem_linux_arm64, stem_windows.exe.
func ToolFileName(stem, system string) string {
	name, arch, _ := strings.Cut(system, "/")
	file := stem + "_" + name
	if arch != "amd64" {
		file += "_" + arch
	}
	if name == "windows" {
		file += ".exe"
	}
	return file
}

// ParseToolListing reads the custom metadata of a target and refuses those of another
// path, or that cannot be.
func ParseToolListing(data []byte, path string) (ToolListing, error) {
	var l ToolListing
	if err := json.Unmarshal(data, &l); err != nil {
		return l, fmt.Errorf("its custom metadata cannot be read: %w", err)
	}
	return l, l.check(path)
}

func (l ToolListing) check(path string) error {
	if err := CheckToolVersion(l.Version); err != nil {
		return err
	}
	if l.Minimum != "" {
		if err := CheckToolVersion(l.Minimum); err != nil {
			return fmt.Errorf("minimum: %w", err)
		}
		if CompareTools(l.Minimum, l.Version) > 0 {
			return fmt.Errorf("it demands %s, which is newer than itself", l.Minimum)
		}
	}
	switch {
	case !systemPattern.MatchString(l.System): // later ones than this program knows are none of its business
		return fmt.Errorf("system %.40q: want OS/ARCH", l.System)
	case ToolPath(l.Version, l.System) != path:
		return fmt.Errorf("it is version %s for %s", l.Version, l.System)
	case l.Released.IsZero():
		return fmt.Errorf("it does not say when it was released")
	}
	return nil
}

// Check refuses a program that cannot be listed.
func (t Tool) Check() error {
	if t.Program.Size < 1 || t.Program.Size > MaxTool || t.Program.Sum.IsZero() {
		return fmt.Errorf("a program of %d bytes; 1 to %d can be", t.Program.Size, MaxTool)
	}
	return t.check(ToolPath(t.Version, t.System))
}

// NewestTool returns the newest of tools for a system; false when there is none.
func NewestTool(tools []Tool, system string) (newest Tool, ok bool) {
	for _, t := range tools {
		if t.System == system && (!ok || CompareTools(t.Version, newest.Version) > 0) {
			newest, ok = t, true
		}
	}
	return newest, ok
}

// MinimumTool returns the highest of the minimums that tools demand; empty: none.
func MinimumTool(tools []Tool) string {
	least := ""
	for _, t := range tools {
		if t.Minimum != "" && (least == "" || CompareTools(t.Minimum, least) > 0) {
			least = t.Minimum
		}
	}
	return least
}

package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// CheckPath refuses every path that could leave the home or mean something else on
// another system: empty, absolute, with "." or ".." or empty parts, backslashes,
// control characters, invalid UTF-8, longer than [MaxPath].
func CheckPath(p string) error {
	switch {
	case p == "":
		return errors.New("path is empty")
	case len(p) > MaxPath:
		return fmt.Errorf("path is longer than %d bytes", MaxPath)
	case !utf8.ValidString(p):
		return errors.New("path is not valid UTF-8")
	case strings.ContainsFunc(p, isControl):
		return errors.New("path holds a control character")
	case strings.Contains(p, `\`):
		return errors.New("path holds a backslash")
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("path has a part %q", part)
		}
	}
	return nil
}

// Reserved reports whether path belongs to the update tool and never enters a
// manifest: all of updates/, and in bin/ the tool under its own and U2's names, with the
// files that lie beside it.
func Reserved(p string) bool {
	if p == "updates" || strings.HasPrefix(p, "updates/") {
		return true
	}
	name, inBin := strings.CutPrefix(p, "bin/")
	if !inBin || strings.Contains(name, "/") {
		return false
	}
	switch name {
	case "vendor.json", "update_tool_setup.sh", "update_tool_setup.ps1":
		return true
	}
	return strings.HasPrefix(name, "uplevel") || strings.HasPrefix(name, "wso2update")
}

// CheckTarget refuses a link target that leaves the home when read from the link's
// own folder: absolute, or climbing above the top.
func CheckTarget(link, target string) error {
	if target == "" || len(target) > MaxPath || !utf8.ValidString(target) ||
		strings.ContainsFunc(target, isControl) || strings.Contains(target, `\`) {
		return fmt.Errorf("link target %.100q is not usable", target)
	}
	if strings.HasPrefix(target, "/") {
		return fmt.Errorf("link target %q is absolute", target)
	}
	end := path.Join(path.Dir(link), target)
	if end == ".." || strings.HasPrefix(end, "../") {
		return fmt.Errorf("link target %q leaves the product", target)
	}
	return nil
}

// Check refuses an entry that no manifest may list, whatever stands beside it.
func (e Entry) Check() error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	if Reserved(e.Path) {
		return errors.New("path belongs to the update tool")
	}
	if e.Mode&^0o777 != 0 {
		return fmt.Errorf("mode %04o has more than permission bits", e.Mode)
	}
	switch e.Kind {
	case Dir:
		return nil
	case Link:
		return CheckTarget(e.Path, e.Target)
	case File:
		if e.Size < 0 || e.Size > MaxFile {
			return fmt.Errorf("size %d is out of bounds", e.Size)
		}
		if e.Sum.IsZero() {
			return errors.New("digest is missing")
		}
		return nil
	case Other:
	}
	return fmt.Errorf("kind %q cannot be published", e.Kind)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) }

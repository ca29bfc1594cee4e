// Package merging holds the manual of merges: every file in testdata is one case, which the
// test runs and docs/merging.md shows. The page is made from the cases (`make merging`), so
// it cannot promise what the merge does not do.
package merging

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"uplevel/internal/merge"
	"uplevel/internal/merge/formats"
)

// The sections of a case's file.
const (
	base      = "base"
	mine      = "mine"
	theirs    = "theirs"
	result    = "result"    // with mine at conflicts
	vendors   = "vendor's"  // the result with theirs at conflicts
	conflicts = "conflicts" // a table of them
	whole     = "whole"     // why nothing inside the file is merged
)

// Case is one merge: what the three sides have, and what comes out.
type Case struct {
	Path       string // of its file, below testdata
	Title, Why string
	File       string // as the file is called that is merged
	How        string // as merge.Result says it
	order      []string
	texts      map[string]string // sections, odd bytes readable
	encodings  map[string]string // of a section: "UTF-16LE"; most have none
	bytes      map[string][]byte
}

// Read reads a case: lines `title:`, `why:`, `file:`, `how:`, then its sections.
func Read(dir, path string) (*Case, error) {
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	c := &Case{Path: path, texts: map[string]string{}, encodings: map[string]string{}, bytes: map[string][]byte{}}
	section := ""
	for line := range strings.Lines(string(data)) {
		if name, ok := heading(line); ok {
			section, err = c.begin(name)
		} else if section == "" {
			err = c.say(strings.TrimSuffix(line, "\n"))
		} else {
			c.texts[section] += line
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if c.Title == "" || c.Why == "" || c.File == "" || c.How == "" {
		return nil, fmt.Errorf("%s: title, why, file and how are to be told first", path)
	}
	for name, text := range c.texts {
		if c.bytes[name], err = toBytes(text, c.encodings[name]); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	return c, nil
}

// heading returns the name in a line `-- name --`.
func heading(line string) (string, bool) {
	line = strings.TrimSuffix(line, "\n")
	name, ok := strings.CutPrefix(line, "-- ")
	name, ok2 := strings.CutSuffix(name, " --")
	return name, ok && ok2
}

// begin starts a section: `mine`, or `mine (UTF-16LE)`.
func (c *Case) begin(name string) (string, error) {
	name, encoding, _ := strings.Cut(strings.TrimSuffix(name, ")"), " (")
	if !slices.Contains([]string{base, mine, theirs, result, vendors, conflicts, whole}, name) {
		return "", fmt.Errorf("there is no section %q", name)
	}
	if _, twice := c.texts[name]; twice {
		return "", fmt.Errorf("the section %s stands twice", name)
	}
	c.order = append(c.order, name)
	c.texts[name], c.encodings[name] = "", encoding
	return name, nil
}

func (c *Case) say(line string) error {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "title":
		c.Title = value
	case "why":
		c.Why = value
	case "file":
		c.File = value
	case "how":
		c.How = value
	default:
		return fmt.Errorf("%q is no line for the head of a case", line)
	}
	return nil
}

// Odd bytes are written so that people see them.
const (
	carriageReturn = "␍"
	openBytes      = "⟦"
	closeBytes     = "⟧"
)

// toBytes turns what a person reads into the bytes that it stands for.
func toBytes(text, encoding string) ([]byte, error) {
	var out strings.Builder
	rest := strings.ReplaceAll(text, carriageReturn, "\r")
	for {
		before, from, found := strings.Cut(rest, openBytes)
		out.WriteString(before)
		if !found {
			break
		}
		digits, after, closed := strings.Cut(from, closeBytes)
		odd, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if !closed || err != nil {
			return nil, fmt.Errorf("%s%s are no bytes", openBytes, digits)
		}
		out.Write(odd)
		rest = after
	}
	switch encoding {
	case "":
		return []byte(out.String()), nil
	case "UTF-16LE":
		return wide(out.String(), binary.LittleEndian), nil
	case "UTF-16BE":
		return wide(out.String(), binary.BigEndian), nil
	}
	return nil, fmt.Errorf("the encoding %q is not known", encoding)
}

// wide writes UTF-16 with its byte-order mark.
func wide(text string, order binary.AppendByteOrder) []byte {
	out := order.AppendUint16(nil, 0xFEFF)
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// Run merges the sides.
func (c *Case) Run() (merge.Result, error) {
	return merge.Merge(merge.Sides{
		Base: c.bytes[base], Mine: c.bytes[mine], Theirs: c.bytes[theirs],
	}, formats.For(c.File))
}

// Vendor returns what the vendor ships before and after.
func (c *Case) Vendor() (before, after []byte) { return c.bytes[base], c.bytes[theirs] }

// Judge says how a merge's outcome differs from what the case tells; nil: it does not.
func (c *Case) Judge(r merge.Result, failed error) error {
	if why, ok := c.texts[whole]; ok || failed != nil {
		if failed == nil {
			return errors.New("it was merged")
		}
		return differ(whole, failed.Error()+"\n", why)
	}
	return errors.Join(
		differ("how", r.How, c.How),
		differ(result, string(r.Merged), string(c.bytes[result])),
		differ(vendors, string(r.Theirs), string(c.bytes[vendors])),
		differ(conflicts, tell(r.Conflicts), c.texts[conflicts]),
	)
}

func differ(what, got, want string) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
}

// tell writes conflicts as a case has them: the key, then a line for what each side has.
func tell(all []merge.Conflict) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s\n", c.Key)
		for _, side := range []struct {
			name string
			has  merge.Value
		}{{base, c.Base}, {mine, c.Mine}, {theirs, c.Theirs}} {
			text := "nothing"
			if side.has.Present {
				text = "= " + strings.ReplaceAll(strings.TrimSuffix(side.has.Text, "\n"), "\n", "⏎")
			}
			fmt.Fprintf(&b, "  %s %s\n", side.name, text)
		}
	}
	return b.String()
}

// Package plain makes texts of unknown origin fit for a terminal: names of files, and what
// a service or somebody in its place writes. Whoever could move the cursor, change colours
// or turn the direction of writing could have a person read what was never said.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a text in which nothing speaks to the terminal: it stands there as an
// escape. Line ends, tabs and the marks named in keep stay.
func Text(text string, keep ...string) string {
	if !strings.ContainsFunc(text, Unsafe) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch mark := markAt(text[i:], keep); {
		case mark != "":
			b.WriteString(mark)
			n = len(mark)
		case r == utf8.RuneError && n == 1, Unsafe(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case Unsafe(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case Unsafe(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// markAt returns the mark that a text begins with; a line end is one.
func markAt(text string, keep []string) string {
	if strings.HasPrefix(text, "\r\n") {
		return "\r\n"
	}
	for _, mark := range keep {
		if strings.HasPrefix(text, mark) {
			return mark
		}
	}
	return ""
}

// JSON returns a JSON text that means the same, and in which nothing speaks to the
// terminal. Such characters stand in strings only, where an escape means them.
func JSON(text string) string {
	if !strings.ContainsFunc(text, Unsafe) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !Unsafe(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// Unsafe reports whether a character speaks to the terminal. Those that join letters as
// some scripts and pictures want it do not.
func Unsafe(r rune) bool {
	switch r {
	case '\n', '\t', 0x200c, 0x200d:
		return false
	case utf8.RuneError, 0x2028, 0x2029:
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// Writer hands on what is written as [Text] makes it, write by write.
func Writer(to io.Writer) io.Writer { return writer{to} }

type writer struct{ to io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, Text(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

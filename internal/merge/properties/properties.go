// Package properties finds the keys of Java .properties files, as java.util.Properties
// reads them.
package properties

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"uplevel/internal/merge"
)

// Format is the Java .properties format.
type Format struct{}

// Name implements [merge.Format].
func (Format) Name() string { return "properties" }

// Check refuses what java.util.Properties refuses: a \u without four hexadecimal digits.
func (Format) Check(text string) error {
	for at := 0; at < len(text); {
		line := logical(text, at)
		at = line.next
		if line.remark {
			continue
		}
		e := line.entry(text)
		for _, s := range []string{text[e.key.from:e.key.to], text[e.value:line.end]} {
			if _, err := unescape(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Parse returns the entries of a text, one beside the other.
func (Format) Parse(text string) (*merge.Node, error) {
	if strings.Count(text, "\r") != strings.Count(text, "\r\n") {
		return nil, errors.New("a carriage return without a line feed ends a line")
	}
	root := &merge.Node{Kind: merge.Map, Lines: true}
	var remarks merge.Remarks
	seen := map[string]bool{}
	from := 0
	for at := 0; at < len(text); {
		line := logical(text, at)
		if line.remark {
			at = line.next
			continue
		}
		n, err := node(text, line)
		if err != nil {
			return nil, err
		}
		if seen[n.Key] {
			return nil, fmt.Errorf("%s is given twice", n.Key)
		}
		seen[n.Key] = true
		alone, own := remarks.Cut(text[from:at])
		n.Head = own + n.Head
		root.Children = append(append(root.Children, alone...), n)
		from, at = line.next, line.next
	}
	alone, rest := remarks.CutEnd(text[from:])
	root.Children, root.Tail = append(root.Children, alone...), rest
	return root, nil
}

// Repeats returns the keys that a text gives again: java.util.Properties takes the last.
func (Format) Repeats(text string) map[string]int {
	seen, again := map[string]bool{}, map[string]int{}
	for at := 0; at < len(text); {
		line := logical(text, at)
		at = line.next
		if line.remark {
			continue
		}
		e := line.entry(text)
		key := text[e.key.from:e.key.to]
		if said, err := unescape(key); err == nil {
			key = said
		}
		if seen[key] {
			again[key]++
		}
		seen[key] = true
	}
	return again
}

// node is an entry without what stands before its line.
func node(text string, line line) (*merge.Node, error) {
	e := line.entry(text)
	key, err := unescape(text[e.key.from:e.key.to])
	if err != nil {
		return nil, err
	}
	value, err := unescape(text[e.value:line.end])
	if err != nil {
		return nil, err
	}
	if strings.Contains(text[line.from:e.key.from], "\n") {
		// What follows may be a comment after all.
		return nil, errors.New("a line begins with its continuation")
	}
	return &merge.Node{
		Kind:  merge.Scalar,
		Key:   strings.ReplaceAll(key, "\x00", `\u`),
		Head:  text[line.from:e.value],
		Raw:   text[e.value:line.end],
		Value: value,
		Tail:  text[line.end:line.next],
	}, nil
}

// line is a logical line: natural lines of which each but the last ends in a backslash.
type line struct {
	from, end int // without the line's end
	next      int
	remark    bool // blank, or a comment
}

// logical returns the logical line that begins at a place.
func logical(text string, from int) line {
	first := blanks(text, from)
	remark := first == len(text) || strings.IndexByte("#!\r\n", text[first]) >= 0
	for at := from; ; {
		end, next := natural(text, at)
		if remark || next == len(text) || !continued(text[at:end]) {
			return line{from, end, next, remark}
		}
		at = next
	}
}

// natural returns where the line from a place on ends, and where the next one begins.
func natural(text string, from int) (end, next int) {
	i := strings.IndexByte(text[from:], '\n')
	if i < 0 {
		return len(text), len(text)
	}
	end = from + i
	if i > 0 && text[end-1] == '\r' {
		return end - 1, end + 1
	}
	return end, end + 1
}

// continued reports whether a line ends in a backslash that no other one escapes.
func continued(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// blanks returns the place behind blanks.
func blanks(text string, at int) int {
	for at < len(text) && strings.IndexByte(" \t\f", text[at]) >= 0 {
		at++
	}
	return at
}

type span struct{ from, to int }

// entry is where the key of a logical line stands, and where its value begins.
type entry struct {
	key   span
	value int
}

func (l line) entry(text string) entry {
	text = text[:l.end]
	var e entry
	e.key.from = skip(text, l.from)
	at := e.key.from
	for at < len(text) && strings.IndexByte("=: \t\f", text[at]) < 0 {
		if after := resumed(text, at); after > at {
			at = blanks(text, after)
			continue
		}
		if text[at] == '\\' {
			at++
		}
		at++
	}
	e.key.to = min(at, len(text))
	at = skip(text, e.key.to)
	if at < len(text) && (text[at] == '=' || text[at] == ':') {
		at = skip(text, at+1)
	}
	e.value = at
	return e
}

// skip returns the place behind blanks and the ends of continued lines.
func skip(text string, at int) int {
	for {
		at = blanks(text, at)
		after := resumed(text, at)
		if after == at {
			return at
		}
		at = after
	}
}

// resumed returns where a line goes on that a backslash at a place continues.
func resumed(text string, at int) int {
	rest := text[at:]
	switch {
	case strings.HasPrefix(rest, "\\\n"):
		return at + 2
	case strings.HasPrefix(rest, "\\\r\n"):
		return at + 3
	}
	return at
}

// unescape returns what a key or value says. A character beyond ASCII that is written as
// \u keeps apart from one that stands there itself, behind a NUL: what bytes say depends
// on how the product reads the file.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for at := 0; at < len(s); {
		if s[at] != '\\' {
			b.WriteByte(s[at])
			at++
			continue
		}
		if after := resumed(s, at); after > at {
			at = blanks(s, after)
			continue
		}
		n, err := escape(&b, s[at+1:])
		if err != nil {
			return "", err
		}
		at += 1 + n
	}
	return b.String(), nil
}

// escape writes what stands behind a backslash, and returns how long it is.
func escape(b *strings.Builder, s string) (int, error) {
	if s == "" {
		return 0, nil // a backslash that ends the text counts for nothing
	}
	const letters, meant = "tnrf", "\t\n\r\f"
	if i := strings.IndexByte(letters, s[0]); i >= 0 {
		b.WriteByte(meant[i])
		return 1, nil
	}
	if s[0] != 'u' {
		b.WriteByte(s[0])
		return 1, nil
	}
	digits := s[1:min(5, len(s))]
	code, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(digits) < 4 {
		return 0, fmt.Errorf(`\u%q is no character`, digits)
	}
	if 0 < code && code < 0x80 {
		b.WriteByte(byte(code))
	} else {
		fmt.Fprintf(b, "\x00%04x", code)
	}
	return 5, nil
}

// Package document makes JSON documents of the tool fit for a bundle, whatever state they
// are in.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Lines puts each value of a JSON text on a line of its own: lines are what is redacted,
// and read. A text that is cut is taken as far as it goes; one that is damaged, or no
// JSON, stays as it is, because what are strings in it is not known. What goes over limit
// bytes is cut.
func Lines(data []byte, limit int) []byte {
	if !begins(data) {
		return data
	}
	const deepest = 8
	var b bytes.Buffer
	depth, inside, escaped := 0, false, false
	for _, c := range data {
		if b.Len() > limit {
			b.WriteString("\n… (cut)\n")
			break
		}
		switch {
		case inside:
			inside, escaped = c != '"' || escaped, c == '\\' && !escaped
			b.WriteByte(c)
			continue
		case c == '"':
			inside = true
			b.WriteByte(c)
		case c == '{' || c == '[':
			depth++
			b.WriteByte(c)
			newLine(&b, min(depth, deepest))
		case c == '}' || c == ']':
			depth = max(0, depth-1)
			newLine(&b, min(depth, deepest))
			b.WriteByte(c)
		case c == ',':
			b.WriteByte(c)
			newLine(&b, min(depth, deepest))
		case c == ':':
			b.WriteString(": ")
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if depth == 0 {
				b.WriteByte(c)
			}
		default:
			b.WriteByte(c)
		}
	}
	if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' {
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// begins reports whether data is JSON, or the beginning of one.
func begins(data []byte) bool {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
		return false
	}
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

func newLine(b *bytes.Buffer, depth int) {
	b.WriteByte('\n')
	for range depth {
		b.WriteString("  ")
	}
}

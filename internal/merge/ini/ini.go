// Package ini finds the keys of INI files: sections, and lines of `key = value` or
// `key: value`. There is no one such format; where its dialects disagree on what a text
// says, no keys are found in it.
package ini

import (
	"errors"
	"fmt"
	"strings"

	"uplevel/internal/merge"
)

// Format is the INI format.
type Format struct{}

// Name implements [merge.Format].
func (Format) Name() string { return "INI" }

// Check refuses section headers that are not closed, and keys without a name.
func (Format) Check(text string) error {
	at := 0
	for raw := range strings.Lines(text) {
		at++
		if _, err := read(raw); err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
	}
	return nil
}

// Parse returns the sections of a text with their entries. What stands before the first
// section is a section without a name, which is always there: so a new key comes to stand
// in front of the sections.
func (Format) Parse(text string) (*merge.Node, error) {
	if strings.Count(text, "\r") != strings.Count(text, "\r\n") {
		return nil, errors.New("a carriage return without a line feed ends a line")
	}
	p := parser{root: &merge.Node{Kind: merge.Map, Lines: true}, names: map[string]bool{"": true}}
	p.begin(&merge.Node{Kind: merge.Map, Lines: true})
	from, at := 0, 0
	for raw := range strings.Lines(text) {
		l, err := read(raw)
		if err != nil {
			return nil, err
		}
		if l.kind != remark {
			if err := p.add(l, text[from:at]); err != nil {
				return nil, err
			}
			from = at + len(raw)
		}
		at += len(raw)
	}
	lines := p.leave(text[from:], true)
	alone, rest := p.remarks.CutEnd(lines)
	p.root.Children, p.root.Tail = append(p.root.Children, alone...), rest
	return p.root, nil
}

// Repeats returns the keys that a text gives again in a section.
func (Format) Repeats(text string) map[string]int {
	seen, again := map[string]bool{}, map[string]int{}
	in := ""
	for raw := range strings.Lines(text) {
		l, err := read(raw)
		if err != nil {
			continue
		}
		switch l.kind {
		case remark:
		case section:
			in = l.key
		case entry:
			key := in + "." + l.key
			if seen[key] {
				again[key]++
			}
			seen[key] = true
		}
	}
	return again
}

// kind is what a line is.
type kind string

const (
	remark  kind = "remark" // a comment, or blank
	section kind = "section"
	entry   kind = "entry"
)

// line is a line in pieces: head, value and tail are the whole.
type line struct {
	kind              kind
	indent, key       string
	head, value, tail string
	bare              bool // no sign stands behind the key
}

const blanks = " \t\f"

func read(raw string) (line, error) {
	body := strings.TrimRight(raw, blanks+"\r\n")
	text := strings.TrimLeft(body, blanks)
	l := line{indent: body[:len(body)-len(text)]}
	switch {
	case text == "", text[0] == ';', text[0] == '#':
		l.kind = remark
		return l, nil
	case text[0] == '[':
		return header(l, raw, text)
	}
	l.kind = entry
	// What stands behind a `;` is value: whether it is a comment, dialects disagree.
	sign := strings.IndexAny(text, "=:")
	if sign < 0 {
		l.key, l.bare = text, true
		l.head, l.tail = body, raw[len(body):]
		return l, nil
	}
	l.key = strings.TrimRight(text[:sign], blanks)
	if l.key == "" {
		return line{}, errors.New("a key has no name")
	}
	l.value = strings.TrimLeft(text[sign+1:], blanks)
	l.head, l.tail = body[:len(body)-len(l.value)], raw[len(body):]
	return l, nil
}

// header reads the header of a section; a comment may follow it.
func header(l line, raw, text string) (line, error) {
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return line{}, errors.New("a section is not closed")
	}
	if rest := strings.TrimLeft(text[end+1:], blanks); rest != "" && rest[0] != ';' && rest[0] != '#' {
		return line{}, errors.New("more than a comment follows the name of a section")
	}
	l.kind, l.key, l.head = section, strings.Trim(text[1:end], blanks), raw
	return l, nil
}

// parser gathers the sections of a text.
type parser struct {
	root, into *merge.Node // into: what takes entries now
	remarks    merge.Remarks
	inside     merge.Remarks   // of the section
	names      map[string]bool // of the sections
	keys       map[string]bool // of the section
	last       line
}

func (p *parser) begin(n *merge.Node) {
	p.root.Children = append(p.root.Children, n)
	p.into, p.keys, p.inside, p.last = n, map[string]bool{}, merge.Remarks{}, line{}
}

// add takes a line that is no remark, and the remarks before it.
func (p *parser) add(l line, before string) error {
	if l.kind == section {
		return p.section(l, before)
	}
	if err := p.doubt(l); err != nil {
		return err
	}
	if l.bare && p.into == p.root.Children[0] {
		return errors.New("words before any section may be commands, whose order counts")
	}
	if p.keys[l.key] {
		return fmt.Errorf("%s is given twice", l.key)
	}
	p.keys[l.key] = true
	if len(p.keys) == 1 {
		p.into.Indent = l.indent
	}
	alone, own := p.inside.Cut(before)
	n := &merge.Node{Kind: merge.Scalar, Key: l.key, Head: own + l.head, Raw: l.value, Value: l.value, Tail: l.tail}
	p.into.Children = append(append(p.into.Children, alone...), n)
	p.last = l
	return nil
}

// doubt refuses a line that some read as the continuation of the one before.
func (p *parser) doubt(l line) error {
	switch {
	case p.last.kind != entry:
		return nil
	case len(l.indent) > len(p.last.indent), l.bare && strings.HasSuffix(p.last.value, `\`):
		return fmt.Errorf("%s may be the continuation of %s", l.key, p.last.key)
	}
	return nil
}

func (p *parser) section(l line, before string) error {
	if p.names[l.key] {
		return fmt.Errorf("%s is given twice", l.key)
	}
	p.names[l.key] = true
	before = p.leave(before, false)
	alone, own := p.remarks.Cut(before)
	n := &merge.Node{Kind: merge.Map, Key: l.key, Lines: true, Head: own + l.head}
	p.root.Children = append(p.root.Children, alone...)
	p.begin(n)
	return nil
}

// leave ends a section: comments that follow its last entry without a blank line belong to
// it, unless they belong to the next section. It returns the other ones.
func (p *parser) leave(lines string, end bool) string {
	p.into.Tail, lines = merge.Closing(lines, end)
	return lines
}

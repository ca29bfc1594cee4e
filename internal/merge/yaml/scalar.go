package yaml

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	stdyaml "go.yaml.in/yaml/v4"

	"uplevel/internal/merge"
)

// known refuses what points elsewhere, and what only the reader of a text understands.
func known(y *stdyaml.Node) error {
	switch {
	case y.Anchor != "", y.Kind == stdyaml.AliasNode:
		return errors.New("it has anchors or aliases")
	case y.Style&stdyaml.TaggedStyle != 0:
		return errors.New("it has tags")
	}
	return nil
}

// scalar reads a value that is one piece: it stands at an offset or in a line behind it.
func (p *parser) scalar(n *merge.Node, y *stdyaml.Node, from, at, stop int) (int, error) {
	n.Kind, n.Lines = merge.Scalar, true
	var err error
	if n.Value, err = says(y, 0); err != nil {
		return 0, err
	}
	n.Head = p.text[from:at]
	if empty(y) {
		if !idle(p.line(at)) {
			return 0, errPlace
		}
		n.Tail = p.text[at:p.next(at)]
		return p.next(at), p.silent(p.next(at), stop)
	}
	for at < stop && idle(p.line(at)) {
		at = p.next(at)
	}
	at += len(p.text[at:stop]) - len(strings.TrimLeft(p.text[at:stop], " "))
	length := p.length(y, p.text[at:stop])
	if length <= 0 {
		return 0, errPlace
	}
	end := at + length
	if block(y) {
		// A comment that another side has behind its value must not get into the text.
		end = p.next(end)
	}
	n.Head, n.Raw = p.text[from:at], p.text[at:end]
	if block(y) {
		return end, p.silent(end, stop)
	}
	if !idle(p.line(end)) {
		return 0, errPlace
	}
	n.Tail = p.text[end:p.next(end)]
	return p.next(end), p.silent(p.next(end), stop)
}

// empty reports whether a value is not written at all.
func empty(y *stdyaml.Node) bool {
	return y.Kind == stdyaml.ScalarNode && y.Value == "" && y.Style == 0
}

// block reports whether a value is a text in lines of its own.
func block(y *stdyaml.Node) bool {
	return y.Style&(stdyaml.LiteralStyle|stdyaml.FoldedStyle) != 0
}

// silent refuses text between entries that says something.
func (p *parser) silent(from, to int) error {
	for ; from < to; from = p.next(from) {
		if !idle(p.line(from)) {
			return errPlace
		}
	}
	return nil
}

// length is how much of a text belongs to the value that it begins with; 0: unknown.
func (p *parser) length(y *stdyaml.Node, s string) int {
	switch {
	case s == "":
		return 0
	case flow(y):
		return flowLength(s)
	case block(y):
		return blockLength(s)
	case y.Style&(stdyaml.SingleQuotedStyle|stdyaml.DoubleQuotedStyle) != 0:
		return quoted(s)
	}
	return plainLength(s)
}

// plainLength ends a plain value before a comment, or the blank lines and comments behind
// it.
func plainLength(s string) int {
	length := 0
	for at, line := range lines(s) {
		i := strings.Index(line, " #")
		if j := strings.Index(line, "\t#"); j >= 0 && (i < 0 || j < i) {
			i = j
		}
		if at > 0 && idle(line) && strings.TrimSpace(line) != "" {
			return length
		}
		if i >= 0 {
			line = line[:i]
		}
		if said := strings.TrimRight(line, " \t\r\n"); said != "" {
			length = at + len(said)
		}
		if i >= 0 {
			return length
		}
	}
	return length
}

// blockLength is the length of a literal or folded text: its first line, and those that
// stand as deep as the first of what it says.
func blockLength(s string) int {
	header, _, _ := strings.Cut(s, "\n")
	header, _, _ = strings.Cut(header, " ")
	keep := strings.Contains(header, "+")
	indent := -1
	if i := strings.IndexAny(header, "123456789"); i >= 0 {
		return 0 // an indentation that depends on what stands around
	}
	length := 0
	for at, line := range lines(s) {
		said := strings.TrimRight(line, "\r\n")
		deep := len(said) - len(strings.TrimLeft(said, " "))
		switch {
		case at == 0:
			length = len(said)
			continue
		case deep == len(said):
			if keep {
				length = at + len(said)
			}
			continue
		case indent < 0:
			indent = deep
		}
		if deep < indent || indent == 0 {
			return length
		}
		length = at + len(said)
	}
	return length
}

// flowLength is the length of a collection in braces.
func flowLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		fresh := i == 0 || strings.IndexByte(" \t\r\n,[]{}:", s[i-1]) >= 0
		switch c := s[i]; {
		case (c == '"' || c == '\'') && fresh:
			length := quoted(s[i:])
			if length == 0 {
				return 0
			}
			i += length - 1
		case c == '#' && i > 0 && strings.IndexByte(" \t\n", s[i-1]) >= 0:
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return 0
			}
			i += end
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// lines gives each line with its end, and where it begins.
func lines(s string) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		at := 0
		for line := range strings.Lines(s) {
			if !yield(at, line) {
				return
			}
			at += len(line)
		}
	}
}

// says is what a value says, however it is written: its kind, and its content.
func says(y *stdyaml.Node, depth int) (string, error) {
	if err := known(y); err != nil || depth > merge.MaxDepth {
		return "", errPlace
	}
	if y.Kind == stdyaml.ScalarNode {
		return scalarSays(y), nil
	}
	parts := make([]string, 0, len(y.Content))
	for _, c := range y.Content {
		part, err := says(c, depth+1)
		if err != nil {
			return "", err
		}
		parts = append(parts, strconv.Itoa(len(part))+":"+part)
	}
	tag := "!!seq"
	if y.Kind == stdyaml.MappingNode {
		tag = "!!map"
		pairs := make([]string, 0, len(parts)/2)
		seen := map[string]bool{}
		for i := 0; i+1 < len(parts); i += 2 {
			if seen[parts[i]] {
				return "", errors.New("a key is given twice")
			}
			seen[parts[i]] = true
			pairs = append(pairs, parts[i]+parts[i+1])
		}
		slices.Sort(pairs)
		parts = pairs
	}
	return tag + "\x00" + strings.Join(parts, ""), nil
}

// scalarSays tells a text from a number or a truth value. What a reader of YAML 1.1 would
// take for one of those is not the same as that text in quotes.
func scalarSays(y *stdyaml.Node) string {
	tag, value := y.ShortTag(), y.Value
	plain := y.Style&(stdyaml.SingleQuotedStyle|stdyaml.DoubleQuotedStyle|stdyaml.LiteralStyle|stdyaml.FoldedStyle) == 0
	switch {
	case tag == "!!null":
		return tag
	case tag == "!!bool":
		value = strings.ToLower(value)
	case tag == "!!str" && plain && value != "" && (strings.IndexByte("+-.0123456789", value[0]) >= 0 ||
		slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(value))):
		tag = "plain"
	}
	return tag + "\x00" + value
}

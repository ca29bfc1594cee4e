// Package json finds the keys of a JSON text for merging. The text is strict JSON: one
// with comments or trailing commas is none.
package json

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"

	"uplevel/internal/merge"
)

// errNotJSON says that a text is no JSON.
var errNotJSON = errors.New("not JSON")

// Format finds the keys of JSON.
type Format struct{}

// Name is what people are told.
func (Format) Name() string { return "JSON" }

// Check refuses a text that is no JSON.
func (Format) Check(text string) error {
	if !stdjson.Valid([]byte(text)) {
		return errNotJSON
	}
	return nil
}

// Parse returns the text in pieces. A key given twice is an error.
func (f Format) Parse(text string) (*merge.Node, error) {
	if err := f.Check(text); err != nil {
		return nil, err
	}
	s := &scanner{text: text, left: merge.MaxNodes}
	s.space()
	root, err := s.value(0, 0)
	if err != nil {
		return nil, err
	}
	root.Tail += text[s.at:]
	indent(root, "", unit(root))
	return root, nil
}

// Repeats returns the keys that objects give again: most readers take the last. Keys are
// remembered by their sums, so that a large text costs little.
func (Format) Repeats(text string) map[string]int {
	again := map[string]int{}
	seed := maphash.MakeSeed()
	d := stdjson.NewDecoder(strings.NewReader(text))
	var open []map[uint64]bool // nil: an array
	isKey := false
	for {
		token, err := d.Token()
		if err != nil {
			return again
		}
		switch token {
		case stdjson.Delim('{'):
			open, isKey = append(open, map[uint64]bool{}), true
			continue
		case stdjson.Delim('['):
			open, isKey = append(open, nil), false
			continue
		case stdjson.Delim('}'), stdjson.Delim(']'):
			open = open[:len(open)-1]
		default:
			if key, ok := token.(string); ok && isKey {
				sum, seen := maphash.String(seed, key), open[len(open)-1]
				if seen[sum] {
					again[key]++
				}
				seen[sum], isKey = true, false
				continue
			}
		}
		isKey = len(open) > 0 && open[len(open)-1] != nil
	}
}

// scanner reads a text that is known to be JSON.
type scanner struct {
	text string
	at   int
	left int // nodes that may still come
}

func (s *scanner) space() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

// value reads the value that begins here; its head begins at from.
func (s *scanner) value(from, depth int) (*merge.Node, error) {
	if s.left--; s.left < 0 || depth > merge.MaxDepth {
		return nil, fmt.Errorf("more than %d values, or deeper than %d", merge.MaxNodes, merge.MaxDepth)
	}
	switch s.text[s.at] {
	case '{':
		return s.container(merge.Map, from, depth)
	case '[':
		return s.container(merge.List, from, depth)
	}
	n := &merge.Node{Kind: merge.Scalar, Head: s.text[from:s.at], Raw: s.scalar()}
	n.Value = n.Raw
	if n.Raw[0] == '"' {
		n.Value = `"` + decoded(n.Raw)
	}
	return n, nil
}

// scalar passes a string, a number or a word.
func (s *scanner) scalar() string {
	from := s.at
	if s.text[s.at] == '"' {
		for s.at++; s.text[s.at] != '"'; s.at++ {
			if s.text[s.at] == '\\' {
				s.at++
			}
		}
		s.at++
		return s.text[from:s.at]
	}
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n,]}", s.text[s.at]) < 0 {
		s.at++
	}
	return s.text[from:s.at]
}

// container reads an object or an array with all that it holds.
func (s *scanner) container(kind merge.Kind, from, depth int) (*merge.Node, error) {
	s.at++
	n := &merge.Node{Kind: kind, Head: s.text[from:s.at], Sep: ","}
	seen := map[string]bool{}
	start := s.at
	for s.space(); s.text[s.at] != '}' && s.text[s.at] != ']'; s.space() {
		key := ""
		if kind == merge.Map {
			key = named(decoded(s.scalar()))
			if seen[key] {
				return nil, fmt.Errorf("the key %s is given twice", key)
			}
			seen[key] = true
			s.space()
			s.at++ // the colon
			s.space()
		}
		c, err := s.value(start, depth+1)
		if err != nil {
			return nil, err
		}
		c.Key = key
		n.Children = append(n.Children, c)
		start = s.at
		if s.space(); s.text[s.at] == ',' {
			c.Tail += s.text[start:s.at]
			s.at++
			start = s.at
		}
	}
	s.at++
	n.Tail = s.text[start:s.at]
	if kind == merge.List {
		identify(n.Children)
	}
	return n, nil
}

// decoded is what a string says. One that holds what is no text, such as half a
// surrogate, stands for itself as it is written.
func decoded(raw string) string {
	var out string
	if stdjson.Unmarshal([]byte(raw), &out) != nil || strings.ContainsRune(out, '\uFFFD') {
		return raw
	}
	return out
}

// named is a key as it is shown to people: quoted where it would not be seen, or be taken
// for something else.
func named(key string) string {
	if key == "" || strings.IndexByte(`"[@`, key[0]) >= 0 || strings.ContainsAny(key, "\r\n\t") {
		return strconv.Quote(key)
	}
	return key
}

// identify tells the elements of an array apart by the member that names each.
func identify(elements []*merge.Node) {
	for _, e := range elements {
		if e.Kind != merge.Map {
			continue
		}
		names := map[string]string{}
		for _, c := range e.Children {
			if c.Kind == merge.Scalar && c.Value != "null" {
				names[c.Key] = strings.TrimPrefix(c.Value, `"`)
			}
		}
		for _, key := range []string{"id", "name", "key", "class"} {
			if v, ok := names[key]; ok {
				e.Identity = "[" + key + "=" + v + "]"
				break
			}
		}
	}
}

// unit is one step of indentation.
func unit(root *merge.Node) string {
	if own, ok := lineIndent(root); ok && own != "" {
		return own
	}
	return "  "
}

// indent sets the indentation of what containers hold or, where they hold nothing or
// stand on one line, would hold.
func indent(n *merge.Node, outer, unit string) {
	if n.Kind == merge.Scalar {
		return
	}
	n.Indent = outer + unit
	if own, ok := lineIndent(n); ok {
		n.Indent = own
	}
	for _, c := range n.Children {
		indent(c, n.Indent, unit)
	}
}

// lineIndent is the white space before the first child, if it begins a line.
func lineIndent(n *merge.Node) (string, bool) {
	if len(n.Children) == 0 {
		return "", false
	}
	head := n.Children[0].Head
	space := head[:len(head)-len(strings.TrimLeft(head, " \t\r\n"))]
	i := strings.LastIndexByte(space, '\n')
	return space[i+1:], i >= 0
}

package toml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"uplevel/internal/merge"
)

// values makes nodes of values. The parser says where those without parts stand; the ends
// of the others are found between them.
type values struct {
	text string
	p    *unstable.Parser
}

// node is the value at a place, and where it ends.
func (v values) node(n *unstable.Node, at, depth int) (*merge.Node, int, error) {
	if depth > merge.MaxDepth {
		return nil, 0, fmt.Errorf("values lie in one another, more than %d deep", merge.MaxDepth)
	}
	switch n.Kind { //nolint:exhaustive // the other kinds are answered alike
	case unstable.Array:
		return v.array(n, at, depth)
	case unstable.InlineTable:
		return v.table(n, at, depth)
	default:
		says, err := decoded(v.p, n)
		end := at + int(n.Raw.Length)
		return scalar(v.text[at:end], says), end, err
	}
}

func scalar(raw, says string) *merge.Node {
	return &merge.Node{Kind: merge.Scalar, Raw: raw, Value: says}
}

// part is an element of an array, or an entry of an inline table.
type part struct {
	node             *merge.Node
	from, value, end int // value: where it begins; from is the same in an array
}

// array is a list if each of its elements stands on lines of its own, otherwise it is one
// value.
func (v values) array(n *unstable.Node, at, depth int) (*merge.Node, int, error) {
	var parts []part
	end := at + 1
	for it := n.Children(); it.Next(); {
		from := v.skip(end)
		c, to, err := v.node(it.Node(), from, depth+1)
		if err != nil {
			return nil, 0, err
		}
		parts = append(parts, part{c, from, from, to})
		end = to
	}
	end = v.skip(end) + 1
	if list := v.list(parts, at, end); list != nil {
		return list, end, nil
	}
	return scalar(v.text[at:end], spell(nodes(parts), "[", "]")), end, nil
}

// list puts the elements of an array on their lines; nil: they share some.
func (v values) list(parts []part, at, end int) *merge.Node {
	next, ok := v.lineEnd(at+1, false)
	if !ok {
		return nil
	}
	list := &merge.Node{Kind: merge.List, Lines: true, Head: v.text[at:next]}
	for i, p := range parts {
		before := v.text[next:p.from]
		indent := before[strings.LastIndexByte(before, '\n')+1:]
		after, ok := v.lineEnd(p.end, true)
		if !ok || p.from < next || strings.Trim(indent, " \t") != "" {
			return nil
		}
		if i == 0 {
			list.Indent = indent
		}
		p.node.Head = before + p.node.Head
		p.node.Tail += v.text[p.end:after]
		p.node.Identity = identity(p.node)
		list.Children = append(list.Children, p.node)
		next = after
	}
	if next > end {
		return nil
	}
	list.Tail = v.text[next:end]
	return list
}

// table is a map if it stands in one line, otherwise it is one value.
func (v values) table(n *unstable.Node, at, depth int) (*merge.Node, int, error) {
	var parts []part
	end := at + 1
	for it := n.Children(); it.Next(); {
		e := it.Node()
		from := int(e.Raw.Offset)
		start := valueStart(v.text, e)
		c, to, err := v.node(e.Value(), start, depth+1)
		if err != nil {
			return nil, 0, err
		}
		c.Key = keyOf(e.Key())
		parts = append(parts, part{c, from, start, to})
		end = to
	}
	closing := v.skip(end)
	trailing := len(parts) > 0 && strings.Contains(v.text[end:closing], ",")
	if trailing || strings.Contains(v.text[at:closing], "\n") {
		return scalar(v.text[at:closing+1], spell(byKey(nodes(parts)), "{", "}")), closing + 1, nil
	}
	return v.inline(parts, at, closing+1), closing + 1, nil
}

func (v values) inline(parts []part, at, end int) *merge.Node {
	n := &merge.Node{Kind: merge.Map, Sep: ",", Head: v.text[at : at+1]}
	last := at + 1
	for i, p := range parts {
		if i > 0 {
			comma := last + strings.IndexByte(v.text[last:], ',')
			n.Children[i-1].Tail += v.text[last:comma]
			last = comma + 1
		}
		p.node.Head = v.text[last:p.value] + p.node.Head
		n.Children = append(n.Children, p.node)
		last = p.end
	}
	n.Tail = v.text[last:end]
	return n
}

// skip returns the place of the next value, or of what closes the one around: behind
// blanks, line ends, comments and commas.
func (v values) skip(at int) int {
	for {
		for strings.IndexByte(" \t\r\n,", v.text[at]) >= 0 {
			at++
		}
		if v.text[at] != '#' {
			return at
		}
		at += strings.IndexByte(v.text[at:], '\n')
	}
}

// lineEnd returns where the next line begins, if no more than a comma and a comment stands
// before it.
func (v values) lineEnd(at int, comma bool) (int, bool) {
	at = blanks(v.text, at)
	if comma && at < len(v.text) && v.text[at] == ',' {
		at = blanks(v.text, at+1)
	}
	rest := v.text[at:]
	if rest == "" || strings.IndexByte("#\r\n", rest[0]) < 0 {
		return 0, false
	}
	i := strings.IndexByte(rest, '\n')
	return at + i + 1, i >= 0
}

func blanks(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// valueStart is where the value of an entry begins.
func valueStart(text string, entry *unstable.Node) int {
	at := 0
	for it := entry.Key(); it.Next(); {
		key := it.Node().Raw
		at = int(key.Offset + key.Length)
	}
	return blanks(text, blanks(text, at)+1) // behind the equals sign
}

// keyOf writes a key, each part as plainly as can be.
func keyOf(it unstable.Iterator) string {
	var names []string
	for it.Next() {
		names = append(names, string(it.Node().Data))
	}
	return join(names)
}

func join(names []string) string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			name = strconv.Quote(name)
		}
		out = append(out, name)
	}
	return strings.Join(out, ".")
}

func nodes(parts []part) []*merge.Node {
	all := make([]*merge.Node, 0, len(parts))
	for _, p := range parts {
		all = append(all, p.node)
	}
	return all
}

// spell is what a value of parts says, however it is written. It gives each part its length, so that no two values are spelt alike.
func spell(all []*merge.Node, opening, closing string) string {
	var b strings.Builder
	b.WriteString(opening)
	for _, n := range all {
		said := n.Value
		switch n.Kind {
		case merge.Scalar:
		case merge.List:
			said = spell(n.Children, "[", "]")
		case merge.Map:
			said = spell(byKey(n.Children), "{", "}")
		}
		fmt.Fprintf(&b, "%d:%s%d:%s", len(n.Key), n.Key, len(said), said)
	}
	b.WriteString(closing)
	return b.String()
}

func byKey(all []*merge.Node) []*merge.Node {
	return slices.SortedFunc(slices.Values(all), func(a, b *merge.Node) int { return strings.Compare(a.Key, b.Key) })
}

// identity tells a table from the others of its array: "[name=web]".
func identity(n *merge.Node) string {
	if n.Kind != merge.Map {
		return ""
	}
	for _, key := range []string{"id", "name", "key", "class"} {
		for _, c := range n.Children {
			if c.Key == key && c.Kind == merge.Scalar {
				_, says, _ := strings.Cut(c.Value, " ")
				return "[" + key + "=" + says + "]"
			}
		}
	}
	return ""
}

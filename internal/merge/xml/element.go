package xml

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"uplevel/internal/merge"
)

// parser makes nodes of a text that is known to be well-formed.
type parser struct {
	text string
	r    *reader
	at   int // up to here the text has its nodes
	left int // nodes that may still come
}

// prologue makes the node of a document type or a processing instruction before the element.
func (p *parser) prologue(root *merge.Node, c piece) *merge.Node {
	if len(root.Children) == 0 {
		root.Head, p.at = p.text[:c.from], c.from
	}
	raw := p.text[c.from:c.to]
	n := &merge.Node{Kind: merge.Scalar, Key: "<!DOCTYPE>", Head: p.text[p.at:c.from], Raw: raw, Value: raw}
	if c.instructs {
		n.Key = strings.TrimSuffix(named(raw), "?") + "?>"
	}
	for key := n.Key; slices.ContainsFunc(root.Children, func(o *merge.Node) bool { return o.Key == n.Key }); {
		n.Key = fmt.Sprintf("%s#%d", key, len(root.Children)+1)
	}
	p.at = c.to
	return n
}

// rest reads what stands behind the element.
func (p *parser) rest() error {
	for {
		c, err := p.r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c.instructs:
			return errInstructs
		}
	}
}

// errInstructs says that a text has processing instructions where none are found a place
// for.
var errInstructs = errors.New("it has processing instructions among or behind its elements")

// element makes the node of an element whose start tag was read.
func (p *parser) element(start piece, depth int) (*merge.Node, error) {
	attrs := &merge.Node{Kind: merge.Map, Key: "@", Children: attributes(p.text, start)}
	if p.left -= 3 + len(attrs.Children); p.left < 0 || depth+2 > merge.MaxDepth {
		return nil, fmt.Errorf("more than %d values, or deeper than %d", merge.MaxNodes, merge.MaxDepth)
	}
	name := start.from + 1 + len(start.name)
	e := &merge.Node{Kind: merge.Map, Head: p.text[p.at:name], Value: start.name}
	closed := start.to - 1
	if start.empty {
		closed--
	}
	p.at = name
	for _, a := range attrs.Children {
		p.at += len(a.Head) + len(a.Raw) + len(a.Tail)
	}
	attrs.Tail = p.text[p.at:closed]
	p.at = start.to
	content := &merge.Node{Kind: merge.List, Head: p.text[closed:start.to]}
	if !start.empty {
		var err error
		if content, err = p.content(content, depth+1); err != nil {
			return nil, err
		}
	}
	e.Children = []*merge.Node{attrs, content}
	e.Tail = p.remark()
	p.at += len(e.Tail)
	return e, nil
}

// content reads what an element holds, and its end tag.
func (p *parser) content(list *merge.Node, depth int) (*merge.Node, error) {
	from := p.at
	var said strings.Builder
	text := false
	for {
		c, err := p.r.next()
		if err != nil {
			return nil, err
		}
		if c.instructs {
			return nil, errInstructs
		}
		written := p.text[c.from:c.to]
		switch c.kind {
		case pieceStart:
			e, err := p.element(c, depth+1)
			if err != nil {
				return nil, err
			}
			list.Children = append(list.Children, e)
		case pieceCData:
			text = true
			said.WriteString(written[len(cdata) : len(written)-len("]]>")])
		case pieceText:
			text = text || !blank(written)
			said.WriteString(unescaped(written))
		case pieceEnd:
			if text {
				list = scalar(list, p.text[from:c.from], said.String())
				p.at = c.from
			}
			list.Tail = p.text[p.at:c.to]
			p.at = c.to
			identify(list.Children)
			return list, nil
		}
	}
}

// scalar is content with text: it is merged as a whole, and compared as it is written
// where it holds elements, too.
func scalar(list *merge.Node, raw, said string) *merge.Node {
	n := &merge.Node{Kind: merge.Scalar, Head: list.Head, Raw: raw, Value: said}
	if len(list.Children) > 0 {
		n.Value = "<>" + raw
	}
	return n
}

// remark is the comment that stands behind an element on its line, with the white space
// before it.
func (p *parser) remark() string {
	rest := p.text[p.at:]
	comment := strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(comment, "<!--") {
		return ""
	}
	end := strings.Index(comment, "-->") + len("-->")
	after := strings.TrimLeft(comment[end:], " \t\r")
	if strings.Contains(comment[:end], "\n") || !strings.HasPrefix(after, "\n") {
		return ""
	}
	return rest[:len(rest)-len(comment)+end]
}

// identify tells sibling elements apart: by the attribute or child that names each, or by
// the tag alone where it stands once.
func identify(elements []*merge.Node) {
	count := map[string]int{}
	for _, e := range elements {
		count[e.Value]++
	}
	for _, e := range elements {
		switch id := identity(e); {
		case id != "":
			e.Identity = e.Value + "[" + id + "]"
		case count[e.Value] == 1:
			e.Identity = e.Value
		}
	}
}

// identity is what names an element: "id=web", "filter-name=cors".
func identity(e *merge.Node) string {
	byName := []string{"id", "name", "key", "ref", "contentType", "class", "className", "type"}
	best, found := len(byName), ""
	for _, a := range e.Children[0].Children {
		if i := slices.Index(byName, a.Key); i >= 0 && i < best {
			best, found = i, a.Key+"="+a.Value
		}
	}
	if found != "" || e.Children[1].Kind != merge.List {
		return found
	}
	best = len(byName)
	for _, c := range e.Children[1].Children {
		value := c.Children[1]
		if value.Kind != merge.Scalar {
			continue
		}
		if i := naming(c.Value); i < best {
			best, found = i, c.Value+"="+strings.Trim(value.Value, space)
		}
	}
	return found
}

// naming says how well an element of this tag names its parent; less is better.
func naming(tag string) int {
	if i := slices.Index([]string{"id", "name", "key", "class", "extension", "error-code", "exception-type"}, tag); i >= 0 {
		return 0
	}
	if tag == "display-name" {
		return 100
	}
	for i, end := range []string{"-id", "-name", "-key", "-class"} {
		if strings.HasSuffix(tag, end) {
			return 1 + i
		}
	}
	return 100
}

// unit is one step of indentation.
func unit(root *merge.Node) string {
	if own, ok := lineIndent(root.Children[1]); ok && own != "" {
		return own
	}
	return "  "
}

// indent sets the indentation of what elements hold or would hold.
func indent(e *merge.Node, outer, unit string) {
	content := e.Children[1]
	content.Indent = outer + unit
	if own, ok := lineIndent(content); ok {
		content.Indent = own
	}
	for _, c := range content.Children {
		indent(c, content.Indent, unit)
	}
}

// lineIndent is the white space before the first child that begins a line.
func lineIndent(n *merge.Node) (string, bool) {
	for _, c := range n.Children {
		i := strings.LastIndexByte(c.Head, '\n')
		line := c.Head[i+1:]
		own := line[:len(line)-len(strings.TrimLeft(line, " \t\r"))]
		if i >= 0 && strings.HasPrefix(line[len(own):], "<") {
			return own, true
		}
	}
	return "", false
}

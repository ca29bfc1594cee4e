package yaml

import (
	"fmt"
	"strconv"
	"strings"

	stdyaml "go.yaml.in/yaml/v4"

	"uplevel/internal/merge"
)

// parser finds the place of every node in the text. It takes nothing on trust: what does
// not stand where it is looked for is an error.
type parser struct {
	text  string
	lines []int // where each begins
	left  int   // nodes that may still come
}

// line is the line that begins at an offset, without its end.
func (p *parser) line(at int) string {
	rest := p.text[at:]
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(rest, "\r")
}

// next is where the line after an offset begins.
func (p *parser) next(at int) int {
	if i := strings.IndexByte(p.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(p.text)
}

// idle reports whether a line, or the rest of one, says nothing.
func idle(s string) bool {
	s = strings.TrimLeft(s, " \t\r")
	return s == "" || s[0] == '#'
}

// body is the text between the marks of a document.
func (p *parser) body() (from, to int, err error) {
	to = len(p.text)
	idling := true
	for at := 0; at < len(p.text); at = p.next(at) {
		line := p.line(at)
		switch {
		case strings.HasPrefix(line, "---") && idling && idle(line[3:]):
			from = p.next(at)
			idling = false
		case strings.HasPrefix(line, "...") && idle(line[3:]):
			return from, at, nil
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "%"):
			return 0, 0, errPlace
		case !idle(line):
			idling = false
		}
	}
	return from, to, nil
}

// header is the length of the comments that speak of the file: those that a blank line
// parts from the first key.
func (p *parser) header(from int) int {
	length := 0
	for at := from; at < len(p.text) && idle(p.line(at)); at = p.next(at) {
		if strings.TrimSpace(p.line(at)) == "" {
			length = p.next(at) - from
		}
	}
	return length
}

// place is the offset of a line and column, both from 1. Only what has nothing but spaces
// and dashes before it is found.
func (p *parser) place(line, column int) (start, at int, err error) {
	if line < 1 || line > len(p.lines) || column < 1 {
		return 0, 0, errPlace
	}
	start = p.lines[line-1]
	at = start + column - 1
	if at > len(p.text) || strings.Trim(p.text[start:at], " -") != "" {
		return 0, 0, errPlace
	}
	return start, at, nil
}

// entry is a child of a container: its place, and its nodes.
type entry struct {
	start, at  int // of its line; of its key or dash
	key, value *stdyaml.Node
}

// container reads a block mapping or sequence whose text begins at from, and returns where
// it ends: behind its last line that says something.
func (p *parser) container(n *merge.Node, y *stdyaml.Node, from, limit, depth int) (int, error) {
	if p.left -= len(y.Content); p.left < 0 || depth > merge.MaxDepth {
		return 0, fmt.Errorf("more than %d values, or deeper than %d", merge.MaxNodes, merge.MaxDepth)
	}
	if err := known(y); err != nil {
		return 0, err
	}
	entries, err := p.entries(y)
	if err != nil || len(entries) == 0 {
		return 0, errPlace
	}
	n.Kind, n.Lines, n.Indent = merge.Map, true, strings.Repeat(" ", y.Column-1)
	if y.Kind == stdyaml.SequenceNode {
		n.Kind = merge.List
	}
	seen := map[string]bool{}
	end := from
	for i, e := range entries {
		// The first may stand on the line of a dash before it.
		if inner := i == 0 && e.start < from; inner && e.at != from || !inner && e.start < end {
			return 0, errPlace
		}
		if i > 0 || e.start >= from {
			if strings.Trim(p.text[e.start:e.at], " ") != "" {
				return 0, errPlace
			}
			end = p.part(n, end, e)
		}
		stop := limit
		if i+1 < len(entries) {
			stop = entries[i+1].start
		}
		c, behind, err := p.child(e, end, stop, depth)
		if err != nil {
			return 0, err
		}
		if n.Kind == merge.Map && seen[c.Key] {
			return 0, fmt.Errorf("the key %s is given twice", c.Key)
		}
		seen[c.Key] = true
		n.Children = append(n.Children, c)
		end = behind
	}
	if n.Kind == merge.List {
		identify(n.Children)
	}
	return end, nil
}

// part gives comments that stand deeper than the entry behind them to the container before
// them, and returns where those of the entry begin.
func (p *parser) part(n *merge.Node, end int, e entry) int {
	if len(n.Children) == 0 || n.Children[len(n.Children)-1].Kind == merge.Scalar {
		return end
	}
	last := n.Children[len(n.Children)-1]
	at := end
	for at < e.start {
		line := p.line(at)
		if !strings.HasPrefix(line, strings.Repeat(" ", e.at-e.start+1)) || strings.TrimSpace(line) == "" {
			break
		}
		at = p.next(at)
	}
	last.Tail += p.text[end:at]
	return at
}

// entries are the children of a container with their places.
func (p *parser) entries(y *stdyaml.Node) ([]entry, error) {
	var all []entry
	if y.Kind == stdyaml.MappingNode {
		for i := 0; i+1 < len(y.Content); i += 2 {
			e := entry{key: y.Content[i], value: y.Content[i+1]}
			var err error
			if e.start, e.at, err = p.place(e.key.Line, e.key.Column); err != nil || e.key.Column != y.Column {
				return nil, errPlace
			}
			all = append(all, e)
		}
		return all, nil
	}
	above := 0 // the line of the element before
	for _, value := range y.Content {
		line := value.Line
		for ; line > above; line-- {
			if p.dash(line, y.Column) {
				break
			}
		}
		if line <= above {
			return nil, errPlace
		}
		start, at, err := p.place(line, y.Column)
		if err != nil {
			return nil, err
		}
		all = append(all, entry{start: start, at: at, value: value})
		above = line
	}
	return all, nil
}

// dash reports whether an element begins in a line.
func (p *parser) dash(line, column int) bool {
	_, at, err := p.place(line, column)
	if err != nil || at >= len(p.text) || p.text[at] != '-' {
		return false
	}
	return at+1 == len(p.text) || strings.IndexByte(" \r\n", p.text[at+1]) >= 0
}

// child reads an entry whose comments begin at from; nothing of it stands behind stop. It
// returns where the entry ends.
func (p *parser) child(e entry, from, stop, depth int) (*merge.Node, int, error) {
	n := &merge.Node{}
	at := e.at + 1 // behind the dash
	if e.key != nil {
		var err error
		if at, err = p.colon(e); err != nil {
			return nil, 0, err
		}
		n.Key = named(e.key.Value)
	}
	if err := known(e.value); err != nil {
		return nil, 0, err
	}
	if at > stop {
		return nil, 0, errPlace
	}
	rest := p.text[at:stop]
	at += len(rest) - len(strings.TrimLeft(rest, " "))
	if e.value.Kind == stdyaml.ScalarNode || flow(e.value) {
		end, err := p.scalar(n, e.value, from, at, stop)
		return n, end, err
	}
	inline := e.key == nil && at < stop && !idle(p.line(at))
	if !inline {
		if !idle(p.line(at)) {
			return nil, 0, errPlace
		}
		at = p.next(at)
	}
	n.Head = p.text[from:at]
	end, err := p.container(n, e.value, at, stop, depth+1)
	return n, end, err
}

// colon is the offset behind the colon of a key.
func (p *parser) colon(e entry) (int, error) {
	if err := known(e.key); err != nil || e.key.Kind != stdyaml.ScalarNode || e.key.ShortTag() == "!!merge" {
		return 0, errPlace
	}
	line := p.line(e.at)
	length := len(e.key.Value)
	switch {
	case e.key.Style&(stdyaml.SingleQuotedStyle|stdyaml.DoubleQuotedStyle) != 0:
		length = quoted(line)
	case length == 0 || !strings.HasPrefix(line, e.key.Value):
		return 0, errPlace
	}
	rest := strings.TrimLeft(line[length:], " \t")
	if length == 0 || !strings.HasPrefix(rest, ":") || len(rest) > 1 && rest[1] != ' ' {
		return 0, errPlace
	}
	return e.at + len(line) - len(rest) + 1, nil
}

// quoted is the length of the string that a text begins with; 0: it has no end.
func quoted(s string) int {
	if s == "" {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[i] != s[0]:
		case s[0] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// named is a key as it is shown to people: quoted where it would not be seen, or be taken
// for something else.
func named(key string) string {
	if key == "" || strings.IndexByte(`"[@`, key[0]) >= 0 || strings.ContainsAny(key, "\r\n\t") {
		return strconv.Quote(key)
	}
	return key
}

// identify tells the elements of a sequence apart by the key that names each.
func identify(elements []*merge.Node) {
	for _, e := range elements {
		if e.Kind != merge.Map {
			continue
		}
		names := map[string]string{}
		for _, c := range e.Children {
			if tag, value, _ := strings.Cut(c.Value, "\x00"); c.Kind == merge.Scalar && tag != "!!null" && c.Raw != "" {
				names[c.Key] = value
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

package toml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"uplevel/internal/merge"
)

// reader gathers the statements of a text under the headers they follow.
type reader struct {
	text     string
	at       int // read so far
	top      section
	sections []section
}

// section is a header with the entries that follow it; at the top of a text it has none.
type section struct {
	path    []string
	array   bool
	before  string // comments and blank lines
	header  string // its line
	entries []*merge.Node
	remarks *merge.Remarks // among the entries
	indent  string
	tail    string // comments behind the last entry
}

// current takes the entries.
func (r *reader) current() *section {
	if len(r.sections) > 0 {
		return &r.sections[len(r.sections)-1]
	}
	return &r.top
}

// read takes a statement, and what stands before it.
func (r *reader) read(p *unstable.Parser, e *unstable.Node) error {
	if e.Kind == unstable.KeyValue {
		return r.entry(p, e)
	}
	s := section{array: e.Kind == unstable.ArrayTable, remarks: &merge.Remarks{}}
	last := 0
	for it := e.Key(); it.Next(); {
		s.path = append(s.path, string(it.Node().Data))
		last = int(it.Node().Raw.Offset + it.Node().Raw.Length)
	}
	if len(s.path) > merge.MaxDepth {
		return fmt.Errorf("a key has more than %d parts", merge.MaxDepth)
	}
	from := r.lineStart(int(e.Child().Raw.Offset))
	c := r.current()
	c.tail, s.before = merge.Closing(r.text[r.at:from], false)
	r.at = r.lineEnd(last)
	s.header = r.text[from:r.at]
	r.sections = append(r.sections, s)
	return nil
}

func (r *reader) entry(p *unstable.Parser, e *unstable.Node) error {
	value := valueStart(r.text, e)
	n, end, err := values{r.text, p}.node(e.Value(), value, 0)
	if err != nil {
		return err
	}
	from := r.lineStart(int(e.Raw.Offset))
	s := r.current()
	if len(s.entries) == 0 {
		s.indent = r.text[from:e.Raw.Offset]
	}
	alone, own := s.remarks.Cut(r.text[r.at:from])
	r.at = r.lineEnd(end)
	n.Key = keyOf(e.Key())
	n.Head = own + r.text[from:value] + n.Head
	n.Tail += r.text[end:r.at]
	s.entries = append(append(s.entries, alone...), n)
	return nil
}

// lineStart is where the line begins in which a statement does.
func (r *reader) lineStart(at int) int {
	return r.at + strings.LastIndexByte(r.text[r.at:at], '\n') + 1
}

// lineEnd is where the line ends in which a statement does.
func (r *reader) lineEnd(at int) int {
	if i := strings.IndexByte(r.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(r.text)
}

// document makes the tree. What stands before the first header is a table without a name,
// which is always there: so a new key comes to stand in front of the tables.
func (r *reader) document() (*merge.Node, error) {
	c := r.current()
	var rest string
	c.tail, rest = merge.Closing(r.text[r.at:], true)
	root := &merge.Node{Kind: merge.Map, Lines: true, Children: []*merge.Node{r.top.node("")}}
	b := builder{remarks: &merge.Remarks{}}
	if err := b.add(root, r.sections, 0); err != nil {
		return nil, err
	}
	alone, tail := b.remarks.CutEnd(rest)
	root.Children, root.Tail = append(root.Children, alone...), tail
	return root, nil
}

// node is a section without the sections below it.
func (s *section) node(key string) *merge.Node {
	return &merge.Node{
		Kind: merge.Map, Lines: true, Key: key,
		Head: s.header, Indent: s.indent, Children: s.entries, Tail: s.tail,
	}
}

// builder puts the sections that lie in one table beside each other, in the order of the
// text: [a] and [a.b] are siblings. Those below an element of an array lie in it.
type builder struct {
	remarks *merge.Remarks
	arrays  map[string]int // how often each was begun
}

// add puts sections into a table whose own path has some parts.
func (b *builder) add(into *merge.Node, all []section, parts int) error {
	b.arrays = map[string]int{}
	for len(all) > 0 {
		s := all[0]
		if b.strays(s.path[parts:]) {
			return fmt.Errorf("[%s] does not follow the table that it belongs to", join(s.path))
		}
		alone, own := b.remarks.Cut(s.before)
		into.Children = append(into.Children, alone...)
		all[0].before = own
		if !s.array {
			n := s.node(join(s.path[parts:]))
			n.Head = own + n.Head
			into.Children, all = append(into.Children, n), all[1:]
			continue
		}
		end := run(all)
		list, err := array(all[:end])
		if err != nil {
			return err
		}
		list.Key = b.number(join(s.path[parts:]))
		into.Children, all = append(into.Children, list), all[end:]
	}
	return nil
}

// strays reports whether a section lies in an array that other sections set it apart from.
func (b *builder) strays(path []string) bool {
	for n := 1; len(b.arrays) > 0 && n < len(path); n++ {
		if b.arrays[join(path[:n])] > 0 {
			return true
		}
	}
	return false
}

// number tells an array's parts apart, where others stand between its elements.
func (b *builder) number(key string) string {
	b.arrays[key]++
	if n := b.arrays[key]; n > 1 {
		return fmt.Sprintf("%s#%d", key, n)
	}
	return key
}

// run returns how many sections belong to the array that the first one begins.
func run(all []section) int {
	path := all[0].path
	end := 1
	for end < len(all) && len(all[end].path) >= len(path) && slices.Equal(all[end].path[:len(path)], path) {
		end++
	}
	return end
}

// array is a list of tables.
func array(all []section) (*merge.Node, error) {
	list := &merge.Node{Kind: merge.List, Lines: true}
	path := all[0].path
	for len(all) > 0 {
		end := 1
		for end < len(all) && len(all[end].path) > len(path) {
			end++
		}
		n := all[0].node("")
		n.Head = all[0].before + n.Head
		if end > 1 && n.Tail != "" {
			n.Children, n.Tail = append(n.Children, all[0].closing()), ""
		}
		b := builder{remarks: all[0].remarks}
		if err := b.add(n, all[1:end], len(path)); err != nil {
			return nil, err
		}
		n.Identity = identity(n)
		list.Children, all = append(list.Children, n), all[end:]
	}
	list.Indent = list.Children[0].Indent
	return list, nil
}

// closing makes a remark of the comments behind the entries of a table that others follow
// in.
func (s *section) closing() *merge.Node {
	alone, _ := s.remarks.CutEnd(s.tail)
	return alone[0]
}

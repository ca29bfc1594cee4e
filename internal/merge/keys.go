package merge

import (
	"errors"
	"fmt"
	"strings"
)

// errUnproved says that a merge by key did not give what was decided.
var errUnproved = errors.New("the merged text does not say what was decided")

// keys merges three texts by the keys that f finds.
func keys(f Format, base, mine, theirs string) (merged, error) {
	b, err := parse(f, base)
	if base == "" {
		b, err = nil, nil // both sides added the file
	}
	if err != nil {
		return merged{}, err
	}
	m, err := parse(f, mine)
	if err != nil {
		return merged{}, err
	}
	t, err := parse(f, theirs)
	if err != nil {
		return merged{}, err
	}
	var out merged
	k := &keyed{}
	if out.mine, err = k.prove(f, k.choose("", b, m, t)); err != nil {
		return merged{}, err
	}
	out.conflicts = k.conflicts
	if len(out.conflicts) > 0 {
		k := &keyed{preferTheirs: true}
		out.theirs, err = k.prove(f, k.choose("", b, m, t))
	}
	return out, err
}

// parse gives a text in pieces, weighed and within the bounds.
func parse(f Format, text string) (*Node, error) {
	n, err := f.Parse(text)
	if err != nil {
		return nil, err
	}
	left := MaxNodes
	if !n.weigh(&left, 0) {
		return nil, fmt.Errorf("more than %d values, or deeper than %d", MaxNodes, MaxDepth)
	}
	return n, nil
}

// keyed is one merge by key.
type keyed struct {
	preferTheirs bool // at conflicts
	conflicts    []Conflict
}

// prove writes the merged tree, and sees that it says what was decided.
func (k *keyed) prove(f Format, n *Node) (string, error) {
	if n == nil {
		return "", errUnproved
	}
	text := n.Text()
	back, err := parse(f, text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnproved, err)
	}
	left := 2 * MaxNodes
	if !n.weigh(&left, 0) || !same(back, n) {
		return "", errUnproved
	}
	return text, nil
}

// choose decides what stands at one key; nil is nothing.
func (k *keyed) choose(path string, b, m, t *Node) *Node {
	if m != nil && t != nil && m.Kind == t.Kind && m.Value == t.Value && m.Kind != Scalar {
		if b != nil && (b.Kind != m.Kind || b.Value != m.Value) {
			b = nil
		}
		if m.Kind == Map || match(b, m, t) {
			return k.container(path, b, m, t)
		}
	}
	switch {
	case same(m, t), same(b, t):
		return compose(m, b, m, t)
	case same(b, m):
		return compose(t, b, m, t)
	}
	k.conflicts = append(k.conflicts, Conflict{Key: path, Base: said(b), Mine: said(m), Theirs: said(t)})
	if k.preferTheirs {
		return compose(t, b, m, t)
	}
	return compose(m, b, m, t)
}

// compose gives the value of core the head, tail and spelling that the sides agree on.
func compose(core, b, m, t *Node) *Node {
	if core == nil || m == nil || t == nil || m.Kind != Scalar || t.Kind != Scalar {
		return core
	}
	n := *core
	if b == nil || b.Kind != Scalar {
		n.Head, n.Tail = m.Head, m.Tail
		return &n
	}
	n.Head, n.Tail = heads(b.Head, m.Head, t.Head), three(b.Tail, m.Tail, t.Tail)
	switch {
	case m.Value == t.Value:
		n.Raw = three(b.Raw, m.Raw, t.Raw)
	case core == t && m.Value == b.Value && m.Raw != b.Raw:
		n.Raw = respell(b.Raw, m.Raw, t.Raw)
	}
	return &n
}

// three returns mine if it is not the base, else theirs.
func three(b, m, t string) string {
	if m != b {
		return m
	}
	return t
}

// respell writes the vendor's new value in the quotes that the operator chose.
func respell(b, m, t string) string {
	const quotes = `"'`
	was, is := strings.Trim(b, quotes), strings.Trim(t, quotes)
	if was == "" || strings.Count(m, was) != 1 {
		return t
	}
	return strings.Replace(m, was, is, 1)
}

// container merges the children of two containers, in the order of mine.
func (k *keyed) container(path string, b, m, t *Node) *Node {
	n := *m
	b, t = beside(b, m), beside(t, m)
	switch {
	case b != nil:
		n.Head, n.Tail = heads(b.Head, m.Head, t.Head), three(b.Tail, m.Tail, t.Tail)
	case len(m.Children) == 0:
		n.Head, n.Tail = t.Head, t.Tail
	}
	base, mine, theirs := index(b), index(m), index(t)
	var own []*Node
	for _, c := range m.Children {
		if got := k.choose(join(path, c.Key), base[c.Key], c, theirs[c.Key]); got != nil {
			got.Key = c.Key
			own = append(own, got)
		}
	}
	stands := map[string]bool{}
	for _, c := range own {
		stands[c.Key] = true
	}
	a := arrivals{stands: stands, before: map[string][]*Node{}, after: map[string][]*Node{}}
	for _, c := range t.Children {
		if mine[c.Key] != nil {
			a.pass(c.Key)
			continue
		}
		if got := k.choose(join(path, c.Key), base[c.Key], nil, c); got != nil {
			a.add(got)
		}
	}
	n.Children = a.place(own)
	if n.gone() {
		return nil
	}
	return &n
}

func index(n *Node) map[string]*Node {
	if n == nil {
		return nil
	}
	all := make(map[string]*Node, len(n.Children))
	for _, c := range n.Children {
		all[c.Key] = c
	}
	return all
}

// arrivals are the children that come from the vendor: each stands behind the sibling
// that it follows there or, where none is left, before the next one.
type arrivals struct {
	stands        map[string]bool // siblings that are there
	before, after map[string][]*Node
	last          string
	known         bool // last is a sibling that is there
	waiting       []*Node
}

// pass is told the siblings in the vendor's order.
func (a *arrivals) pass(key string) {
	if !a.stands[key] {
		return
	}
	if !a.known {
		a.before[key], a.waiting = a.waiting, nil
	}
	a.last, a.known = key, true
}

func (a *arrivals) add(n *Node) {
	if a.known {
		a.after[a.last] = append(a.after[a.last], n)
		return
	}
	a.waiting = append(a.waiting, n)
}

// place returns own children and arrivals in order.
func (a *arrivals) place(own []*Node) []*Node {
	var all []*Node
	for _, c := range own {
		all = append(all, a.before[c.Key]...)
		all = append(all, c)
		all = append(all, a.after[c.Key]...)
	}
	return append(all, a.waiting...)
}

// join names a place for people: "server.port", "users[name=web].role", "server@port".
func join(path, key string) string {
	switch {
	case key == "":
		return path
	case path == "", strings.HasPrefix(key, "["), strings.HasPrefix(key, "@"), strings.HasSuffix(path, "@"):
		return path + key
	}
	return path + "." + key
}

// beside returns a container with its children indented as those of mine are: so their
// heads can be compared, and stand beside those of mine.
func beside(n, mine *Node) *Node {
	if n == nil || n.Indent == mine.Indent {
		return n
	}
	c := *n
	m := mover{from: n.Indent, to: mine.Indent}
	c.Indent, c.Children = mine.Indent, make([]*Node, 0, len(n.Children))
	for i, child := range n.Children {
		m.fresh = n.Lines && (i > 0 || strings.HasSuffix(n.Head, "\n") || n.Head == "")
		c.Children = append(c.Children, m.node(child))
	}
	return &c
}

// mover moves text piece by piece, knowing whether the next one begins a line.
type mover struct {
	from, to string
	fresh    bool
}

func (m *mover) node(n *Node) *Node {
	c := *n
	c.Head = m.text(n.Head)
	if n.Kind == Scalar && n.Lines {
		c.Raw = m.text(n.Raw)
	} else if n.Raw != "" {
		m.fresh = strings.HasSuffix(n.Raw, "\n")
	}
	if rest, ok := strings.CutPrefix(n.Indent, m.from); ok {
		c.Indent = m.to + rest
	}
	c.Children = make([]*Node, 0, len(n.Children))
	for i, child := range n.Children {
		m.fresh = m.fresh || i > 0 && n.Lines
		c.Children = append(c.Children, m.node(child))
	}
	c.Tail = m.text(n.Tail)
	return &c
}

func (m *mover) text(s string) string {
	if s == "" {
		return s
	}
	lines := strings.SplitAfter(s, "\n")
	for i, line := range lines {
		if i == 0 && !m.fresh || strings.TrimSpace(line) == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, m.from); ok {
			lines[i] = m.to + rest
		}
	}
	m.fresh = strings.HasSuffix(s, "\n")
	return strings.Join(lines, "")
}

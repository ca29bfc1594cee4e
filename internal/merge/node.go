package merge

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// Kind is what a node holds.
type Kind string

// The kinds of node.
const (
	Scalar Kind = "scalar"
	Map    Kind = "map"  // children by key; their order says nothing
	List   Kind = "list" // children in order; [Node.Identity] may tell them apart
)

// Node is a piece of a text. A scalar's text is Head, Raw and Tail; a container's is Head,
// its children with Sep between them, and Tail. The nodes of a text give it back byte for
// byte.
type Node struct {
	Kind Kind
	Key  string // unique in a map; in a list it is given by matching
	// Identity tells an element of a list from its siblings: "[name=web]"; empty: it
	// has none.
	Identity string
	Head     string // comments and blank lines before, the key, what opens the value
	Raw      string // a scalar as it is written
	Value    string // what a scalar says, however it is written
	Tail     string // what closes the value, a comment behind it, the line's end
	Sep      string // between children, such as a comma
	Lines    bool   // children are whole lines: each but the last must end in one; a scalar's go by the indentation
	Indent   string // of the children's lines, where it has a meaning or is to be kept
	Children []*Node
	Remark   bool // it says nothing: a comment between the entries of a map

	sum [sha256.Size]byte // of the value
}

// gone reports whether a list went with its last element: it had no text besides them, as
// an array of TOML's tables has none.
func (n *Node) gone() bool {
	return n.Kind == List && len(n.Children) == 0 && n.Head == "" && n.Tail == ""
}

// Text returns the node's text.
func (n *Node) Text() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *strings.Builder) {
	b.WriteString(n.Head)
	if n.Kind == Scalar {
		b.WriteString(n.Raw)
	}
	for i, c := range n.Children {
		if i > 0 {
			n.separate(b)
		}
		c.write(b)
	}
	if n.Lines && n.Tail != "" && len(n.Children) > 0 {
		endLine(b)
	}
	b.WriteString(n.Tail)
}

func (n *Node) separate(b *strings.Builder) {
	b.WriteString(n.Sep)
	if n.Lines {
		endLine(b)
	}
}

// endLine ends the line that was begun.
func endLine(b *strings.Builder) {
	if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		b.WriteByte('\n')
	}
}

// weigh computes the sums of a tree, counting nodes and depth; false: beyond the bounds.
func (n *Node) weigh(left *int, depth int) bool {
	if *left--; *left < 0 || depth > MaxDepth {
		return false
	}
	for _, c := range n.Children {
		if !c.weigh(left, depth+1) {
			return false
		}
	}
	n.sum = n.total()
	return true
}

// total is the sum of the node's own value over the sums of its children.
func (n *Node) total() [sha256.Size]byte {
	h := sha256.New()
	_, _ = h.Write([]byte(string(n.Kind) + "\x00" + n.Value)) // never fails
	parts := make([]string, 0, len(n.Children))
	for _, c := range n.Children {
		if c.Remark {
			continue
		}
		part := string(c.sum[:])
		if n.Kind == Map {
			part = c.Key + "\x00" + part
		}
		parts = append(parts, part)
	}
	if n.Kind == Map {
		slices.Sort(parts)
	}
	for _, part := range parts {
		s := sha256.Sum256([]byte(part))
		_, _ = h.Write(s[:])
	}
	var out [sha256.Size]byte
	h.Sum(out[:0])
	return out
}

// same reports whether both stand and say the same, or neither stands.
func same(a, b *Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.sum == b.sum
}

// said is a node's value for people.
func said(n *Node) Value {
	switch {
	case n == nil:
		return Value{}
	case n.Kind == Scalar:
		return Value{Text: n.Raw, Present: true}
	}
	return Value{Text: strings.TrimSpace(n.Text()), Present: true}
}

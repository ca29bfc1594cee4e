package delta

import (
	"encoding/binary"

	"uplevel/internal/archive/deflater"
)

// kind is what a step of a shape makes.
type kind byte

// The kinds of step. They stand in deltas.
const (
	finish  kind = iota // the archive is whole, and closed
	same                // parts that are as they were: their bytes as they lie
	frame               // headers, from the frames' sections
	plain               // bytes, from the contents' sections
	packed              // the same, deflated
	archive             // the steps up to its finish make an archive that lies as it is
	zipped              // the same, deflated
	kinds
)

// step makes a part of a new file.
type step struct {
	kind   kind
	ref    int32           // the old node it is made of, or the first of those that stay; none
	count  int32           // how many stay
	size   int64           // of the content; 0 where there are steps within
	params deflater.Params // how it is deflated
	file   bool            // it makes a whole file
}

// leaf reports whether a step takes its content from a section.
func (s step) leaf() bool { return s.kind == frame || s.kind == plain || s.kind == packed }

// nest reports whether steps within it follow.
func (s step) nest() bool { return s.kind == archive || s.kind == zipped }

// columns are the numbers of a shape, each kind for itself: most are what was expected, and a
// column of zeros takes next to nothing.
type columns struct{ kinds, refs, counts, sizes, params []byte }

func (c *columns) all() []*[]byte {
	return []*[]byte{&c.kinds, &c.refs, &c.counts, &c.sizes, &c.params}
}

// cursor says which old node is expected next, in an archive and in those around it.
type cursor struct{ at []int32 }

func newCursor() *cursor { return &cursor{at: []int32{0}} }

func (c *cursor) next() int32 { return c.at[len(c.at)-1] }

// pass is told the step that was made.
func (c *cursor) pass(s step, nodes []node) {
	top := len(c.at) - 1
	switch {
	case s.kind == finish:
		c.at = c.at[:top]
		return
	case s.ref == none:
	case s.kind == same:
		c.at[top] = after(nodes, s.ref, s.count)
	default:
		c.at[top] = nodes[s.ref].next
	}
	if s.nest() {
		inner := c.at[top]
		if s.ref != none {
			inner = s.ref + 1
		}
		c.at = append(c.at, inner)
	}
}

// after returns the node behind count siblings; none if there are not so many.
func after(nodes []node, n, count int32) int32 {
	holder := nodes[n].holder
	for range count {
		if int(n) >= len(nodes) || nodes[n].holder != holder {
			return none
		}
		n = nodes[n].next
	}
	return n
}

// write writes the steps of a shape in columns.
func writeShape(steps []step, nodes []node) []byte {
	var c columns
	at := newCursor()
	for _, s := range steps {
		k := byte(s.kind)
		if s.ref != none {
			k |= refers
		}
		c.kinds = append(c.kinds, k)
		if s.ref != none {
			c.refs = binary.AppendVarint(c.refs, int64(s.ref-at.next()))
		}
		switch {
		case s.kind == same:
			c.counts = binary.AppendUvarint(c.counts, uint64(s.count))
		case s.leaf():
			c.sizes = binary.AppendVarint(c.sizes, s.size-expected(s, nodes))
		}
		if s.kind == packed || s.kind == zipped {
			c.params = append(c.params, numberOf(s.params))
		}
		at.pass(s, nodes)
	}
	var out []byte
	for _, column := range c.all() {
		out = binary.AppendUvarint(out, uint64(len(*column)))
	}
	for _, column := range c.all() {
		out = append(out, *column...)
	}
	return out
}

// refers marks a step that is made of an old node.
const refers = 1 << 7

// expected is the size that a step's content has if it is like what it is made of.
func expected(s step, nodes []node) int64 {
	if s.ref == none {
		return 0
	}
	return nodes[s.ref].Size
}

// readShape reads the steps of a shape for files of these sizes, and refuses what cannot be.
func readShape(text []byte, nodes []node, sizes []int64) ([]step, error) {
	c, err := cut(text)
	if err != nil {
		return nil, err
	}
	r := shapeReader{c: c, nodes: nodes, at: newCursor(), steps: make([]step, 0, len(c.kinds))}
	for len(r.c.kinds) > 0 {
		if len(r.at.at) == 1 {
			if r.files == len(sizes) {
				return nil, damaged("it makes more files than it is of")
			}
			r.left = sizes[r.files]*maxGrowth + freely
			r.files++
		}
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	if r.files != len(sizes) || len(r.at.at) != 1 {
		return nil, damaged("it makes fewer files than it is of")
	}
	return r.steps, nil
}

// cut takes the columns apart.
func cut(text []byte) (columns, error) {
	var c columns
	var lengths [5]uint64
	for i := range lengths {
		n, used := binary.Uvarint(text)
		if used <= 0 || n > maxShape {
			return c, damaged("its shape is cut off")
		}
		lengths[i], text = n, text[used:]
	}
	for i, column := range c.all() {
		if lengths[i] > uint64(len(text)) {
			return c, damaged("its shape is cut off")
		}
		*column, text = text[:lengths[i]], text[lengths[i]:]
	}
	return c, nil
}

// The parameters of deflate in one byte: what a writer of archives chose is the same for all
// of them, mostly.
const (
	levels     = 9
	memLevels  = 2
	leastMem   = 8
	strategies = 5
)

func numberOf(p deflater.Params) byte {
	return byte((int(p.Strategy)*memLevels+p.MemLevel-leastMem)*levels + p.Level - 1)
}

func paramsOf(n byte) (deflater.Params, bool) {
	rest := int(n) / levels
	return deflater.Params{
		Level: int(n)%levels + 1, MemLevel: leastMem + rest%memLevels, Strategy: deflater.Strategy(rest / memLevels),
	}, int(n) < levels*memLevels*strategies
}

// maxNest bounds archives within archives.
const maxNest = 4

// shapeReader reads steps one by one.
type shapeReader struct {
	c     columns
	nodes []node
	at    *cursor
	steps []step
	files int
	left  int64 // what the file that is read may still open to
	bad   bool
}

func (r *shapeReader) number(column *[]byte) int64 {
	n, used := binary.Varint(*column)
	if used <= 0 {
		r.bad = true
		return 0
	}
	*column = (*column)[used:]
	return n
}

func (r *shapeReader) count() int32 {
	n, used := binary.Uvarint(r.c.counts)
	if used <= 0 || n == 0 || n > uint64(len(r.nodes)) {
		r.bad = true
		return 1
	}
	r.c.counts = r.c.counts[used:]
	return int32(n)
}

func (r *shapeReader) step() error {
	k := r.c.kinds[0]
	r.c.kinds = r.c.kinds[1:]
	s := step{kind: kind(k &^ refers), ref: none, file: len(r.at.at) == 1}
	if k&refers != 0 {
		ref := int64(r.at.next()) + r.number(&r.c.refs)
		if ref < 0 || ref >= int64(len(r.nodes)) {
			return damaged("it refers to what is not there")
		}
		s.ref = int32(ref)
	}
	switch {
	case s.kind >= kinds, s.kind == finish && (s.file || s.ref != none), s.kind == same && s.ref == none, s.nest() && len(r.at.at) > maxNest:
		return damaged("its shape cannot be")
	case s.kind == same:
		s.count = r.count()
		if after(r.nodes, s.ref, s.count) == none || s.file && s.count != 1 {
			return damaged("it keeps more than there is")
		}
	case s.leaf():
		s.size = expected(s, r.nodes) + r.number(&r.c.sizes)
		if s.size < 0 || s.size > r.left {
			return damaged("a part of it is too large")
		}
		r.left -= s.size
	}
	if s.kind == packed || s.kind == zipped {
		var known bool
		if len(r.c.params) > 0 {
			s.params, known = paramsOf(r.c.params[0])
		}
		if !known {
			return damaged("it is deflated in a way that is not known")
		}
		r.c.params = r.c.params[1:]
	}
	if r.bad {
		return damaged("its shape is cut off")
	}
	r.at.pass(s, r.nodes)
	r.steps = append(r.steps, s)
	return nil
}

package delta

import (
	"bytes"
	"io"
	"path"
	"strings"
)

// loose is a name without the digits of it: that of a library whose version is another one.
func loose(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name)
}

// key tells the parts of one archive apart.
type key struct {
	name  string
	frame bool
}

// children finds the parts of an old archive by name; each is given once.
type children struct {
	exact map[key]int32
	loose map[key][]int32
	base  map[key][]int32
	taken map[int32]bool
}

// children returns the index of what lies in an old node, or of nothing.
func (s *sources) children(n int32) *children {
	c := &children{exact: map[key]int32{}, loose: map[key][]int32{}, base: map[key][]int32{}, taken: map[int32]bool{}}
	if n == none {
		return c
	}
	for at := n + 1; at < s.nodes[n].next; at = s.nodes[at].next {
		p := s.nodes[at].Part
		k := key{p.Name, p.Frame}
		c.exact[k] = at
		k.name = loose(p.Name)
		c.loose[k] = append(c.loose[k], at)
		k.name = path.Base(k.name)
		c.base[k] = append(c.base[k], at)
	}
	return c
}

// find returns the old part that a new one is made of; none if nothing is like it by name.
func (c *children) find(name string, frame bool) int32 {
	if at, ok := c.exact[key{name, frame}]; ok && !c.taken[at] {
		c.taken[at] = true
		return at
	}
	for _, all := range [][]int32{c.loose[key{loose(name), frame}], c.base[key{path.Base(loose(name)), frame}]} {
		for _, at := range all {
			if !c.taken[at] {
				c.taken[at] = true
				return at
			}
		}
	}
	return none
}

// alike reports whether the bytes of an old and a new part are the same as they lie.
func alike(olds *sources, o int32, news *sources, n int32) (bool, error) {
	a, b := olds.nodes[o], news.nodes[n]
	if a.Len != b.Len {
		return false, nil
	}
	x, err := olds.stored(o, a.next)
	if err != nil {
		return false, err
	}
	y, err := news.stored(n, b.next)
	if err != nil {
		return false, err
	}
	return equal(x, y)
}

// equal compares two readers of one length.
func equal(x, y io.Reader) (bool, error) {
	var a, b [32 << 10]byte
	for {
		n, err := io.ReadFull(x, a[:])
		if n == 0 {
			return true, over(err)
		}
		if _, err := io.ReadFull(y, b[:n]); err != nil {
			return false, err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return false, nil
		}
		if err != nil {
			return true, over(err)
		}
	}
}

// over takes the end of a reader for none of its errors.
func over(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // as io.ReadFull returns them
		return nil
	}
	return err
}

package merge

import (
	"crypto/sha256"
	"fmt"

	"uplevel/internal/merge/diff3"
)

// match gives the elements of three lists keys, so that those that are the same element
// share one; false where the lists can only be taken as wholes.
func match(b, m, t *Node) bool {
	if b == nil {
		b = &Node{Kind: List}
	}
	if identified(b) && identified(m) && identified(t) {
		for _, side := range []*Node{b, m, t} {
			for _, c := range side.Children {
				c.Key = c.Identity
			}
		}
		return !reordered(b, t) && !reordered(m, t)
	}
	return matchByOrder(b, m, t)
}

// identified reports whether every element has an identity and none repeats.
func identified(n *Node) bool {
	seen := map[string]bool{}
	for _, c := range n.Children {
		if c.Identity == "" || seen[c.Identity] {
			return false
		}
		seen[c.Identity] = true
	}
	return true
}

// reordered reports whether the elements that both lists have stand in another order.
func reordered(a, b *Node) bool {
	at := map[string]int{}
	for i, c := range a.Children {
		at[c.Key] = i + 1
	}
	last := 0
	for _, c := range b.Children {
		if i := at[c.Key]; i > 0 {
			if i < last {
				return true
			}
			last = i
		}
	}
	return false
}

// matchByOrder aligns elements of which some have no identity.
func matchByOrder(b, m, t *Node) bool {
	o := order{b: b, m: m, t: t, sides: sides(b, m, t)}
	added := sides(m, t)
	ids := map[string]int{}
	number := func(n *Node) []int {
		out := make([]int, 0, len(n.Children))
		for _, c := range n.Children {
			what := string(c.sum[:])
			if o.sides[c.Identity] == 3 {
				what = "=" + c.Identity
			}
			id, ok := ids[what]
			if !ok {
				id = len(ids)
				ids[what] = id
			}
			out = append(out, id)
		}
		return out
	}
	regions, err := diff3.Regions(number(b), number(m), number(t))
	if err != nil {
		return false
	}
	for _, r := range regions {
		if !o.pair(r) {
			return false
		}
	}
	for _, side := range []*Node{b, m, t} {
		for _, c := range side.Children {
			if all := o.sides[c.Identity]; all == 3 || all == 2 && added[c.Identity] == 2 {
				c.Key = c.Identity
			}
		}
	}
	return !reordered(b, t) && !reordered(m, t)
}

// sides says in how many of three lists an identity stands. One that repeats in any of
// them tells nothing apart and stands in none.
func sides(lists ...*Node) map[string]int {
	in, again := map[string]int{}, map[string]bool{"": true}
	for _, n := range lists {
		here := map[string]bool{}
		for _, c := range n.Children {
			again[c.Identity] = again[c.Identity] || here[c.Identity]
			here[c.Identity] = true
		}
		for id := range here {
			in[id]++
		}
	}
	for id, yes := range again {
		if yes {
			delete(in, id)
		}
	}
	return in
}

// order is the matching of three lists by the order of their elements.
type order struct {
	b, m, t *Node
	sides   map[string]int // of identities
}

// pair gives the elements of one region their keys.
func (o order) pair(r diff3.Region) bool {
	equal := r.Base.Len() == r.Mine.Len() && r.Mine.Len() == r.Theirs.Len()
	if r.Change == diff3.Clash && (!equal || !o.inPlace(r)) {
		return o.identify(o.b, r.Base) && o.identify(o.m, r.Mine) && o.identify(o.t, r.Theirs)
	}
	share := func(n *Node, s diff3.Span) {
		for i := range s.Len() {
			n.Children[s.From+i].Key = fmt.Sprintf("[%d]", r.Base.From+i)
		}
	}
	share(o.b, r.Base)
	switch {
	case equal:
		share(o.m, r.Mine)
		share(o.t, r.Theirs)
	case r.Change == diff3.MineOnly:
		o.give(o.m, r.Mine, "+")
		share(o.t, r.Theirs)
	case r.Change == diff3.TheirsOnly:
		share(o.m, r.Mine)
		o.give(o.t, r.Theirs, "*")
	case r.Change == diff3.Alike:
		for i := range r.Mine.Len() {
			key := fmt.Sprintf("[+%d]", r.Mine.From+i)
			o.m.Children[r.Mine.From+i].Key, o.t.Children[r.Theirs.From+i].Key = key, key
		}
	}
	return true
}

// inPlace reports whether the elements of a region that both sides changed may be told by
// their position: none has another identity than the one it takes the place of, or is one
// that moved there.
func (o order) inPlace(r diff3.Region) bool {
	was := map[[sha256.Size]byte]bool{}
	for _, c := range o.b.Children[r.Base.From:r.Base.To] {
		was[c.sum] = true
	}
	for i := range r.Base.Len() {
		b := o.b.Children[r.Base.From+i]
		for _, c := range []*Node{o.m.Children[r.Mine.From+i], o.t.Children[r.Theirs.From+i]} {
			if c.Identity != b.Identity || was[c.sum] && c.sum != b.sum {
				return false
			}
		}
	}
	return true
}

// give gives keys to the elements that one side put into a region.
func (o order) give(n *Node, s diff3.Span, side string) {
	for i := range s.Len() {
		n.Children[s.From+i].Key = fmt.Sprintf("[%s%d]", side, s.From+i)
	}
}

// identify gives the elements of a region their identities for keys; false where one has
// none.
func (o order) identify(n *Node, s diff3.Span) bool {
	for _, c := range n.Children[s.From:s.To] {
		if o.sides[c.Identity] == 0 {
			return false
		}
		c.Key = c.Identity
	}
	return true
}

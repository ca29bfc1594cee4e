package merge

import "fmt"

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

// matchByOrder aligns elements that have no identity.
func matchByOrder(b, m, t *Node) bool {
	ids := map[[32]byte]int{}
	number := func(n *Node) []int {
		out := make([]int, 0, len(n.Children))
		for _, c := range n.Children {
			id, ok := ids[c.sum]
			if !ok {
				id = len(ids)
				ids[c.sum] = id
			}
			out = append(out, id)
		}
		return out
	}
	regions, err := diff3(number(b), number(m), number(t))
	if err != nil {
		return false
	}
	for _, r := range regions {
		if !pair(r, b, m, t) {
			return false
		}
	}
	return true
}

// pair gives the elements of one region their keys.
func pair(r region, b, m, t *Node) bool {
	equal := r.base.len() == r.mine.len() && r.mine.len() == r.theirs.len()
	if r.change == clash && !equal {
		return false
	}
	give := func(n *Node, s span, side string) {
		for i := range s.len() {
			n.Children[s.from+i].Key = fmt.Sprintf("[%s%d]", side, s.from+i)
		}
	}
	share := func(n *Node, s span) {
		for i := range s.len() {
			n.Children[s.from+i].Key = fmt.Sprintf("[%d]", r.base.from+i)
		}
	}
	share(b, r.base)
	switch {
	case equal:
		share(m, r.mine)
		share(t, r.theirs)
	case r.change == mineOnly:
		give(m, r.mine, "+")
		share(t, r.theirs)
	case r.change == theirsOnly:
		share(m, r.mine)
		give(t, r.theirs, "*")
	case r.change == alike:
		for i := range r.mine.len() {
			key := fmt.Sprintf("[+%d]", r.mine.from+i)
			m.Children[r.mine.from+i].Key, t.Children[r.theirs.from+i].Key = key, key
		}
	}
	return true
}

package edit

const chainBits = 12

// base is what fields count from: what must be added to one to get the position in old that
// it points to, and by how much the base itself moved.
type base struct{ at, moved uint32 }

// added returns what is added to a field that counts from the base when what it points to
// moves; false if it points to nothing.
func (b base) added(value uint32, moved []int32) (uint32, bool) {
	at := (value + b.at) >> grain
	if at >= uint32(len(moved)) {
		return 0, false
	}
	return uint32(moved[at]) - b.moved, true
}

// explains reports whether a field that changed may count from the base.
func (b base) explains(v vote, moved []int32) bool {
	added, ok := b.added(v.value, moved)
	return ok && added == v.added
}

// chain guesses from which base a field counts, by how it follows the last two that counted
// from one: tables repeat.
type chain struct {
	bases []base
	next  [1 << chainBits]uint8 // the number of a base, or 0
	at    int                   // where the last field was
	links uint32                // four bits for each base, the last one lowest
	key   uint32                // of the last field in next
}

// follow returns the place in next for a field at p.
func (c *chain) follow(p int) uint32 {
	return (uint32(min(p-c.at, 256))<<8 | c.links&0xff) * 0x9e3779b1 >> (32 - chainBits)
}

// expect returns what is added to a field at p by the base that is expected there.
func (c *chain) expect(p int, value uint32, moved []int32) (uint32, bool) {
	if len(c.bases) == 0 || uint(p-c.at) >= 256 {
		return 0, false
	}
	key := c.follow(p)
	n := uint32(c.next[key])
	if n == 0 {
		return 0, false
	}
	added, ok := c.bases[n-1].added(value, moved)
	if ok {
		c.at, c.links, c.key = p, c.links<<4|n, key
	}
	return added, ok
}

// learn finds the base of a field at p that changed.
func (c *chain) learn(p int, v vote, moved []int32) {
	if len(c.bases) == 0 {
		return
	}
	key := c.key
	if c.at != p {
		key = c.follow(p)
	}
	n := uint8(0)
	for i, b := range c.bases {
		if (n == 0 || int(c.next[key]) == i+1) && b.explains(v, moved) {
			n = uint8(i + 1)
		}
	}
	if c.at == p {
		c.links = c.links&^15 | uint32(n)
		c.next[key] = n
		return
	}
	if uint(p-c.at) < 256 {
		c.next[key] = n
	}
	if n > 0 {
		c.at, c.links = p, c.links<<4|uint32(n)
	}
}

package crash

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// counts are what was tried of one operation, and what came of it.
type counts struct{ tried, met, old, new, bad int }

// tally counts for all operations.
type tally struct {
	mu    sync.Mutex
	ops   map[string]*counts
	sorts map[string]*counts
	left  atomic.Int64 // points that the time was too short for
}

func newTally() *tally { return &tally{ops: map[string]*counts{}, sorts: map[string]*counts{}} }

// of returns the counts kept under a name.
func of(m map[string]*counts, name string) *counts {
	if m[name] == nil {
		m[name] = &counts{}
	}
	return m[name]
}

// ran counts a run; met says whether its point was reached.
func (t *tally) ran(u *subject, d disturbance, met bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range []*counts{of(t.ops, u.op.name), of(t.sorts, d.sort()), of(t.sorts, "in a home: "+u.from.place.String())} {
		c.tried++
		if met || d.nth == 0 {
			c.met++
		}
	}
}

func (t *tally) saw(u *subject, state string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if state == "new" {
		of(t.ops, u.op.name).new++
		return
	}
	of(t.ops, u.op.name).old++
}

func (t *tally) isBad(u *subject) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of(t.ops, u.op.name).bad++
}

func (t *tally) points() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.ops {
		n += c.tried
	}
	return n
}

// print writes tables as docs/reliability.md has them.
func (t *tally) print(seed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all counts
	fmt.Println("\n| operation | points | really met | old | new | bad |\n| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, name := range slices.Sorted(maps.Keys(t.ops)) {
		c := t.ops[name]
		fmt.Printf("| %s | %d | %d | %d | %d | %d |\n", name, c.tried, c.met, c.old, c.new, c.bad)
		all.tried, all.met, all.old, all.new, all.bad = all.tried+c.tried, all.met+c.met, all.old+c.old, all.new+c.new, all.bad+c.bad
	}
	fmt.Printf("| **all** | %d | %d | %d | %d | %d |\n", all.tried, all.met, all.old, all.new, all.bad)
	fmt.Println("\n| disturbance, place | points | really met |\n| --- | ---: | ---: |")
	for _, name := range slices.Sorted(maps.Keys(t.sorts)) {
		fmt.Printf("| %s | %d | %d |\n", name, t.sorts[name].tried, t.sorts[name].met)
	}
	if left := t.left.Load(); left > 0 {
		fmt.Printf("crash: the time was over before %d more\n", left)
	}
	fmt.Printf("crash: %d points tried, %d met, states seen: old %d, new %d, bad = %d (seed %d)\n", all.tried, all.met, all.old, all.new, all.bad, seed)
}

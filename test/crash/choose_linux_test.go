package crash

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"uplevel/test/powercut"
)

// workers are the points of one operation that are tried at the same time: mounting is
// waiting, mostly.
const workers = 3

// operation tries an operation in every place and in every way, or in some.
func (s *sweeper) operation(t *testing.T, op operation) {
	for _, kind := range []powercut.Kind{powercut.Ext4, powercut.XFS} {
		u := s.subject(t, op, place{kind, plain})
		s.each(t, u, append(s.choose(u), u.goingBack(s.few(1, 20, 400))...))
		s.twice(t, u)
	}
	for n, l := range []layout{bind, two, outward, overlay} {
		u := s.elsewhere(t, op, l, n)
		if u != nil {
			points := append(durable(), u.some(s.few(4, 20, 400))...)
			if l == two {
				points = append(points, u.apart(s.size)...)
			}
			s.each(t, u, points)
			s.twice(t, u)
		}
	}
}

// elsewhere is the operation in a home that does not lie on one disk alone; nil where the short
// form leaves it out.
func (s *sweeper) elsewhere(t *testing.T, op operation, l layout, n int) *subject {
	t.Helper()
	kinds := []powercut.Kind{powercut.Ext4, powercut.XFS}
	if s.size == short && op.name != "update" || op.either || s.late() {
		return nil
	}
	return s.subject(t, op, place{kinds[(n+len(op.name))%len(kinds)], l})
}

func (s *sweeper) few(inShort, inSweep, inFull int) int {
	return []int{inShort, inSweep, inFull}[s.size]
}

// each tries points side by side.
func (s *sweeper) each(t *testing.T, u *subject, points []disturbance) {
	t.Helper()
	todo := make(chan disturbance)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for d := range todo {
				if s.late() {
					s.tally.left.Add(1)
					continue
				}
				s.point(t, u, d)
			}
		})
	}
	// In any order: what the time is too short for is a fair sample then.
	u.rand.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	for _, d := range points {
		if wanted(*at, d.call) && wanted(*hows, d.how) {
			todo <- d
		}
	}
	close(todo)
	all.Wait()
}

// late reports whether the time is over.
func (s *sweeper) late() bool { return *most > 0 && time.Since(s.began) > *most }

// choose returns what is tried in a home on one disk.
func (s *sweeper) choose(u *subject) []disturbance {
	all := durable()
	if s.size == short {
		all = append(all, disturbance{"fsync", 1 + u.rand.IntN(u.calls["fsync"]), "EROFS+", never})
		return append(all, u.some(4)...)
	}
	for _, call := range exhaustive() {
		for n := range u.calls[call] {
			all = append(all, s.at(u, call, n+1)...)
		}
	}
	for _, call := range sampled() {
		most := u.calls[call]
		if s.size == sweep {
			most = min(most, 12)
		}
		for _, n := range u.rand.Perm(u.calls[call])[:most] {
			all = append(all, s.at(u, call, n+1)...)
		}
	}
	return all
}

// durable are cuts after an acknowledged success: done means durable.
func durable() []disturbance {
	return []disturbance{{loss: powercut.Flushed}, {loss: powercut.Unflushed}}
}

// at returns what is tried at one call: with the sweep a cut and one other thing on one kind of
// disk. Where a name is given or something is synced the other kind is cut as well, at a sync
// also with a disk that fails for good and does so first then. With the full sweep it is all
// there is.
func (s *sweeper) at(u *subject, call string, n int) []disturbance {
	ways := disturbances(call, n)
	if s.size == full {
		return ways
	}
	turn := len(u.from.place.kind) // so that ext4 and XFS are not treated alike
	cut, other := ways[:3][1+(n+turn)%2], ways[u.rand.IntN(len(ways))]
	turns := (n/2+turn)%2 == 0
	switch {
	case turns:
		return []disturbance{cut, other}
	case call == "syncfs" || call == "fsync":
		return []disturbance{cut, {call, n, "EROFS+", never}}
	case call == "renameat" || call == "linkat":
		return []disturbance{cut}
	}
	return nil
}

// disturbances are all that can happen at a call, kills first.
func disturbances(call string, n int) []disturbance {
	all := []disturbance{
		{call, n, "kill", never},
		{call, n, "kill", powercut.Flushed},
		{call, n, "kill", powercut.Unflushed},
		{call, n, "term", never},
	}
	if call == "write" {
		all = append(all, disturbance{call, n, "short", never}, disturbance{call, n, "short", powercut.Unflushed})
	}
	for i, f := range failures() { // and who says all the same that it is done, is held to it
		all = append(all, disturbance{call, n, f, never}, disturbance{call, n, f, powercut.Loss(1 + (i+n)%2)})
	}
	return all
}

// some returns a sample: every kind of call is as likely, and half of it are cuts.
func (u *subject) some(most int) []disturbance {
	calls := slices.Sorted(maps.Keys(u.calls))
	calls = slices.DeleteFunc(calls, func(name string) bool { return name == "any" })
	all := []disturbance{}
	for n := range most {
		call := calls[u.rand.IntN(len(calls))]
		ways := disturbances(call, 1+u.rand.IntN(u.calls[call]))
		if n%2 == 0 {
			ways = ways[:3]
		}
		all = append(all, ways[u.rand.IntN(len(ways))])
	}
	return all
}

// goingBack returns kills a while after a rename failed, in the midst of what is made of that.
func (u *subject) goingBack(most int) []disturbance {
	all := []disturbance{}
	for range most {
		n := 1 + u.rand.IntN(max(u.calls["renameat"], 1))
		how := fmt.Sprintf("EIO/%d", 1+u.rand.IntN(60))
		all = append(all, disturbance{"renameat", n, how, powercut.Loss(u.rand.IntN(3))})
	}
	return all
}

// apart returns kills at which two disks do not lose the same. Where a sweep is made, the second
// one loses at every call that takes a name or syncs: what was not synced there shows between
// two of those.
func (u *subject) apart(sz size) []disturbance {
	all := []disturbance{{loss: firstLost}, {loss: secondLost}}
	var sure []disturbance
	for _, call := range []string{"renameat", "unlinkat", "syncfs", "fsync"} {
		for n := range u.calls[call] {
			first, second := disturbance{call, n + 1, "kill", firstLost}, disturbance{call, n + 1, "kill", secondLost}
			all = append(all, first)
			if sz != short && (call == "unlinkat" || call == "fsync") {
				sure = append(sure, second)
			} else {
				all = append(all, second)
			}
		}
	}
	if sz == full {
		return append(all, sure...)
	}
	u.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return append(sure, all[:min([]int{6, 30}[sz], len(all))]...)
}

// twice cuts an operation, then the recovery from that, and judges what a second recovery
// makes of it.
func (s *sweeper) twice(t *testing.T, u *subject) {
	t.Helper()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range s.few(0, 1, 40) {
				if s.late() {
					s.tally.left.Add(1)
					continue
				}
				s.pair(t, u)
			}
		})
	}
	if s.size == short && u.from.place.layout == plain {
		all.Go(func() { s.pair(t, u) })
	}
	all.Wait()
}

// pair is one first cut with some cuts of the recovery.
func (s *sweeper) pair(t *testing.T, u *subject) {
	t.Helper()
	u.mu.Lock()
	first := u.cutAnywhere(u.calls["any"])
	first.call = []string{"any", "renameat"}[u.rand.IntN(2)]
	first.nth = 1 + u.rand.IntN(max(u.calls[first.call], 1))
	u.mu.Unlock()
	s.in(t, u.from, func(h *house) {
		name := fmt.Sprintf("%s on %s: %s", u.op.name, h.place, first)
		r, _, err := s.disturbed(t, h, u.op, u.op.run, first)
		if err == nil && first.loss == never {
			err = h.rest()
		} else if err == nil {
			err = h.cut(first.loss, false)
		}
		if err != nil {
			s.bad(t, u, name, err.Error())
			return
		}
		calls := 0
		s.in(t, h, func(h *house) {
			_, what, err := s.disturbed(t, h, u.op, []string{"recover"}, disturbance{})
			if err != nil {
				s.bad(t, u, name, err.Error())
			}
			calls = what.Calls["any"]
		})
		for range s.few(1, 4, 40) {
			u.mu.Lock()
			second := u.cutAnywhere(calls)
			u.mu.Unlock()
			s.in(t, h, func(h *house) {
				name := name + "; then of the recovery " + second.String()
				_, what, err := s.disturbed(t, h, u.op, []string{"recover"}, second)
				if err == nil && second.loss != never {
					err = h.cut(second.loss, true)
				}
				if err != nil {
					s.bad(t, u, name, err.Error())
					return
				}
				s.tally.ran(u, disturbance{nth: 1, how: "pair of kills", loss: second.loss}, what.Met)
				s.settle(t, u, h, r, name)
			})
		}
	})
}

// cutAnywhere is a kill with or without a cut at one of n calls.
func (u *subject) cutAnywhere(n int) disturbance {
	return disturbance{"any", 1 + u.rand.IntN(max(n, 1)), "kill", powercut.Loss(u.rand.IntN(3))}
}

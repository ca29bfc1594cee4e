package shift_test

import (
	"testing"

	"pgregory.net/rapid"

	"uplevel/internal/delta/lz/shift"
)

// TestNeighboursAreTheNearestOfTheLast compares with a plain list of the last 64 numbers.
func TestNeighboursAreTheNearestOfTheLast(t *testing.T) {
	t.Parallel()
	type number struct {
		k int32
		v byte
	}
	rapid.Check(t, func(t *rapid.T) {
		var table shift.Table
		table.Reset()
		var last []number
		draw := rapid.Int32Range(0, rapid.SampledFrom([]int32{3, 100, 1<<16 - 1}).Draw(t, "most"))
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			k := draw.Draw(t, "k")
			below, above := table.Neighbours(k)
			wantBelow, wantAbove := shift.Neighbour{Far: 15}, shift.Neighbour{Far: 15}
			nearBelow, nearAbove := int32(1<<17), int32(1<<17)
			for _, n := range last {
				if d := k - n.k; d >= 0 && d < nearBelow {
					nearBelow, wantBelow = d, shift.Neighbour{V: n.v + byte(d), Far: length(d)}
				}
				if d := n.k - k; d >= 0 && d < nearAbove {
					nearAbove, wantAbove = d, shift.Neighbour{V: n.v - byte(d), Far: length(d)}
				}
			}
			if below != wantBelow || above != wantAbove {
				t.Fatalf("neighbours of %d: got %v and %v, want %v and %v", k, below, above, wantBelow, wantAbove)
			}
			n := number{k, rapid.Byte().Draw(t, "v")}
			table.Learn(n.k, n.v)
			known := false
			for i := range last {
				if last[i].k == k {
					last[i], known = n, true
				}
			}
			if !known {
				last = append(last, n)
				last = last[max(0, len(last)-64):]
			}
		}
	})
}

func length(d int32) uint32 {
	n := uint32(0)
	for ; d > 0 && n < 14; d >>= 1 {
		n++
	}
	return n
}

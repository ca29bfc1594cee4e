package mix

import "testing"

func TestTheFunctionsAreInverse(t *testing.T) {
	t.Parallel()
	l := NewLogistic()
	for p := 8; p < 4088; p++ {
		if back := int(l.squash[int(l.stretch[p])+limit]) >> 4; back < p-8 || back > p+8 {
			t.Fatalf("%d comes back as %d", p, back)
		}
	}
	for x := range 2 * limit {
		if l.squash[x] == 0 || l.squash[x] > l.squash[x+1] {
			t.Fatalf("at %d it is %d, then %d", x, l.squash[x], l.squash[x+1])
		}
	}
	for x, want := range map[int]int{0: 32768, nat: 47911, 2 * nat: 57723, -3 * nat: 3108, limit: 65534} { // 1/(1+e^-x)
		if got := int(l.squash[x+limit]); got < want-2 || got > want+2 {
			t.Errorf("of %d/%d: %d, not %d", x, nat, got, want)
		}
	}
}

func TestWhoIsRightIsTrusted(t *testing.T) {
	t.Parallel()
	l, m := NewLogistic(), NewMixer(1, 2)
	knows, guesses := Evens(2), Evens(1)
	seed := uint32(1)
	for range 2000 { // the first input sees what the bit depends on, the other nothing
		seed = seed*1664525 + 1013904223
		bit := seed >> 31
		m.Inputs[0], m.Inputs[1] = l.Odds(&knows[bit]), l.Odds(&guesses[0])
		m.Mix(l, 0)
		m.Learn(bit)
		l.Learn(&knows[bit], bit, 60)
		l.Learn(&guesses[0], bit, 60)
	}
	for bit := range uint32(2) {
		m.Inputs[0], m.Inputs[1] = l.Odds(&knows[bit]), l.Odds(&guesses[0])
		if one := m.Mix(l, 0); bit == 1 && one < 65000 || bit == 0 && one > 500 {
			t.Errorf("%d is thought to be 1 in %d of 65,536 cases", bit, one)
		}
	}
}

// Package mix says how likely a bit is, by what was seen of it before and by mixing what
// several sources say. All of it is counted in integers: every machine comes to the same.
package mix

const (
	nat   = 256      // of the unit in which the logarithms of odds are counted
	limit = 11 * nat // the largest of them
)

// Logistic holds the logistic function and its inverse.
type Logistic struct {
	squash  [2*limit + 1]uint16 // from -limit on: the logarithm of odds to a probability in parts of 65,536
	stretch [4096]int16         // and back, from parts of 4,096
	rate    [64]int32           // 1/(n+1.5) in parts of 65,536
}

// NewLogistic counts the tables.
func NewLogistic() *Logistic {
	l := &Logistic{}
	e := uint64(1 << 24) // e^(i/nat)
	for i := range limit + 1 {
		p := min(e<<16/(e+1<<24), 1<<16-1)
		l.squash[limit+i], l.squash[limit-i] = uint16(p), uint16(1<<16-p)
		e = e * 4210720 >> 22
	}
	at := 0
	for p := range l.stretch {
		for at < 2*limit && int(l.squash[at]) < p<<4+8 {
			at++
		}
		l.stretch[p] = int16(at - limit)
	}
	for n := range l.rate {
		l.rate[n] = int32(2 << 16 / (2*n + 3))
	}
	return l
}

// Chance is how likely a bit is 1. What was seen a few times only moves fast.
type Chance struct {
	One  uint16 // in parts of 65,536
	seen uint16
}

// Evens returns n chances of which nothing is known.
func Evens(n int) []Chance {
	all := make([]Chance, n)
	for i := range all {
		all[i].One = 1 << 15
	}
	return all
}

// Odds returns the logarithm of the odds of a 1, as a [Mixer] takes it.
func (l *Logistic) Odds(c *Chance) int32 { return int32(l.stretch[c.One>>4]) }

// Learn tells a chance what the bit was, which counts for one of most times at least; most is
// below 64.
func (l *Logistic) Learn(c *Chance, bit uint32, most uint16) {
	c.One = uint16(int32(c.One) + int32((int64(bit*0xffff)-int64(c.One))*int64(l.rate[c.seen])>>16))
	if c.seen < most {
		c.seen++
	}
}

// Mixer mixes what several inputs say of a bit, as PAQ does (Mahoney: "Adaptive weighing of
// context models for lossless data compression", 2005): logarithms of odds are added, each
// with a weight that grows when it was right.
type Mixer struct {
	Inputs  []int32 // logarithms of odds
	weights []int32 // of each input, for each set of weights, in parts of 65,536
	set     []int32 // the one in use
	mixed   uint32
}

// NewMixer returns a mixer of so many inputs that keeps so many sets of weights.
func NewMixer(sets, inputs int) *Mixer {
	m := &Mixer{Inputs: make([]int32, inputs), weights: make([]int32, sets*inputs)}
	for i := range m.weights {
		m.weights[i] = 1 << 16 * 3 / 10
	}
	return m
}

// Mix returns how likely a 1 is in parts of 65,536, never 0, by the inputs and a set of weights.
func (m *Mixer) Mix(l *Logistic, set int) uint32 {
	m.set = m.weights[set*len(m.Inputs):][:len(m.Inputs)]
	sum := int64(0)
	for i, w := range m.set {
		sum += int64(w) * int64(m.Inputs[i])
	}
	m.mixed = uint32(l.squash[min(max(sum>>16, -limit), limit)+limit])
	return m.mixed
}

// Learn tells the mixer what the bit was that it was last asked for.
func (m *Mixer) Learn(bit uint32) {
	wrong := int64(bit<<16) - int64(m.mixed)
	for i, in := range m.Inputs {
		m.set[i] += int32((int64(in)*wrong + 1<<13) >> 14)
	}
}

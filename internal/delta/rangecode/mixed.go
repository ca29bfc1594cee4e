package rangecode

// guesses is how many guesses are mixed at most.
const guesses = 7

// Mixed is a bit that is foreseen from several guesses, each by a context of its own. How much
// each counts is learnt, as in M. Mahoney's PAQ.
type Mixed struct {
	bits   [guesses]*Bit
	drawn  [guesses]int32 // each chance, stretched
	weight []int32        // in parts of 1<<16
	n      int
}

const (
	firstWeight = 1 << 16 * 35 / 100
	learning    = 10 // shift of what a weight learns from one bit
)

// Weigh makes weights of guesses of which nothing is known.
func Weigh(weights []int32) {
	for i := range weights {
		weights[i] = firstWeight
	}
}

// Begin begins a bit, of which the guesses weigh as learnt so far. There must be a weight for
// each guess, seven at most, as [Weigh] made them.
func (g *Mixed) Begin(weight []int32) { g.n, g.weight = 0, weight }

// Add adds a guess.
func (g *Mixed) Add(b *Bit) {
	g.bits[g.n] = b
	g.n++
}

// Zero returns how likely the bit is 0, in parts of [Likely].
func (g *Mixed) Zero(c *Curve) uint32 {
	sum := int64(0)
	for i, b := range g.bits[:g.n] {
		g.drawn[i] = int32(c.stretch[b.Zero()>>4])
		sum += int64(g.drawn[i]) * int64(g.weight[i])
	}
	return uint32(c.squash[min(max(sum>>16, -2047), 2047)+2048])
}

// Code codes the bit, and learns from it.
func (g *Mixed) Code(c *Coder, k *Curve, v uint32) uint32 {
	zero := g.Zero(k)
	v = c.At(zero, v)
	wrong := (int32(v^1)<<16 - int32(zero)) >> 4
	for i, b := range g.bits[:g.n] {
		g.weight[i] += (g.drawn[i]*wrong + 1<<(learning-1)) >> learning
		b.Saw(v)
	}
	return v
}

// Curve is the logistic curve and its inverse: squash for -2048 to 2047 in parts of 1/256,
// stretch for chances in parts of 1/4096. Between its points it is straight.
type Curve struct {
	squash  [4096]uint16
	stretch [4096]int16
}

// NewCurve returns the curve.
func NewCurve() *Curve {
	c := new(Curve)
	points := [...]int32{
		22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108,
		4971, 7812, 11955, 17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565,
		62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
	}
	next := 0
	for i := range c.squash {
		at, part := i>>7, int32(i&127)
		v := (points[at]*(128-part) + points[at+1]*part) >> 7
		c.squash[i] = uint16(v)
		for ; next <= int(v>>4); next++ {
			c.stretch[next] = int16(i - 2048)
		}
	}
	for ; next < len(c.stretch); next++ {
		c.stretch[next] = 2047
	}
	return c
}

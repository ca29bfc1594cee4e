package edit

import "uplevel/internal/delta/edit/mix"

const (
	contextsOfByte = 6
	expectedBytes  = 9
	contextsOfFlag = 7
)

// hash mixes two numbers into one whose highest bits depend on both.
func hash(a, b uint32) uint32 { return (a*0x2c1b3c6d + b) * 0x85ebca6b }

// Two kinds of bytes, of which different things are learnt.
const (
	changedByte = iota
	extraByte
)

// byteModel codes bytes. A byte is known by contexts, under each of which is counted what
// came before, and by what others expect it to be.
type byteModel struct {
	*coder
	*mix.Logistic
	slots []mix.Chance // sixteen for each half of a byte in a context
	mask  uint32
	kinds [2]struct {
		mixer *mix.Mixer
		right [expectedBytes][16][8]mix.Chance // that an expected bit is right, by the last four bytes and the bit's place
		hits  [expectedBytes]uint8             // whether it was right, for the last bytes
	}
}

// guessed is what is known of a byte before it is coded.
type guessed struct {
	contexts [contextsOfByte]uint32
	expected [expectedBytes]int // -1: nothing
}

func newByteModel(c *coder, l *mix.Logistic, rows int) *byteModel {
	b := &byteModel{coder: c, Logistic: l, slots: mix.Evens(16 << rows), mask: 1<<rows - 1}
	for k := range b.kinds {
		kind := &b.kinds[k]
		kind.mixer = mix.NewMixer(1<<8, contextsOfByte+expectedBytes)
		for i := range kind.right {
			for j := range kind.right[i] {
				copy(kind.right[i][j][:], mix.Evens(8))
			}
		}
	}
	return b
}

// code codes v, a byte of a kind.
func (b *byteModel) code(kind int, g *guessed, v byte) byte {
	k := &b.kinds[kind]
	var rows [contextsOfByte][]mix.Chance
	var right [expectedBytes]*mix.Chance // of those who agree so far
	node := uint32(1)                    // a 1 and the bits that are known
	for bit := 7; bit >= 0; bit-- {
		if bit == 7 || bit == 3 {
			for i, c := range g.contexts {
				h := (c + node*0x2c1b3c6d) * 0x9e3779b1
				rows[i] = b.slots[h>>8&b.mask<<4:][:16]
			}
		}
		place := node
		if bit < 4 {
			place = node&(1<<(3-bit)-1) | 1<<(3-bit)
		}
		for i := range rows {
			k.mixer.Inputs[i] = b.Odds(&rows[i][place])
		}
		agree := 0
		for i, e := range g.expected {
			right[i] = nil
			in := int32(0)
			if e >= 0 && uint32(e|256)>>(bit+1) == node {
				right[i] = &k.right[i][k.hits[i]&15][bit]
				in = b.Odds(right[i])
				if e>>bit&1 == 0 {
					in = -in
				}
				agree |= 1 << i
			}
			k.mixer.Inputs[contextsOfByte+i] = in
		}
		got := b.bit(k.mixer.Mix(b.Logistic, agree&31<<3|bit), uint32(v)>>bit&1)
		k.mixer.Learn(got)
		for i := range rows {
			b.Learn(&rows[i][place], got, 10)
		}
		for i, r := range right {
			if r != nil {
				b.Learn(r, 1^got^uint32(g.expected[i])>>bit&1, 60)
			}
		}
		node = node<<1 | got
	}
	for i, e := range g.expected {
		if e >= 0 {
			k.hits[i] <<= 1
			if e == int(byte(node)) {
				k.hits[i]++
			}
		}
	}
	return byte(node)
}

// flagModel codes whether a byte along an alignment changed. Most did not, and where that is
// next to certain one chance, the gate, says so; else contexts are mixed.
type flagModel struct {
	*coder
	*mix.Logistic
	slots []mix.Chance
	gates []mix.Chance
	bits  int
	mixer *mix.Mixer
}

// certain is below how many of 65,536 changes a gate is closed.
const certain = 64

func newFlagModel(c *coder, l *mix.Logistic, bits int) *flagModel {
	return &flagModel{c, l, mix.Evens(contextsOfFlag << bits), mix.Evens(1 << bits), bits, mix.NewMixer(states, contextsOfFlag)}
}

func (f *flagModel) gate(context uint32) *mix.Chance {
	return &f.gates[context*0x9e3779b1>>(32-f.bits)]
}

// sure codes by a closed gate whether a byte changed: 1 or 0.
func (f *flagModel) sure(gate *mix.Chance, changed uint32) uint32 {
	changed = f.bit(max(uint32(gate.One), 8), changed)
	f.Learn(gate, changed, 63)
	return changed
}

// code codes by contexts whether a byte changed, behind a gate that is open.
func (f *flagModel) code(gate *mix.Chance, state uint32, contexts *[contextsOfFlag]uint32, changed uint32) uint32 {
	var at [contextsOfFlag]*mix.Chance
	for i, c := range contexts {
		at[i] = &f.slots[i<<f.bits|int(c*0x9e3779b1>>(32-f.bits))]
		f.mixer.Inputs[i] = f.Odds(at[i])
	}
	changed = f.bit(f.mixer.Mix(f.Logistic, int(state)), changed)
	f.mixer.Learn(changed)
	for _, a := range at {
		f.Learn(a, changed, 30)
	}
	f.Learn(gate, changed, 63)
	return changed
}

package rangecode

// Coder encodes, or decodes: what a code looks like can then be written once for both. Its
// methods return the value; the one they are handed is ignored where they decode.
type Coder struct {
	enc *Encoder
	dec *Decoder
}

// Encoding returns a coder that encodes with e.
func Encoding(e *Encoder) *Coder { return &Coder{enc: e} }

// Decoding returns a coder that decodes with d.
func Decoding(d *Decoder) *Coder { return &Coder{dec: d} }

// Bit codes one bit.
func (c *Coder) Bit(b *Bit, v uint32) uint32 {
	if c.enc == nil {
		return c.dec.Decode(b)
	}
	c.enc.Encode(b, v)
	return v
}

// At codes a bit that is 0 as likely as zero says, in parts of [Likely].
func (c *Coder) At(zero, v uint32) uint32 {
	if c.enc == nil {
		return c.dec.At(zero)
	}
	c.enc.At(zero, v)
	return v
}

// Direct codes n bits that are as likely as not.
func (c *Coder) Direct(v uint32, n int) uint32 {
	if c.enc == nil {
		return c.dec.Direct(n)
	}
	c.enc.Direct(v, n)
	return v & (1<<n - 1)
}

// Tree codes n bits as [Encoder.Tree] does.
func (c *Coder) Tree(b []Bit, v uint32, n int) uint32 {
	if c.enc == nil {
		return c.dec.Tree(b, n)
	}
	c.enc.Tree(b, v, n)
	return v
}

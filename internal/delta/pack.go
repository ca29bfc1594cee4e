package delta

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"uplevel/internal/manifest"
)

// Magic begins a delta; its last byte is the version of the format.
const Magic = "uplevel-delta\x00\x01"

// What is coded together: contents so small, up to so much and so many.
const (
	small     = 128 << 10
	maxSheaf  = 4 << 20
	mostSheaf = 4096
)

// Pack is a delta between two trees: of it what is needed can be applied.
type Pack struct {
	Blocks []Block
	src    io.ReaderAt
}

// Block is a part of a delta that can be applied by itself.
type Block struct {
	Olds    []Content // what is needed of the old tree
	News    []Content // what it makes
	At, Len int64     // where it lies in the delta
}

// Open reads the head of a delta of size bytes between two trees. Errors are [ErrDamaged] and
// those of reading.
func Open(src io.ReaderAt, size int64, old, wanted manifest.Tree) (*Pack, error) {
	in := &counter{r: io.NewSectionReader(src, 0, size)}
	r := bufio.NewReader(in)
	var magic [len(Magic)]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil || string(magic[:]) != Magic {
		return nil, errors.Join(damaged("it begins like none, or is of another version"), hard(err))
	}
	text, err := readCoded(r, maxShape)
	if err != nil {
		return nil, err
	}
	p := &Pack{src: src}
	olds := Contents(old)
	if err := p.read(text, olds, Wanted(olds, Contents(wanted))); err != nil {
		return nil, err
	}
	at := in.n - int64(r.Buffered())
	for i := range p.Blocks {
		p.Blocks[i].At = at
		if at += p.Blocks[i].Len; at > size {
			return nil, damaged("it ends too early")
		}
	}
	if at != size {
		return nil, damaged("something follows it")
	}
	return p, nil
}

// hard returns errors that are not those of an end.
func hard(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// read reads which block makes what. A number for each wanted content says how many blocks
// after that of the one before it its block is, another which old content it is made of.
func (p *Pack) read(text []byte, olds, wanted []Content) error {
	r := bytes.NewReader(text)
	count, err := number(r)
	if err != nil {
		return err
	}
	if count > uint64(len(wanted)) {
		return damaged("it has more blocks than there are contents")
	}
	p.Blocks = make([]Block, count)
	for i := range p.Blocks {
		n, err := number(r)
		if err != nil {
			return err
		}
		if n > manifest.MaxFile {
			return damaged("a block is too long")
		}
		p.Blocks[i].Len = int64(n)
	}
	expect := byPath(olds, wanted)
	members := make([]map[int]bool, count)
	at := int64(0)
	for i, c := range wanted {
		n, err := signed(r)
		if err != nil {
			return err
		}
		if at += n; at < 0 || at > int64(len(p.Blocks)) {
			return damaged("it names a block that it has not")
		}
		ref, err := signed(r)
		if err != nil {
			return err
		}
		o := int64(expect[i]) + ref
		if o < none || o >= int64(len(olds)) {
			return damaged("it is made of what is not there")
		}
		if at == 0 {
			continue // no block makes it
		}
		b := &p.Blocks[at-1]
		b.News = append(b.News, c)
		if o == none {
			continue
		}
		if members[at-1] == nil {
			members[at-1] = map[int]bool{}
		}
		if !members[at-1][int(o)] {
			members[at-1][int(o)] = true
			b.Olds = append(b.Olds, olds[o])
		}
	}
	if r.Len() > 0 {
		return damaged("its head is too long")
	}
	return nil
}

// Apply makes what a block makes. from opens old contents, to takes new ones, in the order of
// the block; scratch is where what is too large for memory goes. Whoever calls compares what
// comes with its digest: a delta proves nothing.
func (p *Pack) Apply(ctx context.Context, b Block, from func(Content) (File, error), to func(Content) (io.WriteCloser, error), scratch Scratch) error {
	in := block{}
	for _, c := range b.Olds {
		f, err := from(c)
		if err != nil {
			return errors.Join(err, closeAll(in.olds))
		}
		in.olds, in.sizes = append(in.olds, f), append(in.sizes, c.Size)
	}
	for _, c := range b.News {
		in.news = append(in.news, c.Size)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(p.src, b.At, b.Len), 32<<10)
	create := func(n int) (io.WriteCloser, error) { return to(b.News[n]) }
	if err := in.apply(ctx, r, create, scratch); err != nil {
		return err
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(damaged("something follows a block"), hard(err))
	}
	return nil
}

func closeAll(files []File) error {
	var all error
	for _, f := range files {
		all = errors.Join(all, f.Close())
	}
	return all
}

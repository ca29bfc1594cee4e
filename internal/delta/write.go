package delta

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"uplevel/internal/manifest"
)

// Maker makes deltas between trees. All but Workers is required.
type Maker struct {
	Old, New manifest.Tree
	OpenOld  func(Content) (File, error)
	OpenNew  func(Content) (File, error)
	Scratch  Scratch
	Workers  int // blocks made at a time, each in some 150 MB; 0: one
}

// draft is a block that is made.
type draft struct {
	news  []int // of the wanted contents
	pairs []int
	code  *os.File
	size  int64
}

// Write writes the delta.
func (m Maker) Write(ctx context.Context, w io.Writer) (err error) {
	olds := Contents(m.Old)
	wanted := Wanted(olds, Contents(m.New))
	pairs, err := pair(ctx, olds, wanted, m.OpenOld, m.OpenNew)
	if err != nil {
		return err
	}
	drafts := divide(wanted, pairs)
	defer func() {
		for _, d := range drafts {
			if d.code != nil {
				err = errors.Join(err, d.code.Close())
			}
		}
	}()
	if err := m.make(ctx, drafts, olds, wanted); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 256<<10)
	if _, err := out.WriteString(Magic); err != nil {
		return err
	}
	if err := writeCoded(out, headText(drafts, byPath(olds, wanted), pairs)); err != nil {
		return err
	}
	for _, d := range drafts {
		if _, err := io.Copy(out, io.NewSectionReader(d.code, 0, d.size)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// divide says which contents a block makes: small ones are coded together, in their order.
func divide(wanted []Content, pairs []int) []*draft {
	var all []*draft
	var sheaf *draft
	var size int64
	for i, c := range wanted {
		if c.Size > small {
			all = append(all, &draft{news: []int{i}, pairs: []int{pairs[i]}})
			continue
		}
		if sheaf == nil || size+c.Size > maxSheaf || len(sheaf.news) == mostSheaf {
			sheaf, size = &draft{}, 0
			all = append(all, sheaf)
		}
		sheaf.news, sheaf.pairs = append(sheaf.news, i), append(sheaf.pairs, pairs[i])
		size += c.Size
	}
	return all
}

// make makes blocks, several at a time.
func (m Maker) make(ctx context.Context, drafts []*draft, olds, wanted []Content) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(max(m.Workers, 1))
	for _, d := range drafts {
		work.Go(func() error {
			var err error
			if d.code, err = m.Scratch(); err != nil {
				return err
			}
			out := bufio.NewWriter(d.code)
			if err := m.block(ctx, out, d, olds, wanted); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
			d.size, err = d.code.Seek(0, io.SeekCurrent)
			return err
		})
	}
	return work.Wait()
}

// block makes one block.
func (m Maker) block(ctx context.Context, w io.Writer, d *draft, olds, wanted []Content) error {
	b := block{}
	var news []File
	var order, pairs []int
	fail := func(err error) error { return errors.Join(err, closeAll(b.olds), closeAll(news)) }
	for i, n := range d.news {
		at := none
		if o := d.pairs[i]; o != none {
			if at = slices.Index(order, o); at < 0 {
				f, err := m.OpenOld(olds[o])
				if err != nil {
					return fail(err)
				}
				at, order = len(order), append(order, o)
				b.olds, b.sizes = append(b.olds, f), append(b.sizes, olds[o].Size)
			}
		}
		f, err := m.OpenNew(wanted[n])
		if err != nil {
			return fail(err)
		}
		news, b.news, pairs = append(news, f), append(b.news, wanted[n].Size), append(pairs, at)
	}
	return b.write(ctx, w, news, pairs, m.Scratch)
}

// headText is what [Pack.read] reads.
func headText(drafts []*draft, expect, pairs []int) []byte {
	of := make([]int, len(pairs))
	text := binary.AppendUvarint(nil, uint64(len(drafts)))
	for i, d := range drafts {
		text = binary.AppendUvarint(text, uint64(d.size))
		for _, n := range d.news {
			of[n] = i + 1
		}
	}
	before := 0
	for i, n := range of {
		text = binary.AppendVarint(text, int64(n-before))
		text = binary.AppendVarint(text, int64(pairs[i]-expect[i]))
		before = n
	}
	return text
}

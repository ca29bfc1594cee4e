package delta

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"uplevel/internal/archive/deflater"
	"uplevel/internal/archive/layout"
	"uplevel/internal/delta/lz"
)

// maker makes a block.
type maker struct {
	old, new *sources
	steps    []step
	of       []int32 // the new node that a step makes
	finder   *deflater.Finder
	opener   layout.Opener
}

// write makes the block that turns its old contents into new ones. pairs says for each new
// content of which old one it is made, none of nothing.
func (b block) write(ctx context.Context, w io.Writer, news []File, pairs []int, scratch Scratch) error {
	m := &maker{finder: deflater.NewFinder()}
	var err error
	if m.old, err = open(ctx, b.olds, b.sizes, scratch); err != nil {
		return err
	}
	if m.new, err = open(ctx, news, b.news, scratch); err == nil {
		err = m.write(ctx, w, pairs)
		err = errors.Join(err, m.new.close())
	}
	return errors.Join(err, m.old.close())
}

func (m *maker) write(ctx context.Context, w io.Writer, pairs []int) error {
	for i, n := range m.new.roots {
		if err := ctx.Err(); err != nil {
			return err
		}
		ref := int32(none)
		if pairs[i] != none {
			ref = m.old.roots[pairs[i]]
		}
		if err := m.part(n, ref); err != nil {
			return err
		}
	}
	if err := writeCoded(w, writeShape(m.steps, m.old.nodes)); err != nil {
		return err
	}
	for _, sec := range m.inOrder() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.section(w, sec); err != nil {
			return err
		}
	}
	return nil
}

// writeCoded writes a text that [readCoded] reads.
func writeCoded(w io.Writer, text []byte) error {
	code := lz.Encode(nil, text)
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(text))), uint64(len(code)))
	_, err := w.Write(append(head, code...))
	return err
}

func (m *maker) push(s step, n int32) {
	m.steps, m.of = append(m.steps, s), append(m.of, n)
}

// part says how a new part is made of an old one.
func (m *maker) part(n, ref int32) error {
	p := m.new.nodes[n]
	s := step{kind: plain, ref: ref, size: p.Size}
	nest := p.next > n+1
	switch {
	case p.Frame:
		s.kind = frame
	case nest:
		s.kind, s.size = archive, 0
	}
	if p.Deflate {
		params, ok, err := m.params(n)
		switch {
		case err != nil:
			return err
		case !ok: // it cannot be closed again: its bytes as they lie
			m.push(step{kind: plain, ref: none, size: p.Len}, n)
			return nil
		case nest:
			s.kind, s.params = zipped, params
		default:
			s.kind, s.params = packed, params
		}
	}
	m.push(s, n)
	if !nest {
		return nil
	}
	if err := m.within(n, ref); err != nil {
		return err
	}
	m.push(step{kind: finish, ref: none}, n)
	return nil
}

// within says how the parts of a new archive are made of those of an old one. Parts that are
// as they were, and follow one another on both sides, are one step.
func (m *maker) within(n, ref int32) error {
	old := m.old.children(ref)
	for at := n + 1; at < m.new.nodes[n].next; at = m.new.nodes[at].next {
		o := old.find(m.new.nodes[at].Name, m.new.nodes[at].Frame)
		kept := false
		if o != none {
			var err error
			if kept, err = alike(m.old, o, m.new, at); err != nil {
				return err
			}
		}
		if !kept {
			if err := m.part(at, o); err != nil {
				return err
			}
			continue
		}
		if last := len(m.steps) - 1; m.steps[last].kind == same && after(m.old.nodes, m.steps[last].ref, m.steps[last].count) == o {
			m.steps[last].count++
			continue
		}
		m.push(step{kind: same, ref: o, count: 1}, at)
	}
	return nil
}

// params finds how a part was deflated; false where it cannot be found.
func (m *maker) params(n int32) (deflater.Params, bool, error) {
	p := m.new.nodes[n]
	if p.Size > maxGrowth*p.Len+freely {
		return deflater.Params{}, false, nil
	}
	in, err := m.new.holder(n)
	if err != nil {
		return deflater.Params{}, false, err
	}
	params, ok, err := m.finder.Find(io.NewSectionReader(in, p.At, p.Len), func() io.Reader { return m.opener.Content(in, p.Part) })
	if errors.Is(err, layout.ErrOther) {
		return params, false, nil
	}
	return params, ok, err
}

// inOrder returns the sections of all classes in the order in which they are needed.
func (m *maker) inOrder() []section {
	var all []section
	for of := range classes {
		all = append(all, sections(m.steps, m.old.nodes, of)...)
	}
	slices.SortStableFunc(all, func(a, b section) int {
		return cmp.Or(cmp.Compare(a.spans[0].step, b.spans[0].step), cmp.Compare(a.spans[0].from, b.spans[0].from))
	})
	return all
}

// section codes a section and writes it.
func (m *maker) section(w io.Writer, sec section) error {
	content, err := m.content(sec)
	if err != nil {
		return err
	}
	var at, length int64
	if sec.window {
		if at, length, err = m.look(sec, content); err != nil {
			return err
		}
	}
	old, err := m.old.gather(sec, m.steps, at, length)
	if err != nil {
		return err
	}
	e, code := encode(old, content)
	return writeSection(w, sec, e, at, length, code)
}

// content returns the new content of a section.
func (m *maker) content(sec section) ([]byte, error) {
	b := make([]byte, sec.size)
	rest := b
	for _, sp := range sec.spans {
		n, s := m.of[sp.step], m.steps[sp.step]
		to := rest[:sp.to-sp.from]
		rest = rest[len(to):]
		var err error
		switch {
		case s.kind == plain && m.new.nodes[n].Deflate:
			var r io.Reader
			if r, err = m.new.stored(n, m.new.nodes[n].next); err == nil {
				_, err = io.CopyN(io.Discard, r, sp.from)
				err = errors.Join(err, second(io.ReadFull(r, to)))
			}
		case int64(len(to)) == s.size:
			err = m.new.read(n, to)
		default:
			err = m.new.window(n, to, sp.from)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func second(_ int, err error) error { return err }

// look finds the stretch of a large old content that is most like new content: the one that
// holds what the most of its samples point to.
func (m *maker) look(sec section, content []byte) (at, length int64, err error) {
	n := m.steps[sec.spans[0].step].ref
	size := m.old.nodes[n].Size
	length = min(size, maxSource)
	from := sec.spans[0].from
	shift, err := m.shift(n, size, from, content)
	if err != nil {
		return 0, 0, err
	}
	middle := from + shift + int64(len(content))/2
	return min(max(middle-length/2, 0), size-length), length, nil
}

// sample is the length of what is compared to find out where new content was before.
const sample = 32

// shift returns how far before or behind its place in old content new content lies there.
func (m *maker) shift(n int32, size, from int64, content []byte) (int64, error) {
	if size <= maxSource {
		return 0, nil
	}
	wanted := map[string]int64{}
	for at := 0; at+sample <= len(content); at += 4096 {
		if s := string(content[at : at+sample]); telling(s) {
			wanted[s] = from + int64(at)
		}
	}
	votes := map[int64]int{}
	b := make([]byte, 1<<20+sample)
	for at := int64(0); at < size; at += 1 << 20 {
		part := b[:min(int64(len(b)), size-at)]
		if err := m.old.window(n, part, at); err != nil {
			return 0, err
		}
		for i := range max(len(part)-sample, 0) {
			if to, ok := wanted[string(part[i:i+sample])]; ok {
				votes[(at+int64(i)-to)>>16]++
			}
		}
	}
	best, most := int64(0), 0
	for shift, n := range votes {
		if n > most || n == most && abs(shift) < abs(best) {
			best, most = shift, n
		}
	}
	return best << 16, nil
}

func abs(n int64) int64 { return max(n, -n) }

// telling reports whether a sample is more than one byte again and again.
func telling(s string) bool {
	return !bytes.Equal([]byte(s[1:]), []byte(s[:len(s)-1]))
}

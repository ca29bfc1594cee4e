package delta

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"uplevel/internal/delta/edit"
	"uplevel/internal/delta/lz"
)

// engine is how a section is coded.
type engine byte

// The engines. They stand in deltas.
const (
	verbatim engine = iota // the bytes themselves
	byLZ                   // old content as a dictionary: where much is new
	byEdit                 // along alignments: where little changed, and in native code
)

// span is a stretch of the content of a step.
type span struct {
	step     int
	from, to int64
}

// section is new content that is coded together, with the old content that it is coded
// against.
type section struct {
	spans  []span
	size   int64
	source []int32 // old nodes, whole; nil: a window
	window bool    // of the one old node that the one span is made of
}

// class is where the content of a step comes from: headers are coded among themselves.
type class int

const (
	headers class = iota
	contents
	classes
)

func classOf(s step) class {
	if s.kind == frame {
		return headers
	}
	return contents
}

// sections says which contents are coded together. Both sides count alike. Each class has its
// own, in the order of the steps.
func sections(steps []step, nodes []node, of class) []section {
	var all []section
	g := gathering{}
	for i, s := range steps {
		if !s.leaf() || classOf(s) != of || s.size == 0 {
			continue
		}
		old := expected(s, nodes)
		if s.size <= maxGroup && old <= maxSource {
			if g.full(s, old) {
				all = append(all, g.take())
			}
			g.add(i, s, old)
			continue
		}
		if len(g.spans) > 0 {
			all = append(all, g.take())
		}
		for from := int64(0); from < s.size; from += maxGroup {
			to := min(from+maxGroup, s.size)
			all = append(all, section{spans: []span{{i, from, to}}, size: to - from, window: s.ref != none})
		}
	}
	if len(g.spans) > 0 {
		all = append(all, g.take())
	}
	return all
}

// gathering is a section that small contents are gathered in.
type gathering struct {
	section
	old  int64
	seen map[int32]bool
}

func (g *gathering) full(s step, old int64) bool {
	return len(g.spans) > 0 && (g.size+s.size > maxGroup || g.old+old > maxSource)
}

func (g *gathering) add(i int, s step, old int64) {
	g.spans = append(g.spans, span{i, 0, s.size})
	g.size += s.size
	if s.ref == none || g.seen[s.ref] {
		return
	}
	if g.seen == nil {
		g.seen = map[int32]bool{}
	}
	g.seen[s.ref] = true
	g.source = append(g.source, s.ref)
	g.old += old
}

func (g *gathering) take() section {
	s := g.section
	*g = gathering{}
	return s
}

// gather returns the old content that a section is coded against.
func (s *sources) gather(sec section, steps []step, at, length int64) ([]byte, error) {
	if sec.window {
		b := make([]byte, length)
		return b, s.window(steps[sec.spans[0].step].ref, b, at)
	}
	var total int64
	for _, n := range sec.source {
		total += s.nodes[n].Size
	}
	b := make([]byte, total)
	rest := b
	var in io.ReaderAt
	holder, known := int32(none), false
	for _, n := range sec.source {
		if h := s.nodes[n].holder; !known || h != holder || h == none {
			var err error
			if in, err = s.holder(n); err != nil {
				return nil, err
			}
			holder, known = h, true
		}
		if err := s.readIn(in, n, rest[:s.nodes[n].Size]); err != nil {
			return nil, err
		}
		rest = rest[s.nodes[n].Size:]
	}
	return b, nil
}

// encode codes new content by the engine that takes the fewest bytes.
func encode(old, content []byte) (engine, []byte) {
	best, code := verbatim, content
	for e, make := range map[engine]func(old, content []byte) []byte{byLZ: lz.Encode, byEdit: edit.Encode} {
		if got := make(old, content); len(got) < len(code) || len(got) == len(code) && e < best {
			best, code = e, got
		}
	}
	return best, code
}

func decode(e engine, content, old, code []byte) error {
	var err error
	switch e {
	case verbatim:
		if len(code) != len(content) {
			return damaged("a section is not as long as it must be")
		}
		copy(content, code)
	case byLZ:
		err = lz.Decode(content, old, code)
	case byEdit:
		err = edit.Decode(content, old, code)
	default:
		return damaged("a section is coded in a way that is not known")
	}
	if err != nil {
		return errors.Join(damaged("a section"), err)
	}
	return nil
}

// writeSection appends the head of a section and its code.
func writeSection(w io.Writer, sec section, e engine, at, length int64, code []byte) error {
	head := []byte{byte(e)}
	if sec.window {
		head = binary.AppendUvarint(binary.AppendUvarint(head, uint64(at)), uint64(length))
	}
	head = binary.AppendUvarint(head, uint64(len(code)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(code)
	return err
}

// readSection reads a section and returns its content.
func (s *sources) readSection(r *bufio.Reader, sec section, steps []step) ([]byte, error) {
	e, err := r.ReadByte()
	if err != nil {
		return nil, early(err)
	}
	var at, length uint64
	if sec.window {
		if at, err = number(r); err != nil {
			return nil, err
		}
		if length, err = number(r); err != nil {
			return nil, err
		}
		size := uint64(s.nodes[steps[sec.spans[0].step].ref].Size)
		if length > maxSource || at > size || length > size-at {
			return nil, damaged("a window lies outside of what it shows")
		}
	}
	n, err := number(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(sec.size) {
		return nil, damaged("a section is longer than what it makes")
	}
	code := make([]byte, n)
	if _, err := io.ReadFull(r, code); err != nil {
		return nil, early(err)
	}
	old, err := s.gather(sec, steps, int64(at), int64(length))
	if err != nil {
		return nil, err
	}
	content := make([]byte, sec.size)
	return content, decode(engine(e), content, old, code)
}

// number reads a varint. One that is too long for 64 bits is no number.
func number(r io.ByteReader) (uint64, error) {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, early(err)
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, damaged("a number of it is too long")
}

// signed reads a number that may be negative, zigzag.
func signed(r io.ByteReader) (int64, error) {
	n, err := number(r)
	return int64(n>>1) ^ -int64(n&1), err
}

// early takes an end too early for what it is.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends too early")
	}
	return err
}

// stream gives the content of one class, section by section.
type stream struct {
	s        *sources
	steps    []step
	sections []section
	rest     []byte
}

// next returns at most n bytes, which are the next ones.
func (t *stream) next(r *bufio.Reader, n int64) ([]byte, error) {
	if len(t.rest) == 0 {
		if len(t.sections) == 0 {
			return nil, damaged("it has fewer sections than it needs")
		}
		var err error
		if t.rest, err = t.s.readSection(r, t.sections[0], t.steps); err != nil {
			return nil, err
		}
		t.sections = t.sections[1:]
	}
	n = min(n, int64(len(t.rest)))
	b := t.rest[:n]
	t.rest = t.rest[n:]
	return b, nil
}

// copyTo writes n bytes.
func (t *stream) copyTo(w io.Writer, r *bufio.Reader, n int64) error {
	for n > 0 {
		b, err := t.next(r, n)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

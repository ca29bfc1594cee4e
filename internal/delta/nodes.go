package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"uplevel/internal/archive/layout"
)

// node is an old file, or a part of one, in the numbering that a block uses: each file is
// followed by its parts, each part by those within it.
type node struct {
	layout.Part
	holder int32 // what its bytes lie in; none: it is a file
	next   int32 // the node after it and those within it
}

const none = -1

// sources are the old files of a block, opened.
type sources struct {
	files   []File // by the order of their nodes
	nodes   []node
	roots   []int32
	opener  layout.Opener
	held    []held // archives opened in memory, the latest at the end
	large   map[int32]*os.File
	scratch Scratch
}

// held is the content of a node.
type held struct {
	node    int32
	content []byte
}

// maxHeld bounds the bytes of archives within archives that are kept open.
const maxHeld = layout.MaxInner

// open finds the parts of old files.
func open(ctx context.Context, files []File, sizes []int64, scratch Scratch) (*sources, error) {
	s := &sources{files: files, scratch: scratch, large: map[int32]*os.File{}}
	for i, f := range files {
		parts, err := layout.Of(ctx, io.NewSectionReader(f, 0, sizes[i]))
		if err != nil {
			return nil, err
		}
		s.roots = append(s.roots, int32(len(s.nodes)))
		root := layout.Part{Len: sizes[i], Size: sizes[i]}
		if len(parts) > 1 {
			root.Within = parts
		}
		s.add(root, none)
		if len(s.nodes) > layout.MaxParts+maxFiles {
			return nil, damaged("the old contents have too many parts")
		}
	}
	return s, nil
}

func (s *sources) add(p layout.Part, holder int32) {
	at := int32(len(s.nodes))
	within := p.Within
	p.Within = nil
	s.nodes = append(s.nodes, node{Part: p, holder: holder})
	for _, inner := range within {
		s.add(inner, at)
	}
	s.nodes[at].next = int32(len(s.nodes))
}

// root returns the file that a node lies in.
func (s *sources) root(n int32) int {
	for s.nodes[n].holder != none {
		n = s.nodes[n].holder
	}
	for i, r := range s.roots {
		if r == n {
			return i
		}
	}
	return 0
}

// holder returns what the bytes of a node lie in.
func (s *sources) holder(n int32) (io.ReaderAt, error) {
	h := s.nodes[n].holder
	if h == none {
		return s.files[s.root(n)], nil
	}
	if s.nodes[h].Deflate {
		content, err := s.inner(h)
		return bytes.NewReader(content), err
	}
	in, err := s.holder(h)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(in, s.nodes[h].At, s.nodes[h].Len), nil
}

// inner returns the content of an archive that lies deflated in another.
func (s *sources) inner(n int32) ([]byte, error) {
	total := int64(0)
	for i, h := range s.held {
		if h.node == n {
			s.held = append(append(s.held[:i:i], s.held[i+1:]...), h)
			return h.content, nil
		}
		total += int64(len(h.content))
	}
	content := make([]byte, s.nodes[n].Size)
	if err := s.read(n, content); err != nil {
		return nil, err
	}
	for len(s.held) > 0 && total+int64(len(content)) > maxHeld {
		total -= int64(len(s.held[0].content))
		s.held = s.held[1:]
	}
	s.held = append(s.held, held{n, content})
	return content, nil
}

// read fills b, which is as long, with the content of a node.
func (s *sources) read(n int32, b []byte) error {
	in, err := s.holder(n)
	if err != nil {
		return err
	}
	return s.readIn(in, n, b)
}

func (s *sources) readIn(in io.ReaderAt, n int32, b []byte) error {
	_, err := io.ReadFull(s.opener.Content(in, s.nodes[n].Part), b)
	return other(err)
}

// stored returns the bytes of consecutive nodes as they lie, from n up to before until; they
// have one holder.
func (s *sources) stored(n, until int32) (io.Reader, error) {
	in, err := s.holder(n)
	if err != nil {
		return nil, err
	}
	last := n
	for s.nodes[last].next != until {
		last = s.nodes[last].next
	}
	from := s.nodes[n].At
	return io.NewSectionReader(in, from, s.nodes[last].At+s.nodes[last].Len-from), nil
}

// window fills b with a stretch of a node's content. One that is deflated is opened into a
// scratch file first.
func (s *sources) window(n int32, b []byte, at int64) error {
	in, err := s.holder(n)
	if err != nil {
		return err
	}
	p := s.nodes[n].Part
	if p.Deflate {
		file, err := s.unpacked(in, n)
		if err != nil {
			return err
		}
		in, p = file, layout.Part{Len: p.Size}
	}
	_, err = io.ReadFull(io.NewSectionReader(in, p.At+at, int64(len(b))), b)
	return other(err)
}

func (s *sources) unpacked(in io.ReaderAt, n int32) (*os.File, error) {
	if file, ok := s.large[n]; ok {
		return file, nil
	}
	file, err := s.scratch()
	if err != nil {
		return nil, err
	}
	s.large[n] = file
	if _, err := io.Copy(file, s.opener.Content(in, s.nodes[n].Part)); err != nil {
		return nil, other(err)
	}
	return file, nil
}

// other says that an old content is another one than the delta was made for.
func other(err error) error {
	if errors.Is(err, layout.ErrOther) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: an old content is not the one it was made for: %w", ErrDamaged, err)
	}
	return err
}

// close lets go of files and memory.
func (s *sources) close() error {
	var all error
	for _, f := range s.large {
		all = errors.Join(all, f.Close())
	}
	for _, f := range s.files {
		all = errors.Join(all, f.Close())
	}
	return all
}

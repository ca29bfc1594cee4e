package delta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"uplevel/internal/archive/deflater"
	"uplevel/internal/delta/lz"
)

// block is a part of a delta that stands for itself: some old contents become some new ones.
type block struct {
	olds  []File
	sizes []int64 // of them
	news  []int64 // sizes of the new contents
}

// apply reads a block and makes its new contents, one after the other.
func (b block) apply(ctx context.Context, r *bufio.Reader, create func(n int) (io.WriteCloser, error), scratch Scratch) error {
	s, err := open(ctx, b.olds, b.sizes, scratch)
	if err != nil {
		return err
	}
	err = b.make(ctx, r, s, create)
	return errors.Join(err, s.close())
}

func (b block) make(ctx context.Context, r *bufio.Reader, s *sources, create func(n int) (io.WriteCloser, error)) error {
	text, err := readCoded(r, maxShape)
	if err != nil {
		return err
	}
	steps, err := readShape(text, s.nodes, b.news)
	if err != nil {
		return err
	}
	w := writer{r: r, s: s, steps: steps}
	for of := range classes {
		w.streams[of] = stream{s: s, steps: steps, sections: sections(steps, s.nodes, of)}
	}
	for n, size := range b.news {
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := create(n)
		if err != nil {
			return err
		}
		err = w.file(&limited{w: out, left: size})
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

// readCoded reads a text that [writeCoded] wrote.
func readCoded(r *bufio.Reader, most uint64) ([]byte, error) {
	size, err := number(r)
	if err != nil {
		return nil, err
	}
	n, err := number(r)
	if err != nil {
		return nil, err
	}
	if size > most || n > size+size/8+64 {
		return nil, damaged("a text of it is too long")
	}
	code := make([]byte, n)
	if _, err := io.ReadFull(r, code); err != nil {
		return nil, early(err)
	}
	text := make([]byte, size)
	if err := lz.Decode(text, nil, code); err != nil {
		return nil, errors.Join(damaged("a text of it"), err)
	}
	return text, nil
}

// limited refuses more than a new content has.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, damaged("it makes more than was to be made")
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}

// writer makes new files of steps.
type writer struct {
	r       *bufio.Reader
	s       *sources
	steps   []step // that are left
	streams [classes]stream
}

// file makes one file.
func (w *writer) file(out *limited) error {
	buffered := bufio.NewWriterSize(out, 64<<10)
	if err := w.step(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if out.left > 0 {
		return damaged("it makes less than was to be made")
	}
	return nil
}

// step makes what the next step says, and the steps within it.
func (w *writer) step(out io.Writer) error {
	s := w.steps[0]
	w.steps = w.steps[1:]
	switch s.kind {
	case same:
		r, err := w.s.stored(s.ref, after(w.s.nodes, s.ref, s.count))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		return err
	case packed:
		return w.deflated(out, s, func(out io.Writer) error { return w.streams[contents].copyTo(out, w.r, s.size) })
	case zipped:
		return w.deflated(out, s, w.within)
	case archive:
		return w.within(out)
	case frame, plain:
		return w.streams[classOf(s)].copyTo(out, w.r, s.size)
	case finish, kinds:
	}
	return damaged("its shape cannot be")
}

// within makes the steps up to the one that finishes an archive.
func (w *writer) within(out io.Writer) error {
	for w.steps[0].kind != finish {
		if err := w.step(out); err != nil {
			return err
		}
	}
	w.steps = w.steps[1:]
	return nil
}

// deflated deflates what fill writes.
func (w *writer) deflated(out io.Writer, s step, fill func(io.Writer) error) error {
	z, err := deflater.NewWriter(out, s.params)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := fill(z); err != nil {
		return err
	}
	return z.Close()
}

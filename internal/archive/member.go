package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"uplevel/internal/archive/anatomy"
)

// contents are the three versions of one member; base is nil if there is none.
type contents struct{ base, mine, theirs []byte }

// both writes a member that both sides changed.
func (w *writer) both(ctx context.Context, f frames, c *choice) error {
	why := w.mergeable(c)
	var in contents
	var text Text
	var err error
	if why == "" {
		if in, err = loadAll(f, c); err != nil {
			return err
		}
		text, err = w.combine(ctx, c.mine.Name, in)
		if errors.Is(err, ErrWhole) { // of a nested archive, or as Members says
			why, err = BothChanged, nil
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%.200q: %w", c.mine.Name, err)
	case why != "":
		w.conflict(c, why)
		return w.side(ctx, f, c)
	}
	w.result.Conflicts = append(w.result.Conflicts, text.Conflicts...)
	content := text.Merged
	if w.preferTheirs && len(text.Conflicts) > 0 {
		content = text.Theirs
	}
	switch {
	case bytes.Equal(content, in.mine):
		return w.raw(ctx, f.mine, c.mine, c)
	case bytes.Equal(content, in.theirs):
		return w.raw(ctx, f.theirs, c.theirs, c)
	}
	w.result.Merged = append(w.result.Merged, c.mine.Name)
	return w.rebuilt(f.mine, c, content)
}

// mergeable returns why a member can not be merged, "" if it can.
func (w *writer) mergeable(c *choice) Why {
	total := int64(0)
	for _, one := range []*anatomy.Member{c.base, c.mine, c.theirs} {
		switch {
		case one == nil:
			continue
		case one.Folder() || one.Link():
			return BothChanged
		case one.Size > maxLoad:
			return TooLarge
		}
		total += one.Size
	}
	if isArchive(c.mine.Name) {
		if w.depth >= maxDepth {
			return BothChanged
		}
	} else if w.members == nil {
		return BothChanged
	}
	if total > w.loads {
		return TooLarge
	}
	w.loads -= total
	return ""
}

func loadAll(f frames, c *choice) (contents, error) {
	var in contents
	var err error
	if in.mine, err = f.mine.Load(c.mine); err != nil {
		return contents{}, err
	}
	if in.theirs, err = f.theirs.Load(c.theirs); err != nil || c.base == nil {
		return in, err
	}
	in.base, err = f.base.Load(c.base)
	return in, err
}

// combine merges the content of one member, an archive by its own members.
func (w *writer) combine(ctx context.Context, name string, in contents) (Text, error) {
	if err := ctx.Err(); err != nil {
		return Text{}, err
	}
	if !isArchive(name) {
		text, err := w.members(name, in.base, in.mine, in.theirs)
		for i := range text.Conflicts {
			text.Conflicts[i].Member = name
		}
		return text, err
	}
	sides := Sides{Mine: section(in.mine), Theirs: section(in.theirs)}
	if in.base != nil {
		sides.Base = section(in.base)
	}
	var out bytes.Buffer
	buffered := bufio.NewWriter(&out)
	result, err := w.merge(ctx, sides, buffered, w.depth+1)
	if err != nil {
		return Text{}, err
	}
	if err := buffered.Flush(); err != nil {
		return Text{}, err
	}
	text := Text{Merged: out.Bytes(), Theirs: out.Bytes()}
	for _, conflict := range result.Conflicts {
		conflict.Member = strings.TrimSuffix(name+"!/"+conflict.Member, "!/")
		text.Conflicts = append(text.Conflicts, conflict)
	}
	for _, merged := range result.Merged {
		w.result.Merged = append(w.result.Merged, name+"!/"+merged)
	}
	return text, nil
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func isArchive(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".war", ".jar", ".car", ".zip", ".ear":
		return true
	}
	return false
}

// conflict notes that a member is one as a whole.
func (w *writer) conflict(c *choice, why Why) {
	name := ""
	for _, one := range []*anatomy.Member{c.theirs, c.mine} {
		if one != nil {
			name = one.Name
		}
	}
	w.result.Conflicts = append(w.result.Conflicts, Conflict{
		Member: name, Why: why, Base: describe(c.base), Mine: describe(c.mine), Theirs: describe(c.theirs),
	})
}

func describe(m *anatomy.Member) Value {
	switch {
	case m == nil:
		return Value{Gone: true}
	case m.Folder():
		return Value{Text: "folder"}
	case m.Link():
		return Value{Text: fmt.Sprintf("link, CRC-32 %08x", m.CRC)}
	}
	return Value{Text: fmt.Sprintf("%d bytes, CRC-32 %08x", m.Size, m.CRC)}
}

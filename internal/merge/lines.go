package merge

import (
	"fmt"
	"hash/maphash"
	"strings"

	"uplevel/internal/merge/diff3"
)

// lines merges three texts by line. Lines that differ only in their ends are alike, and
// mine's stands.
func lines(base, mine, theirs string) (merged, error) {
	var s splicer
	in := newInterner(base, mine, theirs)
	for _, side := range []struct {
		text string
		to   *listing
	}{{base, &s.base}, {mine, &s.mine}, {theirs, &s.theirs}} {
		var err error
		if *side.to, err = in.list(side.text); err != nil {
			return merged{}, err
		}
	}
	regions, err := diff3.Regions(s.base.ids, s.mine.ids, s.theirs.ids)
	if err != nil {
		return merged{}, fmt.Errorf("%w: %w", ErrWhole, err)
	}
	out := merged{mine: s.splice(regions, false), conflicts: s.conflicts(regions)}
	if len(out.conflicts) > 0 {
		out.theirs = s.splice(regions, true)
	}
	return out, nil
}

// listing is a text in lines, each with its end.
type listing struct {
	text   string
	starts []int // of the lines, and where the last one ends
	ids    []int // equal for equal lines
}

// cut returns the text of some lines.
func (l listing) cut(s diff3.Span) string { return l.text[l.starts[s.From]:l.starts[s.To]] }

// value is what a side has at a clash.
func (l listing) value(s diff3.Span) Value { return Value{Text: l.cut(s), Present: s.Len() > 0} }

// crlf reports whether the lines around some lines end in CR LF.
func (l listing) crlf(s diff3.Span) bool {
	found := false
	for _, i := range []int{s.From - 1, s.To} {
		if i < 0 || i >= len(l.ids) {
			continue
		}
		switch line := l.cut(diff3.Span{From: i, To: i + 1}); {
		case strings.HasSuffix(line, "\r\n"):
			found = true
		case strings.HasSuffix(line, "\n"):
			return false
		}
	}
	return found
}

// interner gives equal lines equal numbers: their place in a table. A map of strings would
// take several times the memory.
type interner struct {
	seed  maphash.Seed
	slots []string // lines by hash, or in the next free place behind it; "" is free
}

// newInterner has room for all lines of the texts.
func newInterner(texts ...string) *interner {
	n := 1
	for _, text := range texts {
		n += min(strings.Count(text, "\n")+1, maxLines)
	}
	size := 1
	for size < n+n/2 {
		size *= 2
	}
	return &interner{maphash.MakeSeed(), make([]string, size)}
}

// number returns a line's number. Lines that differ only in their ends are the same; a
// last line that has no end is not: nothing must ever be aligned to follow it.
func (in *interner) number(line string) int {
	body, ended := strings.CutSuffix(line, "\n")
	if ended {
		body = strings.TrimSuffix(body, "\r")
	}
	if !ended || body == "" {
		body += "\n" // as no other line has within
	}
	mask := len(in.slots) - 1
	at := int(maphash.String(in.seed, body)>>1) & mask
	for in.slots[at] != "" && in.slots[at] != body {
		at = (at + 1) & mask
	}
	in.slots[at] = body
	return at
}

// list cuts a text into lines.
func (in *interner) list(text string) (listing, error) {
	n := strings.Count(text, "\n") + 1
	if n > maxLines+1 || n > maxLines && !strings.HasSuffix(text, "\n") {
		return listing{}, fmt.Errorf("%w: it has more than %d lines", ErrWhole, maxLines)
	}
	l := listing{text: text, starts: make([]int, 1, n+1), ids: make([]int, 0, n)}
	for line := range strings.Lines(text) {
		l.starts = append(l.starts, l.starts[len(l.starts)-1]+len(line))
		l.ids = append(l.ids, in.number(line))
	}
	return l, nil
}

// splicer puts a merge together from lines of three texts.
type splicer struct{ base, mine, theirs listing }

// splice writes the merge, with mine's or theirs' lines at clashes.
func (s *splicer) splice(regions []diff3.Region, preferTheirs bool) string {
	var out strings.Builder
	out.Grow(max(len(s.mine.text), len(s.theirs.text)))
	for _, r := range regions {
		if r.Change == diff3.TheirsOnly || r.Change == diff3.Clash && preferTheirs {
			s.vendor(&out, r)
			continue
		}
		out.WriteString(s.mine.cut(r.Mine))
	}
	return out.String()
}

// vendor writes theirs' lines with the line ends that mine has there.
func (s *splicer) vendor(out *strings.Builder, r diff3.Region) {
	text := s.theirs.cut(r.Theirs)
	if !s.mine.crlf(r.Mine) {
		out.WriteString(text)
		return
	}
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		out.WriteString(body)
		switch {
		case ended && !strings.HasSuffix(body, "\r"):
			out.WriteString("\r\n")
		case ended:
			out.WriteString("\n")
		}
	}
}

// conflicts lists the clashes.
func (s *splicer) conflicts(regions []diff3.Region) []Conflict {
	var all []Conflict
	for _, r := range regions {
		if r.Change == diff3.Clash {
			all = append(all, Conflict{
				Key:    whereabouts(r.Mine),
				Base:   s.base.value(r.Base),
				Mine:   s.mine.value(r.Mine),
				Theirs: s.theirs.value(r.Theirs),
			})
		}
	}
	return all
}

// whereabouts names some lines for people.
func whereabouts(s diff3.Span) string {
	switch {
	case s.Len() == 1:
		return fmt.Sprintf("line %d", s.To)
	case s.Len() > 1:
		return fmt.Sprintf("lines %d–%d", s.From+1, s.To)
	case s.From == 0:
		return "before line 1"
	}
	return fmt.Sprintf("after line %d", s.From)
}

// Package unified writes the difference of two texts as people know it from diff -u.
package unified

import (
	"bytes"
	"fmt"
	"strings"

	"uplevel/internal/merge/diff3"
)

// MaxSize is the largest text that is compared, in bytes.
const MaxSize = 4 << 20

const around = 3 // lines of context

// Diff returns the difference from a to b, with names in its head. Where they are alike
// it is empty; where one is no text, is too large or differs too much, it says so in one
// line.
func Diff(nameA, nameB string, a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	head := fmt.Sprintf("--- %s\n+++ %s\n", nameA, nameB)
	if bytes.IndexByte(a, 0) >= 0 || bytes.IndexByte(b, 0) >= 0 {
		return head + "Binary files differ\n"
	}
	if max(len(a), len(b)) > MaxSize {
		return head + "Too large to be compared here\n"
	}
	d := differ{numbers: map[string]int{}}
	d.a, d.b = d.list(a), d.list(b)
	regions, err := diff3.Regions(d.a.numbers, d.b.numbers, d.a.numbers)
	if err != nil {
		return head + "They differ almost everywhere\n"
	}
	d.out.WriteString(head)
	d.hunks(regions)
	return d.out.String()
}

// listing is a text in lines.
type listing struct {
	lines   []string
	numbers []int // equal for equal lines
}

type differ struct {
	numbers map[string]int
	a, b    listing
	out     strings.Builder
}

func (d *differ) list(text []byte) listing {
	var l listing
	for line := range strings.Lines(string(text)) {
		n, ok := d.numbers[line]
		if !ok {
			n = len(d.numbers)
			d.numbers[line] = n
		}
		l.lines, l.numbers = append(l.lines, line), append(l.numbers, n)
	}
	return l
}

// hunks writes the changes, those that lie close together in one.
func (d *differ) hunks(regions []diff3.Region) {
	var near []diff3.Region
	for _, r := range regions {
		if r.Change == diff3.Stable {
			continue
		}
		if n := len(near); n > 0 && r.Base.From-near[n-1].Base.To > 2*around {
			d.hunk(near)
			near = nil
		}
		near = append(near, r)
	}
	if len(near) > 0 {
		d.hunk(near)
	}
}

func (d *differ) hunk(near []diff3.Region) {
	first, last := near[0], near[len(near)-1]
	before := min(around, first.Base.From)
	after := min(around, len(d.a.lines)-last.Base.To)
	fmt.Fprintf(&d.out, "@@ -%s +%s @@\n",
		where(first.Base.From-before, last.Base.To+after), where(first.Mine.From-before, last.Mine.To+after))
	at := first.Base.From - before
	for _, r := range near {
		d.write(" ", d.a.lines[at:r.Base.From])
		d.write("-", d.a.lines[r.Base.From:r.Base.To])
		d.write("+", d.b.lines[r.Mine.From:r.Mine.To])
		at = r.Base.To
	}
	d.write(" ", d.a.lines[at:at+after])
}

func where(from, to int) string {
	switch n := to - from; n {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprint(from + 1)
	default:
		return fmt.Sprintf("%d,%d", from+1, n)
	}
}

func (d *differ) write(sign string, lines []string) {
	for _, line := range lines {
		d.out.WriteString(sign + line)
		if !strings.HasSuffix(line, "\n") {
			d.out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// The marks of [Marked], as git writes them.
const (
	markMine   = "<<<<<<< "
	markMiddle = "======="
	markTheirs = ">>>>>>> "
)

// Marked returns one text of two, with marks around what differs; false where they are
// no texts, too large or too different.
func Marked(nameMine string, mine []byte, nameTheirs string, theirs []byte) ([]byte, bool) {
	if bytes.IndexByte(mine, 0) >= 0 || bytes.IndexByte(theirs, 0) >= 0 || max(len(mine), len(theirs)) > MaxSize {
		return nil, false
	}
	d := differ{numbers: map[string]int{}}
	d.a, d.b = d.list(mine), d.list(theirs)
	regions, err := diff3.Regions(d.a.numbers, d.b.numbers, d.a.numbers)
	if err != nil {
		return nil, false
	}
	for _, r := range regions {
		if r.Change == diff3.Stable {
			d.out.WriteString(strings.Join(d.a.lines[r.Base.From:r.Base.To], ""))
			continue
		}
		d.out.WriteString(markMine + nameMine + "\n")
		d.lines(d.a.lines[r.Base.From:r.Base.To])
		d.out.WriteString(markMiddle + "\n")
		d.lines(d.b.lines[r.Mine.From:r.Mine.To])
		d.out.WriteString(markTheirs + nameTheirs + "\n")
	}
	return []byte(d.out.String()), true
}

// HasMarks reports whether a text still holds marks of [Marked].
func HasMarks(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if bytes.HasPrefix(line, []byte(markMine)) || bytes.HasPrefix(line, []byte(markTheirs)) {
			return true
		}
	}
	return false
}

// lines writes lines, each with an end.
func (d *differ) lines(lines []string) {
	for _, line := range lines {
		d.out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
}

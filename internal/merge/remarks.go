package merge

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Remarks finds the comments of a text that belong to no entry: those that a blank line
// sets apart from what follows, such as a licence or the title of a section. They become
// nodes of their own, so that they neither come nor go with the entry that happens to
// follow. The zero value is ready; one serves the children of one node.
type Remarks struct{ seen map[string]int }

// Cut takes the comments and blank lines before an entry: what stands alone, and what
// belongs to the entry. Blank lines belong to the remark before them: so it stays apart
// from whatever comes to stand behind it.
func (r *Remarks) Cut(lines string) (alone []*Node, own string) {
	from, at := 0, 0
	comment, blank := false, false // what the block that begins at from has; blank: behind a comment
	for line := range strings.Lines(lines) {
		switch empty := isBlank(line); {
		case empty && comment:
			blank = true
		case !empty && blank:
			alone = append(alone, r.node(lines[from:at]))
			from, comment, blank = at, true, false
		case !empty:
			comment = true
		}
		at += len(line)
	}
	if blank {
		return append(alone, r.node(lines[from:])), ""
	}
	return alone, lines[from:]
}

// CutEnd takes the comments and blank lines behind the last entry: rest are blank lines.
func (r *Remarks) CutEnd(lines string) (alone []*Node, rest string) {
	alone, rest = r.Cut(lines)
	if isBlank(rest) {
		return alone, rest
	}
	return append(alone, r.node(rest)), ""
}

// Closing takes, from the lines behind the last entry of a section, the comments that follow
// it without a blank line: they belong to it, such as settings that are left out. Those
// that reach the next section belong to that one; none follows at the end.
func Closing(lines string, end bool) (own, rest string) {
	at := 0
	for line := range strings.Lines(lines) {
		if isBlank(line) {
			return lines[:at], lines[at:]
		}
		at += len(line)
	}
	if end {
		return lines, ""
	}
	return "", lines
}

// node knows a remark by what it says; one that is repeated also by its number.
func (r *Remarks) node(text string) *Node {
	h := sha256.New()
	for line := range strings.Lines(text) {
		if !isBlank(line) {
			_, _ = h.Write([]byte(strings.TrimSpace(line) + "\n")) // never fails
		}
	}
	name := hex.EncodeToString(h.Sum(nil))
	if r.seen == nil {
		r.seen = map[string]int{}
	}
	r.seen[name]++
	// No key that means something has a NUL in front.
	return &Node{Kind: Scalar, Remark: true, Key: "\x00" + name + strconv.Itoa(r.seen[name]), Head: text}
}

func isBlank(s string) bool { return strings.Trim(s, " \t\f\r\n") == "" }

// heads merges what stands before a value: the blank lines, the comments and the rest, each
// by itself. So a comment that the vendor rewords comes in where the operator only moved
// the entry away from its neighbour, or spaced it otherwise.
func heads(b, m, t string) string {
	base, mine, theirs := cutHead(b), cutHead(m), cutHead(t)
	var out strings.Builder
	for i := range base {
		out.WriteString(three(base[i], mine[i], theirs[i]))
	}
	return out.String()
}

// cutHead cuts a head into blank lines, the comment lines behind them, and the rest.
func cutHead(head string) [3]string {
	blank, at := 0, 0 // where the blank lines and the comments end
	for line := range strings.Lines(head) {
		text := strings.TrimLeft(line, " \t\f\r\n")
		if !strings.HasSuffix(line, "\n") || text != "" && !strings.ContainsAny(text[:1], "#;!") {
			break
		}
		if text == "" && blank == at {
			blank += len(line)
		}
		at += len(line)
	}
	return [3]string{head[:blank], head[blank:at], head[at:]}
}

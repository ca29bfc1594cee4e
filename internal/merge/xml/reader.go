package xml

import (
	stdxml "encoding/xml"
	"io"
	"strings"
	"unicode/utf8"

	"uplevel/internal/merge"
)

// The kinds of piece.
const (
	pieceStart = iota
	pieceEnd
	pieceText
	pieceCData
	pieceDoctype
	pieceOther // a comment, a processing instruction
)

// piece is a token and its place in the text.
type piece struct {
	kind     int
	from, to int
	name     string // of an element, with its prefix
	empty    bool   // an element that closes itself
	declares bool   // a document type that declares something itself
	// instructs: a processing instruction, which means something to some program
	instructs bool
}

// reader finds the pieces of a text. The decoder serves for finding them; what they say is
// read from the text.
type reader struct {
	text string
	d    *stdxml.Decoder
	at   int
}

func newReader(text string) *reader {
	d := stdxml.NewDecoder(strings.NewReader(masked(text)))
	d.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	return &reader{text: text, d: d}
}

// masked is a text in an encoding that is not known as one that the decoder can read:
// tags, quotes and white space are the same bytes in all of them.
func masked(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := []byte(text)
	for i, c := range out {
		if c >= utf8.RuneSelf {
			out[i] = 'x'
		}
	}
	return string(out)
}

func (r *reader) next() (piece, error) {
	token, err := r.d.RawToken()
	if err == nil && int(r.d.InputOffset()) == r.at {
		// The second of the two tokens of an element that closes itself.
		token, err = r.d.RawToken()
	}
	if err != nil {
		return piece{}, err
	}
	p := piece{kind: pieceOther, from: r.at, to: int(r.d.InputOffset())}
	r.at = p.to
	written := r.text[p.from:p.to]
	switch t := token.(type) {
	case stdxml.StartElement:
		p.kind, p.name, p.empty = pieceStart, named(written[1:]), strings.HasSuffix(written, "/>")
	case stdxml.EndElement:
		p.kind, p.name = pieceEnd, named(written[2:])
	case stdxml.CharData:
		p.kind = pieceText
		if strings.HasPrefix(written, cdata) {
			p.kind = pieceCData
		}
	case stdxml.Directive:
		p.kind, p.declares = pieceDoctype, strings.ContainsAny(string(t), "[<")
	case stdxml.ProcInst:
		p.instructs = t.Target != "xml"
	}
	return p, nil
}

const (
	space = " \t\r\n"
	cdata = "<![CDATA["
)

func blank(s string) bool { return strings.Trim(s, space) == "" }

// named is the name that a text begins with.
func named(s string) string {
	if i := strings.IndexAny(s, space+"=/>"); i >= 0 {
		return s[:i]
	}
	return s
}

// attributes returns the attributes of a start tag.
func attributes(text string, p piece) []*merge.Node {
	var all []*merge.Node
	at := p.from + 1 + len(p.name)
	for {
		rest := text[at:p.to]
		name := named(strings.TrimLeft(rest, space))
		if name == "" {
			return all
		}
		open := strings.IndexAny(rest, `"'`)
		end := open + 1 + strings.IndexByte(rest[open+1:], rest[open])
		raw := rest[open+1 : end]
		all = append(all, &merge.Node{
			Kind: merge.Scalar, Key: name, Head: rest[:open+1], Raw: raw, Value: attribute(raw), Tail: rest[end : end+1],
		})
		at += end + 1
	}
}

// attribute is what an attribute says.
func attribute(raw string) string {
	return unescaped(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ", "\r", " ").Replace(raw))
}

// unescaped resolves the references that need no declaration. A text in an encoding that
// is not known stands for itself.
func unescaped(raw string) string {
	raw = strings.ReplaceAll(raw, "\r\n", "\n")
	if !strings.Contains(raw, "&") || !utf8.ValidString(raw) {
		return raw
	}
	token, err := stdxml.NewDecoder(strings.NewReader(raw)).RawToken()
	if said, ok := token.(stdxml.CharData); ok && err == nil {
		return string(said)
	}
	return raw
}

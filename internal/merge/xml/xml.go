// Package xml finds the keys of an XML text for merging: elements and attributes. Nothing
// is resolved: a text with a DTD's own declarations or entities of its own is merged by
// line.
package xml

import (
	"errors"
	"fmt"
	"io"

	"uplevel/internal/merge"
)

// Format finds the keys of XML.
type Format struct{}

// Name is what people are told.
func (Format) Name() string { return "XML" }

// Check refuses a text that is not well-formed.
func (Format) Check(text string) error {
	c := checker{text: text}
	r := newReader(text)
	for {
		p, err := r.next()
		switch {
		case errors.Is(err, io.EOF) && len(c.open) == 0 && c.roots == 1:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it does not hold one whole element")
		case err != nil:
			return err
		}
		if err := c.see(p); err != nil {
			return err
		}
	}
}

// checker sees what the reader lets pass.
type checker struct {
	text  string
	open  []string
	roots int
}

func (c *checker) see(p piece) error {
	switch p.kind {
	case pieceStart:
		if len(c.open) == 0 {
			c.roots++
		}
		if !p.empty {
			c.open = append(c.open, p.name)
		}
		return unique(attributes(c.text, p))
	case pieceEnd:
		if len(c.open) == 0 || c.open[len(c.open)-1] != p.name {
			return fmt.Errorf("</%s> closes what was not opened", p.name)
		}
		c.open = c.open[:len(c.open)-1]
	case pieceText, pieceCData:
		if len(c.open) == 0 && !blank(c.text[p.from:p.to]) {
			return errors.New("text stands outside of the element")
		}
	case pieceDoctype:
		if len(c.open) > 0 || c.roots > 0 {
			return errors.New("a declaration stands behind the beginning of the element")
		}
	}
	return nil
}

// unique refuses attributes that are given twice.
func unique(attributes []*merge.Node) error {
	seen := make(map[string]bool, len(attributes))
	for _, a := range attributes {
		if seen[a.Key] {
			return fmt.Errorf("the attribute %s is given twice", a.Key)
		}
		seen[a.Key] = true
	}
	return nil
}

// Parse returns the text in pieces: below the root an element, below it its attributes
// ("@") and what it holds ("").
func (f Format) Parse(text string) (*merge.Node, error) {
	if err := f.Check(text); err != nil {
		return nil, err
	}
	p := &parser{text: text, r: newReader(text), left: merge.MaxNodes}
	for {
		piece, err := p.r.next()
		if err != nil {
			return nil, err
		}
		if piece.declares {
			return nil, errors.New("its DTD declares something")
		}
		if piece.kind != pieceStart {
			continue
		}
		p.at = piece.from
		e, err := p.element(piece, 1)
		if err != nil {
			return nil, err
		}
		e.Key = piece.name
		indent(e, "", unit(e))
		return &merge.Node{
			Kind: merge.Map, Head: text[:piece.from], Tail: text[p.at:], Children: []*merge.Node{e},
		}, nil
	}
}

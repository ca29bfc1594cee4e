// Package xml finds the keys of an XML text for merging: elements and attributes. Nothing
// is resolved: a text with a DTD's own declarations or entities of its own is merged by
// line.
package xml

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"uplevel/internal/merge"
)

// Format finds the keys of XML.
type Format struct{}

// Name is what people are told.
func (Format) Name() string { return "XML" }

// Check refuses a text that is not well-formed.
func (Format) Check(text string) error {
	if err := encoded(text); err != nil {
		return err
	}
	c := checker{text: text, bound: map[string]int{"xml": 1, "xmlns": 1}}
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

// encoded refuses bytes that are no UTF-8 where no other encoding is declared.
func encoded(text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	declared := ""
	if strings.HasPrefix(text, "<?xml") {
		declaration, _, _ := strings.Cut(text, "?>")
		_, declared, _ = strings.Cut(declaration, "encoding")
		declared = strings.ToLower(strings.Trim(declared, space+`='"`))
	}
	if declared == "" || strings.HasPrefix(declared, "utf-8") {
		return errors.New("it is no UTF-8, and declares no other encoding")
	}
	return nil
}

// checker sees what the reader lets pass.
type checker struct {
	text  string
	open  []opened
	bound map[string]int // prefixes of namespaces, and how many open elements bind each
	roots int
}

// opened is an element that is not closed yet.
type opened struct {
	name  string
	binds []string
}

func (c *checker) see(p piece) error {
	switch p.kind {
	case pieceStart:
		if len(c.open) == 0 {
			c.roots++
		}
		all := attributes(c.text, p)
		return errors.Join(unique(all), c.start(p, all))
	case pieceEnd:
		if len(c.open) == 0 || c.open[len(c.open)-1].name != p.name {
			return fmt.Errorf("</%s> closes what was not opened", p.name)
		}
		c.end()
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

// start opens an element. A prefix that nothing binds is refused: it would come from an
// element that one side added while the other renamed the prefix.
func (c *checker) start(p piece, attributes []*merge.Node) error {
	e := opened{name: p.name}
	for _, a := range attributes {
		if prefix, ok := strings.CutPrefix(a.Key, "xmlns:"); ok {
			e.binds = append(e.binds, prefix)
			c.bound[prefix]++
		}
	}
	c.open = append(c.open, e)
	if p.empty {
		defer c.end()
	}
	if prefix, _, ok := strings.Cut(p.name, ":"); ok && c.bound[prefix] == 0 {
		return fmt.Errorf("nothing says what %s: means", prefix)
	}
	for _, a := range attributes {
		if prefix, _, ok := strings.Cut(a.Key, ":"); ok && c.bound[prefix] == 0 {
			return fmt.Errorf("nothing says what %s: means", prefix)
		}
	}
	return nil
}

func (c *checker) end() {
	last := len(c.open) - 1
	for _, prefix := range c.open[last].binds {
		c.bound[prefix]--
	}
	c.open = c.open[:last]
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

// Parse returns the text in pieces: below the root what stands before the element and has a
// meaning, such as its document type, and the element; below that its attributes ("@") and
// what it holds ("").
func (f Format) Parse(text string) (*merge.Node, error) {
	if err := f.Check(text); err != nil {
		return nil, err
	}
	p := &parser{text: text, r: newReader(text), left: merge.MaxNodes}
	root := &merge.Node{Kind: merge.Map}
	for {
		piece, err := p.r.next()
		switch {
		case err != nil:
			return nil, err
		case piece.declares:
			return nil, errors.New("its DTD declares something")
		case piece.kind == pieceDoctype, piece.instructs:
			root.Children = append(root.Children, p.prologue(root, piece))
			continue
		case piece.kind != pieceStart:
			continue
		}
		if len(root.Children) == 0 {
			root.Head, p.at = text[:piece.from], piece.from
		}
		e, err := p.element(piece, 1)
		if err != nil {
			return nil, err
		}
		e.Key = piece.name
		indent(e, "", unit(e))
		root.Children, root.Tail = append(root.Children, e), text[p.at:]
		return root, p.rest()
	}
}

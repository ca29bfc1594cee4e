// Package yaml finds the keys of a YAML text for merging. Only what stands in lines of its
// own is taken apart; a flow collection ({…}, […]) is one value. A text with anchors,
// aliases, merge keys, tags or several documents is merged by line.
package yaml

import (
	"errors"
	"fmt"
	"io"
	"strings"

	stdyaml "go.yaml.in/yaml/v4"

	"uplevel/internal/merge"
)

// errPlace says that a piece stands where it cannot be told from its surroundings.
var errPlace = errors.New("it is laid out in a way that cannot be taken apart")

// Format finds the keys of YAML.
type Format struct{}

// Name is what people are told.
func (Format) Name() string { return "YAML" }

// Check refuses a text that is no YAML. It expands nothing.
func (Format) Check(text string) error {
	if err := bounded(text); err != nil {
		return err
	}
	l, err := stdyaml.NewLoader(strings.NewReader(text))
	if err != nil {
		return err
	}
	for {
		var doc stdyaml.Node
		if err := l.Load(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := unique(&doc); err != nil {
			return err
		}
	}
}

// bounded refuses a text that the loader may make more values of than there is memory for.
func bounded(text string) error {
	const most = 4 * merge.MaxNodes
	values := 0
	for line := range strings.Lines(text) {
		if idle(strings.TrimSuffix(line, "\n")) {
			continue
		}
		values += 1 + strings.Count(line, "- ")
		for _, sign := range ",:[{" {
			values += strings.Count(line, string(sign))
		}
	}
	if values > most {
		return fmt.Errorf("%w: it may hold more than %d values", merge.ErrBound, most)
	}
	return nil
}

// unique refuses keys that are given twice in one mapping. The loader bounds the depth.
func unique(n *stdyaml.Node) error {
	if n.Kind == stdyaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != stdyaml.ScalarNode || k.ShortTag() == "!!merge" {
				continue
			}
			if seen[k.ShortTag()+k.Value] {
				return fmt.Errorf("the key %s is given twice", k.Value)
			}
			seen[k.ShortTag()+k.Value] = true
		}
	}
	for _, c := range n.Content {
		if err := unique(c); err != nil {
			return err
		}
	}
	return nil
}

// Parse returns the text in pieces.
func (Format) Parse(text string) (*merge.Node, error) {
	if err := errors.Join(bounded(text), plain(text)); err != nil {
		return nil, err
	}
	doc, err := document(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, lines: lineStarts(text), left: merge.MaxNodes}
	from, to, err := p.body()
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return &merge.Node{Kind: merge.Map, Head: text, Lines: true}, nil
	}
	if flow(doc) || doc.Kind == stdyaml.ScalarNode {
		return nil, errPlace
	}
	from += p.header(from)
	root := &merge.Node{Head: text[:from]}
	end, err := p.container(root, doc, from, to, 0)
	if err != nil {
		return nil, err
	}
	root.Tail += text[end:]
	return root, nil
}

// plain refuses what would make lines and columns differ from what is counted here.
func plain(text string) error {
	rest := strings.ReplaceAll(text, "\r\n", "\n")
	if strings.ContainsAny(rest, "\r\u0085\u2028\u2029\uFEFF") {
		return errors.New("it holds line ends of a kind that is not known here")
	}
	return nil
}

// document returns what the only document holds; nil: nothing.
func document(text string) (*stdyaml.Node, error) {
	l, err := stdyaml.NewLoader(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	var doc stdyaml.Node
	if err := l.Load(&doc); errors.Is(err, io.EOF) {
		return nil, nil //nolint:nilnil // an empty text is YAML
	} else if err != nil {
		return nil, err
	}
	var more stdyaml.Node
	if err := l.Load(&more); err == nil {
		return nil, errors.New("it holds several documents")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, errPlace
	}
	n := doc.Content[0]
	if n.Kind == stdyaml.ScalarNode && n.Value == "" && n.Style&^stdyaml.TaggedStyle == 0 {
		return nil, nil //nolint:nilnil // as is one of comments
	}
	return n, nil
}

// flow reports whether a collection is written in braces.
func flow(n *stdyaml.Node) bool { return n.Style&stdyaml.FlowStyle != 0 }

func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// Package bundles finds the bundles in an OSGi bundles.info, as Eclipse's simple
// configurator reads it: a line of `name,version,location,start level,autostart` each.
package bundles

import (
	"errors"
	"fmt"
	"strings"

	"uplevel/internal/merge"
)

// Format is the format of bundles.info.
type Format struct{}

// Name implements [merge.Format].
func (Format) Name() string { return "bundles.info" }

const fields = 5

// Check refuses lines that are no bundle.
func (Format) Check(text string) error {
	at := 0
	for raw := range strings.Lines(text) {
		at++
		if isRemark(raw) {
			continue
		}
		if _, err := read(raw); err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
	}
	return nil
}

// Parse returns the bundles of a text. What is known of one is decided in three parts:
// version and location, which belong together, start level, and autostart.
func (f Format) Parse(text string) (*merge.Node, error) {
	if err := f.Check(text); err != nil {
		return nil, err
	}
	times := map[string]int{}
	for raw := range strings.Lines(text) {
		if !isRemark(raw) {
			times[first(raw)]++
		}
	}
	root := &merge.Node{Kind: merge.Map, Lines: true}
	root.Head = preamble(text)
	var remarks merge.Remarks
	seen := map[string]bool{}
	from, at := len(root.Head), len(root.Head)
	for raw := range strings.Lines(text[at:]) {
		if isRemark(raw) {
			at += len(raw)
			continue
		}
		n, err := node(raw, times[first(raw)] > 1)
		if err != nil {
			return nil, err
		}
		if seen[n.Key] {
			return nil, fmt.Errorf("%s is given twice", n.Key)
		}
		seen[n.Key] = true
		alone, own := remarks.Cut(text[from:at])
		n.Head = own
		root.Children = append(append(root.Children, alone...), n)
		at += len(raw)
		from = at
	}
	alone, rest := remarks.CutEnd(text[from:])
	root.Children, root.Tail = append(root.Children, alone...), rest
	return root, nil
}

// preamble are the lines that say how the file is to be read. They stay in front.
func preamble(text string) string {
	at := 0
	for raw := range strings.Lines(text) {
		if !strings.HasPrefix(raw, "#encoding=") && !strings.HasPrefix(raw, "#version=") {
			break
		}
		at += len(raw)
	}
	return text[:at]
}

func isRemark(raw string) bool {
	s := strings.TrimSpace(raw)
	return s == "" || s[0] == '#'
}

// first is the name of a bundle.
func first(raw string) string {
	name, _, _ := strings.Cut(raw, ",")
	return strings.TrimSpace(name)
}

// read returns the fields of a line, with the blanks around them.
func read(raw string) ([]string, error) {
	all := strings.SplitN(strings.TrimRight(raw, "\r\n"), ",", fields+1)
	if len(all) != fields {
		return nil, errors.New("a bundle has a name, a version, a location, a start level and autostart")
	}
	for _, s := range all {
		if strings.TrimSpace(s) == "" {
			return nil, errors.New("a field of a bundle is empty")
		}
	}
	return all, nil
}

// node is a bundle; repeated: others have its name.
func node(raw string, repeated bool) (*merge.Node, error) {
	all, err := read(raw)
	if err != nil {
		return nil, err
	}
	body := strings.TrimRight(raw, "\r\n")
	n := &merge.Node{Kind: merge.Map, Key: first(raw), Sep: ",", Tail: raw[len(body):]}
	if repeated {
		n.Key += "," + strings.TrimSpace(all[1])
	}
	n.Children = []*merge.Node{
		field("[version,location]", all[1]+","+all[2]),
		field("[start level]", all[3]),
		field("[autostart]", all[4]),
	}
	// The name stands in front of the first field, whatever becomes of it.
	n.Children[0].Head = all[0] + "," + n.Children[0].Head
	return n, nil
}

func field(key, text string) *merge.Node {
	raw := strings.TrimSpace(text)
	before, after, _ := strings.Cut(text, raw)
	parts := strings.Split(raw, ",")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	return &merge.Node{Kind: merge.Scalar, Key: key, Head: before, Raw: raw, Value: strings.Join(parts, ","), Tail: after}
}

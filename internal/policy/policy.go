// Package policy reads updates/policy.yaml: what the operator of an installation allows
// its updates. It is pure: the file's text is handed in. A key or value that it does not
// know is refused, never passed over: a policy that is not understood is not kept.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"uplevel/internal/problem"
)

// File is where the policy lies in a product home, and MaxBytes how long it may be.
const (
	File     = "updates/policy.yaml"
	MaxBytes = 64 << 10
)

// Policy is what the operator allows. The zero value allows everything.
type Policy struct {
	// Freshness is how old signed metadata may be that were carried in, or came from a
	// mirror; 0: any age, which is then told.
	Freshness time.Duration
}

// keys are those there are, each with what reads its value.
func keys() map[string]func(*Policy, string) error {
	return map[string]func(*Policy, string) error{
		"freshness": func(p *Policy, text string) (err error) { p.Freshness, err = span(text); return err },
	}
}

// Parse reads a policy. Every refusal is of kind [problem.Refused] and names the key.
func Parse(text []byte) (Policy, error) {
	p, err := parse(text)
	if err != nil {
		return Policy{}, problem.New(problem.Refused, "Correct "+File+".", "%s cannot be kept: %w", File, err)
	}
	return p, nil
}

func parse(text []byte) (Policy, error) {
	var p Policy
	if len(text) > MaxBytes {
		return p, fmt.Errorf("it is longer than %d bytes", MaxBytes)
	}
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return p, nil // nothing but comments
	} else if err != nil {
		return p, fmt.Errorf("it is no YAML: %w", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return p, errors.New("it holds more than one document")
	}
	top := document.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return p, nil
	}
	if top.Kind != yaml.MappingNode {
		return p, errors.New("it is no list of keys and values")
	}
	var seen []string
	for pair := range slices.Chunk(top.Content, 2) {
		key, value := pair[0].Value, pair[1]
		read, known := keys()[key]
		switch {
		case !known:
			return p, fmt.Errorf("line %d: this tool does not know the key %.60q", pair[0].Line, key)
		case slices.Contains(seen, key):
			return p, fmt.Errorf("line %d: %s is there twice", pair[0].Line, key)
		case value.Kind != yaml.ScalarNode:
			return p, fmt.Errorf("line %d: %s wants one value", value.Line, key)
		}
		seen = append(seen, key)
		if err := read(&p, value.Value); err != nil {
			return p, fmt.Errorf("line %d: %s: %w", value.Line, key, err)
		}
	}
	return p, nil
}

var spanPattern = regexp.MustCompile(`^([1-9][0-9]{0,4})(d|h)$`)

// span reads 45d or 12h, up to 99999 of either.
func span(text string) (time.Duration, error) {
	m := spanPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, fmt.Errorf("%.40q is no length of time: want days or hours, such as 45d or 12h", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, err
	}
	unit := time.Hour
	if m[2] == "d" {
		unit = 24 * time.Hour
	}
	return time.Duration(n) * unit, nil
}

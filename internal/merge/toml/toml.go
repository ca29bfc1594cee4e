// Package toml finds the keys of TOML files. go-toml's parser judges the text and says
// where its pieces stand.
package toml

import (
	"fmt"
	"strings"

	gotoml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"uplevel/internal/merge"
)

// Format is the TOML format.
type Format struct{}

// Name implements [merge.Format].
func (Format) Name() string { return "TOML" }

// Check refuses what is not TOML.
func (Format) Check(text string) error {
	return statements(text, func(p *unstable.Parser, e *unstable.Node) error {
		if e.Kind != unstable.KeyValue {
			return nil
		}
		return sound(p, e.Value())
	})
}

// maxParts bounds the parts of a key, as the parser bounds the depth of values.
const maxParts = 10_000

func longer(key unstable.Iterator, most int) bool {
	for range most + 1 {
		if !key.Next() {
			return false
		}
	}
	return true
}

// statements visits the statements of a text. They are those of one document: no key is
// defined twice.
func statements(text string, visit func(*unstable.Parser, *unstable.Node) error) error {
	var p unstable.Parser
	p.Reset([]byte(text))
	defined := newDefinitions()
	for p.NextExpression() {
		e := p.Expression()
		if longer(e.Key(), maxParts) {
			return fmt.Errorf("a key has more than %d parts", maxParts)
		}
		if err := defined.add(e); err != nil {
			return err
		}
		if err := visit(&p, e); err != nil {
			return err
		}
	}
	if err := p.Error(); err != nil {
		return fmt.Errorf("no TOML: %w", err)
	}
	return nil
}

// sound refuses a value with a part that the parser lets pass, such as the 30th of
// February. The parser bounds the depth.
func sound(p *unstable.Parser, v *unstable.Node) error {
	switch v.Kind { //nolint:exhaustive // the other kinds are answered alike
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			if err := sound(p, it.Node()); err != nil {
				return err
			}
		}
		return nil
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			if err := sound(p, it.Node().Value()); err != nil {
				return err
			}
		}
		return nil
	default:
		_, err := decoded(p, v)
		return err
	}
}

// decoded returns what a value says that has no parts, with its type in front.
func decoded(p *unstable.Parser, v *unstable.Node) (string, error) {
	raw := string(p.Raw(v.Raw))
	switch v.Kind { //nolint:exhaustive // the other kinds are answered alike
	case unstable.String:
		if strings.Contains(raw, "\r\n") {
			return "string " + strings.ReplaceAll(string(v.Data), "\r\n", "\n"), nil
		}
		return "string " + string(v.Data), nil
	case unstable.Bool:
		return "boolean " + raw, nil
	case unstable.Integer:
		if plain(raw) {
			return "int64 " + raw, nil
		}
	default:
	}
	var doc map[string]any
	if err := gotoml.Unmarshal([]byte("v="+raw), &doc); err != nil {
		return "", fmt.Errorf("no TOML: %s: %w", raw, err)
	}
	return fmt.Sprintf("%T %v", doc["v"], doc["v"]), nil
}

// plain reports whether a number is written as it is told: most are, and a text may hold
// very many.
func plain(raw string) bool {
	return len(raw) < len("9223372036854775807") && (raw == "0" || raw[0] != '0') && strings.Trim(raw, "0123456789") == ""
}

// Parse returns the entries and tables of a text.
func (Format) Parse(text string) (*merge.Node, error) {
	r := reader{text: text, top: section{remarks: &merge.Remarks{}}}
	if err := statements(text, r.read); err != nil {
		return nil, err
	}
	return r.document()
}

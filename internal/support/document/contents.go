package document

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxDecoded bounds what is decoded: it takes many times its length in memory.
const maxDecoded = 2 << 20

// WithoutContents takes out of a document what it has of the product's files: both sides
// of each dispute in a prepared change, and texts that it will write. What cannot be
// understood, or is longer than maxDecoded bytes, is cut before the first of them.
func WithoutContents(data []byte) []byte {
	marks := [][]byte{[]byte(`"disputes"`), []byte(`"documents"`)}
	first := len(data)
	for _, mark := range marks {
		if i := bytes.Index(data, mark); i >= 0 {
			first = min(first, i)
		}
	}
	if first == len(data) {
		return data
	}
	var document any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if len(data) > maxDecoded || d.Decode(&document) != nil {
		return append(data[:first:first], "\n… (cut: what follows may be of the product's files)\n"...)
	}
	untold(document)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return nil
	}
	return out.Bytes()
}

// untold replaces texts of files by their length.
func untold(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch key {
			case "disputes":
				v[key] = lengths(inner, "base", "mine", "theirs")
			case "documents":
				v[key] = lengths(inner)
			default:
				untold(inner)
			}
		}
	case []any:
		for _, inner := range v {
			untold(inner)
		}
	}
}

// lengths replaces the texts of some keys, or without keys all texts.
func lengths(v any, keys ...string) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = lengths(v[i], keys...)
		}
	case map[string]any:
		for key, inner := range v {
			told := len(keys) > 0
			for _, k := range keys {
				told = told && key != k
			}
			if !told {
				v[key] = lengths(inner)
			}
		}
	case string:
		return fmt.Sprintf("(%d bytes, not told)", len(v))
	}
	return v
}

package validate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"uplevel/internal/manifest"
)

// maxConfig bounds the bytes of a configuration file that is looked into.
const maxConfig = 1 << 20

// maxDepth bounds how deep keys of nested configuration are told apart.
const maxDepth = 32

// checkKeys compares the keys of configuration files that changed. A file that does
// not parse has no keys that could be missed.
func checkKeys(in Input, add add) error {
	var gone []string
	for _, e := range in.Tree.Entries() {
		former, ok := in.Former.Lookup(e.Path)
		if !ok || former.SameContent(e) || former.Kind != manifest.File || e.Kind != manifest.File ||
			!isConfig(e.Path) || e.Size > maxConfig || former.Size > maxConfig {
			continue
		}
		before, err := in.Old(former)
		if err != nil {
			return fmt.Errorf("reading the former %s: %w", e.Path, err)
		}
		after, err := in.New(e)
		if err != nil {
			return fmt.Errorf("reading %s: %w", e.Path, err)
		}
		was, wasOK := keysOf(e.Path, before)
		is, isOK := keysOf(e.Path, after)
		if !wasOK || !isOK {
			continue
		}
		for _, key := range was {
			if _, there := slices.BinarySearch(is, key); !there {
				gone = append(gone, e.Path+" "+key)
			}
		}
	}
	add(ConfigKeysRemoved, "configuration keys that are no longer there", gone...)
	return nil
}

func isConfig(name string) bool {
	return slices.Contains([]string{".properties", ".ini", ".json", ".yaml", ".yml"}, path.Ext(name))
}

// keysOf returns the keys of a configuration file, nested ones joined by dots, sorted.
func keysOf(name string, text []byte) ([]string, bool) {
	keys := map[string]bool{}
	switch path.Ext(name) {
	case ".properties":
		propertyKeys(text, keys)
	case ".ini":
		iniKeys(text, keys)
	case ".json":
		var v any
		if json.Unmarshal(text, &v) != nil {
			return nil, false
		}
		nestedKeys(v, "", 0, keys)
	default:
		if !yamlKeys(text, keys) {
			return nil, false
		}
	}
	sorted := make([]string, 0, len(keys))
	for key := range keys {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	return sorted, true
}

// propertyKeys reads Java properties: the key ends at the first =, : or white space
// that is not escaped; a line that ends with an odd number of backslashes continues.
func propertyKeys(text []byte, keys map[string]bool) {
	continued := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		odd := (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
		line = strings.TrimLeft(line, " \t\f")
		comment := !continued && line != "" && (line[0] == '#' || line[0] == '!')
		skip := continued || comment || line == ""
		continued = odd && !comment
		if skip {
			continue
		}
		end := 0
		for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		keys[line[:min(end, len(line))]] = true
	}
}

func iniKeys(text []byte, keys map[string]bool) {
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line
		default:
			if key, _, ok := strings.Cut(line, "="); ok {
				keys[strings.TrimSpace(section+" "+strings.TrimSpace(key))] = true
			}
		}
	}
}

func yamlKeys(text []byte, keys map[string]bool) bool {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return false
		}
		nestedKeys(v, "", 0, keys)
	}
}

func nestedKeys(v any, prefix string, depth int, keys map[string]bool) {
	if depth > maxDepth {
		return
	}
	each := func(key string, value any) {
		if prefix != "" {
			key = prefix + "." + key
		}
		keys[key] = true
		nestedKeys(value, key, depth+1, keys)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			each(key, value)
		}
	case map[any]any:
		for key, value := range v {
			each(fmt.Sprint(key), value)
		}
	}
}

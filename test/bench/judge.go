package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"
)

// judge knows what a merge has to say. It reads files with other parsers than the tool
// does, so that it does not repeat the tool's mistakes.
type judge struct {
	name               string
	base, mine, theirs map[string]string
	// byPlace reads the same sides by place: an element of XML whose name is changed is
	// another one, or the same renamed. A merge may take it for either.
	byPlace *judge
	read    func(name string, text []byte) (map[string]string, error)
}

// unparsed is the damage of a merge that is no file of its format any more.
const unparsed = "does not parse"

func newJudge(name string, base, mine, theirs []byte) (judge, error) {
	j := judge{name: name, read: values}
	if err := j.readAll(base, mine, theirs); err != nil {
		return j, err
	}
	if filepath.Ext(name) == ".xml" {
		j.byPlace = &judge{name: name, read: valuesByPlace}
		return j, j.byPlace.readAll(base, mine, theirs)
	}
	return j, nil
}

func (j *judge) readAll(base, mine, theirs []byte) error {
	for _, side := range []struct {
		text []byte
		to   *map[string]string
	}{{base, &j.base}, {mine, &j.mine}, {theirs, &j.theirs}} {
		var err error
		if *side.to, err = j.read(j.name, side.text); err != nil {
			return err
		}
	}
	return nil
}

// decided returns what has to stand at a key; false: both sides changed it and left it
// different.
func (j judge) decided(key string) (string, bool) {
	b, m, t := j.base[key], j.mine[key], j.theirs[key]
	switch {
	case m == t, t == b:
		return m, true
	case m == b:
		return t, true
	}
	return "", false
}

// must reports whether somebody has to be asked: not for lists as wholes, in which both
// may have changed different places.
func (j judge) must() bool {
	for _, key := range j.keys(nil) {
		if _, ok := j.decided(key); !ok && !strings.HasSuffix(key, list) {
			return j.byPlace == nil || j.byPlace.must()
		}
	}
	return false
}

// damage says what is wrong with a merge that asked for nothing; empty: nothing is.
func (j judge) damage(merged []byte) string {
	got, err := j.read(j.name, merged)
	if err != nil {
		return unparsed
	}
	said := j.compare(got)
	if said != "" && j.byPlace != nil {
		return j.byPlace.damage(merged)
	}
	return said
}

func (j judge) compare(got map[string]string) string {
	for _, key := range j.keys(got) {
		want, ok := j.decided(key)
		switch {
		case strings.HasSuffix(key, list) && (j.base[key] == "" || j.mine[key] == "" || j.theirs[key] == ""):
			// It became a list, or is none any more: its parts have other keys then.
		case ok && got[key] != want:
			return fmt.Sprintf("%s is %q, not %q", key, got[key], want)
		case !ok && !strings.HasSuffix(key, list):
			return fmt.Sprintf("%s is %q, where both changed it", key, got[key])
		}
	}
	return ""
}

func (j judge) keys(more map[string]string) []string {
	var all []string
	for _, side := range []map[string]string{j.base, j.mine, j.theirs, more} {
		for key := range side {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// list ends the key of a list that is one value.
const list = "[]"

// values returns what a file says, by key.
func values(name string, text []byte) (map[string]string, error) {
	all := map[string]string{}
	var tree any
	var err error
	switch filepath.Ext(name) {
	case ".toml":
		err = toml.Unmarshal(text, &tree)
	case ".yaml", ".yml":
		err = yaml.Unmarshal(text, &tree)
	case ".json":
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if tree, err = jsonValue(d); err == nil && d.More() {
			err = errors.New("something follows the value")
		}
	case ".xml":
		return all, xmlValues(all, text, (*element).identity)
	case ".info":
		return all, bundleValues(all, string(text))
	default:
		lineValues(all, string(text))
	}
	flatten(all, "", tree)
	return all, err
}

// flatten gives every value its path; a list is one value, unless its elements have names.
func flatten(all map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			flatten(all, path+"/"+key, child)
		}
	case map[any]any:
		for key, child := range v {
			flatten(all, fmt.Sprint(path, "/", key), child)
		}
	case []any:
		names := map[string]bool{}
		for _, child := range v {
			if m, ok := child.(map[string]any); ok && m["name"] != nil {
				names[fmt.Sprint(m["name"])] = true
			}
		}
		if len(names) < len(v) || len(v) == 0 {
			all[path+list] = fmt.Sprint(v)
			return
		}
		for _, child := range v {
			flatten(all, fmt.Sprint(path, "/name=", child.(map[string]any)["name"]), child) //nolint:forcetypeassert // seen above
		}
	default:
		all[path] = fmt.Sprint("=", v)
	}
}

// jsonValue reads a value; a key that stands twice is an error, which the standard decoder
// passes over.
func jsonValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := m[fmt.Sprint(key)]; twice {
				return nil, fmt.Errorf("%v stands twice", key)
			}
			if m[fmt.Sprint(key)], err = jsonValue(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return m, err
	case json.Delim('['):
		l := []any{}
		for d.More() {
			v, err := jsonValue(d)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err = d.Token()
		return l, err
	}
	return token, nil
}

// element is an XML element in memory.
type element struct {
	name     string
	attrs    map[string]string
	text     string
	children []*element
}

func valuesByPlace(_ string, text []byte) (map[string]string, error) {
	all := map[string]string{}
	return all, xmlValues(all, text, func(e *element) string { return e.name })
}

// xmlValues reads elements, each known among its siblings by what identity says.
func xmlValues(all map[string]string, text []byte, identity func(*element) string) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	root := &element{}
	open := []*element{root}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: qualified(token.Name), attrs: map[string]string{}}
			for _, a := range token.Attr {
				if _, twice := e.attrs[qualified(a.Name)]; twice {
					return fmt.Errorf("%s stands twice", a.Name.Local)
				}
				e.attrs[qualified(a.Name)] = a.Value
			}
			top.children = append(top.children, e)
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 1 || top.name != qualified(token.Name) {
				return fmt.Errorf("</%s> closes nothing", token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += strings.Join(strings.Fields(string(token)), " ")
		}
	}
	if len(open) > 1 || len(root.children) != 1 {
		return errors.New("it is not one whole element")
	}
	root.children[0].flatten(all, "", identity)
	return nil
}

func qualified(n xml.Name) string { return n.Space + ":" + n.Local }

// identity is the element's name with what tells it from its siblings.
func (e *element) identity() string {
	for _, key := range []string{"id", "name", "key", "class"} {
		for attr, value := range e.attrs {
			if strings.HasSuffix(attr, ":"+key) {
				return e.name + "[" + value + "]"
			}
		}
	}
	return e.name
}

// flatten gives attributes and texts their paths; elements that nothing tells apart are
// one value.
func (e *element) flatten(all map[string]string, path string, identity func(*element) string) {
	path += "/" + identity(e)
	all[path] = "=" + e.text
	for key, value := range e.attrs {
		all[path+"@"+key] = "=" + value
	}
	times := map[string]int{}
	for _, c := range e.children {
		times[identity(c)]++
	}
	for _, c := range e.children {
		if times[identity(c)] > 1 {
			own := map[string]string{}
			c.flatten(own, "", identity)
			all[path+"/"+identity(c)+list] += fmt.Sprint(own)
			continue
		}
		c.flatten(all, path, identity)
	}
}

// bundleValues reads bundles.info: what is installed, and how it is started.
func bundleValues(all map[string]string, text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, ",")
		if len(f) != 5 {
			return fmt.Errorf("%q is no bundle", line)
		}
		if all[f[0]+" version"] != "" {
			return fmt.Errorf("%s stands twice", f[0])
		}
		all[f[0]+" version"], all[f[0]+" location"], all[f[0]+" level"], all[f[0]+" start"] = f[1], f[2], f[3], f[4]
	}
	return nil
}

// lineValues reads properties and INI; a key that stands twice has both values.
func lineValues(all map[string]string, text string) {
	section := ""
	rest := ""
	for line := range strings.Lines(text) {
		line = rest + strings.TrimSpace(line)
		rest = ""
		if line == "" || strings.ContainsAny(line[:1], "#;!") {
			continue
		}
		if body, more := strings.CutSuffix(line, `\`); more {
			rest = body
			continue
		}
		if line[0] == '[' {
			section = line
			continue
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 {
			at = len(line)
		}
		all[section+strings.TrimSpace(line[:at])] += "=" + strings.TrimSpace(strings.TrimLeft(line[at:], "=:"))
	}
}

package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/plan"
	"uplevel/internal/problem"
)

const byteOrderMark = "\xef\xbb\xbf"

// member is one key of an object with its value, both as they are written: text that is no
// UTF-8 is not the same once it was read and written.
type member struct {
	key     string
	written json.RawMessage // the key, quoted; nil: a new one
	value   json.RawMessage
}

// document is a JSON object whose keys keep their order, and values that nobody looks
// into their bytes: config.json is not ours alone.
type document []member

// get returns a value. A key that comes twice counts as it does elsewhere: the last value.
func (d document) get(key string) json.RawMessage {
	for _, m := range slices.Backward(d) {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// text returns a text; empty where there is none.
func (d document) text(key string) string {
	var text string
	if err := json.Unmarshal(d.get(key), &text); err != nil {
		return ""
	}
	return text
}

// set gives a key its value, at the end when it is new. It comes once then.
func (d *document) set(key string, value any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	raw := json.RawMessage(bytes.TrimSpace(b.Bytes()))
	last := member{key: key, value: raw}
	var out document
	for _, m := range *d {
		switch {
		case m.key != key:
			out = append(out, m)
		case last.key != "":
			out = append(out, member{key, m.written, raw})
			last.key = ""
		}
	}
	if last.key != "" {
		out = append(out, last)
	}
	*d = out
	return nil
}

// MarshalJSON writes the members in their order.
func (d document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range d {
		key := m.written
		if key == nil {
			var err error
			if key, err = json.Marshal(m.key); err != nil {
				return nil, err
			}
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// parseDocument reads an object and nothing behind it; null is an empty one.
func parseDocument(data []byte) (document, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	start, err := d.Token()
	if err != nil {
		return nil, err
	}
	if start == nil {
		return nil, ended(d)
	}
	if start != json.Delim('{') {
		return nil, fmt.Errorf("it holds %T in place of an object", start)
	}
	var out document
	for d.More() {
		before := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		written := bytes.TrimLeft(data[before:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		out = append(out, member{name, written, value})
	}
	if _, err = d.Token(); errors.Is(err, io.EOF) {
		return nil, errors.New("it ends too early")
	}
	return out, errors.Join(err, ended(d))
}

// ended refuses what stands behind the value that was read: it would be lost.
func ended(d *json.Decoder) error {
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind its end")
	}
	return nil
}

// readConfig reads config.json; absent or empty is no member.
func (h *Home) readConfig() (document, error) {
	data, err := h.readSmall(configFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err = h.lstat(configFile); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		err = errors.Join(errors.New("it is a link to nothing"), err)
	}
	if err != nil {
		return nil, err
	}
	config, err := parseDocument(bytes.TrimPrefix(data, []byte(byteOrderMark)))
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return config, err
}

// checkConfig refuses a config.json that a commit could not write anew. A link would be
// replaced, and what it leads to would keep U2's secrets.
func (h *Home) checkConfig() error {
	if _, err := h.readConfig(); err != nil {
		return damagedConfig(err)
	}
	info, err := h.lstat(configFile)
	if err := ignoreMissing(err); err != nil {
		return err
	}
	if err == nil && !info.Mode().IsRegular() {
		return problem.New(problem.Refused, "Put the file that it leads to in the place of the link.", "updates/config.json is a link, and would be written anew as a file")
	}
	return nil
}

func damagedConfig(err error) error {
	return problem.New(problem.Failed, "Mend updates/config.json, or bring it back from a backup.", "updates/config.json is damaged: %w", err)
}

// configBytes is config.json for a state: unknown keys survive, secrets do not.
func (h *Home) configBytes(s State) ([]byte, error) {
	config, err := h.readConfig()
	if err != nil {
		return nil, damagedConfig(err)
	}
	config = withoutSecrets(config)
	product, err := parseDocument(config.get("product"))
	if err != nil {
		product = nil // no object: nothing in it can be kept
	}
	var hotfixes []string // null, as U2 has it where there is none
	if len(s.Hotfixes) > 0 {
		hotfixes = plan.Names(s.Hotfixes)
	}
	err = errors.Join(
		product.set("name", s.Product), product.set("version", s.Version),
		config.set("update-level", strconv.Itoa(s.Level)), config.set("channel", s.Channel))
	if s.Backup != "" {
		err = errors.Join(err, config.set("backup-dir", s.Backup))
	}
	err = errors.Join(err, config.set("product", product), config.set("hotfixes", hotfixes))
	if err != nil {
		return nil, err
	}
	data, err := config.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, data, "", "  ")
	b.WriteByte('\n')
	return b.Bytes(), err
}

// secret reports whether U2 keeps a secret under a key, however the key is spelt.
func secret(key string) bool {
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(key)) {
	case "password", "secret", "token", "accesstoken", "refreshtoken", "idtoken", "appkey", "apikey", "clientsecret":
		return true
	}
	return false
}

// withoutSecrets drops what U2 keeps and Uplevel never does, at any depth. What holds
// none stays as it is written.
func withoutSecrets(config document) document {
	var out document
	for _, m := range config {
		if !secret(m.key) {
			out = append(out, member{m.key, m.written, cleaned(m.value)})
		}
	}
	return out
}

func cleaned(value json.RawMessage) json.RawMessage {
	var list []json.RawMessage
	switch first := bytes.TrimSpace(value); {
	case bytes.HasPrefix(first, []byte("{")):
		inner, err := parseDocument(value)
		if err != nil {
			return value // it was read once already
		}
		data, err := withoutSecrets(inner).MarshalJSON()
		if err != nil {
			return value
		}
		return data
	case bytes.HasPrefix(first, []byte("[")) && json.Unmarshal(value, &list) == nil:
		for i := range list {
			list[i] = cleaned(list[i])
		}
		return slices.Concat([]byte("["), bytes.Join(rawBytes(list), []byte(",")), []byte("]"))
	}
	return value
}

func rawBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, 0, len(list))
	for _, l := range list {
		out = append(out, l)
	}
	return out
}

// ConfigText returns a text value of config.json, empty when it is not there.
func (h *Home) ConfigText(key string) string {
	config, err := h.readConfig()
	if err != nil {
		return ""
	}
	return config.text(key)
}

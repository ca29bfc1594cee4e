package merging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func fillAll(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := fill("testdata", strings.TrimPrefix(file, "testdata")); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes what comes out into a case that tells no outcome yet. Whoever adds a case
// reads what it wrote: from then on it is what must come out.
func fill(dir, path string) error {
	name := filepath.Join(dir, path)
	data, err := os.ReadFile(name)
	if err != nil || bytes.Contains(data, []byte("-- result")) || bytes.Contains(data, []byte("-- whole --")) {
		return err
	}
	draft := bytes.Replace(data, []byte("\n-- "), []byte("\nhow: unknown\n-- "), 1)
	if err := os.WriteFile(name, draft, 0o644); err != nil {
		return err
	}
	c, err := Read(dir, path)
	if err != nil {
		return err
	}
	r, failed := c.Run()
	var out strings.Builder
	how := r.How
	if failed != nil {
		how = "not at all"
		fmt.Fprintf(&out, "-- whole --\n%v\n", failed)
	} else {
		encoding := c.encodings[mine]
		section := func(name string, data []byte) {
			if encoding != "" {
				name += " (" + encoding + ")"
			}
			fmt.Fprintf(&out, "-- %s --\n%s", name, readable(data, encoding))
		}
		section(result, r.Merged)
		if len(r.Conflicts) > 0 {
			section(vendors, r.Theirs)
			fmt.Fprintf(&out, "-- conflicts --\n%s", tell(r.Conflicts))
		}
	}
	draft = bytes.Replace(draft, []byte("how: unknown"), []byte("how: "+how), 1)
	return os.WriteFile(name, append(draft, out.String()...), 0o644)
}

// readable is the reverse of toBytes.
func readable(data []byte, encoding string) string {
	order := map[string]binary.ByteOrder{"UTF-16LE": binary.LittleEndian, "UTF-16BE": binary.BigEndian}[encoding]
	if order != nil {
		var units []uint16
		for i := 2; i+1 < len(data); i += 2 {
			units = append(units, order.Uint16(data[i:]))
		}
		data = []byte(string(utf16.Decode(units)))
	}
	var out strings.Builder
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '\r':
			out.WriteString(carriageReturn)
		case r == utf8.RuneError && n == 1, r == '\uFEFF':
			fmt.Fprintf(&out, "%s% X%s", openBytes, data[:n], closeBytes)
		default:
			out.WriteRune(r)
		}
		data = data[n:]
	}
	return out.String()
}

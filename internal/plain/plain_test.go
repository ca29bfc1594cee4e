package plain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"as it is\n\tü 日本 👩\u200d🔧\r\n": "as it is\n\tü 日本 👩\u200d🔧\r\n",
		"a\x1b]0;owned\x07b":            `a\x1b]0;owned\x07b`,
		"a\rb":                          `a\x0db`,
		"\u009b2J":                      `\x9b2J`,
		"\x9b2J":                        `\x9b2J`,
		"invoice\u202egpj.exe":          `invoice\u202egpj.exe`,
		"\x1b[31mred\x1b[0m":            `\x1b[31mred\x1b[0m`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		var b bytes.Buffer
		if n, err := io.WriteString(Writer(&b), text); n != len(text) || err != nil || b.String() != want {
			t.Errorf("%q was written as %q, %d, %v", text, b.String(), n, err)
		}
	}
	if got := Text("\x1b[31mred\x1b[0m\x1b[2J", "\x1b[31m", "\x1b[0m"); got != "\x1b[31mred\x1b[0m\\x1b[2J" {
		t.Errorf("%q", got)
	}
}

// TestNothingSpeaks tries any text: nothing unsafe is left, and JSON means the same.
func TestNothingSpeaks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + string(rapid.SliceOf(rapid.SampledFrom([]byte("\x1b\x07\x80\x9b\xc2\xe2\xae\r"))).Draw(t, "bytes"))
		if got := Text(text); strings.ContainsFunc(strings.ReplaceAll(got, "\r\n", ""), Unsafe) {
			t.Fatalf("%q became %q", text, got)
		}
		data, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(string(data))
		var back, want string
		if err := json.Unmarshal([]byte(safe), &back); err != nil || json.Unmarshal(data, &want) != nil || back != want {
			t.Fatalf("%s became %s: %v", data, safe, err)
		}
		if strings.ContainsFunc(safe, Unsafe) {
			t.Fatal(fmt.Sprintf("%q", safe))
		}
	})
}

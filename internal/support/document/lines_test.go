package document

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":"b, {c}\"","d":[1,2]}`:      "{\n  \"a\": \"b, {c}\\\"\",\n  \"d\": [\n    1,\n    2\n  ]\n}\n",
		`{"a":"http://x","b`:              "{\n  \"a\": \"http://x\",\n  \"b\n",
		`{"a":"x" http://u:p,q@h`:         `{"a":"x" http://u:p,q@h`,
		"uplevel (process 1), http://a:b": "uplevel (process 1), http://a:b",
		"":                                "",
	} {
		if got := string(Lines([]byte(in), 1000)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if got := Lines(bytes.Repeat([]byte("["), 10000), 1000); len(got) > 1100 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"a":["b",{"c":1.5e3,"d":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Lines(data, 1<<20)
		if !json.Valid(data) {
			return
		}
		var before, after bytes.Buffer
		if json.Compact(&before, data) != nil || json.Compact(&after, got) != nil || before.String() != after.String() {
			t.Fatalf("%q becomes %q", data, got)
		}
	})
}

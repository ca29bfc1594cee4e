package document

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"uplevel/internal/trust/trusttest"
)

// FuzzDocuments reads documents of an installation for a bundle: what they hold of the
// product's files does not go along, whatever stands around it.
func FuzzDocuments(f *testing.F) {
	repo := trusttest.New(f, time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	f.Add(repo.Current("root"), "a")
	f.Add(repo.Current("timestamp"), "a")
	f.Add([]byte(`{"plan":{"outcomes":[{"inside":{"disputes":[{"key":"k","base":{"text":"CONTENT"},"mine":"CONTENT","theirs":["CONTENT"]}]}}]}}`), "base")
	f.Add([]byte(`{"documents":{"a.md":"Q09OVEVOVA=="},"disputes":`), "documents")
	f.Add([]byte(`[{"disputes":{"mine":{"deep":[{"theirs":"x"}]}}}]`), "mine")
	f.Add([]byte(`{"signed":{"_type":"root"},"signatures":[null,{}]}`), "x")
	f.Fuzz(func(t *testing.T, data []byte, around string) {
		if m, err := ReadMetadata(data); err == nil && m.Type == "" {
			t.Fatal("metadata of no type")
		}
		WithoutContents(data)
		const content = "CONTENT-of-a-file"
		key, err := json.Marshal(around)
		if err != nil || strings.Contains(string(data), content) || strings.Contains(around, content) {
			return
		}
		var rest any
		if json.Unmarshal(data, &rest) != nil {
			data = []byte("null")
		}
		whole := bytes.Join([][]byte{[]byte(`{"a":`), data, []byte(`,`), key, []byte(`:[{"disputes":[{"key":"k","mine":"` + content + `"}]},{"documents":{"x":"` + content + `"}}]}`)}, nil)
		if around == "key" {
			return
		}
		if out := WithoutContents(whole); bytes.Contains(out, []byte(content)) {
			t.Fatalf("%s\nkeeps\n%s", whole, out)
		}
	})
}

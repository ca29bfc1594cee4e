package hostile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

// unzip returns the members of a zip of the vendor's, as plain files.
func unzip(t *testing.T, data []byte) []Member {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var all []Member
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, File(f.Name, string(content)))
	}
	return all
}

// envelopePayload returns what an envelope signs.
func envelopePayload(t *testing.T, envelope []byte) []byte {
	t.Helper()
	var e struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal(envelope, &e); err != nil || len(e.Payload) == 0 {
		t.Fatalf("%.300s: %v", envelope, err)
	}
	return e.Payload
}

package trouble

import (
	"bytes"
	"crypto/tls"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// insecure lets the lying service talk to the true one; what it passes on is judged by
// the tool.
func insecure() http.RoundTripper {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

// spoil changes one byte of an answer.
func spoil(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) < 2 {
		return err
	}
	body[0], body[len(body)/2] = 'x', body[len(body)/2]^1
	if r.Header.Get("Content-Type") == "application/json" && r.Request.URL.Path == "/tuf/timestamp.json" {
		body[0] = '{'
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.ContentLength = int64(len(body))
	r.Header.Del("ETag")
	return nil
}

// manifests returns the stored manifests that no pack of level 0 holds.
func (w *world) manifests() []string {
	w.t.Helper()
	var names []string
	err := filepath.WalkDir(w.Path("service/objects/objects"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := os.Stat(filepath.Join(w.pack, "updates/store", d.Name())); err == nil {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		dec, err := zstd.NewReader(f)
		if err != nil {
			return err
		}
		defer dec.Close()
		head := make([]byte, len("uplevel-manifest/1"))
		if _, err := io.ReadFull(dec, head); err == nil && string(head) == "uplevel-manifest/1" {
			names = append(names, d.Name())
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(names) == 0 {
		w.t.Fatal("no manifest found")
	}
	return names
}

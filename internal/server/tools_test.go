package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"uplevel/internal/api"
	"uplevel/internal/blob"
	"uplevel/internal/object"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/trusttest"
)

// TestToolsAreForEverybody walks through the addresses of a program, with and without
// ranges, and tries every way around what is signed.
func TestToolsAreForEverybody(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t)
	h := s.Handler(RoleAPI, RoleDelivery)
	content := make([]byte, 300<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	repo := trusttest.New(t, today)
	ref := repo.AddTool("1.0", "linux/amd64", content)
	w.store(string(content))
	tool := release.Tool{ToolListing: release.ToolListing{Version: "1.0", System: "linux/amd64"}, Program: ref}
	address := api.ToolAddress(tool)
	if got := ask(h, "GET", address, "", "").Code; got != 404 {
		t.Errorf("before it is published: %d", got)
	}
	w.tools = repo.Current(trust.RoleTool)
	whole := ask(h, "GET", address, "", "")
	if whole.Code != 200 || !bytes.Equal(whole.Body.Bytes(), content) || !strings.Contains(whole.Header().Get("Cache-Control"), "immutable") {
		t.Fatalf("%d, %d bytes, %v", whole.Code, whole.Body.Len(), whole.Header())
	}
	for span, want := range map[string][]byte{
		"bytes=0-9": content[:10], "bytes=200000-": content[200000:], "bytes=-7": content[len(content)-7:], "bytes=5-5": content[5:6],
	} {
		if got := ask(h, "GET", address, "", "", "Range", span); got.Code != 206 || !bytes.Equal(got.Body.Bytes(), want) {
			t.Errorf("%s: %d, %d bytes", span, got.Code, got.Body.Len())
		}
	}
	if got := ask(h, "GET", address, "", "", "Range", "bytes=9000000-").Code; got != 416 {
		t.Errorf("beyond the end: %d", got)
	}
	for _, spans := range []string{"bytes=300-309,100-104", "bytes=" + strings.Repeat("299999-299999,0-0,", 1000) + "0-0"} {
		for _, path := range []string{address, address + api.StoredSuffix} {
			if got := ask(h, "GET", path, "", "", "Range", spans); got.Code != 200 || got.Body.Len() < len(content) {
				t.Errorf("%s, %.30s: %d, %d bytes", path, spans, got.Code, got.Body.Len())
			}
		}
	}
	if got := ask(h, "GET", address, "", "", "If-None-Match", whole.Header().Get("ETag")).Code; got != 304 {
		t.Errorf("not modified: %d", got)
	}
	stored := ask(h, "GET", address+api.StoredSuffix, "", "")
	r, err := object.NewReader(stored.Body, ref.Sum, ref.Size)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || !bytes.Equal(data, content) || stored.Header().Get("ETag") == whole.Header().Get("ETag") {
		t.Errorf("stored form: %d, %v", stored.Code, err)
	}
	file := w.levels[1].Manifest
	for _, bad := range []string{
		strings.Replace(address, "/1.0/", "/1.1/", 1), strings.Replace(address, "linux", "darwin", 1), address + ".gz", address[:len(address)-1],
		api.ToolAddress(release.Tool{ToolListing: tool.ToolListing, Program: file}), // an object of a level
	} {
		if got := ask(h, "GET", bad, "administrator", "").Code; got != 404 {
			t.Errorf("%s: %d", bad, got)
		}
	}
	if err := w.blobs.Delete(t.Context(), blob.ObjectName(ref.Sum)); err != nil {
		t.Fatal(err)
	}
	if got := ask(h, "GET", address, "", "").Code; got != 500 {
		t.Errorf("lost: %d", got)
	}
}

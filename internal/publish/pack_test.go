package publish

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/publish/dist"
	"uplevel/internal/publish/pack"
	"uplevel/internal/release"
)

func packRequest(t *testing.T, out string) PackRequest {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "built")
	if err := os.WriteFile(tool, []byte("the tool"), 0o600); err != nil {
		t.Fatal(err)
	}
	return PackRequest{
		Line: shop, Level: 1, Out: out, Tools: []pack.Tool{{Name: "uplevel", File: tool}},
		Vendor: pack.Vendor{Service: "https://updates.example", Support: "https://support.example"},
	}
}

// packed is a desk with two levels.
func packed(t *testing.T) *desk {
	t.Helper()
	d := ready(t)
	add(t, d, with(release0(), map[string]string{"conf/größe.txt": "ü", "doc/large.txt": strings.Repeat("a line of text\n", 80_000)}))
	level(t, d, with(release0(), map[string]string{"bin/shop": "#!/bin/sh\necho 1.0.1\n", "doc/large.txt": strings.Repeat("a line of text\n", 80_000)}), notes1)
	return d
}

func TestPackIsAHome(t *testing.T) {
	t.Parallel()
	d := packed(t)
	out := filepath.Join(t.TempDir(), "new", "shop")
	if _, err := d.Pack(t.Context(), packRequest(t, out)); err != nil {
		t.Fatal(err)
	}
	// What a scan of the pack finds is exactly the level.
	b, err := dist.Open(t.Context(), out, dist.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l, err := d.load(t.Context(), listed(t, d, shop)[1])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(l.manifest), string(b.Tree.Bytes())); diff != "" {
		t.Error(diff)
	}
	if b.Product != "shop-1.0" {
		t.Errorf("product.txt says %q", b.Product)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(filepath.Join(out, "bin", "uplevel")); err != nil || info.Mode() != 0o755 {
			t.Errorf("the tool: %v, %v", info, err)
		}
	}
	checkUpdates(t, d, filepath.Join(out, "updates"), l)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); err != nil || len(left) > 0 {
		t.Errorf("litter: %q, %v", left, err)
	}
	_, err = d.Pack(t.Context(), packRequest(t, out))
	wantKind(t, err, problem.Refused, "there already")
}

func checkUpdates(t *testing.T, d *desk, dir string, l published) {
	t.Helper()
	var state struct {
		Format   int
		Product  string
		Version  string
		Channel  string
		Level    int
		Record   release.Ref
		Manifest release.Ref
		Notes    release.Ref
		Pack     string
	}
	var config map[string]any
	var vendor map[string]any
	for name, into := range map[string]any{"state.json": &state, "config.json": &config, "vendor.json": &vendor} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if state.Format != 1 || state.Product != "shop" || state.Level != 1 || state.Record != l.Record ||
		state.Manifest != l.record.Manifest || state.Notes != l.record.Notes || len(state.Pack) != 32 {
		t.Errorf("state.json: %+v", state)
	}
	if config["update-level"] != "1" || config["channel"] != "full" {
		t.Errorf("config.json: %v", config)
	}
	if diff := cmp.Diff(map[string]any{"service": "https://updates.example", "support": "https://support.example"}, vendor); diff != "" {
		t.Errorf("vendor.json: %s", diff)
	}
	root, err := os.ReadFile(filepath.Join(dir, "root.json"))
	if err != nil || !bytes.Equal(root, d.service.files["1.root.json"]) {
		t.Errorf("root.json: %v", err)
	}
	want := map[string]bool{l.Record.Sum.String(): true, l.record.Manifest.Sum.String(): true, l.record.Notes.Sum.String(): true}
	for name, content := range with(release0(), map[string]string{"bin/shop": "#!/bin/sh\necho 1.0.1\n"}) {
		if !manifest.Reserved(name) && !strings.HasSuffix(name, ".jar") { // no text; large.txt is over 1 MB
			want[digest.Of([]byte(content)).String()] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("store holds %s, which nobody wants", e.Name())
		}
		delete(want, e.Name())
	}
	if len(want) > 0 {
		t.Errorf("store lacks %v", want)
	}
	data, err := os.ReadFile(filepath.Join(dir, "store", l.record.Manifest.Sum.String()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := object.NewReader(bytes.NewReader(data), l.record.Manifest.Sum, l.record.Manifest.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil || text.String() != string(l.manifest) {
		t.Errorf("the stored manifest: %v", err)
	}
}

func TestPackIsDeterministic(t *testing.T) {
	t.Parallel()
	d := packed(t)
	var packs [][]byte
	for range 2 {
		out := filepath.Join(t.TempDir(), "shop.zip")
		if _, err := d.Pack(t.Context(), packRequest(t, out)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		packs = append(packs, data)
		d.tick()
	}
	if !bytes.Equal(packs[0], packs[1]) {
		t.Error("two packs of one level differ")
	}
	r, err := zip.NewReader(bytes.NewReader(packs[0]), int64(len(packs[0])))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
		if f.Name == "shop-1.0/bin/shop" && f.Mode() != 0o755 {
			t.Errorf("%s has mode %s", f.Name, f.Mode())
		}
		if f.Name == "shop-1.0/bin/" && !f.Mode().IsDir() {
			t.Errorf("%s has mode %s", f.Name, f.Mode())
		}
	}
	for _, want := range []string{"shop-1.0/", "shop-1.0/bin/uplevel", "shop-1.0/updates/root.json", "shop-1.0/LICENSE"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not in %q", want, names)
		}
	}
}

func TestPackRefusals(t *testing.T) {
	t.Parallel()
	d := packed(t)
	out := filepath.Join(t.TempDir(), "shop.zip")
	req := packRequest(t, out)
	req.Level = 9
	_, err := d.Pack(t.Context(), req)
	wantKind(t, err, problem.Failed, "Invalid update level")
	req = packRequest(t, out)
	req.Tools[0].Name = "shop"
	_, err = d.Pack(t.Context(), req)
	wantKind(t, err, problem.Usage, "bin/shop")
	req.Tools[0] = pack.Tool{Name: "uplevel", File: t.TempDir()}
	_, err = d.Pack(t.Context(), req)
	wantKind(t, err, problem.Failed, "no file")
	if _, err := d.SetState(t.Context(), StateRequest{Line: shop, Level: 1, State: release.Withdrawn, Reason: "loses orders"}); err != nil {
		t.Fatal(err)
	}
	_, err = d.Pack(t.Context(), packRequest(t, out))
	wantKind(t, err, problem.Refused, "loses orders")
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("litter: %v, %v", left, err)
	}
}

func TestPackKeepsPristineByRule(t *testing.T) {
	t.Parallel()
	d := ready(t)
	files := with(release0(), map[string]string{"conf/current": "x"})
	dir := build(t, files)
	if err := os.Symlink("../lib", filepath.Join(dir, "conf", "libs")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "conf"), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "conf"), 0o755) })
	if _, err := d.AddProduct(t.Context(), ProductRequest{Line: shop, Dist: dir, Rules: release.Rules{KeepPristine: []string{"lib/**"}}}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "home")
	req := packRequest(t, out)
	req.Level = 0
	if _, err := d.Pack(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(out, "conf"), 0o755) })
	if entries, err := os.ReadDir(filepath.Join(out, "updates", "store")); err != nil || len(entries) != 4 {
		t.Errorf("%d objects, %v", len(entries), err)
	}
	if target, err := os.Readlink(filepath.Join(out, "conf", "libs")); err != nil || target != "../lib" {
		t.Errorf("%q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(out, "conf")); err != nil || info.Mode() != fs.ModeDir|0o555 {
		t.Errorf("%v, %v", info, err)
	}
}

// Package pack writes what a customer starts from: the files of a level, the update
// tool, and in updates/ everything that the tool needs to trust and to update them.
// Equal inputs give equal bytes. The files are described in docs/design/format.md.
package pack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/manifest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// maxPristine is the size in bytes up to which text is kept pristine by default: 1 MB.
const maxPristine = 1 << 20

// Vendor is the content of updates/vendor.json, and of the one beside a tool: that one
// holds the trusted root, which a pack has in a file of its own.
type Vendor struct {
	Service string          `json:"service"`
	Support string          `json:"support,omitempty"`
	Portal  string          `json:"portal,omitempty"`
	Root    json.RawMessage `json:"root,omitempty"`
}

// Bytes returns the content of the file.
func (v Vendor) Bytes() ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// Tool is a file to be put into bin/.
type Tool struct {
	Name string // file name in bin/
	File string // where it is now
}

// Spec is what goes into a pack.
type Spec struct {
	Record   release.Record
	Bytes    []byte // the record's
	Manifest []byte
	Notes    []byte
	Root     []byte // trusted root
	Vendor   Vendor
	Tools    []Tool
	Open     func(release.Ref) (io.ReadCloser, error) // verified content of the level's files
}

// state is updates/state.json as the update tool reads it.
type state struct {
	Format   int         `json:"format"`
	Product  string      `json:"product"`
	Version  string      `json:"version"`
	Channel  string      `json:"channel"`
	Level    int         `json:"level"`
	Record   release.Ref `json:"record"`
	Manifest release.Ref `json:"manifest"`
	Notes    release.Ref `json:"notes"`
	Pack     string      `json:"pack"` // id of the pack, the same for equal packs
	History  int         `json:"history"`
}

// config is updates/config.json with the keys that products and scripts read.
type config struct {
	UpdateLevel string        `json:"update-level"`
	Channel     string        `json:"channel"`
	BackupDir   string        `json:"backup-dir"`
	Product     configProduct `json:"product"`
	Hotfixes    []string      `json:"hotfixes"`
}

type configProduct struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// sink is what a pack is written to. Folders come before what lies in them.
type sink interface {
	dir(path string, mode uint32) error
	file(path string, mode uint32, size int64, r io.Reader) error
	link(path, target string) error
	commit() error
	discard()
}

// Write writes the pack to out: a zip archive with the folder NAME-VERSION when out
// ends in .zip, else a home. After an error nothing stands at out.
func Write(ctx context.Context, spec Spec, out string) error {
	w, err := newSink(spec, out)
	if err != nil {
		return err
	}
	defer w.discard()
	if err := write(ctx, spec, w); err != nil {
		return err
	}
	return w.commit()
}

func newSink(spec Spec, out string) (sink, error) {
	if strings.EqualFold(filepath.Ext(out), ".zip") {
		return newZip(out, spec.Record.Line().ProductVersion(), spec.Record.Created)
	}
	return newHome(out, spec.Record.Created)
}

func write(ctx context.Context, spec Spec, w sink) error {
	tree, err := manifest.Parse(spec.Manifest)
	if err != nil {
		return problem.New(problem.Verification, "", "Unable to make the pack: %w", err)
	}
	pristine, err := newPristine(spec.Record.Rules)
	if err != nil {
		return err
	}
	for _, e := range tree.Entries() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := pristine.entry(spec, e, w); err != nil {
			return fmt.Errorf("packing %s: %w", e.Path, err)
		}
	}
	if err := writeTools(spec, tree, w); err != nil {
		return err
	}
	return writeUpdates(spec, pristine.kept, w)
}

// pristine collects the contents of which a pristine copy is to be kept.
type pristine struct {
	globs  release.Globs
	byRule bool
	kept   map[digest.Digest]release.Ref
}

func newPristine(rules release.Rules) (*pristine, error) {
	globs, err := release.CompileGlobs(rules.KeepPristine)
	return &pristine{globs: globs, byRule: len(rules.KeepPristine) > 0, kept: map[digest.Digest]release.Ref{}}, err
}

func (p *pristine) entry(spec Spec, e manifest.Entry, w sink) error {
	switch e.Kind {
	case manifest.Dir:
		return w.dir(e.Path, e.Mode)
	case manifest.Link:
		return w.link(e.Path, e.Target)
	case manifest.File, manifest.Other:
	}
	ref := release.Ref{Sum: e.Sum, Size: e.Size}
	content, err := spec.Open(ref)
	if err != nil {
		return err
	}
	defer content.Close()
	if p.byRule && p.globs.Match(e.Path) {
		p.kept[e.Sum] = ref
	}
	if p.byRule || e.Size > maxPristine {
		return w.file(e.Path, e.Mode, e.Size, content)
	}
	data, err := io.ReadAll(io.LimitReader(content, e.Size+1))
	if err != nil {
		return err
	}
	if isText(data) {
		p.kept[e.Sum] = ref
	}
	return w.file(e.Path, e.Mode, e.Size, bytes.NewReader(data))
}

// isText reports whether the first 8 KiB hold no NUL.
func isText(data []byte) bool {
	return !bytes.Contains(data[:min(len(data), 8<<10)], []byte{0})
}

func writeTools(spec Spec, tree manifest.Tree, w sink) error {
	if len(spec.Tools) == 0 {
		return nil
	}
	if bin, ok := tree.Lookup("bin"); !ok {
		if err := w.dir("bin", 0o755); err != nil {
			return err
		}
	} else if bin.Kind != manifest.Dir {
		return problem.New(problem.Refused, "", "The product has no folder bin to put the tool into")
	}
	for _, t := range spec.Tools {
		path := "bin/" + t.Name
		if _, taken := tree.Lookup(path); taken {
			return problem.New(problem.Usage, "Give the tool another name with --tool NAME=FILE or --tool-name.",
				"The product has a file %s already", path)
		}
		if err := writeTool(t.File, path, w); err != nil {
			return err
		}
	}
	return nil
}

func writeTool(name, path string, w sink) error {
	f, err := os.Open(name)
	if err != nil {
		return problem.New(problem.Failed, "Name the update tool's file with --tool.", "Unable to put the tool into the pack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err != nil {
		return problem.New(problem.Failed, "Name the update tool's file with --tool.", "Unable to put %s into the pack: %w", name, err)
	}
	return w.file(path, 0o755, info.Size(), f)
}

// writeUpdates writes updates/: what the tool starts from.
func writeUpdates(spec Spec, kept map[digest.Digest]release.Ref, w sink) error {
	for _, dir := range []string{"updates", "updates/store"} {
		if err := w.dir(dir, 0o755); err != nil {
			return err
		}
	}
	files, err := updatesFiles(spec)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.file(name, 0o644, int64(len(files[name])), bytes.NewReader(files[name])); err != nil {
			return err
		}
	}
	return writeStore(spec, kept, w)
}

// writeStore writes updates/store: record, manifest, notes and pristine copies in
// their stored form, one after the other.
func writeStore(spec Spec, kept map[digest.Digest]release.Ref, w sink) error {
	own := map[digest.Digest][]byte{}
	for _, data := range [][]byte{spec.Bytes, spec.Manifest, spec.Notes} {
		sum := digest.Of(data)
		own[sum], kept[sum] = data, release.Ref{Sum: sum, Size: int64(len(data))}
	}
	for _, sum := range slices.SortedFunc(maps.Keys(kept), digest.Digest.Compare) {
		content := io.NopCloser(bytes.NewReader(own[sum]))
		if own[sum] == nil {
			var err error
			if content, err = spec.Open(kept[sum]); err != nil {
				return err
			}
		}
		var stored bytes.Buffer
		_, _, err := object.Encode(&stored, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return fmt.Errorf("keeping %s: %w", sum, err)
		}
		if err := w.file("updates/store/"+sum.String(), 0o644, int64(stored.Len()), &stored); err != nil {
			return err
		}
	}
	return nil
}

func updatesFiles(spec Spec) (map[string][]byte, error) {
	r := spec.Record
	values := map[string]any{
		"updates/vendor.json": spec.Vendor,
		"updates/state.json": state{
			Format: 1, Product: r.Product, Version: r.Version, Channel: r.Channel, Level: r.Level,
			Record:   release.Ref{Sum: digest.Of(spec.Bytes), Size: int64(len(spec.Bytes))},
			Manifest: r.Manifest, Notes: r.Notes, Pack: digest.Of(append([]byte("uplevel-pack\n"), spec.Bytes...)).String()[:32],
		},
		"updates/config.json": config{
			UpdateLevel: strconv.Itoa(r.Level), Channel: r.Channel, Hotfixes: []string{},
			Product: configProduct{Name: r.Product, Version: r.Version},
		},
	}
	files := map[string][]byte{
		"updates/product.txt": []byte(r.Line().ProductVersion() + "\n"),
		"updates/root.json":   spec.Root,
	}
	for name, value := range values {
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
		files[name] = append(data, '\n')
	}
	return files, nil
}

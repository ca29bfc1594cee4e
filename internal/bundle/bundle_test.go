package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/manifest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

var day0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// vendor is a repository that signs hotfixes, and the contents they are made of.
type vendor struct {
	repo     *trusttest.Repo
	contents map[digest.Digest]string
	key      ed25519.PrivateKey
}

func newVendor(t testing.TB) *vendor {
	t.Helper()
	v := &vendor{repo: trusttest.New(t, day0), contents: map[digest.Digest]string{}, key: trusttest.Key("hotfix")}
	v.repo.AddDelegation(trust.RoleTargets, trust.RoleHotfix, trust.HotfixPaths(), v.key)
	delete(v.repo.Roles, trust.RoleHotfix)
	v.repo.PublishRole(trust.RoleTargets)
	v.repo.PublishOnline()
	return v
}

func (v *vendor) file(path, content string) manifest.Entry {
	sum := digest.Of([]byte(content))
	v.contents[sum] = content
	return manifest.Entry{Path: path, Kind: manifest.File, Mode: 0o644, Size: int64(len(content)), Sum: sum}
}

func (v *vendor) record(t testing.TB) hotfix.Record {
	t.Helper()
	base, errBase := manifest.NewTree([]manifest.Entry{v.file("a", "old a\n"), v.file("big", strings.Repeat("x", bundle.MaxBase+1)), v.file("gone", "gone")})
	want, errWant := manifest.NewTree([]manifest.Entry{v.file("a", "new a\n"), v.file("big", "small"), v.file("b", strings.Repeat("new b\n", 1000))})
	if err := errors.Join(errBase, errWant); err != nil {
		t.Fatal(err)
	}
	return hotfix.Record{
		Format: 1, Name: "ACME-hf2", Product: "shop", Version: "1.0", Channel: "full", Levels: []int{2}, Sequence: 2, Needs: []string{"ACME-hf1"},
		Organisation: "org_abc", For: "ACME", Files: hotfix.Difference(base, want), Created: day0,
		Update: release.Update{ID: 7, Type: release.Regular, Description: "A fix.", Instructions: "Be quick.", Advisories: []string{"UPL-1"}},
	}
}

func (v *vendor) spec(t testing.TB, record hotfix.Record) bundle.Spec {
	t.Helper()
	payload, err := record.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.repo.Public(v.key).ID()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := trust.NewEnvelope(payload, map[string][]byte{id: ed25519.Sign(v.key, trust.SignedBytes(trust.HotfixType, payload))})
	if err != nil {
		t.Fatal(err)
	}
	spec := bundle.Spec{Envelope: envelope, Open: func(ref release.Ref) (io.ReadCloser, error) {
		content, ok := v.contents[ref.Sum]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(strings.NewReader(content)), nil
	}}
	for _, role := range []string{trust.RoleRoot, trust.RoleTimestamp, trust.RoleSnapshot, trust.RoleTargets} {
		version := map[string]int64{
			trust.RoleRoot: 1, trust.RoleSnapshot: v.repo.Snapshot.Signed.Version, trust.RoleTargets: v.repo.Roles[trust.RoleTargets].Signed.Version,
		}[role]
		spec.Metadata = append(spec.Metadata, bundle.File{Name: trust.FileName(role, version), Data: v.repo.Current(role)})
	}
	return spec
}

func written(t testing.TB, spec bundle.Spec) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := bundle.Write(&out, spec); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(data []byte) (*bundle.Bundle, error) {
	return bundle.Open(bytes.NewReader(data), int64(len(data)))
}

func TestAZipProvesItself(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	record := v.record(t)
	data := written(t, v.spec(t, record))
	if !bytes.Equal(data, written(t, v.spec(t, record))) {
		t.Error("made twice it differs")
	}
	b, err := opened(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	client, err := refresh.New(refresh.Config{Dir: t.TempDir(), Root: v.repo.File("1.root.json"), Now: func() time.Time { return day0.Add(9000 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	view, err := client.Carried(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := view.Hotfix(b.Envelope())
	if err != nil {
		t.Fatal(err)
	}
	got, err := hotfix.Parse(payload)
	if err != nil || !got.Same(record) || !b.Claimed().Same(record) {
		t.Errorf("%+v, %v", got, err)
	}
	want, base := got.Contents()
	for _, ref := range slices.Concat(want, base) {
		r, err := b.Open(ref)
		if ref.Size > bundle.MaxBase {
			if !errors.Is(err, fs.ErrNotExist) || b.Has(ref.Sum) {
				t.Errorf("a large base: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || string(content) != v.contents[ref.Sum] {
			t.Errorf("%s: %v", ref.Sum, err)
		}
	}
	if _, err := b.Metadata(t.Context(), "2.root.json", 1<<20); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no further root: %v", err)
	}
}

func TestAZipIsOneForEverybody(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	data := written(t, v.spec(t, v.record(t)))
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name[:min(len(f.Name), 12)])
		if f.Mode() != 0o644 || !f.Modified.Equal(day0) && f.ModTime().Unix() != day0.Unix() {
			t.Errorf("%s: %s %s", f.Name, f.Mode(), f.Modified)
		}
		r, err := f.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if got := strings.Join(names[:6], " "); got != "hotfix.json README.txt metadata/1.r metadata/tim metadata/2.s metadata/2.t" {
		t.Error(got)
	}
	readme, err := z.Open("README.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(readme)
	for _, want := range []string{"ACME-hf2 of shop-1.0, for ACME", "apply-hotfix shop-1.0-ACME-hf2.zip", "Apply before: ACME-hf1", "Be quick.", "1.0.2", "UPL-1"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// TestEveryFlippedByteIsHarmless flips each byte: the zip is refused, or what is read from
// it is the same.
func TestEveryFlippedByteIsHarmless(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	record := v.record(t)
	data := written(t, v.spec(t, record))
	whole, err := opened(data)
	if err != nil {
		t.Fatal(err)
	}
	metadata := func(b *bundle.Bundle) string {
		var all string
		for _, f := range v.spec(t, record).Metadata {
			text, err := b.Metadata(t.Context(), f.Name, 1<<22)
			if err != nil {
				return err.Error()
			}
			all += string(text)
		}
		return all
	}
	said := metadata(whole)
	refused := 0
	for i := range data {
		flipped := bytes.Clone(data)
		flipped[i] ^= 0x41
		b, err := opened(flipped)
		if err == nil {
			err = b.Check(t.Context())
		}
		if err == nil && metadata(b) != said {
			err = problem.New(problem.Verification, "", "metadata differ")
		}
		switch {
		case err == nil && !bytes.Equal(b.Envelope(), whole.Envelope()):
			t.Fatalf("byte %d changes the envelope", i)
		case err != nil && problem.KindOf(err) != problem.Verification:
			t.Fatalf("byte %d: %v", i, err)
		case err != nil:
			refused++
		}
	}
	if refused < len(data)*3/4 {
		t.Errorf("%d of %d flips were noticed", refused, len(data))
	}
	for n := range data {
		if _, err := opened(data[:n]); err == nil {
			t.Fatalf("cut at %d it opens", n)
		}
	}
	for what, bad := range map[string][]byte{
		"something after":  append(bytes.Clone(data), 0),
		"something before": append([]byte("#!/bin/sh\n"), data...),
		"itself twice":     append(bytes.Clone(data), data...),
	} {
		if _, err := opened(bad); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// part is a member of a made-up zip.
type part struct {
	name string
	data []byte
}

// parts takes a zip apart.
func parts(t *testing.T, data []byte) []part {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var all []part
	for _, f := range z.File {
		offset, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part{f.Name, data[offset : offset+int64(f.CompressedSize64)]})
	}
	return all
}

// zipped puts a zip together in the plain layout that Open wants.
func zipped(t *testing.T, all []part, method uint16) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, p := range all {
		h := &zip.FileHeader{Name: p.name, Method: method, CRC32: crc32.ChecksumIEEE(p.data), CompressedSize64: uint64(len(p.data)), UncompressedSize64: uint64(len(p.data))}
		into, err := w.CreateRaw(h)
		if err == nil {
			_, err = into.Write(p.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileZips(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	record := v.record(t)
	whole := parts(t, written(t, v.spec(t, record)))
	if _, err := opened(zipped(t, whole, zip.Store)); err != nil {
		t.Fatal(err)
	}
	for what, edit := range map[string]func(all []part) []part{
		"empty":              func([]part) []part { return nil },
		"a stranger":         func(all []part) []part { return append(all, part{"objects/../../bin/sh", nil}) },
		"an unnamed content": func(all []part) []part { return append(all, part{"objects/" + strings.Repeat("f", 64), nil}) },
		"twice":              func(all []part) []part { return append(all, all[len(all)-1]) },
		"a folder":           func(all []part) []part { return slices.Insert(all, 2, part{"metadata/", nil}) },
		"no envelope":        func(all []part) []part { return all[1:] },
		"no readme":          func(all []part) []part { return slices.Delete(all, 1, 2) },
		"no root":            func(all []part) []part { return slices.Delete(all, 2, 3) },
		"no timestamp":       func(all []part) []part { return slices.Delete(all, 3, 4) },
		"a line":             func(all []part) []part { return slices.Insert(all, 6, part{"metadata/1.line.shop-1.0.full.json", nil}) },
		"outside a folder":   func(all []part) []part { all[2].name = "metadata/../../1.root.json"; return all },
		"in a folder more":   func(all []part) []part { all[3].name = "metadata/x/timestamp.json"; return all },
		"a gap in roots":     func(all []part) []part { return slices.Insert(all, 3, part{"metadata/3.root.json", nil}) },
		"no contents":        func(all []part) []part { return all[:6] },
		"another order":      func(all []part) []part { slices.Reverse(all[6:]); return all },
		"a wanted one less":  func(all []part) []part { return withoutObject(all, digest.Of([]byte("new a\n"))) },
		"endless readme":     func(all []part) []part { all[1].data = make([]byte, hotfix.MaxBytes+1); return all },
		"endless timestamp":  func(all []part) []part { all[3].data = make([]byte, trust.MaxTimestamp+1); return all },
		"endless content":    func(all []part) []part { all[6].data = make([]byte, 2<<20); return all },
		"another envelope":   func(all []part) []part { all[0].data = []byte("{}"); return all },
	} {
		if _, err := opened(zipped(t, edit(slices.Clone(whole)), zip.Store)); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := opened(zipped(t, whole, zip.Deflate)); problem.KindOf(err) != problem.Verification {
		t.Errorf("compressed: %v", err)
	}
	// A base may be left out; contents that are others show when they are read.
	b, err := opened(zipped(t, withoutObject(whole, digest.Of([]byte("gone"))), zip.Store))
	if err != nil || b.Check(t.Context()) != nil {
		t.Errorf("without a base: %v", err)
	}
	other := slices.Clone(whole)
	other[6].data, other[7].data = other[7].data, other[6].data
	b, err = opened(zipped(t, other, zip.Store))
	if err == nil {
		err = b.Check(t.Context())
	}
	if problem.KindOf(err) != problem.Verification {
		t.Errorf("swapped contents: %v", err)
	}
}

func withoutObject(all []part, sum digest.Digest) []part {
	return slices.DeleteFunc(slices.Clone(all), func(p part) bool { return p.name == "objects/"+sum.String() })
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	for what, spoil := range map[string]func(s *bundle.Spec){
		"no envelope":  func(s *bundle.Spec) { s.Envelope = []byte("{}") },
		"no targets":   func(s *bundle.Spec) { s.Metadata = s.Metadata[:3] },
		"content away": func(s *bundle.Spec) { s.Open = func(release.Ref) (io.ReadCloser, error) { return nil, fs.ErrNotExist } },
		"another content": func(s *bundle.Spec) {
			s.Open = func(release.Ref) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
		},
		"endless metadata": func(s *bundle.Spec) { s.Metadata[1].Data = make([]byte, trust.MaxTimestamp+1) },
	} {
		spec := v.spec(t, v.record(t))
		spoil(&spec)
		if err := bundle.Write(io.Discard, spec); err == nil {
			t.Errorf("%s is written", what)
		}
	}
	early := v.record(t)
	early.Created = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := bundle.Write(io.Discard, v.spec(t, early)); err == nil {
		t.Error("a year that no zip has is written")
	}
	full := errors.New("disk full")
	if err := bundle.Write(failing{full}, v.spec(t, v.record(t))); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzOpen(f *testing.F) {
	v := newVendor(f)
	f.Add(written(f, v.spec(f, v.record(f))))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := opened(data)
		if err != nil {
			if problem.KindOf(err) != problem.Verification {
				t.Fatal(err)
			}
			return
		}
		_ = b.Check(t.Context())
		if _, err := b.Metadata(t.Context(), "timestamp.json", trust.MaxTimestamp); errors.Is(err, fs.ErrNotExist) {
			t.Fatal(fmt.Errorf("opened without a timestamp: %w", err))
		}
	})
}

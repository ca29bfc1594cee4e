package bundle_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/object"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
	"uplevel/internal/trust/trusttest"
)

// outside is a vendor with three levels of shop 1.0, and what is stored of them.
type outside struct {
	t      testing.TB
	repo   *trusttest.Repo
	line   release.Line
	stored map[digest.Digest][]byte
	refs   []release.Ref
	index  bundle.Index
}

func newOutside(t testing.TB) *outside {
	t.Helper()
	o := &outside{t: t, repo: trusttest.New(t, day0), line: release.Line{Product: "shop", Version: "1.0", Channel: "full"}, stored: map[digest.Digest][]byte{}}
	points := make([]bundle.Point, 3)
	for level := range 3 {
		record := o.repo.AddLevel(o.line, level)
		data, err := record.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		points[level] = bundle.Point{Channel: "full", Level: level, Record: o.store(string(data))}
	}
	o.repo.PublishOnline()
	for _, content := range []string{"old a\n", "new a\n", strings.Repeat("new b\n", 1000), ""} {
		o.refs = append(o.refs, o.store(content))
	}
	tool := o.store("#! a tool")
	o.index = bundle.Index{
		Format: 1, Product: "shop", Version: "1.0", Created: day0, To: points[2], From: []bundle.Point{points[1], points[0]}, Organisation: "org_bank",
		Tools: []bundle.Tool{{System: "linux/arm64", Version: "1.2.0", Ref: tool}, {System: "linux/amd64", Version: "1.2.0", Ref: tool}},
	}
	return o
}

func (o *outside) clock() time.Time { return o.repo.Now }

func (o *outside) store(content string) release.Ref {
	o.t.Helper()
	var b bytes.Buffer
	sum, size, err := object.Encode(&b, strings.NewReader(content))
	if err != nil {
		o.t.Fatal(err)
	}
	o.stored[sum] = b.Bytes()
	return release.Ref{Sum: sum, Size: size}
}

func (o *outside) spec() bundle.OfflineSpec {
	o.t.Helper()
	client, err := refresh.New(refresh.Config{Dir: o.t.TempDir(), Root: o.repo.File("1.root.json"), Remote: o.repo, Now: o.clock})
	if err != nil {
		o.t.Fatal(err)
	}
	_, files, err := client.Carry(o.t.Context(), true, o.line)
	if err != nil {
		o.t.Fatal(err)
	}
	spec := bundle.OfflineSpec{Index: o.index, Objects: slices.Concat(o.refs, o.refs[:1]), Stored: func(ref release.Ref) (io.ReadCloser, error) {
		data, ok := o.stored[ref.Sum]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
	for _, f := range files {
		spec.Metadata = append(spec.Metadata, bundle.File(f))
	}
	return spec
}

func writtenUpdate(t testing.TB, spec bundle.OfflineSpec) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := bundle.WriteOffline(&out, spec)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(out.Len()) {
		t.Errorf("%d bytes were told, %d written", n, out.Len())
	}
	return out.Bytes()
}

func openedUpdate(data []byte) (*bundle.Offline, error) {
	return bundle.OpenOffline(bytes.NewReader(data), int64(len(data)))
}

// judged opens and checks a zip as its user does.
func (o *outside) judged(data []byte) error {
	u, err := openedUpdate(data)
	if err != nil {
		return err
	}
	return u.Check(o.t.Context(), o.refs)
}

func TestAnOfflineUpdateProvesItself(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	data := writtenUpdate(t, o.spec())
	again := o.spec()
	slices.Reverse(again.Objects)
	slices.Reverse(again.Index.From)
	if !bytes.Equal(data, writtenUpdate(t, again)) {
		t.Error("made twice it differs")
	}
	u, err := openedUpdate(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Check(t.Context(), o.refs); err != nil {
		t.Error(err)
	}
	x := u.Index()
	if x.FileName() != "shop-1.0.0-1.0.2.zip" || x.Organisation != "org_bank" || len(u.Tools()) != 2 || u.Tools()[0].System != "linux/amd64" {
		t.Errorf("%+v", x)
	}
	client, err := refresh.New(refresh.Config{Dir: t.TempDir(), Root: o.repo.File("1.root.json"), Now: o.clock})
	if err != nil {
		t.Fatal(err)
	}
	view, err := client.Carried(t.Context(), u, o.line)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := view.Level(o.line, 2); err != nil || l.Record != x.To.Record {
		t.Errorf("%+v, %v", l, err)
	}
	for _, ref := range o.refs {
		r, err := u.Open(ref)
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(r); err != nil || digest.Of(content) != ref.Sum {
			t.Errorf("%s: %v", ref.Sum, err)
		}
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := fs.ReadFile(z, "README.txt")
	for _, want := range []string{"shop-1.0 to level 1.0.2", "From level: 1.0.0, 1.0.1", "apply-update shop-1.0.0-1.0.2.zip", "linux/arm64"} {
		if err != nil || !strings.Contains(string(readme), want) {
			t.Errorf("the text lacks %q:\n%s", want, readme)
		}
	}
}

// TestAnOfflineUpdateThatBeginsAtItsEnd is for repairs; its text says so.
func TestAnOfflineUpdateThatBeginsAtItsEnd(t *testing.T) {
	t.Parallel()
	const apply, repair = "apply-update shop-", "verify --repair --from shop-"
	o := newOutside(t)
	to, from := o.index.To, o.index.From
	for what, c := range map[string]struct {
		from          []bundle.Point
		apply, repair bool
	}{
		"elsewhere": {from, true, false},
		"both":      {append(slices.Clone(from), to), true, true},
		"only here": {[]bundle.Point{to}, false, true},
	} {
		o.index.From = c.from
		data := writtenUpdate(t, o.spec())
		u, err := openedUpdate(data)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		readme, err := fs.ReadFile(z, "README.txt")
		if err != nil || u.Index().Repairs() != c.repair || strings.Contains(string(readme), apply) != c.apply || strings.Contains(string(readme), repair) != c.repair {
			t.Errorf("%s: %v, %v:\n%s", what, u.Index().Repairs(), err, readme)
		}
	}
}

// TestEveryByteOfAnOfflineUpdateCounts flips every seventh byte: none passes unseen but those of
// the zip's own headers that say nothing, such as times.
func TestEveryByteOfAnOfflineUpdateCounts(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	data := writtenUpdate(t, o.spec())
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	inside := make([]bool, len(data))
	for _, f := range z.File {
		offset, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(f.UncompressedSize64) {
			inside[offset+i] = true
		}
	}
	refused := 0
	for i := 0; i < len(data); i += 7 {
		flipped := bytes.Clone(data)
		flipped[i] ^= 0x41
		switch err := o.judged(flipped); {
		case err != nil && problem.KindOf(err) != problem.Verification:
			t.Fatalf("byte %d: %v", i, err)
		case err == nil && inside[i]:
			t.Fatalf("byte %d of a member is changed, and it passes", i)
		case err != nil:
			refused++
		}
	}
	if refused < len(data)/7/2 {
		t.Errorf("only %d of %d are refused", refused, len(data)/7)
	}
}

func TestAnOfflineUpdateThatIsCutIsRefused(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	data := writtenUpdate(t, o.spec())
	for n := 0; n < len(data); n += 1 + len(data)/150 {
		if err := o.judged(data[:n]); problem.KindOf(err) != problem.Verification {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestHostileOfflineUpdates(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	whole := parts(t, writtenUpdate(t, o.spec()))
	if err := o.judged(zipped(t, whole, zip.Store)); err != nil {
		t.Fatal(err)
	}
	other := newOutside(t)
	other.refs = append(other.refs, other.store("more"))
	merged := parts(t, writtenUpdate(t, other.spec()))
	index := func(was, is string) func([]part) []part {
		return func(all []part) []part {
			if !bytes.Contains(all[0].data, []byte(was)) {
				t.Fatalf("the index lacks %s", was)
			}
			all[0].data = bytes.Replace(all[0].data, []byte(was), []byte(is), 1)
			return all
		}
	}
	for what, edit := range map[string]func(all []part) []part{
		"empty":                 func([]part) []part { return nil },
		"only an index":         func(all []part) []part { return all[:1] },
		"no index":              func(all []part) []part { return all[1:] },
		"no readme":             func(all []part) []part { return slices.Delete(all, 1, 2) },
		"no root":               func(all []part) []part { return slices.Delete(all, 2, 3) },
		"one less":              func(all []part) []part { return all[:len(all)-1] },
		"one more":              func(all []part) []part { return append(all, part{"objects/" + strings.Repeat("f", 64), nil}) },
		"a stranger":            func(all []part) []part { return append(all, part{"objects/../../bin/sh", nil}) },
		"reordered":             func(all []part) []part { slices.Reverse(all[len(all)-3:]); return all },
		"two swapped":           func(all []part) []part { all[8].data, all[9].data = all[9].data, all[8].data; return all },
		"merged from two":       func(all []part) []part { return slices.Concat(all[:1], merged[1:]) },
		"members of another":    func(all []part) []part { return slices.Concat(merged[:1], all[1:]) },
		"another's content":     func(all []part) []part { all[len(all)-1].data = all[len(all)-2].data; return all },
		"another format":        index(`"format":1`, `"format":2`),
		"another product":       index(`"product":"shop"`, `"product":"shoq"`),
		"a start above":         index(`"level":0`, `"level":9`),
		"no start":              index(`"from":[`, `"fran":[`),
		"a field more":          index(`"format":1`, `"format":1,"x":1`),
		"spaces":                index(`"format":1`, `"format": 1`),
		"a tool elsewhere":      index(`linux/amd64`, `linux\\amd64`),
		"another sum":           index(`"sum":"`, `"sum":"0`),
		"year":                  index(`"created":"2026`, `"created":"1826`),
		"time zone":             index(`00:00Z"`, `00:00+01:00"`),
		"a hotfix's first name": func(all []part) []part { all[0].name = "hotfix.json"; return all },
	} {
		if err := o.judged(zipped(t, edit(slices.Clone(whole)), zip.Store)); problem.KindOf(err) != problem.Verification {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := o.judged(zipped(t, whole, zip.Deflate)); problem.KindOf(err) != problem.Verification {
		t.Errorf("compressed: %v", err)
	}
	v := newVendor(t)
	if err := o.judged(written(t, v.spec(t, v.record(t)))); problem.KindOf(err) != problem.Verification {
		t.Errorf("a hotfix: %v", err)
	}
}

// TestContentsAreTheSignedOnes: an index that agrees with what is in the zip does not make
// it the vendor's.
func TestContentsAreTheSignedOnes(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	data := writtenUpdate(t, o.spec())
	larger := release.Ref{Sum: o.refs[0].Sum, Size: o.refs[0].Size + 1}
	u, err := openedUpdate(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Check(t.Context(), []release.Ref{larger}); problem.KindOf(err) != problem.Verification {
		t.Errorf("of another size than signed: %v", err)
	}
	bomb := newOutside(t)
	ref := bomb.store(strings.Repeat("x", 8<<20))
	bomb.refs = []release.Ref{ref}
	if u, err = openedUpdate(writtenUpdate(t, bomb.spec())); err != nil {
		t.Fatal(err)
	}
	if err := u.Check(t.Context(), []release.Ref{{Sum: ref.Sum, Size: 10}}); problem.KindOf(err) != problem.Verification {
		t.Errorf("a bomb: %v", err)
	}
}

func TestWriteOfflineRefuses(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	for what, spoil := range map[string]func(s *bundle.OfflineSpec){
		"no start":      func(s *bundle.OfflineSpec) { s.Index.From = nil },
		"upside down":   func(s *bundle.OfflineSpec) { s.Index.To = s.Index.From[1] },
		"twice a level": func(s *bundle.OfflineSpec) { s.Index.From = append(s.Index.From, s.Index.From[0]) },
		"no targets":    func(s *bundle.OfflineSpec) { s.Metadata = s.Metadata[:3] },
		"a stranger":    func(s *bundle.OfflineSpec) { s.Metadata[4].Name = "1.line.bank-1.0.full.json" },
		"two records for a level": func(s *bundle.OfflineSpec) {
			s.Index.From = append(s.Index.From, bundle.Point{Channel: "full", Level: 2, Record: s.Index.From[0].Record})
		},
		"content away": func(s *bundle.OfflineSpec) {
			s.Objects = append(s.Objects, release.Ref{Sum: digest.Of([]byte("?")), Size: 1})
		},
		"another size":     func(s *bundle.OfflineSpec) { s.Objects[0].Size++ },
		"endless metadata": func(s *bundle.OfflineSpec) { s.Metadata[1].Data = make([]byte, trust.MaxTimestamp+1) },
		"endless content": func(s *bundle.OfflineSpec) {
			s.Stored = func(release.Ref) (io.ReadCloser, error) { return io.NopCloser(zeros{}), nil }
		},
		"a host name": func(s *bundle.OfflineSpec) { s.Index.Organisation = "a b" },
	} {
		spec := o.spec()
		spoil(&spec)
		if _, err := bundle.WriteOffline(io.Discard, spec); err == nil {
			t.Errorf("%s is written", what)
		}
	}
	full := errors.New("disk full")
	if _, err := bundle.WriteOffline(failing{full}, o.spec()); !errors.Is(err, full) {
		t.Error(err)
	}
	moving := o.spec()
	opened := map[digest.Digest]int{}
	stored := moving.Stored
	moving.Stored = func(ref release.Ref) (io.ReadCloser, error) {
		if opened[ref.Sum]++; opened[ref.Sum] > 1 {
			return io.NopCloser(strings.NewReader("other")), nil
		}
		return stored(ref)
	}
	if _, err := bundle.WriteOffline(io.Discard, moving); err == nil || !strings.Contains(err.Error(), "changed while") {
		t.Errorf("what changes between: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzOpenOffline(f *testing.F) {
	o := newOutside(f)
	whole := writtenUpdate(f, o.spec())
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	o.index.From, o.index.Tools = o.index.From[:1], nil
	f.Add(writtenUpdate(f, o.spec()))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := openedUpdate(data)
		if err == nil {
			err = u.Check(t.Context(), o.refs)
		}
		if err != nil {
			if problem.KindOf(err) != problem.Verification {
				t.Fatal(err)
			}
			return
		}
		if _, err := u.Metadata(t.Context(), "timestamp.json", trust.MaxTimestamp); err != nil {
			t.Fatal(err)
		}
		if len(u.Index().From) == 0 || !u.Has(u.Index().To.Record.Sum) {
			t.Fatal("opened without what it is about")
		}
	})
}

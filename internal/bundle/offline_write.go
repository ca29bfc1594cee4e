package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// OfflineSpec is what an offline update is made of.
type OfflineSpec struct {
	Index Index // without members; From and Tools in any order
	// Metadata prove it: roots from 1, timestamp, snapshot, targets, then delegated roles in order of theirs.
	Metadata []File
	Objects  []release.Ref // besides records and tools that the index names; in any order, each as often as it comes
	// Stored opens the stored form of an object. It is asked twice for each, and must give
	// the same bytes.
	Stored func(ref release.Ref) (io.ReadCloser, error)
}

// WriteOffline writes an offline update to w and returns its bytes. Equal specs give equal
// bytes; each content is decoded and compared with its digest before anything is written.
// After an error what w got must be thrown away.
func WriteOffline(w io.Writer, spec OfflineSpec) (int64, error) {
	d := &draft{spec: spec, index: spec.Index}
	d.index.From, d.index.Tools, d.index.Members = nil, nil, nil
	for _, p := range spec.Index.From { // few; a sort of their own would weigh more
		i := 0
		for i < len(d.index.From) && comparePoints(d.index.From[i], p) < 0 {
			i++
		}
		d.index.From = slices.Insert(d.index.From, i, p)
	}
	for _, t := range spec.Index.Tools {
		i := 0
		for i < len(d.index.Tools) && d.index.Tools[i].System < t.System {
			i++
		}
		d.index.Tools = slices.Insert(d.index.Tools, i, t)
	}
	if err := d.list(); err != nil {
		return 0, fmt.Errorf("writing the offline update: %w", err)
	}
	size, err := d.write(w)
	if err != nil {
		return 0, fmt.Errorf("writing the offline update: %w", err)
	}
	return size, nil
}

// draft is an offline update being made: first all members are listed, then written.
type draft struct {
	spec    OfflineSpec
	index   Index
	objects []release.Ref // sorted, each once
	sums    []uint32      // checksums of the objects
	size    int64         // of the members so far
}

// list fills the index.
func (d *draft) list() error {
	if err := d.index.check(); err != nil {
		return err
	}
	files := make([]named, len(d.spec.Metadata))
	for i, f := range d.spec.Metadata {
		files[i] = named{f.Name, int64(len(f.Data))}
	}
	if err := checkOffline(files, d.index); err != nil {
		return err
	}
	d.member(readmeName, int64(len(offlineReadme(d.index))), digest.Of(offlineReadme(d.index)))
	for _, f := range d.spec.Metadata {
		d.member(metadataPrefix+f.Name, int64(len(f.Data)), digest.Of(f.Data))
	}
	all := append(slices.Clone(d.spec.Objects), d.index.To.Record)
	for _, p := range d.index.From {
		all = append(all, p.Record)
	}
	for _, t := range d.index.Tools {
		all = append(all, t.Ref)
	}
	d.objects = slices.Compact(sorted(all))
	if n := len(d.objects) + len(files) + 2; n > maxOffline {
		return tooLarge(fmt.Sprintf("%d files", n))
	}
	for _, ref := range d.objects {
		if err := d.object(ref); err != nil {
			return fmt.Errorf("content %s: %w", ref.Sum, err)
		}
	}
	return nil
}

func (d *draft) member(name string, size int64, sum digest.Digest) {
	d.index.Members = append(d.index.Members, Member{Name: name, Size: size, Sum: sum})
	d.size += size
}

// object lists one content once it is read and decoded.
func (d *draft) object(ref release.Ref) error {
	stored, err := d.spec.Stored(ref)
	if err != nil {
		return err
	}
	defer stored.Close()
	hash, check := sha256.New(), crc32.NewIEEE()
	var length counter
	read := io.TeeReader(stored, io.MultiWriter(hash, check, &length))
	if err := decode(read, 0, ref); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(read, maxStored(ref))); err != nil {
		return err
	}
	if int64(length) > maxStored(ref) {
		return fmt.Errorf("it has more than %d bytes for a content of %d", maxStored(ref), ref.Size)
	}
	if d.size > MaxOffline {
		return tooLarge("4 GiB")
	}
	d.member(objectPrefix+ref.Sum.String(), int64(length), digest.Digest(hash.Sum(nil)))
	d.sums = append(d.sums, check.Sum32())
	return nil
}

func tooLarge(what string) error {
	return problem.New(problem.Refused, "Go in steps: name a lower level with --end-level, then make another zip from there.",
		"The offline update would hold more than %s, which no such zip can", what)
}

func (d *draft) write(w io.Writer) (int64, error) {
	text, err := d.index.bytes()
	if err != nil {
		return 0, err
	}
	out := newWriter(w, ofOffline(), d.index.Created)
	out.bytes(indexName, text)
	out.bytes(readmeName, offlineReadme(d.index))
	for _, f := range d.spec.Metadata {
		out.bytes(metadataPrefix+f.Name, f.Data)
	}
	listed := d.index.Members[1+len(d.spec.Metadata):]
	for i, ref := range d.objects {
		m := listed[i]
		out.member(m.Name, m.Size, d.sums[i], func(into io.Writer) error { return d.copy(into, ref, m) })
	}
	if out.err == nil {
		out.err = out.zip.Close()
	}
	return out.sized.size, out.err
}

// copy writes a stored form, the very bytes that were listed.
func (d *draft) copy(into io.Writer, ref release.Ref, m Member) error {
	stored, err := d.spec.Stored(ref)
	if err != nil {
		return fmt.Errorf("content %s: %w", ref.Sum, err)
	}
	defer stored.Close()
	sum, size, err := digest.Copy(into, io.LimitReader(stored, m.Size+1))
	if err == nil && (sum != m.Sum || size != m.Size) {
		err = errors.New("it changed while the zip was written")
	}
	if err != nil {
		return fmt.Errorf("content %s: %w", ref.Sum, err)
	}
	return nil
}

// offlineReadme is the text for people. The tool does not read it.
func offlineReadme(x Index) []byte {
	var b strings.Builder
	line := x.Line()
	fmt.Fprintf(&b, "Offline update of %s to level %s\n\n", line, line.LevelName(x.To.Level))
	starts := make([]string, len(x.From))
	for i, p := range x.From {
		starts[i] = line.LevelName(p.Level)
		if p.Channel != x.To.Channel {
			starts[i] += " (" + p.Channel + ")"
		}
	}
	fmt.Fprintf(&b, "From level: %s\n", strings.Join(starts, ", "))
	for _, t := range x.Tools {
		fmt.Fprintf(&b, "Tool:       %s for %s\n", t.Version, t.System)
	}
	if !x.Repairs() || len(x.From) > 1 {
		fmt.Fprintf(&b, "\nTo apply it, stop the product and run in its folder\n\n    bin/uplevel apply-update %s\n", x.FileName())
	}
	if x.Repairs() {
		fmt.Fprintf(&b, "\nTo restore what is damaged or missing at level %s, stop the product and run in its folder\n\n    bin/uplevel verify --repair --from %s\n",
			line.LevelName(x.To.Level), x.FileName())
	}
	fmt.Fprint(&b, "\nNeither a network nor credentials are needed. To go back:\n\n    bin/uplevel revert\n")
	return []byte(b.String())
}

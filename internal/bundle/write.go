package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/object"
	"uplevel/internal/release"
	"uplevel/internal/trust"
)

// File is a metadata file by its name in the repository: 1.root.json, timestamp.json.
type File struct {
	Name string
	Data []byte
}

// Spec is what a hotfix's zip is made of.
type Spec struct {
	Envelope []byte // signed
	// Metadata prove the envelope: roots ascending, timestamp, snapshot, targets.
	Metadata []File
	// Open returns the content of a file that the record wants or, up to 1 MiB, has as a
	// base. It is asked twice for each.
	Open func(ref release.Ref) (io.ReadCloser, error)
}

// Write writes a hotfix's zip to w. Equal specs give equal bytes. After an error what w
// got must be thrown away.
func Write(w io.Writer, spec Spec) error {
	record, err := claimed(spec.Envelope)
	if err != nil {
		return err
	}
	if year := record.Created.Year(); year < 1980 || year > 2107 {
		return fmt.Errorf("writing the hotfix: the year %d has no place in a zip", year)
	}
	if err := checkMetadata(spec.Metadata); err != nil {
		return fmt.Errorf("writing the hotfix: %w", err)
	}
	out := newWriter(w, ofHotfix(), record.Created)
	out.bytes(envelopeName, spec.Envelope)
	out.bytes(readmeName, readme(record))
	for _, f := range spec.Metadata {
		out.bytes(metadataPrefix+f.Name, f.Data)
	}
	for _, ref := range carried(record) {
		out.object(ref, spec.Open)
	}
	if out.err == nil {
		out.err = out.zip.Close()
	}
	if out.err != nil {
		return fmt.Errorf("writing the hotfix: %w", out.err)
	}
	return nil
}

// claimed reads the record of an envelope whose signatures nobody has judged.
func claimed(envelope []byte) (hotfix.Record, error) {
	payload, err := trust.HotfixPayload(envelope)
	if err != nil {
		return hotfix.Record{}, err
	}
	return hotfix.Parse(payload)
}

// carried returns the contents that travel in a zip, by digest: those wanted, and bases
// small enough.
func carried(record hotfix.Record) []release.Ref {
	want, base := record.Contents()
	for _, ref := range base {
		if ref.Size <= MaxBase {
			want = append(want, ref)
		}
	}
	return sorted(want)
}

// writer writes members until one fails.
type writer struct {
	zip   *zip.Writer
	sized sized
	when  time.Time
	err   error
}

func newWriter(w io.Writer, k kind, when time.Time) *writer {
	out := &writer{when: when, sized: sized{w: w, limit: k.zip}}
	out.zip = zip.NewWriter(&out.sized)
	return out
}

// sized refuses to become longer than a zip may be.
type sized struct {
	w           io.Writer
	size, limit int64
}

func (s *sized) Write(p []byte) (int, error) {
	if s.size += int64(len(p)); s.size > s.limit {
		return 0, fmt.Errorf("it would be longer than %d bytes", s.limit)
	}
	return s.w.Write(p)
}

func (w *writer) bytes(name string, data []byte) {
	w.member(name, int64(len(data)), crc32.ChecksumIEEE(data), func(into io.Writer) error {
		_, err := io.Copy(into, bytes.NewReader(data))
		return err
	})
}

// object writes a stored form. It is made twice: a member's header comes before it and
// names its size, and so nothing large is held.
func (w *writer) object(ref release.Ref, open func(release.Ref) (io.ReadCloser, error)) {
	if w.err != nil {
		return
	}
	sum := crc32.NewIEEE()
	var count counter
	if w.err = encode(io.MultiWriter(sum, &count), ref, open); w.err == nil {
		w.member(objectPrefix+ref.Sum.String(), int64(count), sum.Sum32(), func(into io.Writer) error { return encode(into, ref, open) })
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func encode(into io.Writer, ref release.Ref, open func(release.Ref) (io.ReadCloser, error)) error {
	r, err := open(ref)
	if err != nil {
		return fmt.Errorf("content %s: %w", ref.Sum, err)
	}
	sum, size, err := object.Encode(into, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("content %s: %w", ref.Sum, err)
	}
	if sum != ref.Sum || size != ref.Size {
		return fmt.Errorf("content %s: %w", ref.Sum, digest.ErrMismatch)
	}
	return nil
}

// member writes one member, not compressed: its header is all that a reader allows.
func (w *writer) member(name string, size int64, crc uint32, write func(io.Writer) error) {
	if w.err != nil {
		return
	}
	at := w.when
	h := &zip.FileHeader{
		Name: name, Method: zip.Store, ReaderVersion: 20, CRC32: crc,
		CompressedSize64: uint64(size), UncompressedSize64: uint64(size), //nolint:gosec // not negative
		// The new field would add an extension to each header.
		ModifiedDate: uint16(at.Day() + int(at.Month())<<5 + (at.Year()-1980)<<9), //nolint:staticcheck,gosec // see above; years are checked
		ModifiedTime: uint16(at.Second()/2 + at.Minute()<<5 + at.Hour()<<11),      //nolint:staticcheck,gosec // see above
	}
	h.SetMode(0o644)
	into, err := w.zip.CreateRaw(h)
	if err == nil {
		err = write(into)
	}
	w.err = err
}

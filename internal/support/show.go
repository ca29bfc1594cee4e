package support

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"uplevel/internal/plain"
	"uplevel/internal/problem"
)

// Bounds of a bundle that is read, in bytes. Anybody may have made it.
const (
	MaxZip       = 64 << 20
	maxMembers   = 500
	maxDirectory = 1 << 20
	maxSummary   = 8 << 20
	maxUnpacked  = 32 << 20 // of one member

	endLength     = 22
	locatorLength = 20
)

// Opened is a bundle that somebody sent. Nothing of it is written anywhere.
type Opened struct {
	Summary Summary
	files   map[string]*zip.File
	names   []string
}

func refused(format string, args ...any) error {
	return problem.New(problem.Verification, "Ask for it again; it is made with support-bundle.", "It is no support bundle that can be read: "+format, args...)
}

// Open reads the directory and the summary of a bundle.
func Open(r io.ReaderAt, size int64) (*Opened, error) {
	if err := checkEnd(r, size); err != nil {
		return nil, refused("%w", err)
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, refused("%w", err)
	}
	o := &Opened{files: map[string]*zip.File{}}
	for _, f := range z.File {
		if err := checkName(f.Name); err != nil {
			return nil, refused("%w", err)
		}
		if o.files[f.Name] != nil {
			return nil, refused("it has two members %.100q", f.Name)
		}
		o.files[f.Name] = f
		o.names = append(o.names, f.Name)
	}
	data, err := o.read("summary.json", maxSummary)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &o.Summary); err != nil {
		return nil, refused("its summary is damaged: %w", err)
	}
	if o.Summary.Format != Format {
		return nil, problem.New(problem.Refused, "Use the newer tool.", "The bundle has format %d, this tool knows %d", o.Summary.Format, Format)
	}
	return o, nil
}

// checkEnd bounds the directory before it is read.
func checkEnd(r io.ReaderAt, size int64) error {
	if size < endLength || size > MaxZip {
		return fmt.Errorf("it has %d bytes, the limit is %d", size, MaxZip)
	}
	end := make([]byte, endLength)
	if _, err := r.ReadAt(end, size-endLength); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading its end: %w", err)
	}
	le := binary.LittleEndian
	count, length, at := le.Uint16(end[10:]), le.Uint32(end[12:]), le.Uint32(end[16:])
	switch {
	case !bytes.HasPrefix(end, []byte("PK\x05\x06")) || le.Uint16(end[20:]) != 0:
		return errors.New("it does not end as one does")
	case count > maxMembers || length > maxDirectory:
		return fmt.Errorf("its directory lists %d members in %d bytes", count, length)
	case size >= endLength+locatorLength && zip64(r, size-endLength-locatorLength): // whoever follows it reads another directory
		return errors.New("it is a zip64")
	case int64(at)+int64(length) != size-endLength: // what is read is not bounded by what it says
		return errors.New("its directory is not where it should be")
	}
	return nil
}

// zip64 reports whether a pointer to another directory stands at a place: Go's reader
// follows it for some lengths of the first one, and the second is not bounded.
func zip64(r io.ReaderAt, at int64) bool {
	locator := make([]byte, 4)
	_, err := r.ReadAt(locator, at)
	return err != nil || string(locator) == "PK\x06\x07"
}

// checkName refuses names that no bundle has: they would lead out of a folder that
// somebody unpacks it into.
func checkName(name string) error {
	if name == "" || len(name) > 1024 || name[0] == '/' || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(name, "\\:\n\t") || strings.ContainsFunc(name, plain.Unsafe) {
		return fmt.Errorf("a member is called %.100q", name)
	}
	return nil
}

// Names returns the members in their order.
func (o *Opened) Names() []string { return o.names }

// Read returns one member, made harmless to print; more than 32 MiB are refused.
func (o *Opened) Read(name string) (string, error) {
	if o.files[name] == nil {
		return "", problem.New(problem.Failed, "See the members with bundle show FILE.", "The bundle has no member %.100q", name)
	}
	data, err := o.read(name, maxUnpacked)
	return plain.Text(string(data)), err
}

func (o *Opened) read(name string, limit int64) ([]byte, error) {
	f := o.files[name]
	if f == nil {
		return nil, refused("%s is missing", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, refused("%q: %w", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, refused("%q: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, refused("%q is longer than %d bytes", name, limit)
	}
	return data, nil
}

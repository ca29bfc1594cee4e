package dist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"uplevel/internal/archive/anatomy"
	"uplevel/internal/manifest"
)

// defaultMaxTotal bounds what an archive may unpack to: 256 GiB.
const defaultMaxTotal = 256 << 30

// maxDirectory bounds the bytes of the central directory that are read.
const maxDirectory = 256 << 20

// archive is a zip archive whose records were compared and found to agree.
type archive struct {
	file    *os.File
	stamp   string
	when    time.Time
	parts   *anatomy.Archive
	records []record
	byPath  map[string]record
}

// record is one member and what it stands for.
type record struct {
	*anatomy.Member

	name  string // slash path in the product
	kind  manifest.Kind
	mode  uint32
	setID bool
}

func openArchive(ctx context.Context, name string, maxTotal int64) (source, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a, err := readArchive(ctx, file, maxTotal)
	if err != nil {
		return nil, errors.Join(plain(err), file.Close())
	}
	return a, nil
}

// plain is an error without the words by which it is known.
func plain(err error) error {
	if errors.Is(err, anatomy.ErrRefused) {
		return errors.New(strings.TrimSuffix(err.Error(), ": "+anatomy.ErrRefused.Error()))
	}
	return err
}

func readArchive(ctx context.Context, file *os.File, maxTotal int64) (*archive, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if maxTotal <= 0 {
		maxTotal = defaultMaxTotal
	}
	a := &archive{file: file, byPath: map[string]record{}}
	a.stamp, a.when = stampOf(info)
	within := anatomy.Bounds{Members: manifest.MaxEntries, Directory: maxDirectory}
	if a.parts, err = anatomy.OpenWithin(ctx, io.NewSectionReader(file, 0, info.Size()), within); err != nil {
		return nil, err
	}
	if a.parts.Stub > 0 {
		return nil, errors.New("something stands before its first member")
	}
	if err := a.fill(maxTotal); err != nil {
		return nil, err
	}
	dropTop(a.records)
	for _, r := range a.records {
		if r.name != "" {
			a.byPath[r.name] = r
		}
	}
	return a, nil
}

// fill says what the members stand for, and bounds what they unpack to.
func (a *archive) fill(maxTotal int64) error {
	var total int64
	for _, m := range a.parts.Members {
		total += m.Size
		if m.Size > manifest.MaxFile || total > maxTotal {
			return fmt.Errorf("%.200q: what it unpacks to is beyond %d bytes", m.Name, maxTotal)
		}
		a.records = append(a.records, recordOf(m))
	}
	return nil
}

// Bits of a Unix system's attributes, and modes where there are none.
const (
	unixSet    = 0o006000
	folderMode = 0o755
	fileMode   = 0o644
)

func recordOf(m *anatomy.Member) record {
	unix := m.Unix()
	r := record{Member: m, name: m.Path(), kind: manifest.File, mode: unix & 0o777}
	switch {
	case m.Folder():
		r.kind = manifest.Dir
	case m.Link():
		r.kind = manifest.Link
	default:
		r.setID = unix&unixSet != 0
	}
	if unix == 0 {
		r.mode = map[manifest.Kind]uint32{manifest.Dir: folderMode, manifest.File: fileMode}[r.kind]
	}
	return r
}

// dropTop drops the folder that everything lies in, if there is one. The record of the
// folder itself gets an empty name.
func dropTop(records []record) {
	if len(records) == 0 {
		return
	}
	top, _, _ := strings.Cut(records[0].name, "/")
	for _, r := range records {
		if r.name == top && r.kind != manifest.Dir || r.name != top && !strings.HasPrefix(r.name, top+"/") {
			return
		}
	}
	for i := range records {
		records[i].name = strings.TrimPrefix(strings.TrimPrefix(records[i].name, top), "/")
	}
}

func (a *archive) Close() error { return a.file.Close() }

func (a *archive) items(ctx context.Context) ([]item, error) {
	items := make([]item, 0, len(a.records))
	for _, r := range a.records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r.name == "" || skipped(r.name) {
			continue
		}
		i := item{entry: manifest.Entry{Path: r.name, Kind: r.kind, Mode: r.mode}, setID: r.setID}
		switch r.kind {
		case manifest.File:
			i.entry.Size = r.Size
			i.stamp, i.when = fmt.Sprintf("%s %d %08x", a.stamp, r.Offset, r.CRC), a.when
		case manifest.Link:
			target, err := a.target(r)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", r.name, err)
			}
			i.entry.Mode, i.entry.Target = 0, target
		case manifest.Dir, manifest.Other:
		}
		items = append(items, i)
	}
	return items, nil
}

func (a *archive) target(r record) (string, error) {
	if r.Size > manifest.MaxPath {
		return "", errors.New("link target is too long")
	}
	text, err := a.parts.Load(r.Member)
	return string(text), plain(err)
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	r, ok := a.byPath[name]
	if !ok || r.kind != manifest.File {
		return nil, fmt.Errorf("%q is no file of the archive", name)
	}
	return io.NopCloser(content{a.parts.Content(r.Member)}), nil
}

// content reads a member; it fails instead of io.EOF unless all agrees with its record.
type content struct{ r io.Reader }

func (c content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	return n, plain(err)
}
